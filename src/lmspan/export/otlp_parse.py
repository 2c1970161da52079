"""Parse an OTLP export request of spans, in protobuf or in JSON, into the protobuf message.

protobuf's own parser of JSON is not used: it takes ids for base64, and is ten times slower than this one. protobuf's
fields check the types here, too: each assignment of another type raises.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MOST_OBJECTS: Final = 2_000_000
"""Objects in a JSON body: an attribute has two."""
_DEEPEST: Final = 64
_LONGEST_REASON: Final = 200


class MalformedRequestError(ValueError):
    """The body is no export request."""


def parse(body: bytes, *, is_json: bool) -> ExportTraceServiceRequest:
    """Return the request in a body.

    Raises:
        MalformedRequestError: the body is none, or has too many objects.
    """
    if is_json and body.count(b"{") > MOST_OBJECTS:
        raise MalformedRequestError(f"the body has more than {MOST_OBJECTS} objects")
    try:
        return from_json(json.loads(body)) if is_json else ExportTraceServiceRequest.FromString(body)
    except MalformedRequestError:
        raise
    except Exception as error:
        raise malformed(error) from error


def from_json(request: Any) -> ExportTraceServiceRequest:
    """Return the request of an OTLP JSON object, as a line of a trace file has it.

    Raises:
        MalformedRequestError: the object is no request.
    """
    message = ExportTraceServiceRequest()
    try:
        for each in request.get("resourceSpans") or ():
            _resource_spans(each, message.resource_spans.add())
    except Exception as error:
        raise malformed(error) from error
    return message


def malformed(error: Exception) -> MalformedRequestError:
    """Return the error for a body that a parser refuses."""
    text = f"{type(error).__name__}: {error}"
    return MalformedRequestError("".join(each if each.isprintable() else "?" for each in text)[:_LONGEST_REASON])


def _resource_spans(data: Mapping[str, Any], message: Any) -> None:
    resource = data.get("resource") or {}
    _attributes(resource.get("attributes"), message.resource.attributes)
    message.resource.dropped_attributes_count = _integer(resource.get("droppedAttributesCount"))
    message.schema_url = data.get("schemaUrl") or ""
    for each in data.get("scopeSpans") or ():
        _scope_spans(each, message.scope_spans.add())


def _scope_spans(data: Mapping[str, Any], message: Any) -> None:
    scope = data.get("scope") or {}
    message.scope.name = scope.get("name") or ""
    message.scope.version = scope.get("version") or ""
    _attributes(scope.get("attributes"), message.scope.attributes)
    message.schema_url = data.get("schemaUrl") or ""
    for each in data.get("spans") or ():
        _span(each, message.spans.add())


def _span(data: Mapping[str, Any], message: Any) -> None:
    _identify(data, message)
    message.parent_span_id = _id(data.get("parentSpanId"))
    message.name = data.get("name") or ""
    message.kind = _enumerated(data.get("kind"), Span.SpanKind)
    message.start_time_unix_nano = _integer(data.get("startTimeUnixNano"))
    message.end_time_unix_nano = _integer(data.get("endTimeUnixNano"))
    message.dropped_events_count = _integer(data.get("droppedEventsCount"))
    message.dropped_links_count = _integer(data.get("droppedLinksCount"))
    status = data.get("status") or {}
    message.status.code = _enumerated(status.get("code"), Status.StatusCode)
    message.status.message = status.get("message") or ""
    for event in data.get("events") or ():
        _event(event, message.events.add())
    for link in data.get("links") or ():
        _identify(link, message.links.add())


def _identify(data: Mapping[str, Any], message: Any) -> None:
    """Set what spans and links have in common."""
    message.trace_id = _id(data.get("traceId"))
    message.span_id = _id(data.get("spanId"))
    message.flags = _integer(data.get("flags"))
    message.trace_state = data.get("traceState") or ""
    _attributes(data.get("attributes"), message.attributes)
    message.dropped_attributes_count = _integer(data.get("droppedAttributesCount"))


def _event(data: Mapping[str, Any], message: Any) -> None:
    message.name = data.get("name") or ""
    message.time_unix_nano = _integer(data.get("timeUnixNano"))
    _attributes(data.get("attributes"), message.attributes)
    message.dropped_attributes_count = _integer(data.get("droppedAttributesCount"))


def _attributes(items: Iterable[Mapping[str, Any]] | None, message: Any, depth: int = 0) -> None:
    for item in items or ():
        pair = message.add()
        pair.key = item["key"]
        _value(item.get("value") or {}, pair.value, depth)


def _value(data: Mapping[str, Any], message: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise ValueError(f"an attribute has more than {_DEEPEST} levels")
    for kind, content in data.items():
        if kind in _KINDS:
            _KINDS[kind](content, message, depth + 1)


def _string(content: Any, message: Any, _: int) -> None:
    message.string_value = content


def _bool(content: Any, message: Any, _: int) -> None:
    message.bool_value = content


def _int(content: Any, message: Any, _: int) -> None:
    message.int_value = _integer(content)


def _double(content: Any, message: Any, _: int) -> None:
    message.double_value = float(content)


def _bytes(content: Any, message: Any, _: int) -> None:
    message.bytes_value = base64.b64decode(content, validate=True)


def _array(content: Any, message: Any, depth: int) -> None:
    message.array_value.SetInParent()
    for each in content.get("values") or ():
        _value(each, message.array_value.values.add(), depth)


def _map(content: Any, message: Any, depth: int) -> None:
    message.kvlist_value.SetInParent()
    _attributes(content.get("values"), message.kvlist_value.values, depth)


_KINDS: Final[dict[str, Callable[[Any, Any, int], None]]] = {
    "stringValue": _string,
    "boolValue": _bool,
    "intValue": _int,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _map,
}


def _id(text: Any) -> bytes:
    return bytes.fromhex(text or "")


def _integer(value: Any) -> int:
    """Return a number of OTLP JSON, which spells 64-bit integers as strings."""
    if value is None or type(value) is int:
        return value or 0
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where an integer is expected")
    return int(value)


def _enumerated(value: Any, names: Any) -> int:
    """Return the number of an enumeration, which OTLP JSON spells as a number; some programs write the name."""
    return int(names.Value(value)) if isinstance(value, str) and not value.isdecimal() else _integer(value)
