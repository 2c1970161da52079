"""A stored span and a stored trace, as plain data."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Iterable

ERROR = 2


@dataclass(frozen=True)
class StoredEvent:
    """One event of a span."""

    name: str
    time_unix_nano: int
    attributes: dict[str, Any]


@dataclass(frozen=True)
class StoredSpan:
    """One span as it was written, attributes as Python values. `service` is its resource's service.name."""

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
        """How long it took."""
        return max(self.end_unix_nano - self.start_unix_nano, 0) / 1e9

    @property
    def failed(self) -> bool:
        """Whether its status is ERROR."""
        return self.status == ERROR


@dataclass
class Trace:
    """The spans of one trace, and who is under whom. Spans are ordered by their start."""

    trace_id: str
    spans: list[StoredSpan] = field(default_factory=list)

    def children(self) -> dict[str, list[StoredSpan]]:
        """Return the spans under each span id; under "" the roots, and those whose parent is not in the trace."""
        known = {span.span_id for span in self.spans}
        under: dict[str, list[StoredSpan]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda each: (each.start_unix_nano, each.end_unix_nano)):
            under[span.parent_id if span.parent_id in known else ""].append(span)
        return under

    @property
    def start_unix_nano(self) -> int:
        """When its first span started."""
        return min(span.start_unix_nano for span in self.spans)

    @property
    def end_unix_nano(self) -> int:
        """When its last span ended."""
        return max(span.end_unix_nano for span in self.spans)

    def total(self, attribute: str) -> float:
        """Sum an attribute over the spans that carry it; of tokens and cost, only LM and embedding spans count."""
        return sum(float(span.attributes[attribute]) for span in self.model_calls() if attribute in span.attributes)

    def model_calls(self) -> list[StoredSpan]:
        """Return the spans that asked a model: they carry a provider, agents' sums do not."""
        return [span for span in self.spans if sc.PROVIDER_NAME in span.attributes]


def spans_of(request: dict[str, Any]) -> Iterable[StoredSpan]:
    """Yield the spans of one OTLP JSON request object. Raises KeyError, TypeError or ValueError on another shape."""
    for resource_spans in request["resourceSpans"]:
        resource = _attributes(resource_spans.get("resource", {}).get("attributes", ()))
        for scope_spans in resource_spans.get("scopeSpans", ()):
            for span in scope_spans.get("spans", ()):
                yield _span(span, str(resource.get("service.name", "")))


def _span(span: dict[str, Any], service: str) -> StoredSpan:
    status = span.get("status", {})
    return StoredSpan(
        trace_id=str(span["traceId"]).lower(),
        span_id=str(span["spanId"]).lower(),
        parent_id=str(span.get("parentSpanId") or "").lower(),
        name=str(span.get("name", "")),
        kind=_number(span.get("kind", 0)),
        start_unix_nano=int(span["startTimeUnixNano"]),
        end_unix_nano=int(span["endTimeUnixNano"]),
        status=_number(status.get("code", 0)),
        message=str(status.get("message", "")),
        attributes=_attributes(span.get("attributes", ())),
        events=tuple(
            StoredEvent(
                str(each.get("name", "")), int(each.get("timeUnixNano", 0)), _attributes(each.get("attributes", ()))
            )
            for each in span.get("events", ())
        ),
        service=service,
    )


def _number(value: Any) -> int:
    """Return an enum's number; OTLP JSON may also spell its name (SPAN_KIND_CLIENT, STATUS_CODE_ERROR)."""
    if isinstance(value, str) and not value.isdecimal():
        names = ("UNSET", "OK", "ERROR") if value.startswith("STATUS") else ("", "INTERNAL", "SERVER", "CLIENT")
        return next((index for index, name in enumerate(names) if name and value.endswith(name)), 0)
    return int(value)


def _attributes(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {str(item["key"]): _value(item.get("value", {})) for item in items}


def _value(value: dict[str, Any]) -> Any:
    for kind, content in value.items():
        if kind == "intValue":
            return int(content)
        if kind == "doubleValue":
            return float(content)
        if kind == "arrayValue":
            return [_value(each) for each in content.get("values", ())]
        if kind == "kvlistValue":
            return _attributes(content.get("values", ()))
        return content
    return None
