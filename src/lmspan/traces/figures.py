"""Sums over the spans of a trace: tokens and cost below each span, self time, and failures."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lmspan.traces.rows import Row

_COUNTING: Final = (Operation.EVALUATE, Operation.OPTIMIZE, Operation.CANDIDATE)
"""Operations that go on after a failure below them because they count it: it is not recovered."""


@dataclass(slots=True)
class Figures:
    """Sums over spans. `cost` is in the unit of the spans' costs, None where no cost is known."""

    spans: int = 0
    lm_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    unknown_costs: int = 0
    """The number of model calls that reached a model and have no known cost."""
    cache_hits: int = 0
    retries: int = 0
    retry_wait_s: float = 0.0

    def add(self, row: Row) -> None:
        """Count a span."""
        self.spans += 1
        if row.is_model_call:
            self.lm_calls += 1
            self.input_tokens += row.input_tokens or 0
            self.output_tokens += row.output_tokens or 0
            self.cache_hits += row.cache_hit
            self.retries += row.retries
            self.retry_wait_s += row.retry_wait_s
            if row.cost is not None:
                self.cost = (self.cost or 0.0) + row.cost
            elif not row.cache_hit and not row.failed:
                self.unknown_costs += 1
        elif row.operation == Operation.TOOL:
            self.tool_calls += 1

    def include(self, other: Figures) -> None:
        """Add the sums of other spans."""
        self.spans += other.spans
        self.lm_calls += other.lm_calls
        self.tool_calls += other.tool_calls
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        if other.cost is not None:
            self.cost = (self.cost or 0.0) + other.cost
        self.unknown_costs += other.unknown_costs
        self.cache_hits += other.cache_hits
        self.retries += other.retries
        self.retry_wait_s += other.retry_wait_s


def each_call_once(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Return the rows, of which two for one model call count as one.

    An instrumentation of the client can record a call below the one of lmspan. The outer row counts, unless only the
    inner one knows the tokens.
    """
    parts: dict[str, Row] = {}
    for row in rows.values():
        outer = rows.get(row.parent_id)
        if row.is_model_call and outer is not None and outer is not row and outer.is_model_call:
            part = row if _has_usage(outer) else outer
            parts[part.span_id] = part._replace(is_model_call=False)
    return {**rows, **parts}


def _has_usage(row: Row) -> bool:
    return row.input_tokens is not None or row.output_tokens is not None or row.cost is not None or row.cache_hit


def total(rows: Iterable[Row]) -> Figures:
    """Return the sums over spans."""
    figures = Figures()
    for row in rows:
        figures.add(row)
    return figures


def below(ordered: Sequence[Row]) -> dict[str, Figures]:
    """Return the sums over each span and all spans below it, by its id. Parents come before their children."""
    sums: dict[str, Figures] = {}
    for row in ordered:
        sums[row.span_id] = figures = Figures()
        figures.add(row)
    for row in reversed(ordered):
        if row.parent_id in sums and row.parent_id != row.span_id:
            sums[row.parent_id].include(sums[row.span_id])
    return sums


def self_times(ordered: Iterable[Row]) -> dict[str, int]:
    """Return the nanoseconds in which a span ran and none of its children did, by its id."""
    children: defaultdict[str, list[Row]] = defaultdict(list)
    by_id = {row.span_id: row for row in ordered}
    for row in by_id.values():
        children[row.parent_id].append(row)
    return {row.span_id: row.duration - _covered(row, children.get(row.span_id, ())) for row in by_id.values()}


def _covered(parent: Row, children: Iterable[Row]) -> int:
    """Return the time of a span in which at least one child ran."""
    covered = 0
    last = parent.start
    end = parent.start + parent.duration
    for child in sorted(children, key=lambda row: row.start):
        begin = max(child.start, last)
        last = max(last, min(child.start + child.duration, end))
        covered += max(last - begin, 0)
    return covered


def failures(rows: Mapping[str, Row]) -> dict[str, bool]:
    """Return the spans where a failure happened, by id, with True where an operation above went on in spite of it.

    A failure counts once, in the innermost failed span. It is recovered if a span above it has not failed, unless that
    one is an evaluation or a search, which counts the failure as a result.
    """
    outer = {row.parent_id for row in rows.values() if row.failed}
    return {row.span_id: is_recovered(row, rows) for row in rows.values() if row.failed and row.span_id not in outer}


def is_recovered(row: Row, rows: Mapping[str, Row]) -> bool:
    """Return whether an operation above a failed span went on in spite of it."""
    seen: set[str] = set()
    while row.failed and row.span_id not in seen:
        seen.add(row.span_id)
        above = rows.get(row.parent_id)
        if above is None:
            return False
        row = above
    return not row.failed and row.operation not in _COUNTING
