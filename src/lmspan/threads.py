"""Start threads that do not keep a program alive, where a thread may also be refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def start(name: str, run: Callable[[], object]) -> threading.Thread | None:
    """Start a daemon thread; return None if none can start: too many threads, or the interpreter shuts down."""
    thread = threading.Thread(target=run, name=f"lmspan-{name}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
