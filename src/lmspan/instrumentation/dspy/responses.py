"""The facts of an answer: model, id, finish reasons, tokens of every kind, cost and its source, cache hit.

They are read from DSPy 3.4's `CallResult`, or from the response in OpenAI's shape that LiteLLM returns to DSPy 3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import field, put, text_of
from lmspan.instrumentation.kit.usage import usage_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_USAGE: Final = "the stream reported no usage"
# field of the provider's own answer -> attribute
_SERVED: Final = (
    ("id", sc.RESPONSE_ID),
    ("responseId", sc.RESPONSE_ID),
    ("model", sc.RESPONSE_MODEL),
    ("modelVersion", sc.RESPONSE_MODEL),
)


def response_facts(result: Any, *, estimated: bool = False) -> dict[str, Any]:
    """Return the attributes of an answer. `result` is DSPy's own object, so `getattr` runs no code of the program.

    The usage of a result may be `estimated` by LiteLLM, and its cost with it: neither was billed.
    """
    raw = field(result, "raw") if field(result, "outputs") is not None else result
    facts: dict[str, Any] = {}
    put(facts, sc.RESPONSE_MODEL, field(result, "response_model") or field(raw, "model"), str)
    responses = field(result, "responses") or ()
    put(facts, sc.RESPONSE_ID, field(responses[0] if responses else raw, "id"), str)
    served = (
        field(responses[0], "provider_data") if responses else None
    )  # DSPy has the request's own model in its place
    for name, attribute in _SERVED:
        put(facts, attribute, field(served, name), str)
    reasons = [_reason(field(each, "finish_reason")) for each in responses or field(raw, "choices") or ()]
    if reasons and all(type(reason) is str for reason in reasons):
        facts[sc.RESPONSE_FINISH_REASONS] = reasons
    if field(result, "cache_hit") is True:
        facts[sc.CACHE_HIT] = True  # its tokens and cost were counted when it was made
        if saved := sum(_tokens(field(each, "usage")) for each in responses):
            facts[sc.CACHE_SAVED_TOKENS] = saved
        return facts
    if estimated:
        return {**facts, sc.COST_UNKNOWN_REASON: _NO_USAGE}
    usage_facts(facts, field(result, "usage"))
    facts.update(cost_facts(result))
    return facts


def billed_facts(results: Sequence[Any]) -> dict[str, Any]:
    """Return the usage and the cost of several answers, each the sum of those that are known."""
    facts: dict[str, Any] = {}
    for result in results:
        each: dict[str, Any] = {}
        usage_facts(each, field(result, "usage"))
        each.update(cost_facts(result))
        facts.update({name: facts.get(name, 0) + value for name, value in each.items() if type(value) in (int, float)})
        facts.update({name: value for name, value in each.items() if type(value) is str})
    return facts


def _tokens(usage: Any) -> int:
    counts = (field(usage, "input_tokens"), field(usage, "output_tokens"))
    return sum(count for count in counts if type(count) is int)


def cost_facts(result: Any) -> dict[str, Any]:
    """Return the cost of an answer and the source of the figure, or the reason why the cost is unknown."""
    facts: dict[str, Any] = {}
    details = field(result, "cost_details") or {}
    details = next(iter(field(details, "candidates") or ()), details)  # several requests: they were priced alike
    cost = field(result, "cost")
    source = "dspy"
    if cost is None and not details:
        cost = field(field(result, "_hidden_params"), "response_cost")
        source = "litellm"
    put(facts, sc.COST_AMOUNT, cost, float)
    if sc.COST_AMOUNT in facts:
        facts[sc.COST_UNIT] = text_of(field(details, "currency")) or "USD"
        kind = text_of(field(details, "kind"))
        prices = text_of(field(field(details, "metadata"), "source"))
        facts[sc.COST_SOURCE] = " ".join(word for word in (source, kind, prices) if word)
    elif field(details, "reason"):
        put(facts, sc.COST_UNKNOWN_REASON, field(details, "reason"), str)
    return facts


def _reason(reason: Any) -> Any:
    return "tool_calls" if reason == "tool_call" else reason
