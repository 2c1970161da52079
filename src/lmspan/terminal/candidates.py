"""Render the candidates of an optimizer as a table: the events of its span, the best score first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lmspan import semconv as sc
from lmspan.terminal.text import safe_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lmspan.traces.trace import StoredSpan

_SHOWN: Final = 20


def candidates(span: StoredSpan) -> RenderableType | None:
    """Return the candidates of an optimizer's span, at most the 20 best; None for a span without candidates."""
    evaluations = [event.facts for event in span.events if event.name == sc.EVENT_OPTIMIZER_CANDIDATE]
    if not evaluations:
        return None
    evaluations.sort(key=lambda facts: (facts.get(sc.CANDIDATE_SCOPE) != "full", -facts.get(sc.CANDIDATE_SCORE, -1e9)))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("#", "score", "on", "kept", "from", "changed"):
        table.add_column(title, justify="right" if title in ("#", "score") else "left", no_wrap=title != "changed")
    numbers = {facts.get(sc.CANDIDATE_ID): facts.get(sc.CANDIDATE_INDEX) for facts in evaluations}
    for facts in evaluations[:_SHOWN]:
        table.add_row(*map(Text, _row(facts, numbers)))  # text of a trace is no markup
    return Group(_title(span, len(evaluations)), table)


def _title(span: StoredSpan, count: int) -> Text:
    first = span.facts.get(sc.OPTIMIZER_FIRST_SCORE)
    best = span.facts.get(sc.OPTIMIZER_BEST_SCORE)
    text = Text("\n").append(safe_text(span.name), style="bold").append(f"  {count} evaluations of candidates")
    if first is not None and best is not None:
        text.append(f"  {first:g} → {best:g}", style="green" if best > first else "")
    return text.append(f"  (the {_SHOWN} best)" if count > _SHOWN else "")


def _row(facts: dict[str, Any], numbers: dict[Any, Any]) -> tuple[str, ...]:
    score = facts.get(sc.CANDIDATE_SCORE)
    accepted = facts.get(sc.CANDIDATE_ACCEPTED)
    parents = (numbers.get(parent) for parent in facts.get(sc.CANDIDATE_PARENT_IDS, ()))
    return (
        str(facts.get(sc.CANDIDATE_INDEX, "")),
        "failed" if score is None else f"{score:g}",
        safe_text(facts.get(sc.CANDIDATE_SCOPE, "")),
        {True: "yes", False: "no", None: ""}[accepted],
        " ".join(str(number) for number in parents if number is not None),
        safe_text(", ".join(facts.get(sc.CANDIDATE_CHANGED, ())) or "nothing"),
    )
