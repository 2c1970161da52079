"""Decode OTLP export requests into the SDK's readable spans: the reverse of an exporter.

`lmspan ui` receives such requests from other programs, and `lmspan send` reads them from trace files. The number of
spans, attributes, events, links and levels is bounded. A part that exceeds a bound is left out and counted, as
OpenTelemetry's SDKs do with their limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

MOST_SPANS: Final = 20_000
MOST_ATTRIBUTES: Final = 2_000
MOST_EVENTS: Final = 1_000
MOST_LINKS: Final = 1_000
MOST_VALUES: Final = 20_000
"""Values in one attribute, those inside lists and maps included."""
DEEPEST: Final = 32

_PARENT_IS_REMOTE: Final = 0x200
_FLAGS: Final = 0xFF
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8


class Decoded(NamedTuple):
    """The spans of a request, the number of spans that are refused, and the reason for the first of them."""

    spans: list[ReadableSpan]
    refused: int
    reason: str


class DecodedSpan(ReadableSpan):
    """A span of a request, with the counts of what its program or a bound has left out."""

    def __init__(self, dropped: tuple[int, int, int], **facts: Any) -> None:
        super().__init__(**facts)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """The number of attributes that are left out."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """The number of events that are left out."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """The number of links that are left out."""
        return self._dropped[2]


def decode(request: ExportTraceServiceRequest, redact: Callable[[str, Any], Any] | None = None) -> Decoded:
    """Return the spans of a request; `redact` takes the name and the value of each text."""
    decoder = _Decoder(redact or _unchanged)
    spans: list[ReadableSpan] = []
    for resource_spans in request.resource_spans:
        resource = Resource(decoder.attributes(resource_spans.resource.attributes)[0], resource_spans.schema_url)
        for scope_spans in resource_spans.scope_spans:
            scope = decoder.scope(scope_spans)
            spans += decoder.spans(scope_spans.spans, resource, scope, MOST_SPANS - len(spans))
    return Decoded(spans, decoder.refused, decoder.reason)


class _Decoder:
    """Decodes the parts of one request."""

    def __init__(self, redact: Callable[[str, Any], Any]) -> None:
        self._redact = redact
        self.refused = 0
        self.reason = ""

    def spans(self, spans: Any, resource: Resource, scope: InstrumentationScope, room: int) -> Iterator[ReadableSpan]:
        for span in spans[:room]:
            try:
                yield self._span(span, resource, scope)
            except ValueError as error:
                self._refuse(1, str(error))
        if len(spans) > room:
            self._refuse(len(spans) - room, f"a request has more than {MOST_SPANS} spans")

    def _refuse(self, count: int, reason: str) -> None:
        self.refused += count
        self.reason = self.reason or reason

    def _span(self, span: Any, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
        context = self._context(span.trace_id, span.span_id, span.flags, span.trace_state)
        if not span.end_time_unix_nano:
            raise ValueError("a span has no end time")
        attributes, dropped = self.attributes(span.attributes)
        return DecodedSpan(
            (
                span.dropped_attributes_count + dropped,
                span.dropped_events_count + max(len(span.events) - MOST_EVENTS, 0),
                span.dropped_links_count + max(len(span.links) - MOST_LINKS, 0),
            ),
            name=self._redact("name", span.name),
            context=context,
            parent=self._parent(span),
            resource=resource,
            attributes=attributes,
            events=[self._event(event) for event in span.events[:MOST_EVENTS]],
            links=[self._link(link) for link in span.links[:MOST_LINKS]],
            kind=SpanKind(span.kind - 1) if 1 <= span.kind <= len(SpanKind) else SpanKind.INTERNAL,
            status=self._status(span.status),
            start_time=span.start_time_unix_nano,
            end_time=span.end_time_unix_nano,
            instrumentation_scope=scope,
        )

    def _parent(self, span: Any) -> SpanContext | None:
        if not any(span.parent_span_id):
            return None
        return self._context(span.trace_id, span.parent_span_id, 0, "", is_remote=bool(span.flags & _PARENT_IS_REMOTE))

    def _context(self, trace: bytes, span: bytes, flags: int, state: str, *, is_remote: bool = False) -> SpanContext:
        if len(trace) != _TRACE_BYTES or not any(trace):
            raise ValueError(f"a trace id is not {_TRACE_BYTES} bytes, or zero")
        if len(span) != _SPAN_BYTES or not any(span):
            raise ValueError(f"a span id is not {_SPAN_BYTES} bytes, or zero")
        states = TraceState.from_header([state]) if state else None
        ids = int.from_bytes(trace), int.from_bytes(span)
        return SpanContext(*ids, is_remote, TraceFlags(flags & _FLAGS), states)

    def _status(self, status: Any) -> Status:
        code = StatusCode(status.code) if 0 <= status.code < len(StatusCode) else StatusCode.UNSET
        described = code is StatusCode.ERROR and status.message  # the SDK logs a warning for another description
        return Status(code, self._redact("message", status.message) if described else None)

    def _event(self, event: Any) -> Event:
        attributes, _ = self.attributes(event.attributes)
        return Event(self._redact("name", event.name), attributes, event.time_unix_nano)

    def _link(self, link: Any) -> Link:
        context = self._context(link.trace_id, link.span_id, link.flags, link.trace_state)
        return Link(context, self.attributes(link.attributes)[0])

    def scope(self, scope_spans: Any) -> InstrumentationScope:
        scope = scope_spans.scope
        attributes, _ = self.attributes(scope.attributes)
        return InstrumentationScope(scope.name, scope.version, scope_spans.schema_url, attributes)

    def attributes(self, items: Any) -> tuple[dict[str, Any], int]:
        """Return attributes, and the number of those that are left out."""
        attributes: dict[str, Any] = {}
        for item in items[:MOST_ATTRIBUTES]:
            budget = [MOST_VALUES]
            value = self._value(item.value, item.key, DEEPEST, budget)
            if item.key and budget[0] >= 0:
                attributes[item.key] = value
        return attributes, len(items) - len(attributes)

    def _value(self, value: Any, name: str, levels: int, budget: list[int]) -> Any:
        """Return an attribute's value; `budget` is below 0 if it has too many values or levels."""
        kind = value.WhichOneof("value")
        budget[0] -= 1
        if kind == "string_value":
            return self._redact(name, value.string_value)
        if kind not in _LISTS:
            return getattr(value, kind) if kind in _SCALARS else None
        if not levels or len(getattr(value, kind).values) > budget[0]:
            budget[0] = -1
            return None
        if kind == "array_value":
            return [self._value(each, name, levels - 1, budget) for each in value.array_value.values]
        return {each.key: self._value(each.value, each.key, levels - 1, budget) for each in value.kvlist_value.values}


_LISTS: Final = ("array_value", "kvlist_value")
_SCALARS: Final = ("bool_value", "int_value", "double_value", "bytes_value")


def _unchanged(_: str, value: Any) -> Any:
    return value
