"""Adapter phases: `format` makes the messages, `parse` reads the answer.

`format` and `parse` call `format_prompt` and `parse_response` of the same adapter: only the outermost is a span.
`Predict` swallows what `parse` raises and takes the raw text for the answer: the span tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.calls import Hook, is_inside
from lmspan.instrumentation.logillm.causes import root_cause
from lmspan.instrumentation.logillm.describe import signature_name
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_FORMAT: Final = ("signature", "inputs", "demos")
_PARSE: Final = ("signature", "completion")
_RESPONSE: Final = "response"  # what `parse_response` calls the completion


def begin_format(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `format(signature, inputs, demos)`."""
    return _start(recorder, Operation.ADAPTER_FORMAT, "format", instance, _named(_FORMAT, args, kwargs))


def describe_format(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, the number of demonstrations, and the inputs."""
    del args, kwargs
    signature, inputs, demos = call.inputs.values()
    _add_signature(call, signature)
    if type(demos) is list:
        call.found[sc.ADAPTER_DEMO_COUNT] = len(demos)
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: inputs})


def finish_format(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Tell how many messages came of it; the messages themselves are on the chat span."""
    del recorder
    if type(outputs) is list:
        call.found[sc.ADAPTER_MESSAGE_COUNT] = len(outputs)


def begin_parse(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `parse(signature, completion)` or `parse_response(signature, response)`."""
    inputs = _named(_PARSE, args, {**kwargs, "completion": kwargs.get("completion", kwargs.get(_RESPONSE))})
    return _start(recorder, Operation.ADAPTER_PARSE, "parse", instance, inputs)


def describe_parse(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature and how long the answer is; the answer itself is on the chat span."""
    del recorder, args, kwargs
    signature, completion = call.inputs.values()
    _add_signature(call, signature)
    if type(completion) is str:
        call.found[sc.ADAPTER_RESPONSE_LENGTH] = len(completion)


def finish_parse(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the fields that were read."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})


def _start(recorder: Recorder, operation: Operation, phase: str, instance: Any, inputs: dict[str, Any]) -> Call | None:
    if is_inside(instance, operation):
        return None
    name = type(instance).__name__
    facts = {sc.ADAPTER_NAME: name, sc.ADAPTER_PHASE: phase}
    return recorder.start(operation, name, "logillm", facts, instance=instance, inputs=inputs)


def _add_signature(call: Call, signature: Any) -> None:
    if name := signature_name(signature):
        call.found[sc.SIGNATURE_NAME] = name


def _named(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: args[index] if index < len(args) else kwargs.get(name) for index, name in enumerate(names)}


FORMAT: Final = Hook(begin_format, describe_format, finish_format, cause=root_cause)
PARSE: Final = Hook(begin_parse, describe_parse, finish_parse, cause=root_cause)
PHASES: Final = {"format": FORMAT, "format_prompt": FORMAT, "parse": PARSE, "parse_response": PARSE}
