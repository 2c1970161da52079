"""Adapter phases: `format` makes the messages, `parse` reads the answer.

Libraries announce a phase several times, nested, for the same adapter object: only the outermost is a span. The
messages and the answer themselves are on the chat span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import is_inside
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_PHASES = {Operation.ADAPTER_FORMAT: "format", Operation.ADAPTER_PARSE: "parse"}


def start(
    recorder: Recorder, source: str, operation: Operation, instance: Any, inputs: dict[str, Any], **facts: Any
) -> LiveCall | None:
    """Start a phase. `inputs` hold `signature` and, of a format, `demos` and `inputs`; of a parse, `completion`."""
    if is_inside(instance, operation):
        return None
    name = type(instance).__name__
    said = {sc.ADAPTER_NAME: name, sc.ADAPTER_PHASE: _PHASES[operation], **facts}
    return recorder.start(operation, name, source, said, instance=instance, inputs=inputs)


def add_format(recorder: Recorder, call: LiveCall) -> None:
    """Add the number of demonstrations, and the inputs."""
    if type(call.inputs["demos"]) is list:
        call.found[sc.ADAPTER_DEMO_COUNT] = len(call.inputs["demos"])
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs["inputs"]})


def finish_format(_: Recorder, call: LiveCall, outputs: Any) -> None:
    """Tell how many messages came of it."""
    if type(outputs) is list:
        call.found[sc.ADAPTER_MESSAGE_COUNT] = len(outputs)


def add_parse(call: LiveCall) -> None:
    """Add how long the answer is."""
    if type(call.inputs["completion"]) is str:
        call.found[sc.ADAPTER_RESPONSE_LENGTH] = len(call.inputs["completion"])


def finish_parse(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the fields that were read."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})
