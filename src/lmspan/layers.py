"""Other instrumentations below ours: one call of a model is one span, whoever else could tell of it.

While a model's call is open, the attached context asks the instrumentations of model clients to stay silent, in the
two ways that they listen for. What is no model call, such as an HTTP request, may nest below.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from lmspan.guard import guarded
from lmspan.lifecycle import Operation

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
