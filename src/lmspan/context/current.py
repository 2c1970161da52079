"""The current call, and the OpenTelemetry context that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from lmspan import semconv as sc
from lmspan.lifecycle import CURRENT, Call, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context


_NAMED: Final = (sc.SESSION_ID, sc.USER_ID)

BAGGAGE: Final = next(iter(baggage.set_baggage("", "", otel_context.Context())))
"""The key under which a context holds its baggage: a look is cheaper than the API's question."""


def who(context: Context) -> dict[str, str]:
    """Return the session and the user that the program has named in its baggage."""
    said = baggage.get_all(context)
    return {name: value for name in _NAMED if type(value := said.get(name)) is str}


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
