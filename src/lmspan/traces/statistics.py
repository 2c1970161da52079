"""Statistics over spans: calls, latency percentiles, tokens and cost by model, module, tool, session, user or service.

The tokens and the cost of a module are those of all model calls below it: nested modules count them each, a module that
calls itself counts them once. Those of a session, user or service are those of the model calls of its traces. `failed`
does not include what is `recovered`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from lmspan.errors import LmspanError
from lmspan.traces import figures
from lmspan.traces.figures import Figures
from lmspan.traces.filters import UNKNOWN_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lmspan.traces.rows import Row

K = TypeVar("K")


@dataclass(frozen=True)
class Statistic:
    """One group. Durations are seconds; `first_chunk` is the time to the first chunk of streamed answers.

    `start` is when the first call started and `end` when the last one did, in seconds since 1970.
    """

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
    start: float
    end: float


class Period(NamedTuple):
    """The statistics of the spans that started in a period; `start` is in seconds since 1970."""

    start: float
    duration_s: float
    statistic: Statistic


@dataclass
class _Group:
    durations: list[float] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    first_chunks: list[float] = field(default_factory=list)
    traces: set[str] = field(default_factory=set)
    failed: int = 0
    recovered: int = 0
    figures: Figures = field(default_factory=Figures)


_CALLS: Final[dict[str, Callable[[Row], str]]] = {
    # the kinds of groups whose members are calls
    "model": lambda row: (row.model or UNKNOWN_MODEL) if row.is_model_call else "",
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
"""The properties by which statistics can be grouped."""
ALL: Final = ""
"""Instead of a kind of group: all traces are one group, with the key "all"."""
_PERIODS_S: Final = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    604_800, 2_592_000,
)  # fmt: skip
_MOST_PERIODS: Final = 60


def statistics(rows: Iterable[Row], by: str) -> list[Statistic]:
    """Return the groups, the most expensive and then the longest first. The rows of a trace follow each other.

    Raises:
        LmspanError: `by` is neither `ALL` nor one of `KINDS`.
    """
    groups: dict[str, _Group] = {}
    _add_all(groups, rows, by, lambda key, _: key)
    found = (_statistic(key, group) for key, group in groups.items())
    return sorted(found, key=lambda each: (-(each.cost or 0.0), -each.total_s, each.key))


def over_time(rows: Sequence[Row], by: str = ALL, key: str = "all") -> list[Period]:
    """Return the statistics of one group in periods of equal length, at most 60, in order; empty ones are left out.

    Raises:
        LmspanError: `by` is neither `ALL` nor one of `KINDS`.
    """
    if not rows:
        return []
    first, last = min(row.start for row in rows), max(row.start for row in rows)
    length_s = next((each for each in _PERIODS_S if (last - first) / 1e9 < each * (_MOST_PERIODS - 1)), None)
    length = int((length_s or (last - first) / 1e9 / (_MOST_PERIODS - 1)) * 1e9)
    groups: dict[int | None, _Group] = {}
    _add_all(groups, rows, by, lambda each, row: row.start // length if each == key else None)
    return [
        Period(number * length / 1e9, length / 1e9, _statistic(key, group))
        for number, group in sorted((number, group) for number, group in groups.items() if number is not None)
    ]


def _add_all(groups: dict[K, _Group], rows: Iterable[Row], by: str, group_of: Callable[[str, Row], K]) -> None:
    """Add rows to groups; `group_of` returns the group of a key and a row."""
    if by not in (ALL, *KINDS):
        raise LmspanError(f"statistics by {by!r} are not known; by is one of {', '.join(KINDS)}")
    for _, each in groupby(rows, key=lambda row: row.trace_id):
        trace = _parents_first(list(each))
        if by in _CALLS:
            _add_calls(groups, trace, _CALLS[by], group_of)
        else:
            _add_run(groups, trace, _RUNS.get(by, lambda _: "all"), group_of)


def _add_calls(
    groups: dict[K, _Group], trace: Sequence[Row], key_of: Callable[[Row], str], group_of: Callable[[str, Row], K]
) -> None:
    calls = [row for row in trace if key_of(row)]
    if not calls:
        return
    sums = {} if all(row.is_model_call for row in calls) else figures.below(trace)
    by_id = {row.span_id: row for row in trace}
    above: dict[str, frozenset[str]] = {}
    for row in trace:
        key = key_of(row)
        keys = above.get(row.parent_id, frozenset())
        above[row.span_id] = keys if not key or key in keys else keys | {key}
        if key:
            group = groups.setdefault(group_of(key, row), _Group())
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


def _add_run(
    groups: dict[K, _Group], trace: Sequence[Row], key_of: Callable[[Row], str], group_of: Callable[[str, Row], K]
) -> None:
    """Add a trace to the group of its first span that has a key, and model calls with another key to theirs."""
    first = next((key_of(row) for row in trace if key_of(row)), "")
    if not first:
        return
    failures = figures.failures({row.span_id: row for row in trace})
    group = groups.setdefault(group_of(first, trace[0]), _Group())
    _add(group, trace[0])
    for row in trace:
        groups.setdefault(group_of(key_of(row) or first, trace[0]), _Group()).figures.add(row)
        if row.first_chunk_s is not None and row is not trace[0]:
            group.first_chunks.append(row.first_chunk_s)
        recovered = failures.get(row.span_id)
        group.failed += recovered is False
        group.recovered += recovered is True


def _add(group: _Group, row: Row) -> None:
    group.durations.append(row.duration / 1e9)
    group.starts.append(row.start)
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
        start=min(group.starts, default=0) / 1e9,
        end=max(group.starts, default=0) / 1e9,
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
