"""Filters of traces: the conditions of a query, in SQL and for spans in memory."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from lmspan.errors import LmspanError
from lmspan.lifecycle import Operation
from lmspan.traces.files import storable
from lmspan.traces.words import NO_WORD, asked, contains, finder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.traces.rows import Row

_UNITS: Final = {
    "µs": 1e-6,
    "us": 1e-6,
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_SPAN_OF_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(" + "|".join(_UNITS) + r")")
_INT64: Final = 2**63 - 1
_LONGEST_S: Final = 9_223_372_036.0  # 292 years in nanoseconds are 64 bits
_MOST_WORDS: Final = 32
UNKNOWN_MODEL: Final = "(unknown)"
"""The name of the model in lists and statistics where a call has none."""
_MODEL: Final = f"iif(model = '' AND is_model_call, '{UNKNOWN_MODEL}', model)"


class Wanted(TypedDict, total=False):
    """The fields of a filter, as keyword arguments."""

    failed: bool
    slow: float | str | None
    since: float | str | None
    until: float | str | None
    service: str | None
    name: str | None
    root: str | None
    module: str | None
    agent: str | None
    tool: str | None
    session: str | None
    model: str | None
    text: str | None
    where: str | None
    trace: str | None
    ids: Sequence[str] | None


@dataclass(frozen=True)
class Filter:
    """The traces that have all of these properties. A property that is None or False selects nothing.

    failed          a failure ended the trace, or was not recovered
    slow            it took at least so long: seconds, or "500ms", "2s", "3min"
    since, until    it started then: seconds since 1970, or local time as "2h", "3d", "today", "2026-11-26",
                    "2026-11-26 14:30"
    service         the service.name of a span
    name, model     a part of the name of a span, or of the model of a call
    root            the name of the outermost span
    module, agent   the path of a module in the program, or its name; an agent is a module, too
    tool            the name of a tool
    session         the session.id, conversation id or user.id of a span
    text            words, or beginnings of words, that its content, names or errors contain
    where           a query for spans, such as "model:gpt cost>0.1", that selects a span of it (docs/reference/query.md)
    trace           its whole id
    ids             its whole id is one of these
    """

    failed: bool = False
    slow: float | str | None = None
    since: float | str | None = None
    until: float | str | None = None
    service: str | None = None
    name: str | None = None
    root: str | None = None
    module: str | None = None
    agent: str | None = None
    tool: str | None = None
    session: str | None = None
    model: str | None = None
    text: str | None = None
    where: str | None = None
    trace: str | None = None
    ids: Sequence[str] | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """Return the conditions in SQL on the table `traces`, without those of `text` and `where`, and their values."""
        given = [(sql, value) for sql, value in self._conditions() if value is not None]
        return [sql for sql, _ in given], [_limited(value) for sql, value in given for _ in range(sql.count("?"))]

    def _conditions(self) -> list[tuple[str, Any]]:
        return [
            ("(traces.failed > 0 OR root_failed)", True if self.failed else None),
            ("traces.trace_id = ?", self.trace),
            ("traces.trace_id IN (SELECT value FROM json_each(?))", _listed(self.ids)),
            ("traces.end - traces.start >= ?", nanoseconds(self.slow)),
            ("traces.start >= ?", moment(self.since)),
            ("traces.start < ?", moment(self.until)),
            (_has_span("service = ?"), self.service),
            (_has_span(contains("name", self.name or "")), self.name or None),
            ("traces.whole AND traces.name = ?", self.root),
            (_has_span("module = ?"), self.module),
            (_has_span(f"module = ? AND operation = '{Operation.AGENT}'"), self.agent),
            (_has_span("tool = ?"), self.tool),
            (_has_span("session = ? OR user = ?"), self.session),
            (_has_span(contains(_MODEL, self.model or "")), self.model or None),
        ]

    def is_of(self, trace_id: str) -> bool:
        """Return whether the filter selects a trace of this id."""
        return self.trace in (None, trace_id) and (self.ids is None or trace_id in self.ids)

    def is_in_time(self, start: int, end: int) -> bool:
        """Return whether the filter selects a trace of this start and end."""
        slow, since, until = nanoseconds(self.slow), moment(self.since), moment(self.until)
        return (
            (slow is None or end - start >= slow)
            and (since is None or start >= since)
            and (until is None or start < until)
        )

    def matches(self, rows: Sequence[Row], text: str) -> bool:
        """Return whether spans have the properties, except those of time; `text` is all of their text."""
        return all((
            not self.failed,
            self.service is None or any(row.service == self.service for row in rows),
            self.name is None or any(self.name.casefold() in row.name.casefold() for row in rows),
            self.root is None or any(self.root == row.name for row in rows if not row.parent_id),
            self.module is None or any(self.module == row.module for row in rows),
            self.agent is None or any(self.agent == row.module and row.operation == Operation.AGENT for row in rows),
            self.tool is None or any(self.tool == row.tool for row in rows),
            self.session is None or any(self.session in (row.session, row.user) for row in rows),
            self.model is None or any(self.model.casefold() in row.model.casefold() for row in rows),
            all(finder(word)(text) for word in (self.text or "").split()),
        ))  # fmt: skip

    def of_spans(self) -> list[Filter]:
        """Return a filter for each property that a single span gives to a trace, and for each word of the text."""
        names = ("failed", "service", "name", "root", "module", "agent", "tool", "session", "model")
        words = [Filter(text=word) for word in (self.text or "").split()]
        return [Filter(**{name: value}) for name in names if (value := getattr(self, name))] + words

    def words(self) -> list[str]:
        """Return the words to search, as queries of the full text search; each stands for its beginning, too.

        A word with punctuation, for example C-3, is found where its parts follow each other.
        """
        words = (self.text or "").split()[:_MOST_WORDS]
        return [asked(word) or NO_WORD for word in words]


def _listed(values: Sequence[str] | None) -> str | None:
    return None if values is None else json.dumps(values)


def _limited(value: Any) -> Any:
    """Return a value that SQLite can compare: its integers have 64 bits, its texts no half of a surrogate pair."""
    if type(value) is int:
        return max(min(value, _INT64), -_INT64)
    return storable(value) if type(value) is str else value


def _has_span(condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM spans WHERE spans.trace = traces.id AND ({condition}))"  # noqa: S608 - constants


def nanoseconds(duration: float | str | None) -> int | None:
    """Return a duration, in seconds or with a unit, in nanoseconds. Raises LmspanError for a text without meaning."""
    if duration is None:
        return None
    return _whole(_seconds(duration))


def _whole(seconds: float) -> int:
    """Return seconds in nanoseconds, infinity as the largest integer of SQLite. Raises LmspanError for NaN."""
    if seconds != seconds:  # noqa: PLR0124 - NaN
        raise LmspanError("NaN is no time")
    return int(max(min(seconds, _LONGEST_S), -_LONGEST_S) * 1e9)


def _seconds(duration: float | str) -> float:
    if not isinstance(duration, str):
        return float(max(min(duration, _LONGEST_S), -_LONGEST_S))
    match = _SPAN_OF_TIME.fullmatch(duration.strip())
    if match is None:
        raise LmspanError(f"{duration!r} is no duration; write 500ms, 2s, 5min, 2h, 3d or 1w")
    return float(match[1]) * _UNITS[match[2]]


def moment(when: float | str | None) -> int | None:
    """Return a time in nanoseconds since 1970. Raises LmspanError for a text without meaning."""
    if when is None:
        return None
    if not isinstance(when, str):
        return _whole(when)
    days = {"today": 0, "yesterday": 1}
    if when in days:
        midnight = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        return int((midnight - timedelta(days=days[when])).timestamp() * 1e9)
    if _SPAN_OF_TIME.fullmatch(when.strip()):
        return _whole(time.time() - _seconds(when))
    try:
        parsed = datetime.fromisoformat(when)
    except ValueError as error:
        raise LmspanError(
            f"{when!r} is no time; write 2h, 3d, today, yesterday, 2026-11-26 or '2026-11-26 14:30'"
        ) from error
    try:
        return int(parsed.timestamp() * 1e9)
    except (ValueError, OverflowError):  # next to the first or the last year of the calendar
        return int(parsed.replace(tzinfo=UTC).timestamp() * 1e9)
