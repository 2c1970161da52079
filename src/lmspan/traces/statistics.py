"""Statistics over spans: calls, latency percentiles, tokens and cost by model, module, tool, session, user or service.

The tokens and the cost of a module are those of all model calls below it: nested modules count them each, a module that
calls itself counts them once. Those of a session, user or service are those of the model calls of its traces. `failed`
does not include what is `recovered`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

from lmspan.errors import LmspanError
from lmspan.traces import figures
from lmspan.traces.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lmspan.traces.rows import Row


@dataclass(frozen=True)
class Statistic:
    """One group. Durations are seconds; `first_chunk` is the time to the first chunk of streamed answers."""

    key: str
    calls: int
    traces: int
    failed: int
    recovered: int
    retries: int
    retry_wait_s: float
    cache_hits: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    unknown_costs: int
    total_s: float
    p50_s: float
    p95_s: float
    max_s: float
    first_chunk_p50_s: float | None
    first_chunk_p95_s: float | None


@dataclass
class _Group:
    durations: list[float] = field(default_factory=list)
    first_chunks: list[float] = field(default_factory=list)
    traces: set[str] = field(default_factory=set)
    failed: int = 0
    recovered: int = 0
    figures: Figures = field(default_factory=Figures)


_CALLS: Final[dict[str, Callable[[Row], str]]] = {
    # the kinds of groups whose members are calls
    "model": lambda row: (row.model or "(unknown)") if row.is_model_call else "",
    "module": lambda row: row.module,
    "tool": lambda row: row.tool,
    "name": lambda row: row.name,
}
_RUNS: Final[dict[str, Callable[[Row], str]]] = {
    # the kinds of groups whose members are whole traces
    "session": lambda row: row.session,
    "user": lambda row: row.user,
    "service": lambda row: row.service,
}
KINDS: Final = (*_CALLS, *_RUNS)
"""What statistics can be grouped by."""


def statistics(rows: Iterable[Row], by: str) -> list[Statistic]:
    """Return the groups, the most expensive and then the longest first. The rows of a trace follow each other.

    Raises:
        LmspanError: `by` is not one of `KINDS`.
    """
    if by not in KINDS:
        raise LmspanError(f"statistics by {by!r} are not known; by is one of {', '.join(KINDS)}")
    groups: dict[str, _Group] = {}
    for _, each in groupby(rows, key=lambda row: row.trace_id):
        trace = _parents_first(list(each))
        if by in _CALLS:
            _add_calls(groups, trace, _CALLS[by])
        else:
            _add_run(groups, trace, _RUNS[by])
    found = (_statistic(key, group) for key, group in groups.items())
    return sorted(found, key=lambda each: (-(each.cost or 0.0), -each.total_s, each.key))


def _add_calls(groups: dict[str, _Group], trace: Sequence[Row], key_of: Callable[[Row], str]) -> None:
    sums = figures.below(trace)
    by_id = {row.span_id: row for row in trace}
    above: dict[str, frozenset[str]] = {}
    for row in trace:
        key = key_of(row)
        keys = above.get(row.parent_id, frozenset())
        above[row.span_id] = keys if not key or key in keys else keys | {key}
        if key:
            group = groups.setdefault(key, _Group())
            _add(group, row)
            recovered = row.failed and figures.is_recovered(row, by_id)
            group.failed += row.failed and not recovered
            group.recovered += recovered
            if row.is_model_call or key not in keys:  # otherwise a group above counts what is below
                group.figures.include(_own(row) if row.is_model_call else sums[row.span_id])


def _own(row: Row) -> Figures:
    own = Figures()
    own.add(row)
    return own


def _add_run(groups: dict[str, _Group], trace: Sequence[Row], key_of: Callable[[Row], str]) -> None:
    """Add a trace to the group of its first span that has a key, and model calls with another key to theirs."""
    first = next((key_of(row) for row in trace if key_of(row)), "")
    failures = figures.failures({row.span_id: row for row in trace})
    if not first:
        return
    group = groups.setdefault(first, _Group())
    _add(group, trace[0])
    for row in trace:
        groups.setdefault(key_of(row) or first, _Group()).figures.add(row)
        if row.first_chunk_s is not None and row is not trace[0]:
            group.first_chunks.append(row.first_chunk_s)
        recovered = failures.get(row.span_id)
        group.failed += recovered is False
        group.recovered += recovered is True


def _add(group: _Group, row: Row) -> None:
    group.durations.append(row.duration / 1e9)
    group.traces.add(row.trace_id)
    if row.first_chunk_s is not None:
        group.first_chunks.append(row.first_chunk_s)


def _statistic(key: str, group: _Group) -> Statistic:
    durations = sorted(group.durations)
    chunks = sorted(group.first_chunks)
    sums = group.figures
    return Statistic(
        key=key,
        calls=len(durations),
        traces=len(group.traces),
        failed=group.failed,
        recovered=group.recovered,
        retries=sums.retries,
        retry_wait_s=sums.retry_wait_s,
        cache_hits=sums.cache_hits,
        input_tokens=sums.input_tokens,
        output_tokens=sums.output_tokens,
        cost=sums.cost,
        unknown_costs=sums.unknown_costs,
        total_s=sum(durations),
        p50_s=percentile(durations, 0.5) or 0.0,
        p95_s=percentile(durations, 0.95) or 0.0,
        max_s=durations[-1] if durations else 0.0,
        first_chunk_p50_s=percentile(chunks, 0.5),
        first_chunk_p95_s=percentile(chunks, 0.95),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which this share of ordered values is, between two values in proportion."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _parents_first(rows: Sequence[Row]) -> list[Row]:
    """Return the spans of a trace with parents before their children."""
    known = {row.span_id: row for row in rows}
    children: dict[str, list[Row]] = {}
    roots = [row for row in known.values() if row.parent_id not in known or row.parent_id == row.span_id]
    for row in known.values():
        children.setdefault(row.parent_id, []).append(row)
    ordered: dict[str, Row] = {}
    for start in (roots, known.values()):  # the second for spans that are parents of each other
        waiting = [row for row in start if row.span_id not in ordered]
        for row in waiting:  # grows while it is read
            if row.span_id not in ordered:
                ordered[row.span_id] = row
                waiting += children.get(row.span_id, ())
    return list(ordered.values())
