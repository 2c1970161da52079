"""The facts of an answer: those of LogiLLM's `Completion`, and instead of them those that the server reports."""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import put, stored

# LogiLLM's own counts, where 0 also means that a count is unknown
_OWN: Final = (
    ("input_tokens", sc.USAGE_INPUT_TOKENS),
    ("output_tokens", sc.USAGE_OUTPUT_TOKENS),
    ("cached_tokens", sc.USAGE_CACHE_READ_TOKENS),
    ("reasoning_tokens", sc.USAGE_REASONING_TOKENS),
)
# provider -> parts of the names of the models that LogiLLM has a price for; it takes another model for one of them
_PRICED: Final = {
    "openai": ("gpt-5", "gpt-4", "gpt-3.5", "o1"),
    "anthropic": ("opus", "sonnet", "haiku"),
}
_NO_PRICE: Final = "logillm has no price for this model"


def completion_facts(completion: Any, *, model: str, cached: bool) -> dict[str, Any]:
    """Return the attributes of LogiLLM's own `Completion`; an empty dict if there is none."""
    own = stored(completion)
    usage, metadata = stored(own.get("usage")), own.get("metadata")
    known = metadata if type(metadata) is dict else {}
    tokens = stored(usage.get("tokens"))
    facts: dict[str, Any] = {}
    for value in (known.get("response_id"), known.get("message_id")):
        put(facts, sc.RESPONSE_ID, value, str)
    for value in (own.get("model"), known.get("model")):
        put(facts, sc.RESPONSE_MODEL, value, str)
    if type(own.get("finish_reason")) is str:
        facts[sc.RESPONSE_FINISH_REASONS] = [own["finish_reason"]]
    if cached:
        facts[sc.CACHE_HIT] = True  # its tokens and cost were counted when it was made
        put(facts, sc.CACHE_SAVED_TOKENS, _tokens(tokens) or None, int)
        return facts
    if _tokens(tokens):
        for name, attribute in _OWN:
            put(facts, attribute, tokens.get(name) or None, int)
    return {**facts, **_cost(own.get("provider"), model, usage.get("cost"))}


def _cost(provider: Any, model: str, cost: Any) -> dict[str, Any]:
    """Return LogiLLM's estimate, or the reason why it is none."""
    facts: dict[str, Any] = {}
    put(facts, sc.COST_AMOUNT, cost, float)
    if not facts:
        return {}
    names = _PRICED.get(provider, ("",)) if type(provider) is str else ("",)
    if not any(name in model.lower() for name in names):
        return {sc.COST_UNKNOWN_REASON: _NO_PRICE}
    return {**facts, sc.COST_UNIT: "USD", sc.COST_SOURCE: "logillm"}


def _tokens(tokens: dict[str, Any]) -> int:
    counts = (tokens.get("input_tokens"), tokens.get("output_tokens"))
    return sum(count for count in counts if type(count) is int)
