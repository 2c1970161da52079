"""Encode ended spans as OTLP JSON, in the form of the OpenTelemetry file exporter: one request object a line.

This module does not use protobuf's JSON, which spells ids in base64 and is slow: every span of every program passes
through here. It reads only the public attributes of a `ReadableSpan`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link

_PARENT_IS_KNOWN: Final = 0x100
_PARENT_IS_REMOTE: Final = 0x200
_encode: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


class Line(NamedTuple):
    """A whole export request, and the ids of its spans."""

    text: str
    span_ids: tuple[int, ...]


def lines(spans: Iterable[ReadableSpan], max_bytes: int = 1_000_000) -> Iterator[Line]:
    """Yield lines, each a whole export request of about `max_bytes` at most; one larger span has its own line."""
    for resource, scopes in _grouped(spans).values():
        head = _encode({"attributes": _attributes(resource.attributes)})
        for scope, encoded in scopes.values():
            frame = '{"resourceSpans":[{"resource":' + head + ',"scopeSpans":[{"scope":' + scope + ',"spans":['
            for part in _parts(encoded, max_bytes):
                text = ",".join(each for _, each in part)
                yield Line(frame + text + "]}]}]}\n", tuple(span_id for span_id, _ in part))


def _parts(encoded: list[tuple[int, str]], max_bytes: int) -> Iterator[list[tuple[int, str]]]:
    part: list[tuple[int, str]] = []
    size = 0
    for each in encoded:
        if part and size + len(each[1]) > max_bytes:
            yield part
            part = []
            size = 0
        part.append(each)
        size += len(each[1])
    if part:
        yield part


def _grouped(spans: Iterable[ReadableSpan]) -> dict[int, tuple[Any, dict[int, tuple[str, list[tuple[int, str]]]]]]:
    """Return the encoded spans with their ids, by resource and by scope."""
    resources: dict[int, tuple[Any, dict[int, tuple[str, list[tuple[int, str]]]]]] = {}
    for span in spans:
        _, scopes = resources.setdefault(id(span.resource), (span.resource, {}))
        scope = span.instrumentation_scope
        if id(scope) not in scopes:
            head = {"name": scope.name, "version": scope.version or ""} if scope is not None else {}
            scopes[id(scope)] = (_encode(head), [])
        scopes[id(scope)][1].append((_id(span), _encode(span_object(span))))
    return resources


def _id(span: ReadableSpan) -> int:
    return span.context.span_id if span.context is not None else 0


def span_object(span: ReadableSpan) -> dict[str, Any]:
    """Return one span as an OTLP JSON object: ids in hexadecimal, 64-bit integers as strings."""
    context = span.context
    encoded: dict[str, Any] = {
        "traceId": f"{context.trace_id:032x}" if context else "",
        "spanId": f"{context.span_id:016x}" if context else "",
        "flags": _flags(span),
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes or {}),
        "status": {"code": span.status.status_code.value},
    }
    if span.parent is not None:
        encoded["parentSpanId"] = f"{span.parent.span_id:016x}"
    if context and context.trace_state:
        encoded["traceState"] = context.trace_state.to_header()
    if span.status.description:
        encoded["status"]["message"] = span.status.description
    if span.events:
        encoded["events"] = [_event(event) for event in span.events]
    if span.links:
        encoded["links"] = [_link(link) for link in span.links]
    for name in ("attributes", "events", "links"):
        dropped = getattr(span, f"dropped_{name}", 0)
        if dropped:
            encoded[f"dropped{name.capitalize()}Count"] = dropped
    return encoded


def _flags(span: ReadableSpan) -> int:
    """Return the trace flags, and the two bits in which OTLP states whether the parent is remote."""
    flags = int(span.context.trace_flags) if span.context is not None else 0
    return flags | _PARENT_IS_KNOWN | (_PARENT_IS_REMOTE if span.parent is not None and span.parent.is_remote else 0)


def _event(event: Event) -> dict[str, Any]:
    attributes = _attributes(event.attributes or {})
    return {"timeUnixNano": str(event.timestamp), "name": event.name, "attributes": attributes}


def _link(link: Link) -> dict[str, Any]:
    return {
        "traceId": f"{link.context.trace_id:032x}",
        "spanId": f"{link.context.span_id:016x}",
        "attributes": _attributes(link.attributes or {}),
    }


def _attributes(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> dict[str, Any]:
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if kind is bool:
        return {"boolValue": value}
    if kind is int:
        return {"intValue": str(value)}
    if kind is float:
        # JSON has no NaN and no infinities; this is protobuf's spelling of them.
        if value - value != 0:
            return {"doubleValue": {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")}
        return {"doubleValue": value}
    if kind in (tuple, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if hasattr(value, "items"):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {"stringValue": str(value)}
