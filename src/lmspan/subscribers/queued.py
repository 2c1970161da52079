"""Hooks that the program does not wait for: `subscribe(..., delivery="queued")`.

    deliver (program's thread)     appends what was heard, with the call as it is now
    worker (daemon thread)         runs the hooks of one subscription in order; async ones on a loop of its own

A subscription has a worker of its own, so one that hangs holds nobody else. What it cannot keep up with is dropped
and counted in `Subscription.dropped`.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import threading
import time
import weakref
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from lmspan.subscribers.hooks import Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from lmspan.subscribers.subscriptions import Bound

    Run = Callable[[Bound, Heard, frozenset[int]], Coroutine[Any, Any, None]]

logger = logging.getLogger("lmspan")

_MOST: Final = 4_096

_all: weakref.WeakSet[HookQueue] = weakref.WeakSet()


class HookQueue:
    """The hooks that one subscription has still to run."""

    def __init__(self, inside: frozenset[int]) -> None:
        """`inside` is the subscription as its own hooks have it, so that it does not hear what they do."""
        self._inside = inside
        self._reset()
        _all.add(self)

    def _reset(self) -> None:
        """Begin anew: at construction, and in a forked child, where what was queued is the parent's."""
        self._waiting: deque[tuple[Run, Bound, Heard]] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._worker: threading.Thread | None = None
        self._starting = False
        self._put = self._done = 0

    def put(self, bound: Bound, heard: Heard, run: Run) -> None:
        """Queue a hook, or drop it when too many wait. On the program's thread; never blocks.

        `run(bound, heard, inside)` calls the hook later, on the worker's thread, and isolates what it raises.
        """
        subscription = bound.subscription
        if len(self._waiting) >= _MOST:
            subscription.dropped += 1
            if subscription.dropped == 1:
                logger.warning("lmspan: %s cannot keep up: its hooks are dropped and counted", subscription.name)
            return
        call = copy.copy(heard.call)  # it goes on, and lets its inputs and outputs go when it has ended
        call.facts = dict(call.facts)
        self._waiting.append((run, bound, Heard(call, heard.event, dict(heard.attributes))))
        self._put += 1
        if self._worker is None:
            self._start(subscription.name)
        self._wake.put(None)

    def _start(self, name: str) -> None:
        if self._starting:  # a signal handler is heard while the thread starts
            return
        self._starting = True
        try:
            worker = threading.Thread(target=self._work, name=f"lmspan-{name}", daemon=True)
            worker.start()
            self._worker = worker
        except RuntimeError:  # too many threads, or the interpreter shuts down: `drain` runs what waits
            return
        finally:
            self._starting = False

    def _work(self) -> None:
        loop = asyncio.new_event_loop()
        while True:
            self._wake.get()
            self._step(loop)

    def _step(self, loop: asyncio.AbstractEventLoop) -> bool:
        if not self._waiting:
            return False
        run, bound, heard = self._waiting.popleft()
        try:
            loop.run_until_complete(run(bound, heard, self._inside))
        finally:
            self._done += 1
        return True

    def drain(self, deadline: float) -> int:
        """Wait until what is queued now has run; return how many hooks have not when the time is over."""
        wanted = self._put
        if self._worker is None and self._waiting:
            loop = asyncio.new_event_loop()
            while time.monotonic() < deadline and self._step(loop):
                pass
            loop.close()
        while self._done < wanted and time.monotonic() < deadline:
            time.sleep(0.005)
        return max(wanted - self._done, 0)


def drain(deadline: float) -> int:
    """Wait for every queue; return how many hooks have not run when the time is over."""
    return sum(each.drain(deadline) for each in list(_all))


def _reset_in_child() -> None:
    for each in list(_all):
        each._reset()  # noqa: SLF001 - our own class, after a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
