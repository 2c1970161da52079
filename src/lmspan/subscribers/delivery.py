"""Call hooks: isolate each from the program and the others, count failures, keep a hook from hearing its own calls.

Sync hooks run inline. Where the program awaits the call, an async hook is awaited in place, and the hooks after it run
after it. Elsewhere `asynchronous` runs async hooks beside the program.
"""

from __future__ import annotations

import functools
import logging
import time
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from lmspan.context.hearing import inside
from lmspan.subscribers import asynchronous, queued
from lmspan.subscribers.hooks import DONE, Moment
from lmspan.subscribers.outcome import passes, report
from lmspan.subscribers.patience import SLOW_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from lmspan.context.awaiting import Place
    from lmspan.subscribers.registry import SubscribedHook

logger: Final = logging.getLogger("lmspan")


def deliver(  # noqa: C901 - the hot path is one function
    hooks: Iterable[SubscribedHook],
    moment: Moment,
    starting: bool = False,
    place: Place | None = None,
    again: bool = False,
) -> None:
    """Call hooks in order. The first exception of a subscription is logged, and all are counted.

    Three exceptions are not: `StopRun` marks the run as stopped, `KeyboardInterrupt` and `SystemExit` pass into the
    program. `call.raises` keeps one that a start hook raises; the recorder raises it once the call is registered and
    can be ended. `place` is the one of the call, where the program can await hooks: those behind an async hook are
    called when it has ended, and all of them when the hooks of earlier steps have, unless this is `again`.
    """
    within = inside.get()
    if place is not None and not again and not within and place.is_busy():
        later = moment.for_later()
        place.then(place.wait_for_earlier, functools.partial(_resume, hooks, later, starting, place))
        return
    call = moment.call
    rest = iter(hooks)
    before = perf_counter()
    for bound in rest:
        subscription, _, run, when = bound
        if not subscription.active or subscription.number in within:
            continue
        token = inside.set(within | subscription.alone if within else subscription.alone)
        try:
            if (subscription.gate is not None and not subscription.gate()) or (when is not None and not when(call)):
                continue
            if subscription.queue is not None:
                subscription.queue.put(bound, moment, _run_queued)
                continue
            result = run(moment)
            if result is not None and result is not DONE and hasattr(type(result), "__await__"):
                if place is None or not subscription.waited_for:
                    asynchronous.run(bound, moment.live, result, starting=starting)
                elif not asynchronous.has_run(result):
                    _await(bound, result, tuple(rest), moment, starting, place)
        except BaseException as error:
            if passes(bound, error, moment.live, starting=starting):
                raise
        finally:
            inside.reset(token)
        if (now := perf_counter()) - before > SLOW_S:
            subscription.patience.wear(now - before)
        before = now


def _await(
    bound: SubscribedHook,
    result: Awaitable[Any],
    rest: tuple[SubscribedHook, ...],
    moment: Moment,
    starting: bool,
    place: Place,
) -> None:
    """Start an async hook, and have the place await it and the hooks behind it."""
    task = asynchronous.start(result)
    later = moment if starting else moment.for_later()

    async def wait() -> None:
        started = perf_counter()
        error = await asynchronous.ended(bound, task, moment.live)
        if (seconds := perf_counter() - started) > SLOW_S:
            bound.subscription.patience.wear(seconds)
        if error is not None and passes(bound, error, moment.live, starting=starting):
            raise error
        deliver(rest, later, starting, place, again=True)

    place.then(wait)


async def _resume(hooks: Iterable[SubscribedHook], moment: Moment, starting: bool, place: Place) -> None:
    deliver(hooks, moment, starting, place, again=True)


def _run_queued(bound: SubscribedHook, moment: Moment, within: frozenset[int]) -> None:
    """Run a hook on the thread of its queue."""
    token = inside.set(within)
    try:
        result = bound.call(moment)
        if bound.subscription.queue is not None and result is not None and hasattr(type(result), "__await__"):
            bound.subscription.queue.wait_for(_waited(result))
    except BaseException as error:  # noqa: BLE001 - this thread is ours, and the program has gone on
        report(bound, error)
    finally:
        inside.reset(token)


async def _waited(result: Awaitable[Any]) -> None:
    await result


def drain(timeout_s: float, *, cancel: bool = False) -> bool:
    """Wait for queued hooks and for async hooks on lmspan's loop; warn and return False if some are left in the end."""
    deadline = time.monotonic() + timeout_s
    left = queued.drain(deadline)
    left += asynchronous.drain(deadline, cancel=cancel)
    if left:
        logger.warning("lmspan: %d hooks did not end in %.1f s", left, timeout_s)
    return not left
