"""Call hooks: isolate each from the program and the others, count failures, keep a hook from hearing its own calls.

The async hooks of a subscription run one after the other: on the program's event loop if a run is awaited there, else
on a loop of lmspan's own, on a thread that starts at the first use.
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
from lmspan.locks import Lock
from lmspan.subscribers import queued
from lmspan.subscribers.hooks import Moment
from lmspan.subscribers.patience import SLOW_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.subscriptions import SubscribedHook, Subscription

logger: Final = logging.getLogger("lmspan")

_inside: ContextVar[frozenset[int]] = ContextVar("lmspan-inside", default=frozenset())
"""The numbers of the subscriptions whose hooks run in this context, and which therefore do not hear its calls."""

_STOP: Final = "stop"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def deliver(
    hooks: Sequence[SubscribedHook],
    call: LiveCall,
    event: str = "",
    attributes: Mapping[str, Any] = _NOTHING,
    *,
    starting: bool = False,
) -> None:
    """Call hooks in order. The first exception of a subscription is logged, and all are counted.

    Three exceptions are not: `StopRun` marks the run as stopped, `KeyboardInterrupt` and `SystemExit` pass into the
    program. `call.raises` keeps one that a start hook raises; the recorder raises it once the call is registered and
    can be ended.
    """
    moment = Moment(call, event, attributes)
    inside = _inside.get()
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
                subscription.queue.put(bound, moment, _run_queued)
                continue
            result = run(moment)
            if result is not None and hasattr(type(result), "__await__"):
                _schedule(bound, call, result)
        except BaseException as error:
            if _passes(bound, error, call, starting=starting):
                raise
        finally:
            _inside.reset(token)
        if (seconds := perf_counter() - started) > SLOW_S:
            subscription.patience.wear(seconds)


def _passes(bound: SubscribedHook, error: BaseException, call: LiveCall, *, starting: bool) -> bool:
    """Return whether to raise a hook's exception into the program now; else handle it."""
    if isinstance(error, StopRun):
        call.root.stop = error
        call.raises = error if starting else None
        return False
    if not guard.ends_the_program(error):
        _failed(bound, error, call if starting else None)
        return False
    if starting:
        call.raises = error
    return not starting


def _run_queued(bound: SubscribedHook, moment: Moment, inside: frozenset[int]) -> None:
    """Run a hook on the thread of its queue."""
    token = _inside.set(inside)
    try:
        result = bound.call(moment)
        if bound.subscription.queue is not None and result is not None and hasattr(type(result), "__await__"):
            bound.subscription.queue.wait_for(_waited(result))
    except BaseException as error:  # noqa: BLE001 - this thread is ours, and the program has gone on
        _failed(bound, error, None)
    finally:
        _inside.reset(token)


async def _waited(result: Awaitable[Any]) -> None:
    await result


def _failed(bound: SubscribedHook, error: BaseException, starting: LiveCall | None) -> None:
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
"""The last async hook of each subscription on each loop; the next hook waits for it."""

_MOST: Final = 4_096

_under_way: set[concurrent.futures.Future[Any]] = set()


def _schedule(bound: SubscribedHook, call: LiveCall, result: Awaitable[Any]) -> None:
    """Run an async hook on the program's loop if the run is awaited there and can wait for it, else on our own."""
    loop = _running_loop() if awaited.get() else None
    future: Any
    if loop is not None:
        future = loop.create_task(_in_order(bound, result))
    elif (own := _own_loop()) is None:
        asyncio.run(_in_order(bound, result))
        return
    elif len(_under_way) >= _MOST:
        bound.subscription.dropped += 1
        close = getattr(result, "close", None)
        guard.guarded(close)() if close is not None else None
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


async def _in_order(bound: SubscribedHook, result: Awaitable[Any]) -> None:
    subscription: Subscription = bound.subscription
    key = subscription.number, id(asyncio.get_running_loop())
    mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    before, _last[key] = _last.get(key), mine
    try:
        if before is not None:
            await before
        await result
    except Exception as error:  # noqa: BLE001 - handled like the exception of a sync hook
        _failed(bound, error, None)
    finally:
        if not mine.done():
            mine.set_result(None)
        if _last.get(key) is mine:
            del _last[key]


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = Lock()


def _own_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of lmspan's own thread, or None if no thread can start, as during interpreter shutdown."""
    global _loop  # noqa: PLW0603 - one for the process
    with _loop_lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            try:
                threading.Thread(target=loop.run_forever, name="lmspan-callbacks", daemon=True).start()
            except RuntimeError:
                loop.close()
                return None
            _loop = loop
        return _loop


def _after_fork() -> None:
    """Forget the loop and its hooks: its thread does not exist in the child, and the parent runs the hooks."""
    global _loop  # noqa: PLW0603 - one for the process
    _loop = None
    _under_way.clear()
    _last.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def drain(timeout_s: float, *, cancel: bool = False) -> bool:
    """Wait for queued hooks and for async hooks on lmspan's loop; warn and return False if some are left in the end."""
    deadline = time.monotonic() + timeout_s
    left = queued.drain(deadline)
    done = concurrent.futures.wait(tuple(_under_way), timeout=max(deadline - time.monotonic(), 0))
    left += len(done.not_done)
    if left:
        logger.warning("lmspan: %d hooks did not end in %.1f s", left, timeout_s)
    for future in done.not_done if cancel else ():
        future.cancel()
    return not left
