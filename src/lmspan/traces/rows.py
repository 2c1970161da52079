"""One row a span: the facts that the index keeps, and that lists, sums and statistics are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.spans import MODEL_CALLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.traces.spans import StoredSpan

_LONGEST: Final = 200  # characters of a name
_LARGEST: Final = 2**63 - 1
_SMALLEST: Final = -(2**63)


class Row(NamedTuple):
    """The facts of one span. Times are nanoseconds; an absent fact is None, an absent text ""."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    operation: str
    start: int
    duration: int
    failed: bool
    error: str
    service: str
    model: str
    module: str
    tool: str
    session: str
    user: str
    has_remote_parent: bool
    is_model_call: bool
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    first_chunk_s: float | None
    retries: int
    retry_wait_s: float
    cache_hit: bool
    score: float | None
    """Of an example, evaluation or candidate; of an optimizer run the best one."""
    first_score: float | None
    """Of an optimizer run."""


NULLABLE: Final = frozenset({"input_tokens", "output_tokens", "cost", "first_chunk_s", "score", "first_score"})
_SCORED: Final = (Operation.EVALUATE, Operation.EXAMPLE, Operation.CANDIDATE, Operation.OPTIMIZE)


def row_of(span: StoredSpan) -> Row:
    """Return the row of a span."""
    return Row(span.trace_id, *values_of(span, None))


def values_of(span: StoredSpan, absent: Any) -> tuple[Any, ...]:
    """Return the row of a span without the trace, with `absent` for a fact that it does not have."""
    facts = span.facts
    operation = span.operation
    is_model_call = operation in MODEL_CALLS
    own = (
        span.span_id,
        span.parent_id,
        _short(span.name),
        str(operation or ""),
        min(span.start_unix_nano, _LARGEST),
        min(max(span.end_unix_nano - span.start_unix_nano, 0), _LARGEST),
        int(span.failed),
        _short(facts.get(sc.ERROR_TYPE, "")),
        _short(span.service),
        _short(facts.get(sc.RESPONSE_MODEL) or facts.get(sc.REQUEST_MODEL, "")) if is_model_call else "",
        _module(span) if operation in (Operation.MODULE, Operation.AGENT) else "",
        _short(facts.get(sc.TOOL_NAME) or _name(span)) if operation is Operation.TOOL else "",
        _short(facts.get(sc.SESSION_ID) or facts.get(sc.CONVERSATION_ID, "")),
        _short(facts.get(sc.USER_ID, "")),
        int(span.has_remote_parent),
    )
    model_call = _of_model(span, absent) if is_model_call else (0, absent, absent, absent, absent, 0, 0.0, 0)
    return own + model_call + (_of_score(facts, absent) if operation in _SCORED else (absent, absent))


def _of_model(span: StoredSpan, absent: Any) -> tuple[Any, ...]:
    facts = span.facts
    return (
        1,
        _limited(facts.get(sc.USAGE_INPUT_TOKENS, absent)),
        _limited(facts.get(sc.USAGE_OUTPUT_TOKENS, absent)),
        facts.get(sc.COST_AMOUNT, absent),
        facts.get(sc.RESPONSE_TIME_TO_FIRST_CHUNK, absent),
        max(min(facts.get(sc.ATTEMPT_COUNT, 1), _LARGEST) - 1, 0),
        sum(float(event.facts.get(sc.RETRY_DELAY, 0)) for event in span.events),
        int(facts.get(sc.CACHE_HIT, False)),
    )


def _of_score(facts: Mapping[str, Any], absent: Any) -> tuple[Any, ...]:
    names = (sc.SPAN_SCORE, sc.EVALUATION_SCORE, sc.CANDIDATE_SCORE, sc.OPTIMIZER_BEST_SCORE)
    score = next((facts[name] for name in names if name in facts), absent)
    return score, facts.get(sc.OPTIMIZER_FIRST_SCORE, absent)


def _module(span: StoredSpan) -> str:
    facts = span.facts
    return _short(facts.get(sc.MODULE_PATH) or facts.get(sc.MODULE_NAME) or facts.get(sc.AGENT_NAME) or _name(span))


def _name(span: StoredSpan) -> str:
    """Return a span's name without the word of its operation."""
    return span.name.partition(" ")[2] or span.name


def _short(text: str) -> str:
    """Return a name that a database can keep: short, without halves of surrogate pairs."""
    if len(text) <= _LONGEST and text.isascii():  # nearly all of them
        return text
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _limited(tokens: Any) -> Any:
    return None if tokens is None else max(min(tokens, _LARGEST), _SMALLEST)
