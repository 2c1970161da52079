"""The answer of a model that plain Python asks: `lmspan.add_response`, and the answers that functions return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import output_messages
from lmspan.context import current
from lmspan.guard import guarded
from lmspan.instrumentation.kit import responses as clients
from lmspan.instrumentation.kit.facts import put
from lmspan.instrumentation.kit.streams import Assembly
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.lifecycle import LiveCall

is_response: Final = clients.is_response

OF_MODELS: Final = (Operation.LM, Operation.EMBEDDING)
_PROGRAM: Final = "program"
# keyword of `add_response` -> attribute, its type
_FACTS: Final = {
    "model": (sc.RESPONSE_MODEL, str),
    "response_id": (sc.RESPONSE_ID, str),
    "input_tokens": (sc.USAGE_INPUT_TOKENS, int),
    "output_tokens": (sc.USAGE_OUTPUT_TOKENS, int),
    "cache_read_tokens": (sc.USAGE_CACHE_READ_TOKENS, int),
    "cache_write_tokens": (sc.USAGE_CACHE_WRITE_TOKENS, int),
    "reasoning_tokens": (sc.USAGE_REASONING_TOKENS, int),
    "cost_usd": (sc.COST_AMOUNT, float),
}


def add_response(
    response: Any = None,
    /,
    *,
    model: str | None = None,
    response_id: str | None = None,
    finish_reason: str | Sequence[str] | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    cost_usd: float | None = None,
    cost_source: str | None = None,
) -> None:
    """Add a model's answer to the innermost open operation of a model in this context; no effect without one.

    `response` is what the client of OpenAI, Anthropic or Gemini returns, also through LiteLLM, or the same as parsed
    JSON: model, id, finish reasons, token counts and messages are read from it. For a stream, pass each of its events.
    Keywords state what the response does not, and replace what it does. `input_tokens` include those read from and
    written to the provider's cache, `output_tokens` include those of reasoning; an unknown count stays out.

    Never raises.
    """
    stated = {
        "model": model,
        "response_id": response_id,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": cache_read_tokens,
        "cache_write_tokens": cache_write_tokens,
        "reasoning_tokens": reasoning_tokens,
        "cost_usd": cost_usd,
    }
    call = _call_of_a_model()
    if call is not None:
        _add(call, response, stated, finish_reason, cost_source)


def take(call: LiveCall, response: Any) -> None:
    """Add the facts of a response; subscribers read a whole one as `call.response`."""
    if not clients.is_whole(response):
        take_event(call, response)
        return
    _name_provider(call, response)
    call.late_facts.update(clients.response_facts(response))
    if call.operation is Operation.LM:
        call.response = response


def take_event(call: LiveCall, event: Any) -> None:
    """Add an event of a stream to the answer so far."""
    _name_provider(call, event)
    answer = call.kept if isinstance(call.kept, Assembly) else Assembly()
    call.kept = answer
    answer.add(event, content=recording.active.captures(call))
    call.late_facts.update(answer.facts)
    if reasons := answer.reasons():
        call.late_facts[sc.RESPONSE_FINISH_REASONS] = reasons


def streamed_messages(call: LiveCall) -> list[dict[str, Any]]:
    """Return the messages of an answer whose events were added; none if there are none."""
    if not isinstance(call.kept, Assembly) or not call.kept:
        return []
    return output_messages(call.kept.answers(), call.late_facts.get(sc.RESPONSE_FINISH_REASONS, []))


def _name_provider(call: LiveCall, response: Any) -> None:
    if call.facts.get(sc.PROVIDER_NAME) == sc.UNKNOWN_PROVIDER and (provider := clients.provider_of(response)):
        call.late_facts[sc.PROVIDER_NAME] = provider


@guarded
def _add(
    call: LiveCall,
    response: Any,
    stated: dict[str, Any],
    finish_reason: str | Sequence[str] | None,
    cost_source: str | None,
) -> None:
    if response is not None and (type(response) is dict or is_response(response)):
        take(call, response)
    for name, value in stated.items():
        if value is not None:
            put(call.late_facts, *_place(name, value))
    reasons = [finish_reason] if type(finish_reason) is str else finish_reason
    if type(reasons) in (list, tuple) and all(type(each) is str for each in reasons or ()):
        call.late_facts[sc.RESPONSE_FINISH_REASONS] = list(reasons or ())
    if sc.COST_AMOUNT in call.late_facts:
        call.late_facts.setdefault(sc.COST_UNIT, "USD")
        source = cost_source if type(cost_source) is str else call.late_facts.get(sc.COST_SOURCE, _PROGRAM)
        call.late_facts[sc.COST_SOURCE] = source


def _place(name: str, value: Any) -> tuple[str, Any, type]:
    attribute, kind = _FACTS[name]
    return attribute, value, kind


def _call_of_a_model() -> LiveCall | None:
    call = current.current_call()
    while call is not None and (call.operation not in OF_MODELS or call.ended):
        call = call.parent
    return call
