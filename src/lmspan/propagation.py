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

from lmspan.lifecycle import CURRENT, LISTENING, Call, Operation
from lmspan.patching import Patches

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


def past_turns(call: Call) -> Call:
    """Return who has the children of a call that has ended: itself, but of a turn its agent."""
    while call.ended and call.operation is Operation.TURN and call.parent is not None:
        call = call.parent
    return call


def with_entries(context: Context, entries: Mapping[str, Any]) -> Context:
    """Return a context with more entries, in one copy; the API's own functions copy twice for each."""
    return otel_context.Context({**context, **entries})


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


class Carried:
    """A function that runs in the OpenTelemetry context in which it was submitted."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self.function = function
        self.context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        before = otel_context.get_current()
        otel_context.attach(self.context)
        try:
            return self.function(*args, **kwargs)
        finally:
            otel_context.attach(before)  # by value: a token could not be reset if the function changed threads


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    if not args or (CURRENT not in context and LISTENING not in context):
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(Carried(function, context), *rest, **kwargs)


_patches = Patches()
_users = 0


def install() -> None:
    """Start carrying context into thread pools; calls nest."""
    global _users  # noqa: PLW0603 - a count of who needs it
    _users += 1
    if _users == 1:
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)


def uninstall() -> None:
    """Undo one `install()`; the last one restores `submit`."""
    global _users  # noqa: PLW0603
    _users = max(_users - 1, 0)
    if _users == 0:
        _patches.restore()
