"""The current call, and the OpenTelemetry context that it is in.

The innermost call is in the context under `CURRENT`, its span under OpenTelemetry's own key. An instrumentation that
records through lmspan makes only its span current, which knows the call. A parent is the call that
a source names, else the innermost call of the context, else there is none; a thread-local stack is never used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from lmspan import semconv as sc
from lmspan.context.attributes import ATTRIBUTES
from lmspan.lifecycle import CURRENT, LISTENING, Life, LiveCall, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, otel_context.Context())))
"""The key under which a context holds its span: the API's functions copy the context each time."""

BAGGAGE: Final = next(iter(baggage.set_baggage("", "", otel_context.Context())))
"""The key under which a context holds its baggage: a look is cheaper than the API's question."""


get_current: Final[Callable[[], Context]] = getattr(otel_context, "_RUNTIME_CONTEXT", otel_context).get_current
"""Returns the current context, without the frame of the API's function where the API has what that calls."""

_ENDED: Final = Life.ENDED


class CallSpan(Span):
    """The span that another instrumentation makes current, and that a source records as a call."""

    call: LiveCall


_SESSION_NAMES: Final = (sc.SESSION_ID, sc.USER_ID, sc.CONVERSATION_ID)

_CARRIED: Final = frozenset((CURRENT, LISTENING, SPAN, BAGGAGE, ATTRIBUTES))


def is_carried(context: Context) -> bool:
    """Tell whether a context holds what a function needs that runs elsewhere: a span, a session, a subscription."""
    return not _CARRIED.isdisjoint(context)


def session_facts(context: Context) -> dict[str, Any]:
    """Return the session, user, conversation and tags of a context: those of its baggage, and of `attributes()`."""
    entries = baggage.get_all(context)
    facts: dict[str, Any] = {name: value for name in _SESSION_NAMES if type(value := entries.get(name)) is str}
    attributes: Any = context.get(ATTRIBUTES)
    return {**facts, **attributes} if attributes else facts


def innermost_call(context: Context) -> LiveCall | None:
    """Return the innermost call of a context: that of its span, where the span stands for a call."""
    call: Any = context.get(CURRENT)
    span: Any = context.get(SPAN)
    if call is not None and call.span is span:
        return call  # type: ignore[no-any-return] # a context holds values of any type
    return span.call if isinstance(span, CallSpan) else call


def current_call() -> LiveCall | None:
    """Return the innermost call of the current context that is still open, if any."""
    context = get_current()
    call: Any = context.get(CURRENT)
    if call is None or call.span is not context.get(SPAN):
        call = innermost_call(context)
    while call is not None and call.life >= _ENDED:
        call = call.parent
    return call  # type: ignore[no-any-return] # a context holds values of any type


def with_entries(context: Context, entries: Mapping[str, Any]) -> Context:
    """Return a context with more entries, in one copy; the API's own functions copy twice for each."""
    return otel_context.Context({**context, **entries})


def surroundings(current: Context, named: LiveCall | None, process_context: Context) -> tuple[LiveCall | None, Context]:
    """Return the parent of a call that starts in the current context, and the context that its span starts in.

    `named` is the parent that the source names, if it names one; `process_context` is the one that this process was
    started in.
    """
    innermost = innermost_call(current)
    if named is not None:
        return named, current if named is innermost else named.context
    if innermost is None:
        return None, current if not process_context or SPAN in current else with_entries(process_context, current)
    parent = innermost
    while parent.ended and parent.operation is Operation.TURN and parent.parent is not None:
        parent = parent.parent  # a turn that has ended has no more children; its agent has
    is_foreign = current.get(SPAN) is not innermost.span  # the program or another instrumentation has a span in between
    return parent, current if parent is innermost or is_foreign else parent.context


def restore(call: LiveCall) -> None:
    """Make current what was so before the call, if the call is still current; else leave the context alone.

    The value is set, not reset by its token: a generator may be closed, and a stream dropped, in another task or
    thread than the one that started it, where OpenTelemetry refuses a token with an error on the log.
    """
    current = get_current()
    if current.get(CURRENT) is not call or current.get(SPAN) is not call.span:
        return
    previous = call.previous
    while isinstance(holder := previous.get(CURRENT), LiveCall) and holder.ended and holder.context is previous:
        previous = holder.previous
    otel_context.attach(previous if current is call.context else _without(call, current, previous))


def _without(call: LiveCall, current: Context, previous: Context) -> Context:
    """Return the context before a call, with what the program has attached since and left there, such as baggage."""
    theirs = {name: value for name, value in current.items() if call.context.get(name) is not value}
    return otel_context.Context({**previous, **theirs})
