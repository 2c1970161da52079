"""Read stored traces in programs and notebooks.

    from lmspan import traces

    trace = traces.last()                                   # the newest
    traces.list(failed=True, since="2h").to_pandas()
    traces.list(sort="cost", limit=10)                      # the most expensive ones
    traces.spans("model:gpt cost>0.1 not failed")           # single model calls, of every trace
    traces.find("8206").optimizer_runs[0].best.instructions
    traces.statistics("model", service="shop")

Every function takes `path=`, a directory, a file of OTLP JSON or the address of a Jaeger; without it, it reads the
directory where `lmspan.init()` stores traces. `Store` does the same for several queries on one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from lmspan.traces.evaluations import Evaluation, Example
from lmspan.traces.figures import Figures
from lmspan.traces.filters import Filter
from lmspan.traces.optimizers import Candidate, OptimizerRun
from lmspan.traces.order import NEWEST_FIRST
from lmspan.traces.search import SpanSummary
from lmspan.traces.spans import State, StoredEvent, StoredLink, StoredSpan
from lmspan.traces.statistics import Statistic
from lmspan.traces.store import Store
from lmspan.traces.summaries import Summary
from lmspan.traces.table import Table
from lmspan.traces.trace import Failure, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from lmspan.traces.filters import Wanted

__all__ = [
    "Candidate",
    "Evaluation",
    "Example",
    "Failure",
    "Figures",
    "Filter",
    "OptimizerRun",
    "SpanSummary",
    "State",
    "Statistic",
    "Store",
    "StoredEvent",
    "StoredLink",
    "StoredSpan",
    "Summary",
    "Table",
    "Trace",
    "find",
    "last",
    "list",
    "spans",
    "statistics",
]


def last(*, path: Path | str | None = None) -> Trace:
    """Return the newest trace. Raises TraceFileError if there is none."""
    return Store(path).last()


def find(reference: str | int, *, path: Path | str | None = None) -> Trace:
    """Return a trace by the beginning of its id, its number in `list`, "last" or "last~2".

    Raises:
        TraceFileError: no trace, or more than one, is meant.
    """
    return Store(path).find(reference)


def list(  # noqa: A001 - the word of the command
    *,
    path: Path | str | None = None,
    limit: int | None = None,
    sort: str = NEWEST_FIRST,
    ascending: bool = False,
    **filters: Unpack[Wanted],
) -> Table[Summary]:
    """Return the traces that the filters select, the newest first; `Filter` describes the filters.

    `sort` is one of start, duration, calls, tokens, cost, score, failed: the largest first, or with `ascending` the
    smallest. A trace without the figure, for example with an unknown cost, is last in both directions.

    Raises:
        LmspanError: `sort` is none of these columns, or a filter cannot be read.
    """
    return Store(path).list(Filter(**filters), limit=limit, sort=sort, ascending=ascending)


def spans(
    query: str = "",
    *,
    path: Path | str | None = None,
    limit: int | None = None,
    sort: str = NEWEST_FIRST,
    ascending: bool = False,
    **filters: Unpack[Wanted],
) -> Table[SpanSummary]:
    """Return the spans that a query selects, of the traces that the filters select, the newest first.

    A query is for example `model:gpt cost>0.1 (failed or retries>2) not under:judge`; docs/reference/query.md has the
    language. `sort` is one of start, duration, first_chunk, tokens, cost, retries, score: the largest first, or with
    `ascending` the smallest. A span without the figure, for example with an unknown cost, is last in both directions.

    Raises:
        LmspanError: the query or a filter cannot be read, or `sort` is none of these columns.
    """
    return Store(path).spans(query, Filter(**filters), limit=limit, sort=sort, ascending=ascending)


def statistics(by: str = "model", *, path: Path | str | None = None, **filters: Unpack[Wanted]) -> Table[Statistic]:
    """Return statistics by model, module, tool, name, session, user or service; `Filter` describes the filters."""
    return Store(path).statistics(by, Filter(**filters))
