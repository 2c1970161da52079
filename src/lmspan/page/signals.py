"""The three signals of OTLP over HTTP: their paths, messages, and the number of items of a request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from lmspan.export.otlp_parse import malformed

if TYPE_CHECKING:
    from collections.abc import Callable

_METRIC_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


class Signal(NamedTuple):
    """One signal. `refused` is the field of its response that counts refused items."""

    name: str
    request: Any
    response: Any
    refused: str


SIGNALS: Final = {
    "/v1/traces": Signal(
        "spans", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse, "rejected_spans"
    ),
    "/v1/metrics": Signal(
        "metrics", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse, "rejected_data_points"
    ),
    "/v1/logs": Signal("logs", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse, "rejected_log_records"),
}
VARIABLES: Final = {"metrics": "OTEL_METRICS_EXPORTER", "logs": "OTEL_LOGS_EXPORTER"}


def count(signal: Signal, body: bytes, *, is_json: bool) -> int:
    """Return the number of data points or log records of a request.

    Raises:
        MalformedRequestError: the body is no request.
    """
    try:
        return _COUNTS[signal.name](json.loads(body) if is_json else signal.request.FromString(body))
    except Exception as error:
        raise malformed(error) from error


def _log_records(request: Any) -> int:
    return sum(
        len(_list(scope, "log_records"))
        for resource in _list(request, "resource_logs")
        for scope in _list(resource, "scope_logs")
    )


def _data_points(request: Any) -> int:
    return sum(
        len(_list(_of(metric, kind), "data_points"))
        for resource in _list(request, "resource_metrics")
        for scope in _list(resource, "scope_metrics")
        for metric in _list(scope, "metrics")
        for kind in _METRIC_KINDS
    )


_COUNTS: Final[dict[str, Callable[[Any], int]]] = {"metrics": _data_points, "logs": _log_records}


def _of(parent: Any, name: str) -> Any:
    """Return a field of a message, or of an object of OTLP JSON, which spells it in camel case."""
    if type(parent) is dict:
        first, *others = name.split("_")
        return parent.get("".join((first, *map(str.title, others)))) or {}
    return getattr(parent, name, ())


def _list(parent: Any, name: str) -> Any:
    found = _of(parent, name)
    if type(found) in (str, int, float, bool):
        raise TypeError(f"{name} is no list")
    return found
