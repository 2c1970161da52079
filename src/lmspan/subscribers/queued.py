"""Run hooks on another thread, so that the program does not wait for them: `subscribe(..., delivery="queued")`.

    deliver (program's thread)     queues the moment, with a copy of the call as it is now
    worker (daemon thread)         runs the hooks of one subscription in order, async hooks on one event loop

Each subscription has its own worker, so a hook that hangs delays no other subscription. A full queue drops moments and
counts them in `Subscription.dropped`.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import time
import weakref
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from lmspan import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lmspan.subscribers.hooks import Moment
    from lmspan.subscribers.registry import SubscribedHook

    Run = Callable[[SubscribedHook, Moment, frozenset[int]], None]

logger: Final = logging.getLogger("lmspan")

_MOST: Final = 4_096

_all: weakref.WeakSet[HookQueue] = weakref.WeakSet()


class HookQueue:
    """The hooks of one subscription that wait for its worker."""

    def __init__(self, inside: frozenset[int]) -> None:
        """`inside` marks the context in which the hooks run, so that the subscription does not hear their calls."""
        self._inside = inside
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        """Start with an empty queue: at construction, and in a forked child, since the parent runs the queued hooks."""
        self._waiting: deque[tuple[Run, SubscribedHook, Moment]] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._starting = False
        self._closed = False
        self._runner: asyncio.Runner | None = None
        self._put = self._done = 0

    def put(self, bound: SubscribedHook, moment: Moment, run: Run) -> None:
        """Queue a hook, or drop it if too many wait. Called on the program's thread; never blocks.

        `run(bound, moment, inside)` calls the hook later, on the worker's thread, and isolates its exceptions.
        """
        subscription = bound.subscription
        if len(self._waiting) >= _MOST:
            subscription.dropped += 1
            if subscription.dropped == 1:
                logger.warning("lmspan: %s cannot keep up: its hooks are dropped and counted", subscription.name)
            return
        self._waiting.append((run, bound, moment.for_later()))
        self._put += 1
        if self._worker is None:
            self._start(subscription.name)
        self._wake.put(None)

    def _start(self, name: str) -> None:
        """Start the worker. If no thread can start, `drain` runs the hooks."""
        if self._starting:  # a hook in a signal handler, while the thread starts
            return
        self._starting = True
        try:
            self._worker = threads.start(name, self._work)
        finally:
            self._starting = False

    def close(self) -> None:
        """End the worker after the hooks that wait now. Called when no other hook will come; never blocks."""
        self._closed = True
        self._wake.put(None)

    def _work(self) -> None:
        try:
            while not self._closed or self._waiting:
                self._wake.get()
                self._step()
        finally:
            self._worker = None
            if self._runner is not None:
                self._runner.close()
                self._runner = None

    def wait_for(self, hook: Coroutine[Any, Any, Any]) -> None:
        """Run an async hook to its end, on an event loop that starts with the first of them. Called by `run`."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        self._runner.run(hook, context=contextvars.copy_context())

    def _step(self) -> bool:
        if not self._waiting:
            return False
        run, bound, moment = self._waiting.popleft()
        try:
            run(bound, moment, self._inside)
        finally:
            self._done += 1
        return True

    def drain(self, deadline: float) -> int:
        """Wait until the hooks that are queued now have run; return how many have not run by the deadline.

        A hook of this queue waits for none: those before it have run.
        """
        if threading.current_thread() is self._worker:
            return 0
        target = self._put
        while self._worker is None and time.monotonic() < deadline and self._step():
            pass
        while self._done < target and time.monotonic() < deadline:
            time.sleep(0.005)
        return max(target - self._done, 0)


def drain(deadline: float) -> int:
    """Wait for every queue; return how many hooks have not run by the deadline."""
    return sum(each.drain(deadline) for each in list(_all))


def _reset_in_child() -> None:
    for each in list(_all):
        each._reset()  # noqa: SLF001 - our own class, after a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
