"""Awaited runs, which wait for the async hooks of their subscribers before they return."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

logger: Final = logging.getLogger("lmspan")

_SETTLE_S: Final = 5.0

awaited: ContextVar[bool] = ContextVar("lmspan-awaited", default=False)
"""Whether the outermost call here is awaited, so that it can wait for async hooks before it returns."""


async def settle(call: LiveCall) -> None:
    """Wait at the end of an awaited run for the hooks that still run; after five seconds, cancel them."""
    pending = call.pending
    call.pending = None
    if pending:
        waiting = [asyncio.wrap_future(each) if isinstance(each, Future) else each for each in pending]
        _, left = await asyncio.wait(waiting, timeout=_SETTLE_S)
        for each in left:
            each.cancel()
        if left:
            logger.warning("lmspan: %d async hooks did not end in %.0f s and are cancelled", len(left), _SETTLE_S)
