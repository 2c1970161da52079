"""A stored trace: its tree, its sums and its failures."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.errors import TraceFileError
from lmspan.traces import figures
from lmspan.traces.evaluations import Evaluation, evaluations
from lmspan.traces.optimizers import OptimizerRun, optimizer_runs
from lmspan.traces.rows import Row, row_of
from lmspan.traces.spans import State, StoredSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lmspan.traces.figures import Figures
    from lmspan.traces.spans import StoredEvent

_EXCEPTIONS: Final = (sc.EVENT_EXCEPTION, sc.EVENT_INFERENCE_EXCEPTION)


class Failure(NamedTuple):
    """A failure, in the innermost span that it ended; `recovered` if an operation above went on in spite of it."""

    span: StoredSpan
    type: str
    message: str
    recovered: bool


class Trace:
    """The spans of one trace. Of two spans with the same id, it holds the one that has ended."""

    def __init__(self, trace_id: str, spans: Iterable[StoredSpan] = (), parts: Mapping[Any, Any] | None = None) -> None:
        self.trace_id: str = trace_id
        self.parts: Mapping[Any, Sequence[StoredSpan]] = parts or {}
        """The spans by the parts of files that hold them, by which `Store.again` reads only other parts."""
        by_id: dict[str, StoredSpan] = {}
        for span in spans:
            if span.span_id not in by_id or by_id[span.span_id].state is not State.ENDED:
                by_id[span.span_id] = span
        self.spans: Sequence[StoredSpan] = sorted(by_id.values(), key=_by_time)

    def __len__(self) -> int:
        return len(self.spans)

    def __repr__(self) -> str:
        return f"<Trace {self.trace_id} {self.root.name if self.spans else ''!r} {len(self.spans)} spans>"

    def _repr_html_(self) -> str:
        from lmspan.traces.html import trace

        return trace(self)

    @cached_property
    def children(self) -> Mapping[str, Sequence[StoredSpan]]:
        """The spans by the id of their parent, in order of time; the key of the roots is "".

        A span whose parent is not in the trace is a root, and so is the first of spans that are parents of each other.
        Therefore every span is below a root.
        """
        known = {span.span_id for span in self.spans}
        under: dict[str, list[StoredSpan]] = defaultdict(list)
        for span in self.spans:
            under[span.parent_id if span.parent_id in known else ""].append(span)
        reached: set[str] = set()
        _reach(under, under[""], reached)
        for span in self.spans:
            if span.span_id not in reached:
                under[span.parent_id].remove(span)
                under[""].append(span)
                _reach(under, [span], reached)
        under[""].sort(key=_by_time)
        return dict(under)

    @property
    def roots(self) -> Sequence[StoredSpan]:
        """The spans without a parent in the trace."""
        return self.children.get("", ())

    @property
    def root(self) -> StoredSpan:
        """The first root. Raises TraceFileError if the trace has no span."""
        if not self.roots:
            raise TraceFileError(f"trace {self.trace_id} has no spans")
        return next((span for span in self.roots if span.is_outermost), self.roots[0])

    @cached_property
    def by_id(self) -> Mapping[str, StoredSpan]:
        """The spans by their id."""
        return {span.span_id: span for span in self.spans}

    def parent(self, span: StoredSpan) -> StoredSpan | None:
        """Return the parent of a span, None for a root."""
        return None if span.span_id in self._root_ids else self.by_id.get(span.parent_id)

    def above(self, span: StoredSpan) -> Sequence[StoredSpan]:
        """Return the spans above a span, the root first."""
        path: dict[str, StoredSpan] = {}
        above = self.parent(span)
        while above is not None and above.span_id not in path:
            path[above.span_id] = above
            above = self.parent(above)
        return list(path.values())[::-1]

    @cached_property
    def _root_ids(self) -> frozenset[str]:
        return frozenset(span.span_id for span in self.roots)

    def span(self, reference: str) -> StoredSpan:
        """Return the span whose id begins with `reference`, or the span with this number in the order of time, from 1.

        Raises:
            TraceFileError: no span, or more than one, has this beginning.
        """
        if reference.isdecimal() and 0 < int(reference) <= len(self.spans) and len(reference) < len("0123456789abcdef"):
            return self.spans[int(reference) - 1]
        matching = [span for span in self.spans if span.span_id.startswith(reference.lower())]
        if len(matching) != 1:
            reason = f"{len(matching)} spans begin with it" if matching else "no such span"
            raise TraceFileError(f"span {reference!r}: {reason} in trace {self.trace_id}")
        return matching[0]

    @cached_property
    def start_unix_nano(self) -> int:
        """The start of the first span."""
        return min((span.start_unix_nano for span in self.spans), default=0)

    @cached_property
    def end_unix_nano(self) -> int:
        """The end of the last span."""
        return max((span.end_unix_nano for span in self.spans), default=0)

    @property
    def duration_s(self) -> float:
        """The time from the start of the first span to the end of the last one."""
        return max(self.end_unix_nano - self.start_unix_nano, 0) / 1e9

    @property
    def service(self) -> str:
        """The service.name of the root."""
        return self.root.service

    @cached_property
    def state(self) -> State:
        """Whether all operations have ended; a trace whose root is not stored has not."""
        states = {span.state for span in self.spans}
        if State.RUNNING in states:
            return State.RUNNING
        return State.ENDED if states == {State.ENDED} and self.is_whole else State.NOT_ENDED

    @property
    def is_whole(self) -> bool:
        """Whether the trace has a root, and the parent of every span that has one in the same process."""
        return all(span.is_outermost for span in self.roots) and bool(self.roots)

    @cached_property
    def rows(self) -> Mapping[str, Row]:
        """The facts of each span, by its id, parents before their children."""
        ordered: dict[str, Row] = {}
        waiting = list(self.roots)
        for span in waiting:  # grows while it is read
            if span.span_id not in ordered:
                ordered[span.span_id] = row_of(span)
                waiting += self.children.get(span.span_id, ())
        return figures.each_call_once(ordered)

    @cached_property
    def total(self) -> Figures:
        """The sums over all spans."""
        return figures.total(self.rows.values())

    @cached_property
    def figures(self) -> Mapping[str, Figures]:
        """The sums over each span and all spans below it, by its id."""
        return figures.below(list(self.rows.values()))

    @cached_property
    def self_times(self) -> Mapping[str, int]:
        """The nanoseconds in which a span ran and none of its children did, by its id."""
        return figures.self_times(self.rows.values())

    @cached_property
    def failures(self) -> Sequence[Failure]:
        """The failures in order of time; each counts once, in the innermost span that it ended."""
        where = figures.failures(self.rows)
        return [_failure(span, where[span.span_id]) for span in self.spans if span.span_id in where]

    @cached_property
    def failed(self) -> int:
        """The number of failures that were not recovered."""
        return sum(not failure.recovered for failure in self.failures)

    @cached_property
    def optimizer_runs(self) -> Sequence[OptimizerRun]:
        """The optimizer runs of the trace, the outer ones first."""
        return optimizer_runs(self)

    @cached_property
    def evaluations(self) -> Sequence[Evaluation]:
        """The evaluations of the trace."""
        return evaluations(self)

    def below(self, span: StoredSpan) -> list[StoredSpan]:
        """Return all spans below a span, depth first."""
        waiting = list(reversed(self.children.get(span.span_id, ())))
        seen = {span.span_id}
        reached: list[StoredSpan] = []
        while waiting:
            each = waiting.pop()
            if each.span_id not in seen:
                seen.add(each.span_id)
                reached.append(each)
                waiting += reversed(self.children.get(each.span_id, ()))
        return reached


def grouped(failures: Iterable[Failure]) -> list[tuple[Failure, int]]:
    """Return the first of equal failures, with their number, in order of time."""
    first: dict[tuple[str, str, bool], Failure] = {}
    counts: Counter[tuple[str, str, bool]] = Counter()
    for failure in failures:
        key = failure.type, failure.message, failure.recovered
        first.setdefault(key, failure)
        counts[key] += 1
    return [(failure, counts[key]) for key, failure in first.items()]


def exception_of(span: StoredSpan) -> StoredEvent | None:
    """Return the last exception event of a span."""
    events = (event for event in reversed(span.events) if event.name in _EXCEPTIONS or sc.EXCEPTION_TYPE in event.facts)
    return next(events, None)


def _failure(span: StoredSpan, recovered: bool) -> Failure:
    event = exception_of(span)
    facts = event.facts if event is not None else {}
    kind = facts.get(sc.EXCEPTION_TYPE) or span.facts.get(sc.ERROR_TYPE) or "error"
    return Failure(span, kind, facts.get(sc.EXCEPTION_MESSAGE) or span.message, recovered)


def _by_time(span: StoredSpan) -> tuple[int, int]:
    return span.start_unix_nano, -span.end_unix_nano


def _reach(under: Mapping[str, Sequence[StoredSpan]], spans: Iterable[StoredSpan], reached: set[str]) -> None:
    """Add the ids of spans and of all spans below them."""
    waiting = list(spans)
    while waiting:
        span = waiting.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            waiting += under.get(span.span_id, ())
