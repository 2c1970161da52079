"""Render failures: equal ones once, those that were recovered apart from those that were not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.text import Text

from lmspan import semconv as sc
from lmspan.terminal.text import safe_text
from lmspan.traces.trace import exception_of, grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from lmspan.traces.trace import Failure

_FRAME: Final = re.compile(r'File "([^"]{1,500})", line (\d{1,9}), in (\S{1,200})')
_OF_A_LIBRARY: Final = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python3|<frozen|<string>")
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
    where = place_of(failure)
    return line.append(f"\n      {safe_text(where)}", style="dim") if where else line


def place_of(failure: Failure) -> str:
    """Return file, line and function of the program's own frame, "" if they are not recorded."""
    event = exception_of(failure.span)
    for facts in (event.attributes if event is not None else {}, failure.span.attributes):
        if sc.CODE_FILE_PATH in facts:
            return _place(facts)
    return _own_frame(event.facts.get(sc.EXCEPTION_STACKTRACE, "") if event is not None else "")


def _place(facts: Mapping[str, Any]) -> str:
    function = facts.get(sc.CODE_FUNCTION_NAME)
    return f"{facts[sc.CODE_FILE_PATH]}:{facts.get(sc.CODE_LINE_NUMBER, '?')}" + (f" in {function}" if function else "")


def _own_frame(stack: str) -> str:
    """Return the innermost frame of a stack that is not of a library."""
    frames = [match for match in _FRAME.finditer(stack) if not _OF_A_LIBRARY.search(match[1])]
    return "{}:{} in {}".format(*frames[-1].groups()) if frames else ""
