"""Export by OTLP through the official exporters. They log every failed attempt; lmspan logs one line for all of them.

Spans are encoded by lmspan (`lmspan.export.encoder`), metrics and log records by the exporters.

The protocol is HTTP with protobuf, or gRPC if the standard protocol variable selects it. The exporters read endpoint,
headers, certificates, compression and timeout from the standard variables.

One `export()` takes at most the timeout of the exporter, `OTEL_EXPORTER_OTLP_TIMEOUT` or 10 s: up to six attempts and
the waits between them, which end at once when the exporter shuts down.
"""

from __future__ import annotations

import logging
import os
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.errors import ConfigurationError
from lmspan.export import failures
from lmspan.export.encoder import with_own_encoder
from lmspan.export.queue import ExportQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from lmspan.export.failures import Failure
    from lmspan.export.http import OtlpAdapter

_Result = TypeVar("_Result")

# Below the receivers' defaults, 4 MiB for gRPC and 20 MiB for HTTP, because the size of a batch is an estimate.
BATCH_BYTES: Final = {"grpc": 2_500_000, "http/protobuf": 8_000_000}

# The module and the class of the exporter for each signal, the same for both protocols.
_EXPORTERS: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}

# The exporter tries again after these. After RESOURCE_EXHAUSTED and OUT_OF_RANGE it would send a batch that is too
# large six times; there the queue decides.
_RETRYABLE: Final = ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE", "DATA_LOSS")
_RETRYABLE_VARIABLE: Final = "OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES"

_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.common._internal",  # attributes that OTLP cannot hold
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk._shared_internal",
    "urllib3.connection",  # malformed headers of a response
    "urllib3.connectionpool",
)


class Hush:
    """Captures the log lines of the exporters on the threads inside it; `line` is the last line."""

    def __init__(self, on_line: Callable[[str], Any] | None = None) -> None:
        self._on_line = on_line
        self.line: str = ""
        for name in _LOGGERS:
            filters = logging.getLogger(name).filters
            if _keep not in filters:
                filters.insert(0, _keep)  # before the exporter's own filter, which drops repeated lines

    def __enter__(self) -> Self:
        _inside[threading.get_ident()] = self
        return self

    def __exit__(self, *_: object) -> None:
        _inside.pop(threading.get_ident(), None)

    def take(self, line: str) -> None:
        """Keep a line instead of printing it."""
        self.line = line
        if self._on_line is not None:
            self._on_line(line)


_inside: dict[int, Hush] = {}


def _keep(record: logging.LogRecord) -> bool:
    hush = _inside.get(record.thread or 0)
    if hush is not None:
        hush.take(record.getMessage())
    return hush is None


class Delivery:
    """Calls one exporter, without log lines and without spans of its requests; keeps the failure of its last export."""

    def __init__(
        self,
        exporter: Any,
        adapter: OtlpAdapter | None,
        redact: Callable[[str], str],
        on_line: Callable[[str], Any] | None = None,
    ) -> None:
        self._exporter = exporter
        self._adapter = adapter
        self._redact = redact
        self._hush = Hush(on_line)

    @property
    def failure(self) -> Failure | None:
        """The failure of the last attempt, also while the export goes on; None after a success."""
        if self._adapter is not None and self._adapter.failure is not None:
            return self._adapter.failure
        return failures.of_line(self._hush.line) if self._hush.line else None

    @property
    def trouble(self) -> str:
        """The reason of the last failure, without secrets; empty after a success."""
        return self._redact(self.failure.reason) if self.failure is not None else ""

    def export(self, export: Callable[[], _Result], failed: _Result) -> _Result:
        """Return the result of an export, or `failed` if it raises."""
        self._hush.line = ""
        if self._adapter is not None:
            self._adapter.failure = None
        token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            with self._hush:
                result = export()
        except Exception as error:  # noqa: BLE001 - exporters of some releases raise where others log
            self._hush.take(f"Failed to encode or to send: {error!r}")
            return failed
        finally:
            context.detach(token)
        if result is not failed:
            self._hush.line = ""
        return result

    def shutdown(self, *args: Any, **options: Any) -> None:
        """Close the connection and end a wait between attempts."""
        with self._hush:
            self._exporter.shutdown(*args, **options)


class QuietExporter(SpanExporter):
    """An exporter of spans that keeps its log lines instead of printing them."""

    def __init__(
        self, exporter: SpanExporter, redact: Callable[[str], str], adapter: OtlpAdapter | None = None
    ) -> None:
        self._exporter = exporter
        self._delivery = Delivery(exporter, adapter, redact, self._note_line)
        self.queue: ExportQueue | None = None

    @property
    def trouble(self) -> str:
        """The reason of the last failure, in one line with the address; empty after a success."""
        return self._delivery.trouble

    @property
    def batch_refused(self) -> bool:
        """Whether the last export failed because of the batch itself, its size or its content."""
        failure = self._delivery.failure
        return failure is not None and failure.batch_refused

    @property
    def retry_after_s(self) -> float | None:
        """The wait that the endpoint requests before the next export, at most a minute; None if it requests none."""
        failure = self._delivery.failure
        return failure.retry_after_s if failure is not None else None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export one batch; called on the queue's worker thread, with the exporter's own retries and timeout."""
        return self._delivery.export(lambda: self._exporter.export(spans), SpanExportResult.FAILURE)

    def shutdown(self) -> None:
        """Close the connection and end a wait between attempts."""
        self._delivery.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True, because `export` buffers nothing."""
        del timeout_millis
        return True

    def _note_line(self, line: str) -> None:
        if self.queue is not None and line.startswith("Transient error"):
            self.queue.failing = True


def otlp_queue(protocol: str, redact: Callable[[str], str]) -> ExportQueue:
    """Return a queue that exports by OTLP as the standard variables configure it."""
    exporter, adapter = official(protocol, "traces")
    quiet = QuietExporter(exporter, redact, adapter)
    quiet.queue = ExportQueue(quiet, "otlp", batch_bytes=BATCH_BYTES[protocol])
    return quiet.queue


def official(protocol: str, signal: str, **options: Any) -> tuple[Any, OtlpAdapter | None]:
    """Import and return the official exporter for a signal and, over HTTP, its adapter; `options` are the exporter's.

    Raises:
        ConfigurationError: the exporter refuses the `OTEL_EXPORTER_OTLP_*` variables.
    """
    try:
        return _grpc(signal, options) if protocol == "grpc" else _http(signal, options)
    except Exception as error:
        raise ConfigurationError(f"the OTLP exporter refuses its OTEL_EXPORTER_OTLP_* variables: {error}") from error


def _http(signal: str, options: dict[str, Any]) -> tuple[Any, OtlpAdapter]:
    from lmspan.export.http import OtlpAdapter, session  # noqa: PLC0415 - gRPC does not need it

    adapter = OtlpAdapter()
    return _kind("http", signal)(session=session(adapter, signal, os.environ), **options), adapter


def _grpc(signal: str, options: dict[str, Any]) -> tuple[Any, None]:
    kind = _kind("grpc", signal)
    if signal != "traces" or os.environ.get(_RETRYABLE_VARIABLE):
        return kind(**options), None
    statuses = import_module("grpc").StatusCode
    return kind(retryable_error_codes=[statuses[name] for name in _RETRYABLE], **options), None


def _kind(protocol: str, signal: str) -> Any:
    module, name = _EXPORTERS[signal]
    kind = getattr(import_module(f"opentelemetry.exporter.otlp.proto.{protocol}.{module}"), name)
    return with_own_encoder(kind, protocol) if signal == "traces" else kind
