"""Find traces in the files of a directory, in one file, or in a Jaeger."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from heapq import merge
from itertools import chain, islice
from operator import index as index_of
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lmspan.errors import TraceFileError
from lmspan.traces.content import texts_of
from lmspan.traces.filters import Filter
from lmspan.traces.index import Index
from lmspan.traces.journal import open_spans
from lmspan.traces.lines import read_lines, read_parts
from lmspan.traces.locations import Location, location_of
from lmspan.traces.order import NEWEST_FIRST, Order
from lmspan.traces.query import Query
from lmspan.traces.rows import row_of
from lmspan.traces.search import Search, SpanSummary
from lmspan.traces.statistics import Statistic, statistics
from lmspan.traces.summaries import COLUMNS, Summary, row_of_open, summary_of
from lmspan.traces.table import Table
from lmspan.traces.terms import Condition
from lmspan.traces.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lmspan.traces.rows import Row
    from lmspan.traces.spans import StoredSpan

    Opened = Mapping[str, Sequence[StoredSpan]]
    Part = tuple[tuple[int, int], int, int]  # the identity of a file, an offset and a length
    Parts = Mapping[Part, Sequence[StoredSpan]]

T = TypeVar("T")

__all__ = ["Store", "Summary", "is_place"]

_TRACE_ID: Final = re.compile(r"[0-9a-f]{4,32}")
_NUMBER: Final = re.compile(r"[1-9]\d{0,2}")
_BACK: Final = re.compile(r"last(?:~(\d{1,9}))?")
_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)
_NUMBERED: Final = 999
_ATTEMPTS: Final = 3
_NEWEST_FIRST: Final = Order(NEWEST_FIRST, ascending=False)


class Store:
    """The traces in a directory or a file. Each query first reads what programs have written since the last one."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Read a directory or file; without one, the directory where `lmspan.init()` stores traces.

        The index of a directory of lmspan's own files is kept beside them, any other index is temporary. The address of
        a Jaeger (http://localhost:16686) reads from there: the newest 100 traces of each service, or `limit` of them.

        Raises:
            TraceFileError: there is no such file.
        """
        self.location: Location = _location(path)
        """Where the traces are; its `str` names it for a person."""
        self.path: Path = self.location.path
        self._index: Index | None = None
        self.troubles: list[str] = []
        """Messages of the last query: files and lines that cannot be read, traces that were left out."""

    @contextmanager
    def _refreshed(self, troubles: Sequence[str] = ()) -> Iterator[Index]:
        self._index = index = self._index or self._made_index()
        try:
            index.refresh()
            self.troubles = [*troubles, *index.troubles]
            yield index
        except sqlite3.DatabaseError as error:
            self._index = None
            if isinstance(error, sqlite3.OperationalError):
                raise TraceFileError(f"the index of {self.location} cannot be used: {error}") from error
            index.discard()
            raise TraceFileError(f"the index of {self.location} is broken and was removed; try again") from error

    def _made_index(self) -> Index:
        return Index(self.location.directory, self.location.patterns, beside=self.location.keeps_index)

    def _open_spans(self, trace_id: str = "") -> Opened:
        return open_spans(self.location.directory, trace_id) if self.location.is_journaled else {}

    def list(
        self,
        filter: Filter | None = None,  # noqa: A002 - its name
        *,
        limit: int | None = None,
        sort: str = NEWEST_FIRST,
        ascending: bool = False,
    ) -> Table[Summary]:
        """Return the traces that a filter selects, the newest first, or in the order of another column.

        `sort` is one of start, duration, calls, tokens, cost, score, failed: the largest first, or with `ascending` the
        smallest. A trace without the figure is last; one that runs has the figures that it has so far.

        Raises:
            LmspanError: `sort` is none of these columns.
        """
        wanted, order = filter or Filter(), Order(sort, ascending=ascending)
        with self._refreshed(self.location.fetch(wanted, limit)) as index:
            running = self._running(index)
            wanted = self._without_where(index, wanted)
            numbers = {each: number for number, each in enumerate(self._newest(index, running), 1)}
            enough = None if limit is None else limit + len(running)
            selected = self._selected(index, wanted, enough, order)
            rows = [summary_of(row, running, numbers) for row in selected if row[0] not in running]
            opened = []
            for trace_id, spans in running.items():
                ended = next(iter(self._selected(index, Filter(trace=trace_id), 1)), None)
                summary = summary_of(ended or row_of_open(trace_id, spans), running, numbers)
                if self._selects(index, wanted, spans, trace_id):
                    opened.append(summary)
        merged = merge(rows, sorted(opened, key=order.key), key=order.key)
        return Table(Summary, merged if limit is None else islice(merged, _limit(limit)))

    def spans(
        self,
        query: str = "",
        filter: Filter | None = None,  # noqa: A002 - its name
        *,
        limit: int | None = None,
        sort: str = NEWEST_FIRST,
        ascending: bool = False,
    ) -> Table[SpanSummary]:
        """Return the spans that a query selects, of the traces that a filter selects, the newest first.

        A query is for example `model:gpt cost>0.1 (failed or retries>2) not under:judge`; docs/reference/query.md has
        the language. `sort` is one of start, duration, first_chunk, tokens, cost, retries, score: the largest first, or
        with `ascending` the smallest; a span without the figure is last.

        Raises:
            LmspanError: the query cannot be read, or `sort` is none of these columns.
        """
        wanted, asked = filter or Filter(), Query(query)
        with self._refreshed(self.location.fetch(wanted, None)) as index:
            return self._settled(
                index,
                lambda: Table(
                    SpanSummary,
                    self._search(index, asked, wanted).spans(limit=_limit(limit), sort=sort, ascending=ascending),
                ),
            )

    def _search(self, index: Index, query: Query, wanted: Filter) -> Search:
        running = self._running(index)
        within = self._within(index, self._without_where(index, wanted), running)
        return Search(index, query, within, running, lambda traces: read_lines(index.lines(traces)))

    def _within(self, index: Index, wanted: Filter, running: Opened) -> Condition:
        """Return the condition for the spans of the traces that a filter selects."""
        conditions, values = _conditions(index, wanted)
        if not conditions:
            return Condition("1")
        selected = [each for each, spans in running.items() if self._selects(index, wanted, spans, each)]
        listed = "trace_id IN (SELECT value FROM json_each(?))"
        ended = f"trace IN (SELECT id FROM traces WHERE {' AND '.join(conditions)})"
        return Condition(
            f"iif({listed}, {listed}, {ended})", (json.dumps(list(running)), json.dumps(selected), *values)
        )

    def _without_where(self, index: Index, wanted: Filter) -> Filter:
        """Return a filter that selects the traces by their ids in place of `where`."""
        if wanted.where is None:
            return wanted
        query, others = Query(wanted.where), replace(wanted, where=None)
        return replace(others, ids=self._settled(index, lambda: self._search(index, query, others).traces()))

    def count(self) -> int:
        """Return the number of stored traces."""
        with self._refreshed() as index:
            return int(index.rows("SELECT count(*) FROM traces WHERE spans > 0").fetchone()[0])

    def _selected(self, index: Index, wanted: Filter, limit: int | None, order: Order = _NEWEST_FIRST) -> Iterable[Any]:
        conditions, values = _conditions(index, wanted)
        where = " AND ".join(["spans > 0", *conditions])
        # sorting ids takes half of the time of sorting whole rows
        ids = f"SELECT id FROM traces WHERE {where} ORDER BY {order.sql} LIMIT ?"
        statement = f"SELECT {COLUMNS} FROM traces WHERE id IN ({ids}) ORDER BY {order.sql}"
        return index.rows(statement, [*values, _limit(limit)])

    def _selects(self, index: Index, wanted: Filter, spans: Sequence[StoredSpan], trace_id: str) -> bool:
        """Return whether a filter selects a trace that runs; an ended span or an open one can have each property."""
        start, end = min(span.start_unix_nano for span in spans), max(span.end_unix_nano for span in spans)
        for row in index.rows("SELECT start, end FROM traces WHERE trace_id = ? AND spans > 0", (trace_id,)):
            start, end = min(start, row[0]), max(end, row[1])
        if not wanted.is_of(trace_id) or not wanted.is_in_time(start, end):
            return False
        rows = [row_of(span) for span in spans]
        texts = "\n".join(text for span in spans for text in texts_of(span)) if wanted.text else ""
        return all(
            each.matches(rows, texts) or any(True for _ in self._selected(index, replace(each, trace=trace_id), 1))
            for each in wanted.of_spans()
        )

    def _newest(self, index: Index, running: Opened) -> Iterable[str]:
        """Return the ids of traces in the order of their numbers."""
        rows = index.rows("SELECT start, trace_id FROM traces ORDER BY start DESC, trace_id LIMIT ?", (_NUMBERED,))
        starts = {trace_id: start for start, trace_id in rows if start is not None}
        for trace_id, spans in running.items():
            begin = min(span.start_unix_nano for span in spans)
            if trace_id in starts or not self._is_indexed(index, trace_id):
                starts[trace_id] = min(begin, starts.get(trace_id, begin))
        return sorted(starts, key=lambda each: (-starts[each], each))[:_NUMBERED]

    def _running(self, index: Index, trace_id: str = "") -> Opened:
        """Return the spans that have not ended, by trace, of the traces whose id begins with `trace_id`."""
        traces = {}
        for found, spans in self._open_spans(trace_id).items():
            left = [span for span in spans if not self._has_ended(index, span)]
            if left:
                traces[found] = left
        return traces

    def _is_indexed(self, index: Index, trace_id: str) -> bool:
        return index.rows("SELECT 1 FROM traces WHERE trace_id = ? AND spans > 0", (trace_id,)).fetchone() is not None

    def _has_ended(self, index: Index, span: StoredSpan) -> bool:
        condition = "traces.trace_id = ? AND spans.span_id = ?"
        return any(True for _ in index.span_rows(condition, (span.trace_id, span.span_id)))

    def statistics(self, by: str = "model", filter: Filter | None = None) -> Table[Statistic]:  # noqa: A002 - its name
        """Return statistics over the ended spans of the traces that a filter selects.

        Raises:
            LmspanError: `by` is none of model, module, tool, name, session, user, service.
        """
        return Table(Statistic, statistics(self.rows(filter), by))

    def rows(self, filter: Filter | None = None) -> Sequence[Row]:  # noqa: A002 - its name
        """Return the facts of the ended spans of the traces that a filter selects, trace by trace."""
        wanted = filter or Filter()
        with self._refreshed(self.location.fetch(wanted, None)) as index:
            conditions, values = _conditions(index, self._without_where(index, wanted))
            return [*index.span_rows(" AND ".join(conditions) or "1", values, "ORDER BY spans.trace")]

    def find(self, reference: str | int = "last") -> Trace:
        """Return a whole trace by "last", "last~2" (two before), its number in `list`, or the beginning of its id.

        Raises:
            TraceFileError: no trace, or more than one, is meant.
        """
        named = str(reference).strip().lower()
        with self._refreshed(self.location.fetch_trace(named)) as index:
            return self._trace(index, self._trace_id(index, named))

    def again(self, trace: Trace) -> Trace:
        """Return a trace as it is stored now; of its files, only what has been added is read.

        Raises:
            TraceFileError: it is no longer stored.
        """
        with self._refreshed(self.location.fetch_trace(trace.trace_id)) as index:
            return self._trace(index, self._trace_id(index, trace.trace_id), trace.parts)

    def outline(self, trace_id: str) -> tuple[Sequence[Row], Sequence[StoredSpan]]:
        """Return the facts of the ended spans of a trace, and its spans that have not ended.

        The index has the facts, so this takes a fraction of the time of `find`, which reads the content of each span.
        """
        with self._refreshed(self.location.fetch_trace(trace_id)) as index:
            rows = list(index.span_rows("traces.trace_id = ?", (trace_id,)))
            return rows, self._running(index, trace_id).get(trace_id, ())

    def last(self) -> Trace:
        """Return the newest trace. Raises TraceFileError if there is none."""
        return self.find("last")

    def each(self, filter: Filter | None = None, *, limit: int | None = None) -> Iterator[Trace]:  # noqa: A002 - its name
        """Yield the whole traces that a filter selects, the newest first."""
        for summary in self.list(filter, limit=limit):
            with self._refreshed() as index:
                yield self._trace(index, summary.trace_id)

    def _trace_id(self, index: Index, reference: str) -> str:
        back = _BACK.fullmatch(reference)
        if back is not None:
            return self._numbered(index, int(back[1] or 0) + 1, reference)
        if _NUMBER.fullmatch(reference):
            return self._numbered(index, int(reference), reference)
        if not _TRACE_ID.fullmatch(reference):
            raise TraceFileError(
                f"{reference!r} is neither a file or directory, nor a trace id (4 to 32 hexadecimal digits), nor a "
                "number of `lmspan list`, nor 'last'"
            )
        begin, end = reference, f"{reference}g"
        rows = index.rows("SELECT trace_id FROM traces WHERE trace_id >= ? AND trace_id < ?", (begin, end))
        found = {trace_id for (trace_id,) in rows} | set(self._open_spans(reference))
        if len(found) != 1:
            mistake = f"{len(found)} traces begin with it" if found else "no such trace"
            raise TraceFileError(f"trace {reference}: {mistake} in {self.location}")
        return found.pop()

    def _numbered(self, index: Index, number: int, reference: str) -> str:
        newest = list(self._newest(index, self._running(index)))
        if not newest:
            raise TraceFileError(
                f"no trace is stored in {self.location}; run `lmspan demo`, or a program with lmspan.init(); "
                "where an exporter is set (OTEL_*), or the program has a TracerProvider of its own, spans go there "
                "and to no file"
            )
        if number > len(newest):
            raise TraceFileError(f"there is no trace {reference!r}: {len(newest)} are stored in {self.location}")
        return newest[number - 1]

    def _trace(self, index: Index, trace_id: str, known: Parts = MappingProxyType({})) -> Trace:
        def read() -> Trace:
            parts = read_parts(index.chunks(trace_id), trace_id, known)
            opened = self._open_spans(trace_id).get(trace_id, ())
            return Trace(trace_id, [*chain.from_iterable(parts.values()), *opened], parts)

        try:
            return self._settled(index, read)
        except TraceFileError as error:
            raise TraceFileError(f"trace {trace_id}: its file in {self.location} cannot be read") from error

    def _settled(self, index: Index, read: Callable[[], T]) -> T:
        """Return what `read` returns; it is called again where a file was renamed or removed meanwhile."""
        for _ in range(_ATTEMPTS - 1):
            with suppress(TraceFileError):
                return read()
            index.refresh()
        return read()


def _location(path: Path | str | None) -> Location:
    if not _ADDRESS.match(str(path)):
        return location_of(path)
    from lmspan.traces.jaeger import JaegerLocation  # its HTTP client takes long to import

    return JaegerLocation(str(path))


def is_place(reference: str) -> bool:
    """Return whether a reference to a trace is its place in the list: a number, or "last"."""
    return any(each.fullmatch(reference.strip().lower()) for each in (_BACK, _NUMBER))


def _limit(limit: int | None) -> int:
    """Return a limit for SQLite, which has none for -1 and takes 64 bits. Raises TypeError for what is no integer."""
    return -1 if limit is None else min(index_of(limit), 2**62)


def _conditions(index: Index, wanted: Filter) -> tuple[list[str], list[Any]]:
    conditions, values = wanted.conditions()
    for word in wanted.words():
        conditions.append("traces.id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(index.containing(word))))
    return conditions, values
