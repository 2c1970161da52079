"""`dspy.Embedder`, which DSPy does not announce: one span for all its batches and requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.dspy.lm import identity
from lmspan.instrumentation.dspy.responses import cost_facts
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import metric_name
from lmspan.instrumentation.kit.facts import field, put, stored, text
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.kit.requests import learn_keys
from lmspan.lifecycle import Operation
from lmspan.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder


@dataclass(slots=True)
class EmbeddingKept:
    """Of an embedding: whether a server makes it, and how many requests that has taken so far."""

    hosted: bool
    requests: int = 0


@dataclass(slots=True, eq=False)
class SearchKept:
    """Of a search in the process itself: the embedder and the query, and how often that has been embedded."""

    search: LiveCall
    query: tuple[int, int]
    embeddings: int = 0


_searches: dict[tuple[int, int], list[SearchKept]] = {}
"""Running searches, by the identities of the embedder and of the query's string: `dspy.Embeddings` embeds on a thread
of its own, whose context does not have the search."""

_lock = Lock()


def await_query(query: str, search: LiveCall) -> None:
    """Let the embedding of this very string be under the search, until `forget_query`."""
    own = SearchKept(search, (id(stored(search.instance).get("embedder")), id(query)))
    search.kept = own
    with _lock:
        _searches.setdefault(own.query, []).append(own)


def forget_query(search: LiveCall) -> None:
    """Forget the query of a search, whether it has been embedded or not."""
    own = kept(search, SearchKept)
    if own is None:
        return
    with _lock:
        running = _searches[own.query]
        running.remove(own)
        if not running:
            del _searches[own.query]


def _search_for(embedder: Any, inputs: Any) -> LiveCall | None:
    """Return the search for one of these texts by this embedder, the one with the fewest embeddings of several.

    A search stays until it ends: of two searches for one string, either may be embedded first.
    """
    with _lock:
        for query in inputs if type(inputs) is list else ():
            running = _searches.get((id(embedder), id(query)))
            if running:
                own = min(running, key=lambda each: each.embeddings)
                own.embeddings += 1
                return own.search
    return None


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `Embedder(model)(inputs, ...)`."""
    fields = stored(instance)
    own = fields.get("default_kwargs")
    model = fields.get("model")
    settings = {**own, **kwargs} if type(own) is dict else kwargs
    learn_keys(recorder, settings)
    inputs = argument(args, kwargs, 0, "inputs")
    hosted = type(model) is str
    name = model if hosted else metric_name(model)
    address = text(settings.get("api_base") or settings.get("base_url"))
    facts = {**identity(text(name), "", address, "openai" if hosted else "custom"), sc.OPERATION_NAME: "embeddings"}
    search = _search_for(instance, inputs) if current_call() is None else None
    call = recorder.start(
        Operation.EMBEDDING,
        facts[sc.REQUEST_MODEL],
        "dspy",
        facts,
        instance=instance,
        inputs=inputs,
        parent_id=search.call_id if search is not None else "",
    )
    call.kept = EmbeddingKept(hosted)
    if not hosted:
        recorder.mark_internal(call)
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the number of texts and the texts."""
    call.late_facts[sc.EMBEDDING_INPUT_COUNT] = len(call.inputs) if type(call.inputs) is list else 1
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the size of the vectors, and a cache hit if no request was made."""
    if type(outputs).__module__ == "numpy" and outputs.ndim:
        call.late_facts[sc.EMBEDDINGS_DIMENSION_COUNT] = int(outputs.shape[-1])
    own = kept(call, EmbeddingKept)
    if own is not None and own.hosted and not own.requests:
        call.late_facts[sc.CACHE_HIT] = True
        recorder.mark_internal(call)


def patch(patches: Patches) -> None:
    """Patch LiteLLM, which DSPy embeds with and imports at its first use."""

    @guarded
    def patch_now(litellm: Any) -> None:
        patches.wrap(litellm, "embedding", _embedding)
        patches.wrap(litellm, "aembedding", _aembedding)

    patches.when_imported("litellm", patch_now)


def _embedding(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    response = wrapped(*args, **kwargs)
    _add_response(response)
    return response


async def _aembedding(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    response = await wrapped(*args, **kwargs)
    _add_response(response)
    return response


@guarded
def _add_response(response: Any) -> None:
    """Add a response to the current embedding: its usage and cost are the sums over its batches."""
    call = current_call()
    if call is None or call.operation is not Operation.EMBEDDING or not call.observed:
        return
    own = kept(call, EmbeddingKept)
    if own is not None:
        own.requests += 1
    put(call.late_facts, sc.RESPONSE_MODEL, field(response, "model"), str)
    for name, value in cost_facts(response).items():
        call.late_facts[name] = value + call.late_facts.get(name, 0.0) if name == sc.COST_AMOUNT else value
    tokens = field(field(response, "usage"), "prompt_tokens")
    if type(tokens) is int:
        call.late_facts[sc.USAGE_INPUT_TOKENS] = call.late_facts.get(sc.USAGE_INPUT_TOKENS, 0) + tokens


EMBED: Final = Steps(start, describe, succeed)
