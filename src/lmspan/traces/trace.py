"""A stored span and a stored trace, as plain data. This module checks the content of a file once, while reading it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ERROR: Final = 2
_DEEPEST: Final = 64  # levels of lists and maps in an attribute, because the code that reads them is recursive
_UINT64: Final = 2**64
_INT64: Final = 2**63


_TYPES: Final = {name: meaning.type for name, meaning in sc.ATTRIBUTES.items()}
_HAS_TYPE: Final[dict[str, Callable[[Any], bool]]] = {
    sc.STRING: lambda value: isinstance(value, str),
    sc.JSON: lambda value: isinstance(value, str),
    sc.BOOL: lambda value: isinstance(value, bool),
    sc.INT: lambda value: type(value) is int,
    sc.DOUBLE: lambda value: type(value) is int or (type(value) is float and math.isfinite(value)),
    sc.STRINGS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    sc.INTS: lambda value: isinstance(value, list) and all(type(each) is int for each in value),
    sc.SCALAR: lambda value: isinstance(value, str | int | float),
}


def _well_typed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that have the type of their name; a name of another library may have any type."""
    return {name: value for name, value in attributes.items() if name not in _TYPES or _HAS_TYPE[_TYPES[name]](value)}


@dataclass(frozen=True)
class StoredEvent:
    """One event of a span."""

    name: str
    time_unix_nano: int
    attributes: dict[str, Any]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The attributes that have the type of their name."""
        return _well_typed(self.attributes)


@dataclass(frozen=True)
class StoredSpan:
    """One span of a file, with attributes as Python values. `service` is the service.name of its resource.

    Ids, name and message are text, times are from 0 to 2**64 - 1. A file may hold an attribute of any type under any
    name: `attributes` holds all of them, `facts` the attributes that have the type of their name.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_unix_nano: int
    end_unix_nano: int
    status: int
    message: str
    attributes: dict[str, Any]
    events: tuple[StoredEvent, ...]
    service: str

    @property
    def duration_s(self) -> float:
        """The duration, 0 for a span that ends before its start."""
        return max(self.end_unix_nano - self.start_unix_nano, 0) / 1e9

    @property
    def failed(self) -> bool:
        """Whether the status is ERROR."""
        return self.status == ERROR

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The attributes that have the type of their name."""
        return _well_typed(self.attributes)

    def as_json(self) -> str:
        """Return the span as a JSON object in ASCII, with OTLP's spelling of numbers that JSON does not have."""
        data = dataclasses.asdict(self)
        try:
            return json.dumps(data, allow_nan=False)
        except ValueError:
            return json.dumps(_with_spelled_numbers(data))


@dataclass
class Trace:
    """The spans of one trace, in the order of the file; `children` orders them by parent and by start."""

    trace_id: str
    spans: list[StoredSpan] = field(default_factory=list)

    def children(self) -> dict[str, list[StoredSpan]]:
        """Return the spans by the id of their parent; the key of the roots is "".

        A span whose parent is not in the trace is a root, and so is the first of spans that are parents of each other.
        Therefore every span is below a root.
        """
        ordered = sorted(self.spans, key=_by_time)
        known = {span.span_id for span in ordered}
        under: dict[str, list[StoredSpan]] = defaultdict(list)
        for span in ordered:
            under[span.parent_id if span.parent_id in known else ""].append(span)
        reached: set[str] = set()
        _reach(under, under[""], reached)
        for span in ordered:
            if span.span_id not in reached:
                under[span.parent_id].remove(span)
                under[""].append(span)
                _reach(under, [span], reached)
        under[""].sort(key=_by_time)
        return under

    @property
    def start_unix_nano(self) -> int:
        """The start of the first span."""
        return min(span.start_unix_nano for span in self.spans)

    @property
    def end_unix_nano(self) -> int:
        """The end of the last span."""
        return max(span.end_unix_nano for span in self.spans)

    @property
    def is_whole(self) -> bool:
        """Whether the trace has a root and the parent of every span."""
        known = {span.span_id for span in self.spans} | {""}
        return all(span.parent_id in known for span in self.spans) and any(not span.parent_id for span in self.spans)

    def total(self, attribute: str) -> float:
        """Sum an attribute over the model calls; the sums on agents' spans would count twice."""
        return float(sum(span.facts.get(attribute, 0) for span in self.model_calls()))

    def model_calls(self) -> list[StoredSpan]:
        """Return the spans of LM and embedding calls: only these carry a provider."""
        return [span for span in self.spans if sc.PROVIDER_NAME in span.facts]


def _by_time(span: StoredSpan) -> tuple[int, int]:
    return span.start_unix_nano, span.end_unix_nano


def _reach(under: Mapping[str, list[StoredSpan]], spans: Iterable[StoredSpan], reached: set[str]) -> None:
    """Add the ids of spans and of all spans below them."""
    waiting = list(spans)
    while waiting:
        span = waiting.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            waiting += under.get(span.span_id, ())


def spans_of(request: Any) -> Iterable[StoredSpan]:
    """Yield the spans of one OTLP JSON request object. Raises KeyError, TypeError or ValueError for another value."""
    for resource_spans in request["resourceSpans"]:
        resource = _attributes((resource_spans.get("resource") or {}).get("attributes"))
        service = _text(resource.get("service.name"))
        for scope_spans in resource_spans.get("scopeSpans") or ():
            for span in scope_spans.get("spans") or ():
                yield _span(span, service)


def _span(span: Mapping[str, Any], service: str) -> StoredSpan:
    status = span.get("status") or {}
    return StoredSpan(
        trace_id=_id(span["traceId"]),
        span_id=_id(span["spanId"]),
        parent_id=_id(span.get("parentSpanId") or ""),
        name=_text(span.get("name")),
        kind=_enumerated(span.get("kind")),
        start_unix_nano=_time(span["startTimeUnixNano"]),
        end_unix_nano=_time(span["endTimeUnixNano"]),
        status=_enumerated(status.get("code")),
        message=_text(status.get("message")),
        attributes=_attributes(span.get("attributes")),
        events=tuple(_event(each) for each in span.get("events") or ()),
        service=service,
    )


def _event(event: Mapping[str, Any]) -> StoredEvent:
    time = _time(event.get("timeUnixNano") or 0)
    return StoredEvent(_text(event.get("name")), time, _attributes(event.get("attributes")))


def _id(value: Any) -> str:
    return _string(value).lower()


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a string is expected")
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: Any) -> int:
    """Return a number of OTLP JSON, which spells 64-bit integers as strings."""
    if type(value) is int or (isinstance(value, str) and len(value) <= len(str(_UINT64))):
        return int(value)
    raise TypeError(f"{type(value).__name__} where a number of 64 bits is expected")


def _time(value: Any) -> int:
    time = _integer(value)
    if not 0 <= time < _UINT64:
        raise ValueError("a time is out of range")
    return time


def _enumerated(value: Any) -> int:
    """Return the number of an enumeration; OTLP JSON may also spell its name (SPAN_KIND_CLIENT, STATUS_CODE_ERROR)."""
    if isinstance(value, str) and not value.isdecimal():
        names = ("UNSET", "OK", "ERROR") if value.startswith("STATUS") else ("", "INTERNAL", "SERVER", "CLIENT")
        return next((index for index, name in enumerate(names) if name and value.endswith(name)), 0)
    return _integer(value or 0)


def _attributes(items: Iterable[Mapping[str, Any]] | None, depth: int = 0) -> dict[str, Any]:
    return {_string(item["key"]): _value(item.get("value") or {}, depth) for item in items or ()}


def _value(value: Mapping[str, Any], depth: int) -> Any:
    """Return an attribute's value, or None if it is empty or of a kind that OTLP does not have."""
    if depth > _DEEPEST:
        raise ValueError(f"an attribute has more than {_DEEPEST} levels")
    return next((_KINDS[kind](content, depth + 1) for kind, content in value.items() if kind in _KINDS), None)


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


_SPELLINGS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _with_spelled_numbers(value: Any) -> Any:
    """Return JSON data with OTLP's strings in place of infinities and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _SPELLINGS[str(value)]
    if isinstance(value, dict):
        return {name: _with_spelled_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_spelled_numbers(each) for each in value]
    return value
