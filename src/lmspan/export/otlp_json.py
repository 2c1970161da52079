"""Encode ended spans as OTLP JSON, in the form of the OpenTelemetry file exporter: one request object a line.

This module does not use protobuf's JSON, which spells ids in base64 and is slow: every span of every program passes
through here. It writes the text itself, because a tree of objects for `json` would cost as much again. It reads only
the public attributes of a `ReadableSpan`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as _text
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.export.encoding import Attributes, flags, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link

_INT64: Final = 1 << 63


class Line(NamedTuple):
    """A whole export request, and the ids of its spans."""

    text: str
    span_ids: tuple[int, ...]


def lines(spans: Iterable[ReadableSpan], max_bytes: int = 1_000_000) -> Iterator[Line]:
    """Yield lines, each a whole export request of about `max_bytes` at most; one larger span has its own line."""
    for resource, scopes in grouped(spans, _identified).items():
        head = f'{{"resourceSpans":[{{"resource":{{"attributes":[{_pairs(resource.attributes)}]}},"scopeSpans":['
        for scope, encoded in scopes.items():
            start = f'{head}{{"scope":{_scope(scope)},"spans":['
            end = f"]{_schema(scope)}}}]{_schema(resource)}}}]}}\n"
            for part in _parts(encoded, max_bytes):
                text = ",".join([each for _, each in part])
                yield Line(start + text + end, tuple(span_id for span_id, _ in part))


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


def _scope(scope: InstrumentationScope | None) -> str:
    if scope is None:
        return "{}"
    attributes = f',"attributes":[{_pairs(scope.attributes)}]' if scope.attributes else ""
    return f'{{"name":{_text(scope.name)},"version":{_text(scope.version or "")}{attributes}}}'


def _schema(each: Any) -> str:
    """Return the schema of a resource or of a scope, if it has one."""
    return f',"schemaUrl":{_text(each.schema_url)}' if each is not None and each.schema_url else ""


def _identified(span: ReadableSpan) -> tuple[int, str]:
    return span.context.span_id if span.context is not None else 0, _span(span)


def _span(span: ReadableSpan) -> str:
    """Return one span: ids in hexadecimal, 64-bit integers as strings."""
    context, parent, status = span.context, span.parent, span.status
    trace_flags = int(context.trace_flags) if context is not None else 0
    parts = [
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}"'
        if context is not None
        else '{"traceId":"","spanId":""',
        f',"flags":{trace_flags | flags(parent)},"name":{_text(span.name)},"kind":{span.kind.value + 1}',
        f',"startTimeUnixNano":"{span.start_time or 0}","endTimeUnixNano":"{span.end_time or 0}"',
        f',"attributes":[{_pairs(span.attributes)}],"status":{{"code":{status.status_code.value}',
        f',"message":{_text(status.description)}}}' if status.description else "}",
    ]
    if parent is not None:
        parts.append(f',"parentSpanId":"{parent.span_id:016x}"')
    if context is not None and context.trace_state:
        parts.append(f',"traceState":{_text(context.trace_state.to_header())}')
    if events := span.events:
        parts.append(f',"events":[{",".join([_event(event) for event in events])}]')
    if links := span.links:
        parts.append(f',"links":[{",".join([_link(link) for link in links])}]')
    parts += [
        _dropped("droppedAttributesCount", span.dropped_attributes),
        _dropped("droppedEventsCount", span.dropped_events),
        _dropped("droppedLinksCount", span.dropped_links),
        "}",
    ]
    return "".join(parts)


def _event(event: Event) -> str:
    return (
        f'{{"timeUnixNano":"{event.timestamp}","name":{_text(event.name)},"attributes":[{_pairs(event.attributes)}]'
        f"{_dropped('droppedAttributesCount', event.dropped_attributes)}}}"
    )


def _link(link: Link) -> str:
    context = link.context
    return (
        f'{{"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}",'
        f'"attributes":[{_pairs(link.attributes)}],"flags":{flags(context)}'
        f"{_dropped('droppedAttributesCount', link.dropped_attributes)}}}"
    )


def _dropped(name: str, count: int) -> str:
    return f',"{name}":{count}' if count else ""


# attributes ----------------------------------------------------------------------------------------------------------


def _pairs(attributes: Mapping[str, Any] | None) -> str:
    return ",".join(_encoded(attributes))


def _pair(key: str, value: Any) -> str:
    return f'{{"key":{_text(key)},"value":{_any(value)}}}'


_encoded: Final = Attributes(_pair)


def _any(value: Any) -> str:
    writer = _WRITERS.get(type(value)) or next(each for kind, each in _WRITERS.items() if isinstance(value, kind))
    return writer(value)


def _string(value: str) -> str:
    return f'{{"stringValue":{_text(value)}}}'


def _integer(value: int) -> str:
    """Return a number of 64 bits; a reader of OTLP refuses a larger one, so that is a text."""
    digits = int.__repr__(value)
    return f'{{"intValue":"{digits}"}}' if -_INT64 <= value < _INT64 else _string(digits)


def _double(value: float) -> str:
    """Return a number. JSON has no NaN and no infinities; the texts are protobuf's spelling of them."""
    text = float.__repr__(value)
    return f'{{"doubleValue":{_NO_NUMBERS.get(text, text)}}}'


_NO_NUMBERS: Final = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}


def _array(values: Sequence[Any]) -> str:
    return f'{{"arrayValue":{{"values":[{",".join([_any(each) for each in values])}]}}}}'


def _map(pairs: Mapping[Any, Any]) -> str:
    return f'{{"kvlistValue":{{"values":[{",".join([_pair(str(key), each) for key, each in pairs.items()])}]}}}}'


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "{}",
    bool: lambda value: '{"boolValue":true}' if value else '{"boolValue":false}',
    str: _string,
    int: _integer,
    float: _double,
    bytes: lambda value: f'{{"bytesValue":"{b64encode(value).decode()}"}}',
    tuple: _array,
    list: _array,
    dict: _map,
    Sequence: _array,
    Mapping: _map,
    object: lambda value: _string(str(value)),
}
"""How a value is written, by its type; for a subclass, the first of these that it is an instance of."""
