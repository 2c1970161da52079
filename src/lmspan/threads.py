"""Start threads that do not keep a program alive, where a thread may also be refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def start(name: str, run: Callable[[], object]) -> threading.Thread | None:
    """Start a daemon thread; return None if none can start: too many threads, or the interpreter shuts down.

    Raises what a signal handler of the program raises, although the thread may have started.
    """
    thread = threading.Thread(target=run, name=f"lmspan-{name}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return None
    except KeyError as error:  # of `start`: a signal handler has raised when the thread had just started
        raise error.__context__ or error from None
    return thread
