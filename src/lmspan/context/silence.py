"""Other instrumentations below ours: one call of a model is one span, although several of them see it.

While a model's call is open, the attached context asks the instrumentations of model clients to stay silent, in the
two ways that they check. What OpenTelemetry's own then know of the request and the answer is added to our span.
Anthropic's client makes spans by itself and checks neither, so it is patched. Other spans,
such as that of an HTTP request, may nest below.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.context.current import innermost_call
from lmspan.guard import guarded
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches

_UTIL_GENAI: Final = "opentelemetry.util.genai.invocation"
"""An instrumentation of OpenTelemetry's that has such data in its context adds to it and makes no span."""

CLIENTS: Final = frozenset((Operation.LM, Operation.EMBEDDING, Operation.RETRIEVAL))
"""The operations that instrumentations of clients know, too."""

_DATA: Final = {
    Operation.LM: ("CLIENT_INFERENCE_CONTEXT_KEY", "InferenceData"),
    Operation.EMBEDDING: ("CLIENT_EMBEDDING_CONTEXT_KEY", "EmbeddingData"),
    Operation.RETRIEVAL: ("CLIENT_RETRIEVAL_CONTEXT_KEY", "RetrievalData"),
}
# field of the data -> attribute
_FACTS: Final = {
    "provider_name": sc.PROVIDER_NAME,
    "server_address": sc.SERVER_ADDRESS,
    "server_port": sc.SERVER_PORT,
    "output_type": sc.OUTPUT_TYPE,
    "request_model": sc.REQUEST_MODEL,
    "request_choice_count": sc.REQUEST_CHOICE_COUNT,
    "request_frequency_penalty": sc.REQUEST_FREQUENCY_PENALTY,
    "request_max_tokens": sc.REQUEST_MAX_TOKENS,
    "request_presence_penalty": sc.REQUEST_PRESENCE_PENALTY,
    "request_reasoning_level": sc.REQUEST_REASONING_LEVEL,
    "request_seed": sc.REQUEST_SEED,
    "request_stop_sequences": sc.REQUEST_STOP_SEQUENCES,
    "request_stream": sc.REQUEST_STREAM,
    "request_temperature": sc.REQUEST_TEMPERATURE,
    "request_top_k": sc.REQUEST_TOP_K,
    "request_top_p": sc.REQUEST_TOP_P,
    "response_id": sc.RESPONSE_ID,
    "response_model": sc.RESPONSE_MODEL,
    "response_finish_reasons": sc.RESPONSE_FINISH_REASONS,
    "response_time_to_first_chunk": sc.RESPONSE_TIME_TO_FIRST_CHUNK,
    "usage_input_tokens": sc.USAGE_INPUT_TOKENS,
    "usage_output_tokens": sc.USAGE_OUTPUT_TOKENS,
    "usage_cache_read_input_tokens": sc.USAGE_CACHE_READ_TOKENS,
    "usage_cache_write_input_tokens": sc.USAGE_CACHE_WRITE_TOKENS,
    "usage_reasoning_output_tokens": sc.USAGE_REASONING_TOKENS,
    "usage_audio_input_tokens": sc.USAGE_AUDIO_INPUT_TOKENS,
    "usage_audio_output_tokens": sc.USAGE_AUDIO_OUTPUT_TOKENS,
}
_OPENLLMETRY: Final = "suppress_language_model_instrumentation"


@guarded  # it constructs an object of another package
def entries(operation: Operation) -> dict[str, Any]:
    """Return the entries of an operation's context that keep others from recording it again: for one of `CLIENTS`."""
    if operation not in CLIENTS:
        return {}
    silencing: dict[str, Any] = {} if operation is Operation.RETRIEVAL else {_OPENLLMETRY: True}
    util = sys.modules.get(_UTIL_GENAI)  # an instrumentation that checks it has imported it
    key, data = (getattr(util, name, None) for name in _DATA[operation])
    if key is not None and data is not None:
        silencing[key] = data()
    return silencing


def gathered(call: LiveCall) -> dict[str, Any]:
    """Return the facts that an instrumentation of OpenTelemetry's below a model's call has added to its data.

    Such an instrumentation makes no span below a call of ours, and knows the request and the answer as the client does.
    """
    util = sys.modules.get(_UTIL_GENAI)
    if util is None or call.context is None:
        return {}
    data = call.context.get(getattr(util, _DATA[call.operation][0], None))
    fields: dict[str, Any] = getattr(data, "__dict__", {})
    found = {name: fields.get(field) for field, name in _FACTS.items() if fields.get(field) is not None}
    return {name: list(value) if type(value) is tuple else value for name, value in found.items()}


def patch(patches: Patches) -> None:
    """Keep Anthropic's client from making a span below a model's call, because its tokens would be counted twice."""

    @guarded
    def quieten(client: Any) -> None:
        patches.wrap(client, "start_api_call_span", _no_span)

    patches.when_imported("anthropic._base_client", quieten)


def _no_span(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    call = innermost_call(otel_context.get_current())
    is_recorded = call is not None and not call.ended and call.operation in _DATA
    return None if is_recorded else wrapped(*args, **kwargs)
