"""The order of a list of traces: the columns that sort it, in SQL and for rows in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lmspan.errors import LmspanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lmspan.traces.summaries import Summary

    Values = tuple[float | None, ...]

NEWEST_FIRST: Final = "start"


@dataclass(frozen=True)
class _Column:
    """A column: expressions on the table `traces`, and their values in a row of the list."""

    expressions: tuple[str, ...]
    values: Callable[[Summary], Values]


_COLUMNS: Final[Mapping[str, _Column]] = {
    NEWEST_FIRST: _Column(("start",), lambda row: (row.start.timestamp(),)),
    "duration": _Column(("end - start",), lambda row: (row.duration_s,)),
    "calls": _Column(("lm_calls",), lambda row: (row.lm_calls,)),
    "tokens": _Column(("input_tokens + output_tokens",), lambda row: (row.input_tokens + row.output_tokens,)),
    "cost": _Column(("cost",), lambda row: (row.cost,)),
    "score": _Column(("iif(whole, score, NULL)",), lambda row: (row.score,)),
    "failed": _Column(
        ("iif(failed, failed, root_failed AND NOT recovered)", "recovered"), lambda row: (row.failed, row.recovered)
    ),
}
COLUMNS: Final = tuple(_COLUMNS)
"""The names of the columns that sort a list."""


def terms(expressions: Iterable[str], *, ascending: bool) -> str:
    """Return the terms of ORDER BY for figures, of which an absent one is last in both directions."""
    return ", ".join(f"{each} {'ASC' if ascending else 'DESC'} NULLS LAST" for each in expressions)


class Order:
    """The order of a list by one column: the largest figure first, or the smallest. Equal ones are the newest first.

    A trace without the figure, for example with an unknown cost, is last in both directions.
    """

    def __init__(self, sort: str, *, ascending: bool) -> None:
        """Raises LmspanError for a column that is not known."""
        if sort not in _COLUMNS:
            raise LmspanError(f"a list cannot be sorted by {sort!r}; sort is one of {', '.join(COLUMNS)}")
        self._values = _COLUMNS[sort].values
        self._sign = 1 if ascending else -1
        self.sql: str = f"{terms(_COLUMNS[sort].expressions, ascending=ascending)}, start DESC, trace_id"
        """The terms of ORDER BY on the table `traces`."""

    def key(self, row: Summary) -> tuple[object, ...]:
        """Return what sorts a row as `sql` does."""
        values = [(each is None, self._sign * (each or 0)) for each in self._values(row)]
        return (*values, -row.start.timestamp())
