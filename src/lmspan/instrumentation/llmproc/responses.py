"""The facts of an answer from Anthropic's, OpenAI's or Gemini's client: id, model, finish reason, tokens, cost."""

from __future__ import annotations

import sys
from typing import Any, Final

from lmspan import semconv as sc
from lmspan.guard import guarded
from lmspan.instrumentation.kit import responses
from lmspan.instrumentation.kit.facts import field

_NO_PRICE: Final = "llmproc has no price for this model"
_NO_USAGE: Final = "the server reported no usage"


def response_facts(request: dict[str, Any], response: Any) -> dict[str, Any]:
    """Return the attributes of an answer. It is the client's own object, so `getattr` runs no code of the program."""
    facts = responses.response_facts(response)
    usage = field(response, "usage") if sc.USAGE_INPUT_TOKENS in facts else None
    facts.update(_cost(request[sc.REQUEST_MODEL], usage) or {})
    return facts


@guarded
def _cost(model: str, usage: Any) -> dict[str, Any]:
    """Return the cost that LLMProc itself computes for the call, and that its RunResult adds up."""
    results = sys.modules["llmproc.common.results"]
    if results.get_claude_pricing(model) is None:
        return {sc.COST_UNKNOWN_REASON: _NO_PRICE}
    if usage is None:
        return {sc.COST_UNKNOWN_REASON: _NO_USAGE}
    cost = results.RunResult(api_call_infos=[{"model": model, "usage": usage}]).usd_cost
    return {sc.COST_AMOUNT: float(cost), sc.COST_UNIT: "USD", sc.COST_SOURCE: "llmproc list prices"}


def tool_call_id(response: Any, arguments: Any) -> Any:
    """Return the id that the model gave a tool call: the id of the block whose input is this very object."""
    blocks = field(response, "content")
    for block in blocks if type(blocks) is list else ():
        if field(block, "type") == "tool_use" and field(block, "input") is arguments:
            return field(block, "id")
    return None
