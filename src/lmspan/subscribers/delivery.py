"""Hooks, called: each isolated from the program and from the others, counted, and stopped from hearing itself.

Async hooks run one after the other for each subscription: on the program's loop while a run is awaited there, else on
a loop of our own, on a thread that is started when it is first needed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
from contextvars import ContextVar
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from lmspan import guard
from lmspan.content.payload import qualified_name
from lmspan.context.awaiting import awaited
from lmspan.errors import StopRun
from lmspan.subscribers import queued
from lmspan.subscribers.hooks import Heard
from lmspan.subscribers.patience import SLOW_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from lmspan.lifecycle import Call
    from lmspan.subscribers.subscriptions import Bound, Subscription

logger = logging.getLogger("lmspan")

_inside: ContextVar[frozenset[int]] = ContextVar("lmspan-inside", default=frozenset())
"""The subscriptions whose hooks are running here: they do not hear what those hooks do."""

_STOP: Final = "stop"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def deliver(
    hooks: Sequence[Bound],
    call: Call,
    event: str = "",
    attributes: Mapping[str, Any] = _NOTHING,
    *,
    starting: bool = False,
) -> None:
    """Call hooks in order. An `Exception` of their own is logged the first time and counted; it goes no further.

    So does any other `BaseException` but `StopRun`, `KeyboardInterrupt` and `SystemExit`. What a start hook raises into
    the program is noted on the call: the recorder raises it when the call is known and can be ended.
    """
    heard, inside = Heard(call, event, attributes), _inside.get()
    for bound in hooks:
        subscription, _, run, when = bound
        if not subscription.active or subscription.number in inside:
            continue
        token = _inside.set(inside | subscription.alone if inside else subscription.alone)
        started = perf_counter()
        try:
            if (subscription.gate is not None and not subscription.gate()) or (when is not None and not when(call)):
                continue
            if subscription.queue is not None:
                subscription.queue.put(bound, heard, _run_queued)
                continue
            result = run(heard)
            if result is not None and hasattr(type(result), "__await__"):
                _schedule(bound, call, result)
        except BaseException as error:
            if _passes(bound, error, call, starting=starting):
                raise
        finally:
            _inside.reset(token)
        if (seconds := perf_counter() - started) > SLOW_S:
            subscription.patience.wear(seconds)


def _passes(bound: Bound, error: BaseException, call: Call, *, starting: bool) -> bool:
    """Tell whether what a hook raised goes on into the program at once; else see to it."""
    if isinstance(error, StopRun):
        call.root.stop, call.raises = error, error if starting else None
        return False
    if not guard.ends_the_program(error):
        _failed(bound, error, call if starting else None)
        return False
    if starting:
        call.raises = error
    return not starting


async def _run_queued(bound: Bound, heard: Heard, inside: frozenset[int]) -> None:
    """Run a hook on the thread of its queue."""
    _inside.set(inside)
    try:
        result = bound.call(heard)
        if result is not None and hasattr(type(result), "__await__"):
            await result
    except BaseException as error:  # noqa: BLE001 - it is on a thread of ours, and the program has gone on
        _failed(bound, error, None)


def _failed(bound: Bound, error: BaseException, starting: Call | None) -> None:
    subscription = bound.subscription
    subscription.failures += 1
    if starting is not None and subscription.on_error == _STOP:
        stop = StopRun(f"{subscription.name}.{bound.name} raised {qualified_name(type(error))}")
        stop.__cause__ = error
        starting.root.stop = starting.raises = stop
        return
    guard.failures["lmspan.callbacks"] += 1
    if subscription.failures == 1:
        guard.guarded(logger.warning)(
            "lmspan: hook %s of %s failed; the program is not affected, further failures are only counted",
            bound.name,
            subscription.name,
            exc_info=error,
        )


# Async hooks -------------------------------------------------------------------------------------------------------

_last: dict[tuple[int, int], asyncio.Future[Any]] = {}
"""The last async hook of each subscription on each loop: the next one waits for it."""

_under_way: set[concurrent.futures.Future[Any]] = set()


def _schedule(bound: Bound, call: Call, result: Awaitable[Any]) -> None:
    """Have an async hook run on the program's loop, if the run is awaited there and can wait for it; else on ours."""
    loop = _running_loop() if awaited.get() else None
    future: Any
    if loop is not None:
        future = loop.create_task(_in_order(bound, result))
    elif (own := _own_loop()) is None:
        asyncio.run(_in_order(bound, result))
        return
    else:
        future = asyncio.run_coroutine_threadsafe(_in_order(bound, result), own)
        _under_way.add(future)
        future.add_done_callback(_under_way.discard)
    if awaited.get():
        pending = call.root.pending = call.root.pending or []
        pending.append(future)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def _in_order(bound: Bound, result: Awaitable[Any]) -> None:
    subscription: Subscription = bound.subscription
    key = subscription.number, id(asyncio.get_running_loop())
    mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    before, _last[key] = _last.get(key), mine
    try:
        if before is not None:
            await before
        await result
    except Exception as error:  # noqa: BLE001 - as of a sync hook
        _failed(bound, error, None)
    finally:
        if not mine.done():
            mine.set_result(None)
        if _last.get(key) is mine:
            del _last[key]


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.RLock()  # a signal handler may run a hook inside


def _own_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of our own thread; None where no thread can be started, as while the interpreter shuts down."""
    global _loop  # noqa: PLW0603 - one for the process
    with _loop_lock:
        if _loop is None:
            made = asyncio.new_event_loop()
            try:
                threading.Thread(target=made.run_forever, name="lmspan-callbacks", daemon=True).start()
            except RuntimeError:
                made.close()
                return None
            _loop = made
        return _loop


def _after_fork() -> None:
    """Forget a loop whose thread did not come along, and what ran on it: that is the parent's."""
    global _loop, _loop_lock
    _loop, _loop_lock = None, threading.RLock()
    _under_way.clear()
    _last.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def drain(timeout_s: float, *, cancel: bool = False) -> bool:
    """Wait for queued hooks and for async ones on our own loop; False, and a warning, when the time is over before."""
    deadline = time.monotonic() + timeout_s
    left = queued.drain(deadline)
    done = concurrent.futures.wait(tuple(_under_way), timeout=max(deadline - time.monotonic(), 0))
    left += len(done.not_done)
    if left:
        logger.warning("lmspan: %d hooks did not end in %.1f s", left, timeout_s)
    for future in done.not_done if cancel else ():
        future.cancel()
    return not left
