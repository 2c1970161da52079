"""The place in a program where a failure happened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.traces.trace import exception_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.traces.spans import StoredSpan

_FRAME: Final = re.compile(r'File "([^"]{1,500})", line (\d{1,9}), in (\S{1,200})')
_OF_A_LIBRARY: Final = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python3|<frozen|<string>")


def place_of(span: StoredSpan) -> str:
    """Return file, line and function of the program's own frame where a span failed, "" if they are not recorded."""
    event = exception_of(span)
    for facts in (event.attributes if event is not None else {}, span.attributes):
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
