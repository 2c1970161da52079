"""Decode OTLP JSON into stored spans. This module checks the content of a file once, while reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.traces.spans import State, StoredEvent, StoredLink, StoredSpan, facts_of, operation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_DEEPEST: Final = 64  # levels of lists and maps in an attribute, because the code that reads them is recursive
_UINT64: Final = 2**64
_INT64: Final = 2**63
_DIGITS: Final = len(str(_UINT64))
_PARENT_IS_REMOTE: Final = 0x200


def spans_of(request: Any, trace_id: str = "") -> Iterator[StoredSpan]:
    """Yield the spans of one OTLP JSON request object, of the traces whose id begins with `trace_id`.

    A span without an end time has not ended. Raises KeyError, TypeError or ValueError for another value.
    """
    for resource_spans in request["resourceSpans"]:
        resource = _attributes((resource_spans.get("resource") or {}).get("attributes"))
        service = _text(resource.get("service.name"))
        for scope_spans in resource_spans.get("scopeSpans") or ():
            for span in scope_spans.get("spans") or ():
                own_id = _id(span["traceId"])
                if own_id.startswith(trace_id):
                    yield _span(span, own_id, service)


def _span(span: Mapping[str, Any], trace_id: str, service: str) -> StoredSpan:
    status = span.get("status") or {}
    name = _text(span.get("name"))
    attributes = _attributes(span.get("attributes"))
    facts = facts_of(attributes)
    start = _time(span["startTimeUnixNano"])
    end = _time(span["endTimeUnixNano"])
    decoded = object.__new__(StoredSpan)
    state = {
        "trace_id": trace_id,
        "span_id": _id(span["spanId"]),
        "parent_id": _id(span.get("parentSpanId") or ""),
        "name": name,
        "kind": _enumerated(span.get("kind")),
        "start_unix_nano": start,
        "end_unix_nano": end or start,
        "status": _enumerated(status.get("code")),
        "message": _text(status.get("message")),
        "attributes": attributes,
        "events": tuple(map(_event, events)) if (events := span.get("events")) else (),
        "service": service,
        "links": tuple(map(_link, links)) if (links := span.get("links")) else (),
        "state": State.ENDED if end else State.NOT_ENDED,
        "has_remote_parent": bool(_enumerated(span.get("flags")) & _PARENT_IS_REMOTE),
        "dropped_events": max(_integer(dropped), 0) if (dropped := span.get("droppedEventsCount")) else 0,
        "facts": facts,  # nearly every reader needs the properties; the first access to each would take a lock
        "operation": operation_of(name, facts),
    }
    object.__setattr__(decoded, "__dict__", state)  # the constructor of a frozen dataclass takes four times as long
    return decoded


def _event(event: Mapping[str, Any]) -> StoredEvent:
    time = _time(event.get("timeUnixNano") or 0)
    return StoredEvent(_text(event.get("name")), time, _attributes(event.get("attributes")))


def _link(link: Mapping[str, Any]) -> StoredLink:
    return StoredLink(_id(link["traceId"]), _id(link["spanId"]), _attributes(link.get("attributes")))


def _id(value: Any) -> str:
    """Return an id in small letters, without halves of surrogate pairs, which no database can keep."""
    text = _string(value).lower()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a string is expected")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: Any) -> int:
    """Return a number of OTLP JSON, which spells 64-bit integers as strings."""
    if type(value) is int or (isinstance(value, str) and len(value) <= _DIGITS):
        return int(value)
    raise TypeError(f"{type(value).__name__} where a number of 64 bits is expected")


def _time(value: Any) -> int:
    time = int(value) if type(value) is str and len(value) <= _DIGITS else _integer(value)
    if 0 <= time < _UINT64:
        return time
    raise ValueError("a time is out of range")


def _enumerated(value: Any) -> int:
    """Return the number of an enumeration; OTLP JSON may also spell its name (SPAN_KIND_CLIENT, STATUS_CODE_ERROR)."""
    if type(value) is int:
        return value
    if isinstance(value, str) and not value.isdecimal():
        names = ("UNSET", "OK", "ERROR") if value.startswith("STATUS") else ("", "INTERNAL", "SERVER", "CLIENT")
        return next((index for index, name in enumerate(names) if name and value.endswith(name)), 0)
    return _integer(value or 0)


def _attributes(items: Iterable[Mapping[str, Any]] | None, depth: int = 0) -> dict[str, Any]:
    attributes = {}
    for item in items or ():
        key, value = item["key"], item.get("value") or {}
        text = value.get("stringValue")
        if type(text) is str and type(key) is str:  # nearly all of them
            attributes[key] = text
        else:
            attributes[_string(key)] = _value(value, depth)
    return attributes


def _value(value: Mapping[str, Any], depth: int) -> Any:
    """Return an attribute's value, or None if it is empty or of a kind that OTLP does not have."""
    for kind, content in value.items():
        if kind in _KINDS:
            if depth > _DEEPEST:
                raise ValueError(f"an attribute has more than {_DEEPEST} levels")
            return _KINDS[kind](content, depth + 1)
    return None


def _int64(content: Any) -> int:
    value = _integer(content)
    if not -_INT64 <= value < _INT64:
        raise ValueError("an intValue is out of range")
    return value


def _double(content: Any) -> float:
    if isinstance(content, bool) or not isinstance(content, str | int | float):
        raise TypeError(f"{type(content).__name__} where a number is expected")
    return float(content)


_KINDS: Final[dict[str, Callable[[Any, int], Any]]] = {
    "stringValue": lambda content, _: _string(content),
    "bytesValue": lambda content, _: _string(content),
    "boolValue": lambda content, _: content is True,
    "intValue": lambda content, _: _int64(content),
    "doubleValue": lambda content, _: _double(content),
    "arrayValue": lambda content, depth: [_value(each or {}, depth) for each in content.get("values") or ()],
    "kvlistValue": lambda content, depth: _attributes(content.get("values"), depth),
}
