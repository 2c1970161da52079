"""Render the candidates of an optimizer run as a table, in the order in which it tried them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from lmspan.terminal.columns import Cell, Column, Lines, cell, text
from lmspan.terminal.figures import count, duration, money, number
from lmspan.terminal.text import safe_text
from lmspan.traces.spans import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from lmspan.traces.optimizers import Candidate, OptimizerRun

_SHOWN: Final = 30
_KEPT: Final = {True: "yes", False: "no", None: ""}
_COLUMNS: Final = (
    Column("span", right=True), Column("#", right=True), Column("score", right=True), Column("best", right=True),
    Column("on"), Column("kept"), Column("from", optional=1), Column("time", right=True), Column("cost", right=True),
    Column("changed", cut=True),
)  # fmt: skip


def optimizer_table(run: OptimizerRun, *, full: bool = False) -> RenderableType:
    """Return the candidates of a run; of many, the best ones and those that the optimizer accepted."""
    shown = list(range(len(run.candidates))) if full else _chosen(run)
    numbers = {each.id: each.index for each in run.candidates}
    places = {span.span_id: place for place, span in enumerate(run.candidates[0].trace.spans, 1)}
    rows = [_row(run.candidates[place], run.best_scores[place], numbers, places) for place in shown]
    return Group(_title(run, len(shown)), Lines(_COLUMNS, rows), Text())


def _title(run: OptimizerRun, shown: int) -> Text:
    title = Text("\n").append(safe_text(run.span.name), style="bold")
    evaluations = max(run.evaluation_count or 0, len(run.candidates))
    title.append(f"  {count(evaluations, 'evaluation')} of {count(_programs(run), 'candidate')}")
    if evaluations > len(run.candidates):
        title.append(f", {evaluations - len(run.candidates)} of them not stored", style="yellow")
    if run.first_score is not None and run.best_score is not None:
        is_better = run.best_score != run.first_score
        title.append(f"  {number(run.first_score)} → {number(run.best_score)}", style="green" if is_better else "")
    if run.state is not State.ENDED:
        title.append(f"  {run.state.value}, so far", style="yellow")
    return title.append(f"  ({shown} shown; all with --full)" if shown < len(run.candidates) else "", style="dim")


def _programs(run: OptimizerRun) -> int:
    return len({each.id for each in run.candidates})


def _chosen(run: OptimizerRun) -> list[int]:
    """Return the places of the candidates that a short table shows."""
    places = list(range(len(run.candidates)))
    if len(places) <= _SHOWN:
        return places
    worth = sorted(places, key=lambda place: _worth(run.candidates[place]), reverse=True)
    return sorted(worth[:_SHOWN])


def _worth(candidate: Candidate) -> tuple[bool, bool, float]:
    score = candidate.score if candidate.score is not None else float("-inf")
    return candidate.scope != "minibatch", candidate.accepted is True, score


def _row(
    candidate: Candidate, best: float | None, numbers: dict[str, int | None], places: dict[str, int]
) -> Sequence[Cell]:
    parents = (numbers.get(parent) for parent in candidate.parent_ids)
    span, figures = candidate.span, candidate.figures
    changed = safe_text(", ".join(candidate.changed) or ("" if candidate.index is None else "nothing"))
    reason = f"  {safe_text(candidate.reason, 200)}" if candidate.reason else ""
    return (
        text(str(places[span.span_id]) if span is not None else "", "dim"),
        text("" if candidate.index is None else str(candidate.index)),
        _score(candidate),
        text("" if best is None else number(best), "dim"),
        text(safe_text(candidate.scope)),
        text(_KEPT[candidate.accepted], "green" if candidate.accepted else "dim"),
        text(" ".join(str(each) for each in parents if each is not None)),
        text(duration(span.duration_s) if span is not None else ""),
        text(money(figures.cost) if figures is not None and figures.cost is not None else ""),
        cell((changed, ""), (reason, "dim")),
    )


def _score(candidate: Candidate) -> Cell:
    if candidate.score is not None:
        return text(number(candidate.score), "bold" if candidate.accepted else "")
    span = candidate.span
    if span is None or span.failed:
        return text("failed", "red")
    return text(span.state.value, "yellow") if span.state is not State.ENDED else text("none", "dim")
