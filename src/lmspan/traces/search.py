"""Find single spans in the index by a query: the rows of a list of spans, and the traces that have such a span.

`every_span` is a view on the ended spans of the index together with the open ones of the journal, which are in a
temporary table of the connection. Rows answer most queries; for words and attributes, the spans that the rows leave
possible are read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import LmspanError
from lmspan.traces.files import storable
from lmspan.traces.order import NEWEST_FIRST, terms
from lmspan.traces.rows import Row, row_of
from lmspan.traces.spans import State
from lmspan.traces.summaries import local_time
from lmspan.traces.terms import FIGURES, Condition
from lmspan.traces.words import contains

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from lmspan.traces.index import Index
    from lmspan.traces.query import Query
    from lmspan.traces.spans import StoredSpan

    Read = Callable[[Sequence[int]], Iterable[StoredSpan]]

_BATCH: Final = 50_000  # rows, whose spans are read at once
_COLUMNS: Final = ", ".join(Row._fields[1:])
# the types are those of the index: SQLite uses no key whose type it would have to convert
_TABLES: Final = f"""
CREATE TEMP TABLE IF NOT EXISTS opened (trace_id TEXT, state, trace INTEGER, {_COLUMNS});
CREATE TEMP TABLE IF NOT EXISTS chosen (trace INTEGER, span_id, PRIMARY KEY (trace, span_id)) WITHOUT ROWID;
CREATE TEMP TABLE IF NOT EXISTS below (above, trace INTEGER, span_id,
    PRIMARY KEY (above, trace, span_id)) WITHOUT ROWID;
CREATE TEMP VIEW IF NOT EXISTS every_span AS
    SELECT trace_id, '{State.ENDED}' AS state, trace, {", ".join(f"spans.{each}" for each in Row._fields[1:])}
        FROM main.spans JOIN main.traces ON traces.id = trace
    UNION ALL SELECT * FROM opened;
DELETE FROM opened;
DELETE FROM chosen;
DELETE FROM below;
"""
_NAMES: Final = ("name", "module", "tool")
_CHOOSE: Final = (
    "INSERT OR IGNORE INTO chosen SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)"
)
_SORTED_BY: Final = {
    NEWEST_FIRST: "start",
    **{name: FIGURES[name] for name in ("duration", "first_chunk", "tokens", "cost", "retries", "score")},
}
COLUMNS: Final = tuple(_SORTED_BY)
"""The names of the columns that sort a list of spans."""
_SHOWN: Final = (
    "trace_id", "span_id", "start", "service", "name", "operation", "duration / 1e9", "state", "failed", "error",
    "model", "module", "tool", "session", "user", "input_tokens", "output_tokens", "cost", "first_chunk_s", "retries",
    "cache_hit", "score",
)  # fmt: skip
_PARENT: Final = "(SELECT name FROM every_span WHERE trace = this.trace AND span_id = this.parent_id LIMIT 1)"


@dataclass(frozen=True)
class SpanSummary:
    """One span of a list. The figures are its own, without those of the spans below it; an absent one is None.

    `parent` is the name of the operation above it, "" for the outermost one. `duration_s` of a span that has not ended
    is the time until it was last seen open.
    """

    trace_id: str
    span_id: str
    start: datetime
    service: str
    name: str
    operation: str
    duration_s: float
    state: State
    failed: bool
    error: str
    model: str
    module: str
    tool: str
    session: str
    user: str
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    first_chunk_s: float | None
    retries: int
    cached: bool
    score: float | None
    parent: str


class Search:
    """The spans that a query selects."""

    def __init__(
        self,
        index: Index,
        query: Query,
        within: Condition,
        opened: Mapping[str, Sequence[StoredSpan]],
        read: Read,
    ) -> None:
        """Search the index and `opened` within a condition; `read` returns the spans of traces by their numbers."""
        self._index = index
        self._query = query
        self._within = within
        self._read = read
        self._opened = list(chain.from_iterable(opened.values()))
        index.script(_TABLES)
        for number, (trace_id, spans) in enumerate(opened.items()):
            for span in spans:
                self._add_open(span, self._number(trace_id) or -number - 1)
        for above in {term.above for term in query.terms if term.above}:
            self._add_below(above)

    def _number(self, trace_id: str) -> int | None:
        found = self._index.rows("SELECT id FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
        return None if found is None else int(found[0])

    def _add_open(self, span: StoredSpan, trace: int) -> None:
        values = (span.trace_id, span.state, trace, *row_of(span)[1:])
        self._index.rows(f"INSERT INTO opened VALUES ({', '.join('?' * len(values))})", values)

    def _add_below(self, above: str) -> None:
        """Find the spans below an operation whose name, module path or tool contains a text."""
        matches = f"({' OR '.join(contains(each, above) for each in _NAMES)})"
        rows = self._index.rows(
            f"SELECT trace, span_id, parent_id, {matches} FROM every_span"
            f" WHERE trace IN (SELECT trace FROM every_span WHERE {matches}) ORDER BY trace",
            (above,) * 2 * len(_NAMES),
        )
        for trace, group in groupby(rows, key=itemgetter(0)):
            found = below({span_id: (parent, bool(is_above)) for _, span_id, parent, is_above in group})
            values = (above, trace, json.dumps(sorted(found)))
            self._index.rows("INSERT INTO below SELECT ?, ?, value FROM json_each(?)", values)

    def spans(self, *, limit: int, sort: str, ascending: bool) -> Iterator[SpanSummary]:
        """Yield the rows of a list; all of them for a limit of -1.

        Raises:
            LmspanError: `sort` is none of the columns.
        """
        if sort not in _SORTED_BY:
            raise LmspanError(f"spans cannot be sorted by {sort!r}; sort is one of {', '.join(COLUMNS)}")
        order = f"{terms([_SORTED_BY[sort]], ascending=ascending)}, start DESC, trace_id, span_id"
        where, values = self._selected()
        statement = (
            f"SELECT {', '.join(_SHOWN)}, ifnull({_PARENT}, '') FROM (SELECT * FROM every_span WHERE {where}"
            f" ORDER BY {order} LIMIT ?) AS this ORDER BY {order}"
        )
        for row in self._index.rows(statement, (*values, limit)):
            yield _summary(row)

    def traces(self) -> list[str]:
        """Return the ids of the traces that have a selected span."""
        where, values = self._selected()
        rows = self._index.rows(f"SELECT DISTINCT trace_id FROM every_span WHERE {where}", values)
        return [trace_id for (trace_id,) in rows]

    def _selected(self) -> Condition:
        """Return the condition of the selected spans."""
        asked = self._query.condition(self._containing)
        condition = Condition(f"{self._within.sql} AND {asked.sql}", self._within.values + asked.values)
        return condition if self._query.is_of_rows else self._chosen(condition)

    def _containing(self, word: str) -> Condition:
        traces = json.dumps(list(self._index.containing(word)))
        return Condition(f"(state <> '{State.ENDED}' OR trace IN (SELECT value FROM json_each(?)))", (traces,))

    def _chosen(self, possible: Condition) -> Condition:
        """Decide the query for each possible span on the span itself."""
        known = [term.row for term in self._query.terms]
        values = [value for each in known for value in each.values]
        columns = ", ".join(["trace_id", "span_id", "trace", *(each.sql for each in known)])
        statement = f"SELECT {columns} FROM every_span WHERE {possible.sql} ORDER BY trace"
        rows = self._index.rows(statement, (*values, *possible.values)).fetchall()
        for batch in _batches(rows):
            known_of = {row[:2]: row[2:] for row in batch}
            spans = chain(self._opened, filter(_has_ended, self._read(sorted({row[2] for row in batch}))))
            chosen = json.dumps(sorted(self._holding(known_of, spans)))
            self._index.rows(_CHOOSE, (chosen,))
        return Condition("(trace, span_id) IN (SELECT trace, span_id FROM chosen)")

    def _holding(self, known: dict[Any, Sequence[Any]], spans: Iterable[StoredSpan]) -> Iterator[tuple[int, str]]:
        for span in spans:
            row = known.pop((storable(span.trace_id), span.span_id), None)  # the first of several copies counts
            if row is not None and self._holds(span, row[1:]):
                yield row[0], span.span_id

    def _holds(self, span: StoredSpan, known: Sequence[Any]) -> bool:
        pairs = zip(self._query.terms, known, strict=True)
        return self._query.selects([bool(value) if term.holds is None else term.holds(span) for term, value in pairs])


def below(spans: Mapping[str, tuple[str, bool]]) -> list[str]:
    """Return the spans with a marked one above them; `spans` has the parent of each, and whether it is marked."""
    decided: dict[str, bool] = {}
    for span_id in spans:
        way: list[str] = []
        place, is_below = span_id, False
        while place in spans and not is_below:
            if place in decided:
                is_below = decided[place]
                break
            decided[place] = False  # until the end of the way is known: spans can be in a circle
            way.append(place)
            place = spans[place][0]
            is_below = place in spans and spans[place][1]
        decided.update(dict.fromkeys(way, is_below))
    return [span_id for span_id, is_below in decided.items() if is_below]


def _has_ended(span: StoredSpan) -> bool:
    return span.state is State.ENDED


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Yield rows in batches of whole traces."""
    batch: list[Sequence[Any]] = []
    for _, of_trace in groupby(rows, key=itemgetter(2)):
        batch += of_trace
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _summary(row: Sequence[Any]) -> SpanSummary:
    values = dict(zip(SpanSummary.__dataclass_fields__, row, strict=True))
    return SpanSummary(
        **{
            **values,
            "start": local_time(row[2]),
            "state": State(values["state"]),
            "failed": bool(values["failed"]),
            "cached": bool(values["cached"]),
        }
    )
