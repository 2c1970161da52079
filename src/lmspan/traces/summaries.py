"""The rows of a list: computed from the spans of the index, and from operations that have not ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lmspan.traces.content import first_words
from lmspan.traces.figures import failures
from lmspan.traces.spans import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmspan.traces.index import Index
    from lmspan.traces.spans import StoredSpan

COLUMNS: Final = (
    "trace_id, start, end, service, name, words, whole, spans, lm_calls, input_tokens, output_tokens, cost, failed,"
    " recovered, root_failed, session, score, first_score"
)


_SUM_UP: Final = """
UPDATE traces SET (name, service, score, first_score, root_failed, whole) = (
    SELECT name, service, score, first_score, failed, parent_id = '' OR has_remote_parent FROM spans
    WHERE trace = traces.id ORDER BY parent_id <> '' AND NOT has_remote_parent, start LIMIT 1),
(start, end, spans, lm_calls, input_tokens, output_tokens, cost, session, failed, recovered) = (
    SELECT min(start), max(start + duration), count(*), total(is_model_call), total(input_tokens * is_model_call),
        total(output_tokens * is_model_call), sum(cost * is_model_call), max(session), 0, 0
    FROM spans WHERE trace = traces.id)
WHERE spans IS NULL
"""
_IS_PART: Final = """
UPDATE spans SET is_model_call = 0 WHERE is_model_call AND trace IN (SELECT id FROM traces WHERE spans IS NULL) AND {}
"""
_USAGE: Final = "coalesce({0}.input_tokens, {0}.output_tokens, {0}.cost, nullif({0}.cache_hit, 0)) IS {1}NULL"
_EACH_CALL_ONCE: Final = (
    # as `figures.each_call_once` does it; the second one looks for no children, which would take quadratic time
    _IS_PART.format(f"""EXISTS (SELECT 1 FROM spans AS other WHERE other.trace = spans.trace AND other.is_model_call
        AND other.span_id <> spans.span_id AND other.span_id = spans.parent_id
        AND {_USAGE.format("other", "NOT ")})"""),
    _IS_PART.format(f"""{_USAGE.format("spans", "")} AND (trace, span_id) IN (
        SELECT trace, parent_id FROM spans AS other WHERE other.is_model_call AND other.span_id <> other.parent_id
        AND trace IN (SELECT id FROM traces WHERE spans IS NULL))"""),
)
_WITH_FAILURES: Final = """
SELECT id FROM traces WHERE spans IS NULL
    AND EXISTS (SELECT 1 FROM spans WHERE trace = traces.id AND failed)
"""


@dataclass(frozen=True)
class Summary:
    """One trace of a list.

    `number` is its place among all traces, the newest being 1, up to 999. `words` are the first words of the root's
    input. `score` and `first_score` are the root's, if it is an evaluation or an optimizer run. `failed` counts the
    failures from which no operation above them recovered.
    """

    number: int | None
    trace_id: str
    start: datetime
    service: str
    name: str
    words: str
    duration_s: float
    state: State
    spans: int
    lm_calls: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    failed: int
    recovered: int
    session: str
    score: float | None
    first_score: float | None


def sum_up(index: Index) -> None:
    """Compute the rows of traces whose spans have changed."""
    index.rows("DELETE FROM traces WHERE spans IS NULL AND NOT EXISTS (SELECT 1 FROM chunks WHERE trace = traces.id)")
    for statement in _EACH_CALL_ONCE:
        index.rows(statement)
    failing = index.rows(_WITH_FAILURES).fetchall()
    index.rows(_SUM_UP)
    for (trace,) in failing:
        index.rows("UPDATE traces SET recovered = ?, failed = ? WHERE id = ?", (*_failures(index, trace), trace))


def _failures(index: Index, trace: int) -> tuple[int, int]:
    """Return the numbers of failures in a trace that were recovered, and that were not."""
    rows = {row.span_id: row for row in index.span_rows("spans.trace = ? AND spans.failed", (trace,))}
    if not rows:
        return 0, 0
    above = {row.parent_id for row in rows.values()} - rows.keys() - {""}
    for span_id in above:
        rows.update(
            (row.span_id, row) for row in index.span_rows("spans.trace = ? AND spans.span_id = ?", (trace, span_id))
        )
    kinds = list(failures(rows).values())
    return sum(kinds), len(kinds) - sum(kinds)


def summary_of(row: Sequence[Any], running: Mapping[str, Sequence[StoredSpan]], numbers: Mapping[str, int]) -> Summary:
    """Return the row of a list; a root that has not ended is described by its journal."""
    (trace_id, start, end, service, name, words, whole, spans, lm_calls, input_tokens, output_tokens, cost, failed,
     recovered, root_failed, session, score, first_score) = row  # fmt: skip
    opened = running.get(trace_id, [])
    root = next((span for span in opened if not span.parent_id), None)
    begin = min(start, *(span.start_unix_nano for span in opened)) if opened else start
    finish = max(end, *(span.end_unix_nano for span in opened)) if opened else end
    state = State.ENDED if whole and not opened else State.NOT_ENDED
    return Summary(
        number=numbers.get(trace_id),
        trace_id=trace_id,
        start=local_time(begin),
        service=root.service if root is not None else service or "",
        name=root.name if root is not None else name or "",
        words=first_words(root) if root is not None else words or "",
        duration_s=max(finish - begin, 0) / 1e9,
        state=State.RUNNING if any(span.state is State.RUNNING for span in opened) else state,
        spans=spans + len(opened),
        lm_calls=int(lm_calls),
        input_tokens=int(input_tokens),
        output_tokens=int(output_tokens),
        cost=cost,
        failed=failed or int(bool(root_failed) and not recovered),
        recovered=recovered,
        session=session or "",
        score=score if whole else None,
        first_score=first_score if whole else None,
    )


def row_of_open(trace_id: str, spans: Sequence[StoredSpan]) -> Sequence[Any]:
    """Return the row of a trace of which no operation has ended."""
    start, end = min(span.start_unix_nano for span in spans), max(span.end_unix_nano for span in spans)
    return (trace_id, start, end, spans[0].service, spans[0].name, first_words(spans[0]), False, 0, 0, 0, 0, None, 0, 0,
            False, "", None, None)  # fmt: skip


def local_time(time_unix_nano: int) -> datetime:
    """Return a time in the zone of this machine."""
    try:
        return datetime.fromtimestamp(time_unix_nano / 1e9).astimezone()
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return datetime.fromtimestamp(0).astimezone()
