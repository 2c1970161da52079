"""Other instrumentations below ours: one call of a model is one span, whoever else could tell of it.

While a model's call is open, the attached context asks the instrumentations of model clients to stay silent, in the
two ways that they listen for. Anthropic's client, which makes spans by itself, listens for none: it is patched. What is
no model call, such as an HTTP request, may nest below.
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
"""OpenTelemetry's own GenAI instrumentations: one that finds such data in its context adds to it and makes no span."""

_DATA: Final = {
    Operation.LM: ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData"),
    Operation.EMBEDDING: ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData"),
    Operation.RETRIEVAL: ("CLIENT_RETRIEVAL_CONTEXT_KEY", "RetrievalData"),
}
_OPENLLMETRY: Final = "suppress_language_model_instrumentation"


@guarded  # the data of a stranger is made here
def entries(operation: Operation) -> dict[str, Any]:
    """Return what the context of an operation holds so that nobody below tells of it again."""
    if operation not in _DATA:
        return {}
    found: dict[str, Any] = {} if operation is Operation.RETRIEVAL else {_OPENLLMETRY: True}
    util = sys.modules.get(_UTIL_GENAI)  # whoever could listen has imported it
    key, data = (getattr(util, name, None) for name in _DATA[operation])
    if key is not None and data is not None:
        found[key] = data()
    return found


def patch(patches: Patches) -> None:
    """Have Anthropic's client make no span of its own below a model's call: its tokens would be there twice."""

    @guarded
    def quieten(client: Any) -> None:
        patches.wrap(client, "start_api_call_span", _no_span)

    patches.when_imported("anthropic._base_client", quieten)


def _no_span(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call: Any = otel_context.get_current().get(CURRENT)
    told = call is not None and not call.ended and call.operation in _DATA
    return None if told else wrapped(*args, **kwargs)
