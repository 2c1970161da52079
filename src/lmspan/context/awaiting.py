"""Awaited runs, which wait for the async hooks of their subscribers before they return."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

_SETTLE_S: Final = 5.0

awaited: ContextVar[bool] = ContextVar("lmspan-awaited", default=False)
"""Whether the outermost call here is awaited, so that it can wait for async hooks before it returns."""


async def settle(call: LiveCall) -> None:
    """Wait at the end of an awaited run for the hooks that are still running, for five seconds at most."""
    pending = call.pending
    call.pending = None
    if pending:
        waiting = [asyncio.wrap_future(each) if isinstance(each, Future) else each for each in pending]
        await asyncio.wait(waiting, timeout=_SETTLE_S)
