"""Awaited runs: they can wait for what their subscribers have still to do."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

_SETTLE_S: Final = 5.0

awaited: ContextVar[bool] = ContextVar("lmspan-awaited", default=False)
"""Whether what runs here is, at its outermost, awaited: then it can wait for async hooks before it returns."""


async def settle(call: LiveCall) -> None:
    """Wait for what subscribers have under way, when an awaited run ends: not longer than a few seconds."""
    pending, call.pending = call.pending, None
    if pending:
        waiting = [asyncio.wrap_future(each) if isinstance(each, Future) else each for each in pending]
        await asyncio.wait(waiting, timeout=_SETTLE_S)
