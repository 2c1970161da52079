"""Adapter phases: `format` makes the messages, `parse` reads the answer.

DSPy decorates both methods again in every subclass, so one `format` may announce itself two or three times, nested,
for the same adapter object: only the outermost is a span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.calls import Hook, is_inside
from lmspan.instrumentation.dspy.describe import signature_name
from lmspan.lifecycle import Event, Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_FORMAT: Final = ("signature", "demos", "inputs")
_PARSE: Final = ("signature", "completion")


def begin_format(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `format(signature, demos, inputs)`."""
    if is_inside(instance, Operation.ADAPTER_FORMAT):
        return None
    inputs = dict(zip(_FORMAT, _arguments(_FORMAT, args, kwargs), strict=True))
    return _start(recorder, Operation.ADAPTER_FORMAT, "format", instance, inputs)


def describe_format(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, the number of demonstrations, and the inputs."""
    del args, kwargs
    signature, demos, inputs = call.inputs.values()
    call.found.update(signature_name(signature))
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
    """Start `parse(signature, completion)`."""
    if is_inside(instance, Operation.ADAPTER_PARSE):
        return None
    inputs = dict(zip(_PARSE, _arguments(_PARSE, args, kwargs), strict=True))
    return _start(recorder, Operation.ADAPTER_PARSE, "parse", instance, inputs)


def describe_parse(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature and how long the answer is; the answer itself is on the chat span."""
    del recorder, args, kwargs
    signature, completion = call.inputs.values()
    call.found.update(signature_name(signature))
    if type(completion) is str:
        call.found[sc.ADAPTER_RESPONSE_LENGTH] = len(completion)


def finish_parse(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the fields that were read."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})


def _start(recorder: Recorder, operation: Operation, phase: str, instance: Any, inputs: dict[str, Any]) -> Call:
    name = type(instance).__name__
    facts = {sc.ADAPTER_NAME: name, sc.ADAPTER_PHASE: phase, sc.ADAPTER_ATTEMPT: _attempt(recorder, name, phase)}
    return recorder.start(operation, name, "dspy", facts, instance=instance, inputs=inputs)


def _attempt(recorder: Recorder, adapter: str, phase: str) -> int:
    """Count how often the current module has formatted: a second time is a re-ask after a parse failure."""
    module = current_call()
    if module is None:
        return 1
    if phase == "format":
        module.notes["attempt"] = module.notes.get("attempt", 0) + 1
        before, module.notes["adapter"] = module.notes.get("adapter", adapter), adapter
        if before != adapter:
            recorder.add_event(module, Event.PARSE_FALLBACK, {sc.ADAPTER_NAME: before, sc.ADAPTER_FALLBACK: adapter})
    return int(module.notes.get("attempt", 1))


def _arguments(names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(args[index] if index < len(args) else kwargs.get(name) for index, name in enumerate(names))


FORMAT: Final = Hook(begin_format, describe_format, finish_format)
PARSE: Final = Hook(begin_parse, describe_parse, finish_parse)
