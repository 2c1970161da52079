"""Render a trace as a tree for the terminal: one line a span, with a waterfall, tokens and cost.

Every text of a trace passes `safe_text`, because a prompt may contain control sequences of a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from lmspan import semconv as sc
from lmspan.terminal.candidates import optimizer_table
from lmspan.terminal.columns import EMPTY, Cell, Column, Lines, bar_width, cell, gap_of, text
from lmspan.terminal.failures import failure_list
from lmspan.terminal.figures import clock, count, duration, money, number, sums, tokens
from lmspan.terminal.folding import TreeRow, View, tree_rows
from lmspan.terminal.styles import style_of
from lmspan.terminal.text import safe_text
from lmspan.traces.content import inputs_of, outputs_of, readable
from lmspan.traces.figures import Figures
from lmspan.traces.spans import MODEL_CALLS, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.trace import Trace

_WATERFALL: Final = 24
_LEAST: Final = 8
_OPTIONAL: Final = {"tokens": 2}
_WITH_SELF_TIME: Final = 110  # columns
_NUMBERS: Final = (sc.TURN_INDEX, sc.EXAMPLE_INDEX, sc.CANDIDATE_INDEX)  # the number of a span among its siblings

_STATES: Final = {State.RUNNING: "running", State.NOT_ENDED: "not ended"}


def render(trace: Trace, *, content: bool = True, view: View | None = None) -> RenderableType:
    """Return the trace as a renderable for rich: a header, optimizer runs, the tree, its failures and its content."""
    shown = view or View()
    rows = list(tree_rows(trace, shown))
    parts: list[RenderableType] = [header(trace)]
    parts += [optimizer_table(run) for run in trace.optimizer_runs if run.candidates]
    parts += [_Tree(trace, rows), *(_hint(trace, rows, shown) if content else ())]
    if trace.failures:
        parts.append(failure_list(trace.failures))
    if content and not shown.only and not shown.errors:
        parts.append(_content_of([span for span in trace.roots if span.is_outermost] or trace.roots))
    return Group(*parts)


def header(trace: Trace) -> Text:
    """Return the program and the time of a trace, and its sums."""
    title = [f"trace {safe_text(trace.trace_id)}"]
    head = Text("  ".join(title), style="bold")
    if trace.spans:
        for each in (safe_text(trace.service), clock(trace.start_unix_nano)):
            head.append(f"  {each}" if each else "", style="not bold")
    if trace.state is not State.ENDED:
        head.append(f"  {_STATES[trace.state]}", style="bold yellow")
    figures = [count(len(trace.spans), "span"), duration(trace.duration_s), *sums(trace.total)]
    head.append("\n" + "  ".join(figures), style="not bold")
    recovered = len(trace.failures) - trace.failed
    if trace.failed:
        head.append(f"  {trace.failed} failed", style="bold red")
    if recovered:
        head.append(f"  {recovered} recovered", style="yellow")
    return head


def _hint(trace: Trace, rows: Sequence[TreeRow], view: View) -> list[Text]:
    """Return a line with the number of spans that the tree leaves out, or nothing."""
    hidden = len(trace.spans) - sum(len(row.spans) for row in rows)
    if not hidden or view.only or view.errors or view.depth is not None:
        return []
    return [Text(f"{count(hidden, 'span')} not shown; --full shows all", style="dim")]


class _Tree:
    """The rows of a tree, in the width of the console."""

    def __init__(self, trace: Trace, rows: Sequence[TreeRow]) -> None:
        self._trace = trace
        self._rows = rows
        self._numbers = {span.span_id: place for place, span in enumerate(trace.spans, 1)}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with_self = options.max_width >= _WITH_SELF_TIME
        figures = [self._figures(row, with_self) for row in self._rows]
        labels = [self._label(row) for row in self._rows]
        titles = ("#", "time", *(("self",) if with_self else ()), "tokens", "cost")
        left = options.max_width - len(gap_of(options.max_width)) * (len(titles) + 1)
        left -= sum(max([len(title), *(row[index].width for row in figures)]) for index, title in enumerate(titles))
        bar = bar_width(left, max([label.width for label in labels], default=0), _WATERFALL)
        columns = [Column("#", right=True, optional=1), Column("span", cut=True, least=_LEAST), Column()]
        columns += [Column(title, right=True, optional=_OPTIONAL.get(title, 0)) for title in titles[1:]]
        yield Lines(columns, [
            (number_of, label, self._bar(row, bar), *others)
            for (number_of, *others), label, row in zip(figures, labels, self._rows, strict=True)
        ])  # fmt: skip

    def _figures(self, row: TreeRow, with_self: bool) -> tuple[Cell, ...]:
        seconds = sum(span.duration_s for span in row.spans)
        figures = Figures()
        for span in row.spans:
            figures.include(self._trace.figures[span.span_id])
        style = "" if row.span.operation in MODEL_CALLS else "dim"
        own = sum(self._trace.self_times[span.span_id] for span in row.spans) / 1e9
        self_time = (text(duration(own), "dim"),) if with_self else ()
        place = text(str(self._numbers[row.span.span_id]), "dim")
        return place, text(duration(seconds)), *self_time, _tokens(figures, style), _cost(row, figures, style)

    def _label(self, row: TreeRow) -> Cell:
        span = row.span
        style = style_of(span)
        lines = row.guide.lstrip()  # leading blanks have no style: a picture of the terminal may drop styled blanks
        pieces = [(" " * (len(row.guide) - len(lines)), ""), (lines, "dim"), (safe_text(span.name), style)]
        index = next((span.facts[name] for name in _NUMBERS if name in span.facts), None)
        if len(row.spans) > 1:
            pieces.append((f" ×{len(row.spans)}", "bold"))
        elif index is not None:
            pieces.append((f" #{index}", style))
        if span.state is not State.ENDED:
            pieces.append((f" {_STATES[span.state]}", "yellow"))
        if span.failed:
            pieces.append((f" ✗ {safe_text(span.facts.get(sc.ERROR_TYPE, '').rsplit('.', 1)[-1])}".rstrip(), "red"))
        requests = sum(each.facts.get(sc.ATTEMPT_COUNT, 0) for each in row.spans) if len(row.spans) == 1 else 0
        if requests > 1:
            pieces.append((f" {requests} requests", "yellow"))
        if (score := _score(row)) is not None:
            pieces.append((f" {number(score)}", "bold green"))
        return cell(*(piece for piece in pieces if piece[0]))

    def _bar(self, row: TreeRow, width: int) -> Cell:
        """Return a bar that shows the spans between the start and the end of their trace."""
        if not width:
            return EMPTY
        begin = self._trace.start_unix_nano
        whole = max(self._trace.end_unix_nano - begin, 1)
        start = min(span.start_unix_nano for span in row.spans) - begin
        end = max(span.end_unix_nano for span in row.spans) - begin
        first = max(min(int(start * width // whole), width - 1), 0)
        length = max(min(round(end * width / whole), width) - first, 1)
        mark = "█" * length if (end - start) * width >= whole else "▏"
        style = "red" if row.span.failed else "blue"
        return Cell(((" " * first, ""), (mark, style), (" " * (width - first - len(mark)), "")), width)


def _score(row: TreeRow) -> float | None:
    """Return the score of a span, or the mean of those of several."""
    names = (sc.SPAN_SCORE, sc.EVALUATION_SCORE, sc.CANDIDATE_SCORE)
    scores = [span.facts[name] for span in row.spans for name in names if name in span.facts]
    return sum(scores) / len(scores) if scores else None


def _tokens(figures: Figures, style: str) -> Cell:
    if figures.lm_calls and figures.cache_hits == figures.lm_calls:
        return text("cached", "green")
    if not figures.input_tokens and not figures.output_tokens:
        return EMPTY
    return text(tokens(figures.input_tokens, figures.output_tokens), style)


def _cost(row: TreeRow, figures: Figures, style: str) -> Cell:
    if figures.cost is not None:
        return text(money(figures.cost), style)
    return text("unknown" if sc.COST_UNKNOWN_REASON in row.span.facts else "", "dim")


def _content_of(roots: Sequence[StoredSpan]) -> Text:
    """Return the inputs and outputs of the roots."""
    shown = Text()
    for span in roots:
        for title, value in (("inputs", inputs_of(span)), ("outputs", outputs_of(span))):
            if value is not None:
                shown.append(f"\n{title}  ", style="dim").append(safe_text(readable(value), 400), style="not dim")
    return shown.append("\n") if shown else shown
