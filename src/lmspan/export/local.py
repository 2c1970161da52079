"""Join a span with its local content, which the file and the terminal show and which never leaves this machine.

A span goes to every processor of its provider, including processors added later. Therefore the recorder does not set
local content on the span but keeps it on the call. A local processor remembers the call of each open span and joins
both when the span has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from lmspan.export.spans import DeferringSpan, SlimSpan
from lmspan.lifecycle import STARTING, with_texts

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

    from lmspan.lifecycle import LiveCall, LocalContent


class OpenCalls:
    """The calls of open spans, by span id. A processor adds them at the start and takes them at the end."""

    def __init__(self) -> None:
        self._calls: dict[int, LiveCall] = {}

    def note(self, span: Span, parent_context: Context | None) -> None:
        """Remember the call of a span, if lmspan recorded the span.

        The call takes the span now: an interrupt before the recorder has it would leave the span open for ever.
        """
        call: Any = parent_context.get(STARTING) if parent_context is not None else None
        if call is not None and span.context is not None:
            call.identify(span)
            self._calls[span.context.span_id] = call

    def open(self) -> dict[int, LiveCall]:
        """Return a copy; called on a thread of the exporter."""
        return self._calls.copy()

    def take(self, span_id: int) -> LiveCall | None:
        """Return and forget the call of an ended span; None for a span of another instrumentation."""
        return self._calls.pop(span_id, None)


class _Copy(ReadableSpan):
    """A copy of a span with other attributes and events; what the SDK's limits have dropped is counted as before."""

    original: ReadableSpan

    @property
    def dropped_attributes(self) -> int:
        return self.original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self.original.dropped_events

    @property
    def dropped_links(self) -> int:
        return self.original.dropped_links


def encode(span: ReadableSpan, content: LocalContent | None) -> None:
    """Encode the content of a span now: on its attributes, or beside it."""
    if isinstance(span, (DeferringSpan, SlimSpan)):
        with_texts(span.deferred)
    if content is not None:
        with_texts(content.attributes)


def with_content(span: ReadableSpan, content: LocalContent | None) -> ReadableSpan:
    """Return a copy of a span with its local content."""
    if content is None:
        return span
    status = span.status
    attributes: Any = span.attributes  # the SDK's mapping is slow to walk; its copy is a dict
    copy = _Copy(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={**with_texts(content.attributes), **attributes.copy()},
        events=[_event(event, content) for event in span.events],
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(status.status_code, content.status) if content.status else status,
        start_time=span.start_time,
        end_time=span.end_time,
    )
    copy.original = span
    return copy


def _event(event: Event, content: LocalContent) -> Event:
    for name, timestamp, attributes in content.events:
        if event.name == name and event.timestamp == timestamp:
            return Event(name, {**(event.attributes or {}), **attributes}, timestamp)
    return event
