"""Calls in the OpenTelemetry context: which is current, and that what a thread pool runs for a call is under it.

asyncio, `asyncio.to_thread`, anyio (and with it DSPy's `asyncify`) carry context by themselves; only
`concurrent.futures.ThreadPoolExecutor` does not. Its `submit` is wrapped while anything is instrumented, and does
something only when a call of ours is current: other programs' pools are left as they are.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from lmspan import layers, processes
from lmspan.lifecycle import CURRENT, LISTENING, Call, Operation
from lmspan.patching import Patches
from lmspan.processes import Carried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context


_SETTLE_S: Final = 5.0

SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, otel_context.Context())))
"""The key under which a context holds its span: the API has functions for it, each of which copies the context."""


def current_call() -> Call | None:
    """Return the innermost call of the current context that is still open, if any."""
    call: Any = otel_context.get_current().get(CURRENT)
    while call is not None and call.ended:
        call = call.parent
    return call  # type: ignore[no-any-return]


def with_entries(context: Context, entries: Mapping[str, Any]) -> Context:
    """Return a context with more entries, in one copy; the API's own functions copy twice for each."""
    return otel_context.Context({**context, **entries})


def surroundings(found: Context, named: Call | None, outer: Context) -> tuple[Call | None, Context]:
    """Return the parent of a call that starts in a context, and the context that its span is to start in.

    `named` is the parent that was asked for, if one was; `outer` what this process was started in.
    """
    innermost: Any = found.get(CURRENT)
    if named is not None:
        return named, found if named is innermost else named.context
    if innermost is None:
        return None, found if not outer or SPAN in found else with_entries(outer, found)
    parent = innermost
    while parent.ended and parent.operation is Operation.TURN and parent.parent is not None:
        parent = parent.parent  # a turn that has ended has no more children: its agent has
    foreign = found.get(SPAN) is not innermost.span
    return parent, found if parent is innermost or foreign else parent.context


def restore(call: Call) -> None:
    """Make current what was so before the call, if the call still is; else leave the context alone.

    The value is set, not reset by its token: a generator may be closed, and a stream dropped, in another task or
    thread than the one that started it, where a token would be refused with an error on the log.
    """
    found = otel_context.get_current()
    if found.get(CURRENT) is not call or found.get(SPAN) is not call.span:
        return
    previous = call.previous
    while isinstance(holder := previous.get(CURRENT), Call) and holder.ended and holder.context is previous:
        previous = holder.previous
    otel_context.attach(previous if found is call.context else _without(call, found, previous))


def _without(call: Call, found: Context, previous: Context) -> Context:
    """Return the context of a program that attached something more, such as baggage, and left it: that stays."""
    theirs = {name: value for name, value in found.items() if call.context.get(name) is not value}
    return otel_context.Context({**previous, **theirs})


awaited: ContextVar[bool] = ContextVar("lmspan-awaited", default=False)
"""Whether what runs here is, at its outermost, awaited: then it can wait for async hooks before it returns."""


async def settle(call: Call) -> None:
    """Wait for what subscribers have under way, when an awaited run ends: not longer than a few seconds."""
    pending, call.pending = call.pending, None
    if pending:
        waiting = [asyncio.wrap_future(each) if isinstance(each, Future) else each for each in pending]
        await asyncio.wait(waiting, timeout=_SETTLE_S)


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    if not args or (CURRENT not in context and LISTENING not in context):
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(Carried(function, context), *rest, **kwargs)


_patches = Patches()
_users = 0


def install() -> None:
    """Start carrying context into pools and processes; calls nest."""
    global _users  # noqa: PLW0603 - a count of who needs it
    _users += 1
    if _users == 1:
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)
        processes.patch(_patches)
        layers.patch(_patches)


def uninstall() -> None:
    """Undo one `install()`; the last one restores `submit`."""
    global _users  # noqa: PLW0603
    _users = max(_users - 1, 0)
    if _users == 0:
        _patches.restore()
