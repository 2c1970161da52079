"""The facts of an answer: model, id, finish reason, tokens of every kind, cost, cache hit."""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import field, put, stored
from lmspan.instrumentation.kit.usage import usage_facts

_PARTS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens_details",
)  # fmt: skip
# LogiLLM's own counts, where 0 also means that a count is unknown
_OWN: Final = (
    ("input_tokens", sc.USAGE_INPUT_TOKENS),
    ("output_tokens", sc.USAGE_OUTPUT_TOKENS),
    ("cached_tokens", sc.USAGE_CACHE_READ_TOKENS),
    ("reasoning_tokens", sc.USAGE_REASONING_TOKENS),
)


def response_facts(answer: Any, completion: Any, *, cached: bool) -> dict[str, Any]:
    """Return the attributes of an answer: of LogiLLM's `Completion`, and of the API's own object if that is known."""
    own = stored(completion)
    usage = stored(own.get("usage"))
    tokens = stored(usage.get("tokens"))
    facts: dict[str, Any] = {}
    put(facts, sc.RESPONSE_ID, field(answer, "id"), str)
    put(facts, sc.RESPONSE_MODEL, own.get("model"), str)
    put(facts, sc.RESPONSE_MODEL, field(answer, "model"), str)
    reasons = _reasons(answer) or [own.get("finish_reason")]
    if all(type(reason) is str for reason in reasons):
        facts[sc.RESPONSE_FINISH_REASONS] = reasons
    if cached:
        facts[sc.CACHE_HIT] = True  # its tokens and cost were counted when it was made
        put(facts, sc.CACHE_SAVED_TOKENS, _tokens(tokens) or None, int)
        return facts
    _add_usage(facts, answer, tokens)
    put(facts, sc.COST_AMOUNT, usage.get("cost"), float)
    if sc.COST_AMOUNT in facts:
        facts.update({sc.COST_UNIT: "USD", sc.COST_SOURCE: "logillm"})
    return facts


def _reasons(answer: Any) -> list[Any]:
    """Return the finish reasons: one for each of OpenAI's choices, else the only one."""
    choices = field(answer, "choices")
    if type(choices) is list and choices:
        return [field(choice, "finish_reason") for choice in choices]
    reason = field(answer, "stop_reason") or field(answer, "finish_reason")
    return [reason] if reason is not None else []


def _add_usage(facts: dict[str, Any], answer: Any, tokens: dict[str, Any]) -> None:
    """Add the token counts that the API reports, else LogiLLM's own."""
    usage = _merged(answer["usages"]) if type(answer) is dict and "usages" in answer else field(answer, "usage")
    usage_facts(facts, usage)
    if sc.USAGE_INPUT_TOKENS not in facts and _tokens(tokens):
        for name, attribute in _OWN:
            put(facts, attribute, tokens.get(name) or None, int)


def _merged(usages: list[Any]) -> Any:
    """Return the usage of a stream, the last value of each count: Anthropic's events report it in parts.

    The first of several is that of Anthropic's `message_start`, whose output tokens are a placeholder.
    """
    if field(usages[-1], "prompt_tokens") is not None:
        return usages[-1]
    merged = {name: value for usage in usages for name in _PARTS if (value := field(usage, name)) is not None}
    if all(field(usage, "output_tokens") is None for usage in usages[1:]):
        merged.pop("output_tokens", None)
    return merged


def _tokens(tokens: dict[str, Any]) -> int:
    counts = (tokens.get("input_tokens"), tokens.get("output_tokens"))
    return sum(count for count in counts if type(count) is int)
