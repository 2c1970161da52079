"""Render lists of traces and of spans, and statistics, as tables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from lmspan.terminal.columns import Cell, Column, Lines, cell, text
from lmspan.terminal.figures import count, duration, money, number, tokens
from lmspan.terminal.text import safe_text
from lmspan.traces.spans import State, as_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import RenderableType

    from lmspan.traces.search import SpanSummary
    from lmspan.traces.statistics import Statistic
    from lmspan.traces.summaries import Summary

_TRACES: Final = (
    Column("#", right=True), Column("trace", optional=4), Column("started", optional=3),
    Column("service", cut=True, optional=6, least=8), Column("root and input", cut=True, least=16),
    Column("time", right=True), Column("LM", right=True, optional=5), Column("tokens", right=True, optional=2),
    Column("cost", right=True, optional=1), Column("result"),
)  # fmt: skip
_SPANS: Final = (
    Column("trace", optional=1), Column("span"), Column("started", optional=4),
    Column("service", cut=True, optional=6, least=8), Column("span and operation above it", cut=True, least=20),
    Column("time", right=True), Column("1st chunk", right=True, optional=5), Column("tokens", right=True, optional=3),
    Column("cost", right=True, optional=2), Column("result"),
)  # fmt: skip
_SORTED: Final = {"first_chunk": "1st chunk", "tokens": "tokens", "cost": "cost"}
_STATES: Final = {State.RUNNING: "running", State.NOT_ENDED: "not ended", State.ENDED: ""}
_USUAL: Final = ("invoke_workflow", "invoke_agent", "module")
_CALLS: Final = ("model", "module", "tool", "name")


def trace_list(summaries: Sequence[Summary]) -> RenderableType:
    """Return traces as a table."""
    days = {summary.start.date() for summary in summaries}
    return Lines(_TRACES, [_trace(summary, with_date=len(days) > 1) for summary in summaries])


def _trace(summary: Summary, *, with_date: bool) -> Sequence[Cell]:
    name = (safe_text(_name(summary)), "bold red" if summary.failed else "bold")
    words = (f"  {safe_text(summary.words)}" if summary.words else "", "dim")
    return (
        text("" if summary.number is None else str(summary.number)),
        text(safe_text(summary.trace_id[:8]), "dim"),
        text(_started(summary.start, with_date=with_date)),
        text(safe_text(summary.service)),
        cell(name, words),
        text(duration(summary.duration_s)),
        text(str(summary.lm_calls or "")),
        text(
            tokens(summary.input_tokens, summary.output_tokens) if summary.input_tokens or summary.output_tokens else ""
        ),
        text("" if summary.cost is None else money(summary.cost)),
        _result(summary),
    )


def _started(start: datetime, *, with_date: bool) -> str:
    return start.strftime("%m-%d %H:%M:%S" if with_date else "%H:%M:%S")


def _name(summary: Summary) -> str:
    """Return the name of the root; the word of its operation is left out where nearly every root has it."""
    word, _, name = summary.name.partition(" ")
    return name if name and word in _USUAL else summary.name


def _score(summary: Summary) -> str:
    if summary.score is None:
        return ""
    first = "" if summary.first_score is None else f"{number(summary.first_score)} → "
    return first + number(summary.score)


def _result(summary: Summary) -> Cell:
    """Return the score, the state and the failures of a trace, as far as it has them."""
    failed = f"{summary.failed} failed" if summary.failed else ""
    return _pieces((_score(summary), "green"), (_STATES[summary.state], "yellow"), (failed, "red"))


def _pieces(*pieces: tuple[str, str]) -> Cell:
    shown = [piece for piece in pieces if piece[0]]
    return cell(*shown[:1], *(each for piece in shown[1:] for each in (("  ", ""), piece)))


def span_list(spans: Sequence[SpanSummary], sort: str = "") -> RenderableType:
    """Return spans of several traces as a table, which always has the column that sorts it."""
    days = {span.start.date() for span in spans}
    columns = [each._replace(optional=0) if each.title == _SORTED.get(sort) else each for each in _SPANS]
    return Lines(columns, [_span(span, with_date=len(days) > 1) for span in spans])


def _span(span: SpanSummary, *, with_date: bool) -> Sequence[Cell]:
    above = (f"  in {safe_text(span.parent)}" if span.parent else "", "dim")
    return (
        text(safe_text(span.trace_id[:8]), "dim"),
        text(safe_text(span.span_id[:8]), "dim"),
        text(_started(span.start, with_date=with_date)),
        text(safe_text(span.service)),
        cell((safe_text(span.name), "bold red" if span.failed else "bold"), above),
        text(duration(span.duration_s)),
        text("" if span.first_chunk_s is None else duration(span.first_chunk_s)),
        text(
            tokens(span.input_tokens or 0, span.output_tokens or 0) if span.input_tokens or span.output_tokens else ""
        ),
        text("" if span.cost is None else money(span.cost)),
        _pieces(
            ("" if span.score is None else number(span.score), "green"),
            (_STATES[span.state], "yellow"),
            ("cached" if span.cached else "", "dim"),
            ("" if not span.retries else "1 retry" if span.retries == 1 else f"{span.retries} retries", "yellow"),
            (safe_text(span.error.rpartition(".")[2]) or "failed" if span.failed else "", "red"),
        ),
    )


def statistics_table(statistics: Sequence[Statistic], by: str) -> RenderableType:
    """Return statistics as a table, with their sums below."""
    columns = [
        Column(by, cut=True), Column("calls" if by in _CALLS else "traces", right=True),
        Column("total", right=True, optional=3), Column("p50", right=True), Column("p95", right=True),
        Column("max", right=True, optional=5), Column("1st chunk p50/p95", right=True, optional=2),
        Column("tokens", right=True), Column("cost", right=True), Column("cached", right=True, optional=4),
        Column("retries", right=True, optional=1), Column("waited", right=True, optional=4),
        Column("recovered", right=True, optional=1), Column("failed", right=True),
    ]  # fmt: skip
    return Group(Lines(columns, [_statistic(each) for each in statistics]), *_unknown(statistics))


def _statistic(each: Statistic) -> Sequence[Cell]:
    chunk = ""
    if each.first_chunk_p50_s is not None and each.first_chunk_p95_s is not None:
        chunk = f"{duration(each.first_chunk_p50_s)}/{duration(each.first_chunk_p95_s)}"
    return (
        text(safe_text(each.key), "bold"),
        text(str(each.calls)),
        text(duration(each.total_s)),
        text(duration(each.p50_s)),
        text(duration(each.p95_s)),
        text(duration(each.max_s)),
        text(chunk),
        text(tokens(each.input_tokens, each.output_tokens) if each.input_tokens or each.output_tokens else ""),
        text("" if each.cost is None else money(each.cost)),
        text(str(each.cache_hits or "")),
        text(str(each.retries or ""), "yellow"),
        text(duration(each.retry_wait_s) if each.retry_wait_s else "", "yellow"),
        text(str(each.recovered or ""), "yellow"),
        text(str(each.failed or ""), "red"),
    )


def _unknown(statistics: Sequence[Statistic]) -> list[Text]:
    unknown = sum(each.unknown_costs for each in statistics)
    return [Text(f"the cost of {count(unknown, 'call')} is unknown", style="dim")] if unknown else []


def summary_json(summary: Summary) -> str:
    """Return the row of a trace as a JSON object; the time is in ISO 8601."""
    return as_json({**dataclasses.asdict(summary), "start": summary.start.isoformat()})


def span_json(span: SpanSummary) -> str:
    """Return the row of a span as a JSON object; the time is in ISO 8601."""
    return as_json({**dataclasses.asdict(span), "start": span.start.isoformat()})


def statistic_json(statistic: Statistic, by: str) -> str:
    """Return statistics as a JSON object."""
    return as_json({"by": by, **dataclasses.asdict(statistic)})
