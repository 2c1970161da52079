"""Whether the process that writes a journal of open operations still runs: it holds a lock on the file while it lives.

The exporter writes journals and the reader of traces reads them; neither imports the other.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # mypy checks for a platform that has it

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL_GLOB: Final = "open-*.jsonl"
"""The names of journals in a trace directory: `open-<process id>-<start time in ns>.jsonl`."""

TOUCH_S: Final = 5.0
"""Where files have no locks, a process touches its journal at least this often."""

_STALE_S: Final = 3 * TOUCH_S
_READING: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_MOST_REPLACEMENTS: Final = 4


def lock(file: int) -> bool:
    """Lock a new file, which no reader knows yet, until every descriptor of it is closed; False if that is impossible.

    The lock belongs to the open file: a forked child keeps it as well until it closes the descriptor.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # some network file systems have no locks
        return False
    return True


def is_alive(path: Path) -> bool:
    """Return whether the process that writes a journal runs; False if there is no such file. Never raises.

    Where files have no locks, the time of the last write decides: a process that ended in the last 15 seconds counts as
    alive.
    """
    for _ in range(_MOST_REPLACEMENTS):
        try:
            file = os.open(path, _READING)
            try:
                if _is_held(file):
                    return True
                if os.path.samestat(os.fstat(file), path.stat()):
                    return False
            finally:
                os.close(file)
        except OSError:
            return False
    return True  # its process replaces it all the time


def _is_held(file: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:  # a file system without locks
            pass
        else:
            return False
    return time.time() - os.fstat(file).st_mtime < _STALE_S
