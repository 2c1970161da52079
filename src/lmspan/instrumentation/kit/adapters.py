"""Adapter phases: `format` makes the messages, `parse` reads the answer.

Libraries announce one phase several times, nested, for the same adapter object; only the outermost is a span. The chat
span has the messages and the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import is_inside
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Arguments, LiveCall
    from lmspan.recording.recorder import Recorder

_PHASES = {Operation.ADAPTER_FORMAT: "format", Operation.ADAPTER_PARSE: "parse"}


def start(
    recorder: Recorder,
    source: str,
    operation: Operation,
    instance: Any,
    inputs: dict[str, Any],
    arguments: Arguments | None = None,
    **facts: Any,
) -> LiveCall | None:
    """Start a phase. `inputs` has `signature`, and `demos` and `inputs` for a format or `completion` for a parse."""
    if is_inside(instance, operation):
        return None
    name = type(instance).__name__
    phase = {sc.ADAPTER_NAME: name, sc.ADAPTER_PHASE: _PHASES[operation], **facts}
    return recorder.start(operation, name, source, phase, instance=instance, inputs=inputs, arguments=arguments)


def add_format(recorder: Recorder, call: LiveCall) -> None:
    """Add the number of demonstrations and the inputs."""
    if type(call.inputs["demos"]) is list:
        call.late_facts[sc.ADAPTER_DEMO_COUNT] = len(call.inputs["demos"])
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs["inputs"]})


def succeed_format(_: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the number of messages."""
    if type(outputs) is list:
        call.late_facts[sc.ADAPTER_MESSAGE_COUNT] = len(outputs)


def add_parse(call: LiveCall) -> None:
    """Add the length of the answer."""
    if type(call.inputs["completion"]) is str:
        call.late_facts[sc.ADAPTER_RESPONSE_LENGTH] = len(call.inputs["completion"])


def succeed_parse(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the fields of the answer."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})
