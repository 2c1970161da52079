"""The files that a store reads: those of a directory, or one."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmspan.directories import trace_directory
from lmspan.errors import TraceFileError
from lmspan.traces.files import open_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.traces.filters import Filter

_SINK: Final = ("traces*.jsonl",)
ANY: Final = ("*.jsonl", "*.json")


@dataclass
class Location:
    """The files that a store reads."""

    path: Path
    """The directory or file that was named."""
    directory: Path
    patterns: Sequence[str]
    is_journaled: bool
    keeps_index: bool
    """Whether the index is a file of the directory."""

    def __str__(self) -> str:
        return str(self.path)

    def fetch(self, _: Filter, __: int | None) -> list[str]:
        """Bring the newest traces that a filter may select; return what prevents that. Files are there already."""
        return []

    def fetch_trace(self, _: str) -> list[str]:
        """Bring the trace that a reference names."""
        return []


def location_of(path: Path | str | None) -> Location:
    """Return the location of a directory or a file; for None, the directory where programs store traces.

    Raises:
        TraceFileError: there is no such file.
    """
    if path is None:
        directory = trace_directory()
        return Location(directory, directory, _SINK, is_journaled=True, keeps_index=directory.is_dir())
    named = Path(path)
    if not named.exists():
        raise TraceFileError(f"{named} cannot be read: No such file or directory")
    if named.is_dir():
        own = any(named.glob(_SINK[0]))
        return Location(named, named, _SINK if own else ANY, is_journaled=True, keeps_index=own)
    open_file(named).close()
    return Location(named, named.parent, (glob.escape(named.name),), is_journaled=False, keeps_index=False)
