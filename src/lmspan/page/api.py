"""The queries of the page: each returns JSON data. `server.py` runs them on the reader's thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import LmspanError, TraceFileError
from lmspan.page import compare as comparing
from lmspan.page import optimizers, spans, tree
from lmspan.traces.filters import Filter
from lmspan.traces.order import NEWEST_FIRST
from lmspan.traces.spans import as_json
from lmspan.traces.statistics import ALL, KINDS, over_time
from lmspan.traces.statistics import statistics as grouped

if TYPE_CHECKING:
    from starlette.requests import Request

    from lmspan.page.reader import Reader
    from lmspan.traces.search import SpanSummary
    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.store import Summary
    from lmspan.traces.table import Table
    from lmspan.traces.trace import Trace

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_SPAN_ID: Final = re.compile(r"[0-9a-f]{1,16}")
_NUMBER: Final = re.compile(r"[0-9]{1,6}")
_TEXTS: Final = (
    "slow", "since", "until", "service", "name", "root", "module", "agent", "tool", "session", "model", "text", "where",
    "trace",
)  # fmt: skip
_LONGEST: Final = 1000
_PAGE: Final = 100
_LARGEST_PAGE: Final = 1000


def traces(reader: Reader, request: Request) -> Any:
    """Return the rows of a list of traces from an offset on."""
    return _listed(reader, request, "traces", partial(reader.store.list, _filter(request)))


def search(reader: Reader, request: Request) -> Any:
    """Return the rows of a list of spans, which the query in `query` selects, from an offset on."""
    query = _text(request, "query")
    return _listed(reader, request, "spans", partial(reader.store.spans, query, _filter(request)))


def trace(reader: Reader, request: Request) -> Any:
    """Return the rows of a trace's tree."""
    summary = reader.summary(_identified(request.path_params["trace"], _TRACE_ID, "trace"))
    return {**_summary(summary), **tree.document(reader.outline(summary))}


def results(reader: Reader, request: Request) -> Any:
    """Return the failures, optimizer runs and evaluations of a trace, and the id of the run before it."""
    found = _trace(reader, request)
    before = reader.before(found.trace_id)
    return {**tree.results(found), "before": before.trace_id if before is not None else None}


def span(reader: Reader, request: Request) -> Any:
    """Return one span in full."""
    found = _trace(reader, request)
    return spans.document(found, _span(found, request))


def run(reader: Reader, request: Request) -> Any:
    """Return an optimizer run."""
    found = _trace(reader, request)
    return optimizers.document(found, _span(found, request))


def difference(reader: Reader, request: Request) -> Any:
    """Return the difference between two candidates of a run, which are named by their places."""
    found = _trace(reader, request)
    before, after = _number(request, "before", -1), _number(request, "after", -1)
    return optimizers.difference(found, _span(found, request), before, after)


def evaluation(reader: Reader, request: Request) -> Any:
    """Return the examples of an evaluation."""
    found = _trace(reader, request)
    return spans.evaluation_document(found, _span(found, request))


def statistics(reader: Reader, request: Request) -> Any:
    """Return statistics by the kinds of `by`, which can be repeated."""
    kinds = request.query_params.getlist("by") or ["model"]
    rows = reader.store.rows(_filter(request))
    tables = {kind: [asdict(each) for each in grouped(rows, kind)] for kind in kinds[: len(KINDS)]}
    total = next((asdict(each) for each in grouped(rows, ALL)), None)
    lm_calls = sum(row.is_model_call for row in rows)
    return {"kinds": KINDS, "tables": tables, "total": total, "lm_calls": lm_calls, "troubles": reader.store.troubles}


def periods(reader: Reader, request: Request) -> Any:
    """Return the statistics over time of the group `key` of a kind `by`, or of all traces."""
    rows = reader.store.rows(_filter(request))
    by = request.query_params.get("by", ALL)
    found = over_time(rows, by, request.query_params.get("key", "")) if by else over_time(rows)
    return {"periods": [{**asdict(each.statistic), "from": each.start, "length_s": each.duration_s} for each in found]}


def compare(reader: Reader, request: Request) -> Any:
    """Return two traces side by side."""
    ids = [_identified(request.query_params.get(side, ""), _TRACE_ID, "trace") for side in ("left", "right")]
    left, right = (reader.trace(each) for each in ids)
    return {
        "left": _summary(reader.summary(left.trace_id)),
        "right": _summary(reader.summary(right.trace_id)),
        "tables": comparing.tables(left, right),
    }


Query = Callable[["Reader", "Request"], Any]

QUERIES: Final[dict[str, Query]] = {
    "/api/traces": traces,
    "/api/spans": search,
    "/api/traces/{trace}": trace,
    "/api/traces/{trace}/results": results,
    "/api/traces/{trace}/spans/{span}": span,
    "/api/traces/{trace}/runs/{span}": run,
    "/api/traces/{trace}/runs/{span}/difference": difference,
    "/api/traces/{trace}/evaluations/{span}": evaluation,
    "/api/statistics": statistics,
    "/api/statistics/periods": periods,
    "/api/compare": compare,
}


def encoded(query: Query, reader: Reader, request: Request) -> bytes:
    """Return the data of a query as JSON."""
    return as_json(query(reader, request)).encode()


def trace_document(reader: Reader, found: Trace) -> dict[str, Any]:
    """Return a trace's row of the list, and its tree."""
    return {**_summary(reader.summary(found.trace_id)), **tree.document(tree.outline(found))}


def _listed(
    reader: Reader, request: Request, kind: str, rows: Callable[..., Table[Summary] | Table[SpanSummary]]
) -> dict[str, Any]:
    """Return the part of the rows that a request wants; `rows` is a query of the store."""
    offset = _number(request, "offset", 0)
    limit = min(_number(request, "limit", _PAGE), _LARGEST_PAGE)
    sort = request.query_params.get("sort") or NEWEST_FIRST
    listed = rows(limit=offset + limit + 1, sort=sort, ascending=request.query_params.get("ascending") == "1")
    return {
        kind: [_summary(each) for each in listed[offset : offset + limit]],
        "more": len(listed) > offset + limit,
        "path": str(reader.store.location),
        "troubles": reader.store.troubles,
        "stored": reader.store.count(),
    }


def _summary(summary: Summary | SpanSummary) -> dict[str, Any]:
    """Return a row of the list; times are milliseconds since 1970, because JavaScript has no 64-bit integers."""
    data = {name: getattr(summary, name) for name in summary.__dataclass_fields__}
    return {**data, "start": summary.start.timestamp() * 1e3}


def _trace(reader: Reader, request: Request) -> Trace:
    return reader.trace(_identified(request.path_params["trace"], _TRACE_ID, "trace"))


def _span(found: Trace, request: Request) -> StoredSpan:
    span_id = _identified(request.path_params["span"], _SPAN_ID, "span")
    if span_id not in found.by_id:
        raise TraceFileError(f"span {span_id}: no such span in trace {found.trace_id}")
    return found.by_id[span_id]


def _identified(text: str, pattern: re.Pattern[str], kind: str) -> str:
    if not pattern.fullmatch(text):
        raise LmspanError(f"this is no id of a {kind}")
    return text


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    if text and not _NUMBER.fullmatch(text):
        raise LmspanError(f"{name} is no number")
    return int(text or default)


def _filter(request: Request) -> Filter:
    """Return the filter of a query. Raises LmspanError for one that cannot be read."""
    given = {name: text for name in _TEXTS if (text := _text(request, name))}
    return Filter(failed=request.query_params.get("failed") == "1", **given)


def _text(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if len(text) > _LONGEST:
        raise LmspanError(f"{name} is longer than {_LONGEST:,} characters")
    return text
