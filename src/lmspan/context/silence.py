"""Other instrumentations below ours: one call of a model is one span, although several of them see it.

While a model's call is open, the attached context asks the instrumentations of model clients to stay silent, in the
two ways that they check. Anthropic's client makes spans by itself and checks neither, so it is patched. Other spans,
such as that of an HTTP request, may nest below.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan.guard import guarded
from lmspan.lifecycle import CURRENT, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.patching import Patches

_UTIL_GENAI: Final = "opentelemetry.util.genai.invocation"
"""An instrumentation of OpenTelemetry's that has such data in its context adds to it and makes no span."""

_DATA: Final = {
    Operation.LM: ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData"),
    Operation.EMBEDDING: ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData"),
    Operation.RETRIEVAL: ("CLIENT_RETRIEVAL_CONTEXT_KEY", "RetrievalData"),
}
_OPENLLMETRY: Final = "suppress_language_model_instrumentation"


@guarded  # it constructs an object of another package
def entries(operation: Operation) -> dict[str, Any]:
    """Return the entries of an operation's context that keep others from recording it again."""
    if operation not in _DATA:
        return {}
    silencing: dict[str, Any] = {} if operation is Operation.RETRIEVAL else {_OPENLLMETRY: True}
    util = sys.modules.get(_UTIL_GENAI)  # an instrumentation that checks it has imported it
    key, data = (getattr(util, name, None) for name in _DATA[operation])
    if key is not None and data is not None:
        silencing[key] = data()
    return silencing


def patch(patches: Patches) -> None:
    """Keep Anthropic's client from making a span below a model's call, because its tokens would be counted twice."""

    @guarded
    def quieten(client: Any) -> None:
        patches.wrap(client, "start_api_call_span", _no_span)

    patches.when_imported("anthropic._base_client", quieten)


def _no_span(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call: Any = otel_context.get_current().get(CURRENT)
    is_recorded = call is not None and not call.ended and call.operation in _DATA
    return None if is_recorded else wrapped(*args, **kwargs)
