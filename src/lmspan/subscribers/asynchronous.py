"""Run async hooks: on the program's event loop where it awaits the call, or is inside such a call; else on our own.

    start, ended     a hook that the program awaits in place
    run              a hook of a step that is not awaited: beside the program, after the async hooks before it
    wait_for         the end of an outermost call: the hooks that run beside it

Every wait has a bound. When a hook has not ended by then, lmspan says so once for its subscription, and no longer waits
for the async hooks of that subscription: they run, but hold nothing back.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dis
import functools
import logging
import os
import threading
import time
from types import CodeType, CoroutineType
from typing import TYPE_CHECKING, Any, Final

from lmspan import guard
from lmspan.context.awaiting import around, running_loop
from lmspan.context.hearing import inside
from lmspan.locks import Lock
from lmspan.subscribers.outcome import note

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from lmspan.context.awaiting import Place
    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.registry import SubscribedHook

    Running = asyncio.Task[BaseException | None]

logger: Final = logging.getLogger("lmspan")

_MOST: Final = 4_096

_under_way: set[concurrent.futures.Future[None]] = set()
"""The hooks that wait or run on our loop."""

_left_alone: set[asyncio.Task[Any]] = set()
"""The hooks that nothing waits for any longer, on any loop: an event loop itself keeps no task alive."""


class Chain:
    """The async hooks of one run that run on our loop, one after the other."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.waiting: dict[concurrent.futures.Future[None], SubscribedHook] = {}


def has_run(result: Any) -> bool:
    """Run a coroutine whose function never awaits, and return True; a task would only delay it. Raises what it raises.

    Called where the program awaits, inside its event loop.
    """
    if type(result) is not CoroutineType or _awaits(result.cr_code):
        return False
    try:
        result.send(None)
    except StopIteration:
        return True
    raise RuntimeError("a coroutine without an await cannot wait")


@functools.lru_cache(maxsize=1_024)
def _awaits(code: CodeType) -> bool:
    return any(instruction.opname in ("GET_AWAITABLE", "GET_AITER") for instruction in dis.get_instructions(code))


def start(result: Awaitable[Any]) -> Running:
    """Start an async hook on the running loop. Called in the context of the hook."""
    return asyncio.get_running_loop().create_task(_isolated(result))


async def _isolated(result: Awaitable[Any]) -> BaseException | None:
    """Return the exception of a hook: a task that raises KeyboardInterrupt would end the event loop."""
    try:
        await result
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - the caller handles it
        return error
    return None


async def ended(bound: SubscribedHook, task: Running, call: LiveCall) -> BaseException | None:
    """Wait for a hook, no longer than its bound; return its exception."""
    subscription = bound.subscription
    if subscription.waited_for:
        try:
            await asyncio.wait((task,), timeout=subscription.timeout_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
    if task.done():
        return None if task.cancelled() else task.result()
    _give_up(bound)
    _leave_alone(bound, task, call)
    return None


def _give_up(bound: SubscribedHook) -> None:
    subscription = bound.subscription
    if subscription.waited_for:
        subscription.waited_for = False
        guard.guarded(logger.warning)(
            "lmspan: hook %s of %s has not ended in %g s; from now on no run waits for its async hooks "
            "(subscribe(..., timeout_s=) and LMSPAN_HOOK_TIMEOUT_S set the time)",
            bound.name,
            subscription.name,
            subscription.timeout_s,
        )


def _leave_alone(bound: SubscribedHook, task: Running, call: LiveCall) -> None:
    """Let a hook run on; if too many do, cancel and count it."""
    if len(_left_alone) >= _MOST:
        bound.subscription.dropped += 1
        task.cancel()
        return

    def done(task: Running) -> None:
        _left_alone.discard(task)
        error = None if task.cancelled() else task.result()
        if error is not None:
            note(bound, error, call, starting=False)

    _left_alone.add(task)
    task.add_done_callback(done)


def run(bound: SubscribedHook, call: LiveCall, result: Awaitable[Any], *, starting: bool) -> None:
    """Run an async hook of a step that is not awaited. Called in the context of the hook; may raise its exception."""
    place, loop = around(), running_loop()
    if loop is not None and _is_next(call, place) and has_run(result):
        return
    if loop is not None and place is not None and place.loop is loop:
        place.turn = place.turn or asyncio.Lock()
        task = loop.create_task(_in_turn(place.turn, bound, call, result, starting))
        task.add_done_callback(lambda task: _close(result) if task.cancelled() else None)  # before its start
        if bound.subscription.waited_for:
            place.wait_for(task)
        else:
            _left_alone.add(task)
            task.add_done_callback(_left_alone.discard)
    elif (own := _own_loop()) is None:
        asyncio.run(_in_turn(asyncio.Lock(), bound, call, result, starting))
    elif len(_under_way) >= _MOST:
        bound.subscription.dropped += 1
        _close(result)
    else:
        _submit(own, bound, call, result, starting)


def _is_next(call: LiveCall, place: Place | None) -> bool:
    """Tell whether no async hook of the run waits before this one. LLMProc's programs submit theirs in any case."""
    if place is not None:
        return place.holds and not place.tasks
    return call.root.chain is None or not call.root.chain.waiting


def _close(result: Any) -> None:
    close = getattr(result, "close", None)
    guard.guarded(close)() if close is not None else None


def _submit(
    loop: asyncio.AbstractEventLoop, bound: SubscribedHook, call: LiveCall, result: Awaitable[Any], starting: bool
) -> None:
    chain: Chain = call.root.chain or vars(call.root).setdefault("chain", Chain())  # one, whichever thread is first
    future = asyncio.run_coroutine_threadsafe(_in_turn(chain.turn, bound, call, result, starting), loop)
    _under_way.add(future)
    future.add_done_callback(_under_way.discard)
    if bound.subscription.waited_for:
        chain.waiting[future] = bound
        future.add_done_callback(lambda done: chain.waiting.pop(done, None))


async def _in_turn(
    turn: asyncio.Lock, bound: SubscribedHook, call: LiveCall, result: Awaitable[Any], starting: bool
) -> None:
    if not bound.subscription.waited_for:
        error = await ended(bound, start(result), call)
    else:
        async with turn:
            error = await ended(bound, start(result), call)
    if error is not None:
        note(bound, error, call, starting=starting)


def wait_for(call: LiveCall, place: Place | None) -> None:
    """Have an outermost call wait for the hooks that run beside it. A hook does not wait for those of its own calls."""
    chain: Chain | None = call.chain
    if chain is None or not chain.waiting or inside.get() or threading.current_thread() is _thread:
        return
    waiting = dict(chain.waiting)
    bound_s = sum({each.subscription.number: each.subscription.timeout_s for each in waiting.values()}.values())
    if place is not None:
        place.then(lambda: _awaited(waiting, bound_s))
        return
    left = concurrent.futures.wait(waiting, timeout=bound_s).not_done
    for future in left:  # a hook blocks the thread of our loop
        _give_up(waiting[future])


async def _awaited(waiting: dict[concurrent.futures.Future[None], SubscribedHook], bound_s: float) -> None:
    await asyncio.wait([asyncio.wrap_future(each) for each in waiting], timeout=bound_s)


_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_loop_lock = Lock()


def _own_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of lmspan's own thread, or None if no thread can start, as during interpreter shutdown."""
    global _loop, _thread
    with _loop_lock:
        if _loop is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="lmspan-callbacks", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                loop.close()
                return None
            _loop, _thread = loop, thread
        return _loop


def _after_fork() -> None:
    """Forget the loop and its hooks: its thread does not exist in the child, and the parent runs the hooks."""
    global _loop, _thread  # noqa: PLW0603 - one for the process
    _loop = _thread = None
    _under_way.clear()
    _left_alone.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def drain(deadline: float, *, cancel: bool = False) -> int:
    """Wait for the hooks on our loop until a deadline; return how many are left, and cancel these if wanted.

    A hook on our loop waits for none, because no other hook runs there until it returns.
    """
    if threading.current_thread() is _thread:
        return 0
    done = concurrent.futures.wait(tuple(_under_way), timeout=max(deadline - time.monotonic(), 0))
    for future in done.not_done if cancel else ():
        future.cancel()
    return len(done.not_done)
