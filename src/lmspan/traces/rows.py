"""One row a span: the facts that the index keeps, and that lists, sums and statistics are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.spans import MODEL_CALLS

if TYPE_CHECKING:
    from lmspan.traces.spans import StoredSpan

_LONGEST: Final = 200  # characters of a name
_LARGEST: Final = 2**63 - 1


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


def row_of(span: StoredSpan) -> Row:
    """Return the row of a span."""
    facts = span.facts
    operation = span.operation
    return Row(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_id,
        name=_short(span.name),
        operation=operation.value if operation is not None else "",
        start=min(span.start_unix_nano, _LARGEST),
        duration=min(max(span.end_unix_nano - span.start_unix_nano, 0), _LARGEST),
        failed=span.failed,
        error=_short(facts.get(sc.ERROR_TYPE, "")),
        service=_short(span.service),
        model=_short(facts.get(sc.RESPONSE_MODEL) or facts.get(sc.REQUEST_MODEL, "")),
        module=_module(span) if operation in (Operation.MODULE, Operation.AGENT) else "",
        tool=_short(facts.get(sc.TOOL_NAME) or _name(span)) if operation is Operation.TOOL else "",
        session=_short(facts.get(sc.SESSION_ID) or facts.get(sc.CONVERSATION_ID, "")),
        user=_short(facts.get(sc.USER_ID, "")),
        is_model_call=operation in MODEL_CALLS,
        input_tokens=_tokens(facts.get(sc.USAGE_INPUT_TOKENS)),
        output_tokens=_tokens(facts.get(sc.USAGE_OUTPUT_TOKENS)),
        cost=facts.get(sc.COST_AMOUNT),
        first_chunk_s=facts.get(sc.RESPONSE_TIME_TO_FIRST_CHUNK),
        retries=max(min(facts.get(sc.ATTEMPT_COUNT, 1), _LARGEST) - 1, 0),
        retry_wait_s=sum(event.facts.get(sc.RETRY_DELAY, 0) for event in span.events),
        cache_hit=facts.get(sc.CACHE_HIT) is True,
        score=facts.get(sc.EVALUATION_SCORE, facts.get(sc.CANDIDATE_SCORE, facts.get(sc.OPTIMIZER_BEST_SCORE))),
        first_score=facts.get(sc.OPTIMIZER_FIRST_SCORE),
    )


def _module(span: StoredSpan) -> str:
    facts = span.facts
    return _short(facts.get(sc.MODULE_PATH) or facts.get(sc.MODULE_NAME) or facts.get(sc.AGENT_NAME) or _name(span))


def _name(span: StoredSpan) -> str:
    """Return a span's name without the word of its operation."""
    return span.name.partition(" ")[2] or span.name


def _short(text: str) -> str:
    """Return a name that a database can keep: short, without halves of surrogate pairs."""
    short = text[:_LONGEST]
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def _tokens(value: int | None) -> int | None:
    return None if value is None else max(min(value, _LARGEST), -_LARGEST)
