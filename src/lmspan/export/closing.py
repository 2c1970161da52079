"""Run a step that may hang, such as a flush or a shutdown, on a daemon thread, and wait for it until a deadline.

From Python 3.12 on no thread can start while the interpreter shuts down. `prepare()` starts spare threads in advance,
one for each step that may hang; without a spare thread a step runs on the caller's thread.
"""

from __future__ import annotations

import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from lmspan import threads

if TYPE_CHECKING:
    from collections.abc import Callable

_steps: SimpleQueue[Callable[[], object]] | None = None
_spares = 0


def prepare(count: int) -> None:
    """Start spare threads until the process has `count` of them. Never raises."""
    global _steps, _spares  # noqa: PLW0603 - one queue for the process
    steps: SimpleQueue[Callable[[], object]] = SimpleQueue() if _steps is None else _steps
    while _spares < count and threads.start("spare", lambda: _take(steps)):
        _steps = steps
        _spares += 1


def run_within(timeout_s: float, step: Callable[[], object]) -> bool:
    """Run a step and return after `timeout_s` at the latest; False if the step still runs. The step must not raise."""
    done = threading.Event()

    def run() -> None:
        try:
            step()
        finally:
            done.set()

    if threads.start("bounded", run) is None:
        if _steps is None:
            run()
        else:
            _steps.put(run)
    return done.wait(timeout_s)


def _take(steps: SimpleQueue[Callable[[], object]]) -> None:
    while True:
        steps.get()()


def _renew_in_child() -> None:
    """Start the spare threads again in a forked child, which has none of its parent's threads."""
    global _steps, _spares
    count = _spares
    _steps, _spares = None, 0
    prepare(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_child)
