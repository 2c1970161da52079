"""Encode ended spans as OTLP protobuf, a fifth of the official encoder's work.

A protobuf message is a sequence of fields: a tag (the number of the field and the kind of its value), the length if the
kind has one, and the value. A message has its fields in the order of their numbers, and leaves out zeros and empty
texts except in a `oneof` such as `AnyValue`. The result is, byte for byte, that of the official encoder. This module
reads only the public attributes of a `ReadableSpan`, and raises where the official encoder decides by itself, such as
for a number of more than 64 bits.

**Source:** trace.proto, common.proto and resource.proto of opentelemetry-proto 1.x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from lmspan.export.encoding import Attributes, flags, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # the kinds of values
_SMALL: Final = 0x80
_INT64: Final = 1 << 63

_varints: Final = tuple(bytes((number,)) for number in range(_SMALL))
_double: Final = Struct("<d").pack
_fixed32: Final = Struct("<I").pack
_fixed64: Final = Struct("<Q").pack


def _varint(number: int) -> bytes:
    """Return a number as groups of seven bits, the lowest first; a negative one as its 64-bit complement."""
    if 0 <= number < _SMALL:
        return _varints[number]
    number &= 2 * _INT64 - 1
    groups = bytearray()
    while number >= _SMALL:
        groups.append(number & 0x7F | _SMALL)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _tag(number: int, kind: int = _BYTES) -> bytes:
    return _varint(number << 3 | kind)


_FIRST, _SECOND, _THIRD = _tag(1), _tag(2), _tag(3)

_ANY_TEXT, _ANY_ARRAY, _ANY_MAP, _ANY_BYTES = _tag(1), _tag(5), _tag(6), _tag(7)
_ANY_BOOL, _ANY_INT, _ANY_DOUBLE = _tag(2, _VARINT), _tag(3, _VARINT), _tag(4, _FIXED64)

_TRACE_ID, _SPAN_ID = _tag(1) + _varint(16), _tag(2) + _varint(8)  # of a span and of a link
_SPAN_STATE, _SPAN_PARENT, _SPAN_NAME, _SPAN_KIND = _tag(3), _tag(4) + _varint(8), _tag(5), _tag(6, _VARINT)
_SPAN_START, _SPAN_END = _tag(7, _FIXED64), _tag(8, _FIXED64)
_SPAN_ATTRIBUTE, _SPAN_EVENT, _SPAN_LINK, _SPAN_STATUS = _tag(9), _tag(11), _tag(13), _tag(15)
_SPAN_DROPPED_ATTRIBUTES, _SPAN_DROPPED_EVENTS, _SPAN_DROPPED_LINKS = (_tag(number, _VARINT) for number in (10, 12, 14))
_SPAN_FLAGS = _tag(16, _FIXED32)

_EVENT_TIME, _EVENT_NAME, _EVENT_ATTRIBUTE, _EVENT_DROPPED = _tag(1, _FIXED64), _tag(2), _tag(3), _tag(4, _VARINT)
_LINK_ATTRIBUTE, _LINK_DROPPED, _LINK_FLAGS = _tag(4), _tag(5, _VARINT), _tag(6, _FIXED32)
_STATUS_MESSAGE, _STATUS_CODE = _tag(2), _tag(3, _VARINT)


def request(spans: Iterable[ReadableSpan]) -> bytes:
    """Return an `ExportTraceServiceRequest`.

    Raises:
        Exception: the official encoder is to decide about these spans.
    """
    return b"".join(_field(_FIRST, _resource_spans(*each)) for each in grouped(spans, _span).items())


def _resource_spans(resource: Resource, scopes: dict[InstrumentationScope | None, list[bytes]]) -> bytes:
    head = _field(_FIRST, b"".join(_resource_attributes(resource.attributes)))
    body = b"".join(_field(_SECOND, _scope_spans(*each)) for each in scopes.items())
    return head + body + _text(_THIRD, resource.schema_url)


def _scope_spans(scope: InstrumentationScope | None, spans: list[bytes]) -> bytes:
    body = b"".join(_field(_SECOND, span) for span in spans)
    if scope is None:
        return _field(_FIRST, b"") + body
    head = _text(_FIRST, scope.name) + _text(_SECOND, scope.version)
    head += b"".join(_scope_attributes(scope.attributes))
    return _field(_FIRST, head) + body + _text(_THIRD, scope.schema_url)


def _span(span: ReadableSpan) -> bytes:
    context, parent, status = span.context, span.parent, span.status
    parts = [
        _TRACE_ID + context.trace_id.to_bytes(16, "big") + _SPAN_ID + context.span_id.to_bytes(8, "big"),
        _text(_SPAN_STATE, context.trace_state.to_header()) if context.trace_state else b"",
        _SPAN_PARENT + parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        _text(_SPAN_NAME, span.name),
        _SPAN_KIND + _varints[span.kind.value + 1] + _time(_SPAN_START, span.start_time),
        _time(_SPAN_END, span.end_time),
        *_span_attributes(span.attributes),
        _count(_SPAN_DROPPED_ATTRIBUTES, span.dropped_attributes),
        *[_field(_SPAN_EVENT, _event(event)) for event in span.events],
        _count(_SPAN_DROPPED_EVENTS, span.dropped_events),
        *[_field(_SPAN_LINK, _link(link)) for link in span.links],
        _count(_SPAN_DROPPED_LINKS, span.dropped_links),
    ]
    if status is not None:
        body = _text(_STATUS_MESSAGE, status.description) + _count(_STATUS_CODE, status.status_code.value)
        parts.append(_field(_SPAN_STATUS, body))
    parts.append(_SPAN_FLAGS + _fixed32(flags(parent)))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    head = _time(_EVENT_TIME, event.timestamp) + _text(_EVENT_NAME, event.name)
    return head + b"".join(_event_attributes(event.attributes)) + _count(_EVENT_DROPPED, event.dropped_attributes)


def _link(link: Link) -> bytes:
    context = link.context
    head = _TRACE_ID + context.trace_id.to_bytes(16, "big") + _SPAN_ID + context.span_id.to_bytes(8, "big")
    body = b"".join(_link_attributes(link.attributes)) + _count(_LINK_DROPPED, link.dropped_attributes)
    return head + body + _LINK_FLAGS + _fixed32(flags(context))


# fields --------------------------------------------------------------------------------------------------------------


def _field(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _text(tag: bytes, text: str | None) -> bytes:
    return _field(tag, text.encode()) if text else b""


def _time(tag: bytes, time_unix_nano: int | None) -> bytes:
    return tag + _fixed64(time_unix_nano) if time_unix_nano else b""


def _count(tag: bytes, count: int) -> bytes:
    return tag + _varint(count) if count else b""


# attributes ----------------------------------------------------------------------------------------------------------


def _pairs_of(tag: bytes) -> Attributes[bytes]:
    return Attributes(lambda key, value: _field(tag, _pair(key, value)))


_resource_attributes, _scope_attributes = _pairs_of(_FIRST), _pairs_of(_THIRD)
_span_attributes, _event_attributes = _pairs_of(_SPAN_ATTRIBUTE), _pairs_of(_EVENT_ATTRIBUTE)
_link_attributes = _pairs_of(_LINK_ATTRIBUTE)


def _pair(key: str, value: Any) -> bytes:
    return _text(_FIRST, key) + _field(_SECOND, _any(value))


def _any(value: Any) -> bytes:
    writer = _WRITERS.get(type(value)) or next(each for kind, each in _WRITERS.items() if isinstance(value, kind))
    return writer(value)


def _integer(value: int) -> bytes:
    if not -_INT64 <= value < _INT64:
        raise OverflowError
    return _ANY_INT + _varint(int.__int__(value))


def _array(values: Sequence[Any]) -> bytes:
    return _field(_ANY_ARRAY, b"".join([_field(_FIRST, _any(each)) for each in values]))


def _map(pairs: Mapping[Any, Any]) -> bytes:
    return _field(_ANY_MAP, b"".join([_field(_FIRST, _pair(str(key), each)) for key, each in pairs.items()]))


_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"",
    bool: lambda value: _ANY_BOOL + _varints[value],
    str: lambda value: _field(_ANY_TEXT, str.encode(value)),
    int: _integer,
    float: lambda value: _ANY_DOUBLE + _double(value),
    bytes: lambda value: _field(_ANY_BYTES, value),
    tuple: _array,
    list: _array,
    dict: _map,
    Sequence: _array,
    Mapping: _map,
}
"""How a value is written, by its type; for a subclass, the first of these that it is an instance of."""
