"""Awaited calls, which await the async hooks of their subscribers: before they run, and before they return.

    around_async    makes a `Place` current; the next call that starts belongs to it
    delivery        puts into the place what has to be awaited there
    around_async    settles the place: after the start of the call, before its function runs, and after its end

A step of the program that is not awaited puts its async hooks into the place around it, as tasks: they run beside the
program, and have ended when the place settles.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NO_CALL: Final = object()
"""The call of a place where nothing is recorded."""


class Place:
    """One awaited call, and what it awaits. Used on the thread of its event loop only."""

    __slots__ = ("call", "holds", "loop", "outer", "steps", "tasks", "turn")

    def __init__(self, outer: Place | None, *, holds: bool = True) -> None:
        """`holds` tells whether async hooks hold the call back; else they run beside it until its end."""
        self.outer: Place | None = outer
        self.holds: bool = holds
        self.call: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """The running loop, while subscribers hear the call: from its start until its last hook has ended."""
        self.steps: deque[Callable[[], Awaitable[None]]] | None = None
        """What the call awaits in order where it is now."""
        self.tasks: set[asyncio.Task[None]] | None = None
        """The hooks of the steps inside it that were not awaited. Each ends in a bounded time."""
        self.turn: asyncio.Lock | None = None
        """Gives those hooks their turn, one after the other."""

    def take(self, call: Any) -> bool:
        """Become the place of a call that starts; return whether hooks can be awaited here."""
        self.call = call
        self.loop = running_loop()
        return self.holds and self.loop is not None

    def then(self, *steps: Callable[[], Awaitable[None]]) -> None:
        """Await these, too, in this order."""
        if self.steps is None:
            self.steps = deque()
        self.steps.extend(steps)

    def wait_for(self, task: asyncio.Task[None]) -> None:
        """Wait for a task, too, until it has ended."""
        if self.tasks is None:
            self.tasks = set()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def is_busy(self) -> bool:
        """Tell whether hooks of earlier steps still run, here or directly around here."""
        outer = self.outer
        return bool(self.tasks or self.steps or (outer is not None and outer.loop is self.loop and outer.tasks))

    async def wait_for_earlier(self) -> None:
        """Wait for the hooks of earlier steps."""
        outer = self.outer
        around = outer.tasks if outer is not None and outer.loop is self.loop else None
        if earlier := (*(self.tasks or ()), *(around or ())):
            await asyncio.wait(earlier)

    async def settle(self) -> None:
        """Await everything; then raise the first exception that ends the program or cancels this call."""
        first: BaseException | None = None
        while self.tasks or self.steps:
            try:
                if self.tasks:
                    await asyncio.wait(tuple(self.tasks))
                elif self.steps:
                    await self.steps.popleft()()
            except BaseException as error:  # noqa: BLE001 - raised below, after the other hooks
                first = first or error
        if first is not None:
            raise first

    async def settle_start(self) -> None:
        """Await the hooks of the start of the call; then raise what one of them raises into the program."""
        await self.settle()
        if self.call.raises is not None:
            raise self.call.raises


here: ContextVar[Place | None] = ContextVar("lmspan-place", default=None)
"""The innermost awaited call around here."""


def around() -> Place | None:
    """Return the place of the innermost awaited call around here that has started."""
    place = here.get()
    return place.outer if place is not None and place.call is None else place


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs on this thread, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
