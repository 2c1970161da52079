"""The span processor that runs hooks.

on_start   runs the start hooks of the call in the context, on the program's thread, and leaves a watcher on the call
Watch      runs the hooks of events and of the end; the recorder, or a replay, reports both to it
on_end     ends the calls of other instrumentations' spans, which are built from the attributes of the span
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor

from lmspan import semconv as sc
from lmspan.context.awaiting import here
from lmspan.guard import guarded
from lmspan.lifecycle import LISTENING, STARTING, Event, LiveCall, Operation
from lmspan.semconv.spans import OPERATIONS
from lmspan.subscribers import asynchronous, delivery, registry, usage
from lmspan.subscribers.hooks import ANY_EVENT, Moment
from lmspan.subscribers.result import RunResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from lmspan.context.awaiting import Place
    from lmspan.subscribers.registry import Table

_FOREIGN = "otel"
_KNOWN = frozenset(Event) | {sc.EVENT_EXCEPTION, "error"}  # a hook names them, so that none hears them as unknown


class CallbackProcessor(SpanProcessor):
    """Run the hooks of all subscriptions for the spans of one provider. Without a subscription it costs one look-up."""

    def __init__(self) -> None:
        self._foreign: dict[int, LiveCall] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Run the start hooks of a call. Called on the program's thread, before the span is current."""
        if not registry.anybody():
            return
        scopes: Any = parent_context.get(LISTENING, ()) if parent_context is not None else ()
        call: Any = parent_context.get(STARTING) if parent_context is not None else None
        if call is None:
            call = self._foreign_call(span)
        if call is not None:
            call.identify(span)
            start(call, registry.table(scopes))

    def on_end(self, span: ReadableSpan) -> None:
        """End the call of another instrumentation's span."""
        call = self._foreign.pop(span.context.span_id, None) if self._foreign and span.context else None
        if call is not None:
            _end_foreign(call, span)

    @guarded
    def _foreign_call(self, span: Span) -> LiveCall | None:
        """Return a call for another instrumentation's span, if the span names an operation of the GenAI conventions."""
        attributes = dict(span.attributes or {})
        operation = OPERATIONS.get(str(attributes.get(sc.OPERATION_NAME)))
        if operation is None or span.context is None:
            return None
        name = span.name.partition(" ")[2] or span.name
        call = LiveCall(operation, name, _FOREIGN)
        call.facts = attributes
        call.parent_id = f"{span.parent.span_id:016x}" if span.parent is not None else ""
        self._foreign[span.context.span_id] = call
        return call

    def shutdown(self) -> None:
        """Wait for queued and async hooks, for two seconds; cancel the async hooks that are left."""
        delivery.drain(2.0, cancel=True)

    def shutdown_within(self, timeout_s: float) -> None:
        """Do the same in a third of the time: the rest is for the exporters after the hooks."""
        delivery.drain(timeout_s / 3, cancel=True)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for queued and async hooks, for a third of the time: the rest is for the exporters after them."""
        return delivery.drain(timeout_millis / 3_000)


def start(call: LiveCall, table: Table) -> None:
    """Run the start hooks of a call; leave a watcher on it if a hook or the run's result needs its events or end."""
    operation = call.operation
    place = here.get()
    if place is not None and (place.call is not None or not call.owned or not place.take(call)):
        place = None  # of another call: around this one, or about to start
    if call.parent is not None:
        call.result = call.parent.result
    elif table.wants_result:
        call.result = RunResult(call.call_id, call.start_time_unix_nano)
    if call.result is None and call.parent is not None and not table.hears(operation):
        return  # the outermost call has a watcher in any case: its end waits for the async hooks of the others
    call.watchers = (*call.watchers, Watch(table, place))
    if hooks := table.starts.get(operation):
        delivery.deliver(hooks, Moment(call), True, place)


@guarded
def _end_foreign(call: LiveCall, span: ReadableSpan) -> None:
    call.facts = dict(span.attributes or {})
    for event in span.events:
        for watcher in call.watchers:
            watcher.event(call, event.name, dict(event.attributes or {}))
    for watcher in call.watchers:
        watcher.end(call)


class Watch:
    """Runs the hooks of one call that were subscribed at its start."""

    __slots__ = ("_place", "_table")

    def __init__(self, table: Table, place: Place | None = None) -> None:
        self._table = table
        self._place = place

    def event(self, call: LiveCall, event: str, attributes: Mapping[str, Any]) -> None:
        """Run the hooks of an event."""
        hooks = self._table.events.get(event, ())
        if event not in _KNOWN:
            hooks = (*hooks, *self._table.events.get(ANY_EVENT, ()))
        if hooks:
            delivery.deliver(hooks, Moment(call, event, attributes))

    def end(self, call: LiveCall) -> None:
        """Add the call to the run's result, then run its end hooks."""
        if call.result is not None:
            call.result.add(call)
        if self._table.wants_usage and call.operation is Operation.LM:
            usage.add(call)
        if hooks := self._table.ends.get(call.operation):
            delivery.deliver(hooks, Moment(call), False, self._place)
        if call.chain is not None and call.source != _FOREIGN:
            asynchronous.wait_for(call, self._place)
