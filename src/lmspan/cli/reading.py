"""Functions that the commands share: read the traces that an argument names, and print a tree."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import TraceFileError
from lmspan.traces import store

if TYPE_CHECKING:
    from lmspan.traces.trace import Trace

WHAT: Final = "default: the last trace; of a FILE all its traces, of a directory those of all *.jsonl files"


def read(what: str) -> tuple[list[Trace], list[str]]:
    """Return the traces that an argument names, in order of time, and the errors of reading; print the errors."""
    from lmspan.export.file import trace_directory
    from lmspan.terminal.text import safe_text

    path = Path(what)
    if what != "last" and (path.exists() or "/" in what or path.suffix in (".jsonl", ".json")):
        reading = store.read_file(path)
        traces = list(reading.traces.values())
        troubles = reading.troubles
    else:
        trace, troubles = store.find(trace_directory(), what)
        traces = [trace]
    for trouble in troubles:
        print(f"lmspan: {safe_text(trouble, 500)}", file=sys.stderr)
    if not traces:
        raise TraceFileError(f"{path} holds no spans")
    return sorted(traces, key=lambda each: each.start_unix_nano), troubles


def print_tree(trace: Trace, width: int | None = None) -> None:
    """Print a trace in the width of the terminal, or in 120 columns to a file."""
    from rich.console import Console

    from lmspan.terminal.tree import render

    default: Any = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    Console(width=width or default, highlight=False).print(render(trace))
