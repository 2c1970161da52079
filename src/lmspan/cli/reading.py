"""What the commands share: the traces that an argument names, and a tree on stdout."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import TraceFileError
from lmspan.traces import store

if TYPE_CHECKING:
    from lmspan.traces.trace import Trace

WHAT: Final = "default: the last trace; a FILE is read alone, of a directory all *.jsonl files"


def read(what: str) -> tuple[list[Trace], list[str]]:
    """Return the traces that an argument names, in order of time, and what was wrong with their files."""
    from lmspan.export.file import trace_directory  # noqa: PLC0415 - loads the SDK
    from lmspan.terminal.text import safe_text  # noqa: PLC0415 - loads rich

    path = Path(what)
    if what != "last" and (path.exists() or "/" in what or path.suffix in (".jsonl", ".json")):
        reading = store.read_file(path)
        traces, troubles = list(reading.traces.values()), reading.troubles
    else:
        trace, troubles = store.find(trace_directory(), what)
        traces = [trace]
    for trouble in troubles:
        print(f"lmspan: {safe_text(trouble, 500)}", file=sys.stderr)
    if not traces:
        raise TraceFileError(f"{path} holds no spans")
    return sorted(traces, key=lambda each: each.start_unix_nano), troubles


def print_tree(trace: Trace, width: int | None = None) -> None:
    """Print a trace, as wide as the terminal."""
    from rich.console import Console  # noqa: PLC0415 - loads rich

    from lmspan.terminal.tree import render  # noqa: PLC0415 - loads rich

    unseen: Any = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    Console(width=width or unseen, highlight=False).print(render(trace))
