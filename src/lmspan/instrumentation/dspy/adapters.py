"""DSPy's adapters, which repeat a request with another adapter when they cannot parse the answer.

DSPy decorates both methods again in every subclass, so it may announce one `format` two or three times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.dspy.describe import signature_name
from lmspan.instrumentation.kit import adapters
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import is_inside
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Arguments, LiveCall
    from lmspan.recording.recorder import Recorder


def start_format(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `format(signature, demos, inputs)`."""
    inputs = {
        "signature": argument(args, kwargs, 0, "signature"),
        "demos": argument(args, kwargs, 1, "demos"),
        "inputs": argument(args, kwargs, 2, "inputs"),
    }
    return _start(recorder, Operation.ADAPTER_FORMAT, instance, inputs, (args, kwargs))


def describe_format(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the signature, the number of demonstrations and the inputs."""
    call.late_facts.update(signature_name(call.inputs["signature"]))
    adapters.add_format(recorder, call)


def start_parse(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `parse(signature, completion)`."""
    inputs = {
        "signature": argument(args, kwargs, 0, "signature"),
        "completion": argument(args, kwargs, 1, "completion"),
    }
    return _start(recorder, Operation.ADAPTER_PARSE, instance, inputs, (args, kwargs))


def describe_parse(_: Recorder, call: LiveCall, *__: Any) -> None:
    """Add the signature and the length of the answer."""
    call.late_facts.update(signature_name(call.inputs["signature"]))
    adapters.add_parse(call)


def _start(
    recorder: Recorder,
    operation: Operation,
    instance: Any,
    inputs: dict[str, Any],
    arguments: Arguments,
) -> LiveCall | None:
    if is_inside(instance, operation):  # a nested announcement is no attempt
        return None
    attempt = _attempt(recorder, type(instance).__name__, operation)
    facts = {sc.ADAPTER_ATTEMPT: attempt}
    return adapters.start(recorder, "dspy", operation, instance, inputs, arguments, **facts)


def _attempt(recorder: Recorder, adapter: str, operation: Operation) -> int:
    """Count how often the current module has formatted: a second time repeats the request after a parse failure."""
    module = current_call()
    if module is None:
        return 1
    if operation is Operation.ADAPTER_FORMAT:
        before = module.adapter
        module.adapter = adapter
        if before is not None:
            module.attempt += 1
        if before not in (None, adapter):
            recorder.add_event(module, Event.PARSE_FALLBACK, {sc.ADAPTER_NAME: before, sc.ADAPTER_FALLBACK: adapter})
    return module.attempt


FORMAT: Final = Steps(start_format, describe_format, adapters.succeed_format)
PARSE: Final = Steps(start_parse, describe_parse, adapters.succeed_parse)
