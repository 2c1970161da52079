"""Render failures: equal ones once, those that were recovered apart from those that were not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.text import Text

from lmspan.terminal.text import safe_text
from lmspan.traces.places import place_of
from lmspan.traces.trace import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from lmspan.traces.trace import Failure

_SHOWN: Final = 20


def failure_list(failures: Sequence[Failure]) -> RenderableType:
    """Return the failures, those first that ended something."""
    parts: list[RenderableType] = []
    for title, recovered, style in (("failed", False, "red"), ("recovered", True, "yellow")):
        equal = grouped(each for each in failures if each.recovered is recovered)
        if equal:
            parts.append(Text(f"\n{title}", style=f"bold {style}"))
            parts += [_line(failure, times) for failure, times in equal[:_SHOWN]]
        if len(equal) > _SHOWN:
            parts.append(Text(f"  and {len(equal) - _SHOWN} other kinds", style="dim"))
    return Group(*parts)


def _line(failure: Failure, times: int) -> Text:
    line = Text("  ").append(safe_text(failure.span.name))
    if times > 1:
        line.append(f" ×{times}", style="bold")
    message = safe_text(failure.message, 300)
    line.append(f": {safe_text(failure.type)}{message and ': '}{message}")
    where = place_of(failure.span)
    return line.append(f"\n      {safe_text(where)}", style="dim") if where else line
