"""LogiLLM's adapters.

`format` and `parse` call `format_prompt` and `parse_response` of the same adapter. `Predict` swallows the exceptions of
`parse` and takes the raw text for the answer; the span has the exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit import adapters
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.logillm.describe import signature_name
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def start_format(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `format(signature, inputs, demos)`."""
    inputs = {
        "signature": argument(args, kwargs, 0, "signature"),
        "inputs": argument(args, kwargs, 1, "inputs"),
        "demos": argument(args, kwargs, 2, "demos"),
    }
    if (module := current_call()) is not None:
        module.adapter = type(instance).__name__
    return adapters.start(recorder, "logillm", Operation.ADAPTER_FORMAT, instance, inputs)


def describe_format(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the signature, the number of demonstrations and the inputs."""
    _add_signature(call)
    adapters.add_format(recorder, call)


def start_parse(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `parse(signature, completion)` or `parse_response(signature, response)`."""
    inputs = {
        "signature": argument(args, kwargs, 0, "signature"),
        "completion": argument(args, kwargs, 1, "completion", "response"),
    }
    return adapters.start(recorder, "logillm", Operation.ADAPTER_PARSE, instance, inputs)


def describe_parse(_: Recorder, call: LiveCall, *__: Any) -> None:
    """Add the signature and the length of the answer."""
    _add_signature(call)
    adapters.add_parse(call)


def _add_signature(call: LiveCall) -> None:
    if name := signature_name(call.inputs["signature"]):
        call.late_facts[sc.SIGNATURE_NAME] = name


FORMAT: Final = Steps(start_format, describe_format, adapters.succeed_format, cause=root_cause)
PARSE: Final = Steps(start_parse, describe_parse, adapters.succeed_parse, cause=root_cause)
PHASES: Final = {"format": FORMAT, "format_prompt": FORMAT, "parse": PARSE, "parse_response": PARSE}
