"""The facts of an answer from Anthropic's, OpenAI's or Gemini's client: id, model, finish reason, tokens, cost."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import at, field, put
from lmspan.instrumentation.kit.usage import usage_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

_FACTS: Final = (
    (("id",), sc.RESPONSE_ID),
    (("response_id",), sc.RESPONSE_ID),
    (("model",), sc.RESPONSE_MODEL),
    (("model_version",), sc.RESPONSE_MODEL),
    (("usage", "cache_read_input_tokens"), sc.USAGE_CACHE_READ_TOKENS),
    (("usage", "cache_creation_input_tokens"), sc.USAGE_CACHE_WRITE_TOKENS),
    (("usage", "output_tokens_details", "thinking_tokens"), sc.USAGE_REASONING_TOKENS),
    (("usage_metadata", "prompt_token_count"), sc.USAGE_INPUT_TOKENS),
    (("usage_metadata", "cached_content_token_count"), sc.USAGE_CACHE_READ_TOKENS),
    (("usage_metadata", "thoughts_token_count"), sc.USAGE_REASONING_TOKENS),
)
# counts that a client reports in parts, which are added up
_SUMS: Final = (
    (
        sc.USAGE_INPUT_TOKENS,
        (
            ("usage", "input_tokens"),
            ("usage", "cache_read_input_tokens"),
            ("usage", "cache_creation_input_tokens"),
        ),
    ),
    (
        sc.USAGE_OUTPUT_TOKENS,
        (("usage_metadata", "candidates_token_count"), ("usage_metadata", "thoughts_token_count")),
    ),
)
_NO_PRICE: Final = "llmproc has no price for this model"


def response_facts(request: dict[str, Any], response: Any) -> dict[str, Any]:
    """Return the attributes of an answer. It is the client's own object, so `getattr` runs no code of the program."""
    facts: dict[str, Any] = {}
    usage_facts(facts, field(response, "usage"))
    for path, name in _FACTS:
        put(facts, name, at(response, path), str if len(path) == 1 else int)
    for name, paths in _SUMS:
        counts = [at(response, path) for path in paths]
        if type(counts[0]) is int:
            facts[name] = sum(count for count in counts if type(count) is int)
    if reasons := list(_reasons(response)):
        facts[sc.RESPONSE_FINISH_REASONS] = reasons
    facts.update(_cost(request[sc.REQUEST_MODEL], field(response, "usage")) or {})
    return facts


def _reasons(response: Any) -> Iterator[str]:
    candidates = field(response, "choices") or field(response, "candidates") or [response]
    for each in candidates:
        reason = field(each, "stop_reason") or field(each, "finish_reason")
        reason = field(reason, "value") or reason  # Gemini's is an enumeration
        if type(reason) is str:
            yield reason


@guarded
def _cost(model: str, usage: Any) -> dict[str, Any]:
    """Return the cost that LLMProc itself computes for the call, and that its RunResult adds up."""
    results = sys.modules["llmproc.common.results"]
    if results.get_claude_pricing(model) is None:
        return {sc.COST_UNKNOWN_REASON: _NO_PRICE}
    cost = results.RunResult(api_call_infos=[{"model": model, "usage": usage}]).usd_cost
    return {sc.COST_AMOUNT: float(cost), sc.COST_UNIT: "USD", sc.COST_SOURCE: "llmproc list prices"}


def answers(response: Any) -> list[Any]:
    """Return an answer in the shape that LM calls of all libraries have: a text, or a dict with text and tool calls."""
    candidates = field(response, "choices") or field(response, "candidates") or [response]
    return [_answer(each) for each in candidates]


def _answer(candidate: Any) -> Any:
    message = field(candidate, "message") or candidate
    content = field(message, "content")
    blocks = content if type(content) is list else field(content, "parts") or []
    if type(content) is str:
        return content
    answer = {
        "text": "\n".join(text for block in blocks if type(text := field(block, "text")) is str and text),
        "reasoning_content": "\n".join(each for block in blocks if type(each := field(block, "thinking")) is str),
        "tool_calls": [_tool_call(block) for block in blocks if field(block, "type") == "tool_use"],
    }
    return answer if answer["tool_calls"] or answer["reasoning_content"] else answer["text"]


def _tool_call(block: Any) -> dict[str, Any]:
    function = {"name": field(block, "name"), "arguments": field(block, "input")}
    return {"id": field(block, "id"), "type": "function", "function": function}


def tool_call_id(response: Any, arguments: Any) -> Any:
    """Return the id that the model gave a tool call: the id of the block whose input is this very object."""
    blocks = field(response, "content")
    for block in blocks if type(blocks) is list else ():
        if field(block, "type") == "tool_use" and field(block, "input") is arguments:
            return field(block, "id")
    return None
