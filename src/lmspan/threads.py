"""Threads beside the program: they do not keep it alive, one may be refused, and none holds the interpreter long."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Each = TypeVar("Each")

_SLICE_S: Final = 0.0005


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


def in_slices(items: Iterable[Each]) -> Iterator[Each]:
    """Yield items of the work of a thread, and let the program continue after each slice of time.

    Else the program would wait until the interpreter takes its lock away from the thread, after 5 ms.
    """
    end = time.perf_counter() + _SLICE_S
    for each in items:
        yield each
        if time.perf_counter() > end:
            time.sleep(0)
            end = time.perf_counter() + _SLICE_S
