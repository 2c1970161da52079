"""OTLP export by the official exporters, kept quiet: they log every failed attempt, we say once that spans are lost.

HTTP with protobuf by default, gRPC when the standard protocol variable says so; endpoint, headers, certificates,
compression and timeout are theirs to read from the standard variables.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.errors import ConfigurationError
from lmspan.export.queue import ExportQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

# Under the receivers' defaults, 4 MiB for gRPC and 20 MiB for HTTP, with room for what an estimate misses.
BATCH_BYTES: Final = {"grpc": 2_500_000, "http/protobuf": 8_000_000}

_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk._shared_internal",
)


class Hush:
    """While a thread is inside, what the exporters log there is not printed: the last line of it is `trouble`."""

    def __init__(self, redact: Callable[[str], str], heard: Callable[[str], Any] | None = None) -> None:
        self._redact = redact
        self._heard = heard
        self.trouble = ""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_keep)  # a logger takes the same filter once

    def __enter__(self) -> Self:
        _inside[threading.get_ident()] = self
        return self

    def __exit__(self, *_: object) -> None:
        _inside.pop(threading.get_ident(), None)

    def take(self, message: str) -> None:
        """Keep a line that is not printed."""
        self.trouble = self._redact(message)[:300]
        if self._heard is not None:
            self._heard(message)


_inside: dict[int, Hush] = {}


def _keep(record: logging.LogRecord) -> bool:
    hush = _inside.get(record.thread or 0)
    if hush is not None:
        hush.take(record.getMessage())
    return hush is None


class QuietExporter(SpanExporter):
    """An exporter whose log lines on our worker thread are kept as `trouble` instead of being printed."""

    def __init__(self, exporter: SpanExporter, redact: Callable[[str], str]) -> None:
        self._exporter = exporter
        self._hush = Hush(redact, self._hear)
        self.queue: ExportQueue | None = None

    @property
    def trouble(self) -> str:
        """What the exporter said last."""
        return self._hush.trouble

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export one batch; called on the queue's worker thread, with the exporter's own retries and timeout."""
        with self._hush:
            return self._exporter.export(spans)

    def shutdown(self) -> None:
        """Close the connection and interrupt a wait between retries. What is said on the way is nobody's concern."""
        with self._hush:
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def _hear(self, message: str) -> None:
        if self.queue is not None and message.startswith("Transient error"):
            self.queue.failing = True


def otlp_queue(protocol: str, redact: Callable[[str], str]) -> ExportQueue:
    """Return a queue that exports by OTLP as the standard variables say. Imports the exporter it needs, only here."""
    try:
        exporter = _exporter(protocol)
    except (ValueError, LookupError, TypeError, RuntimeError, OSError) as error:
        raise ConfigurationError(f"the OTLP exporter refuses its OTEL_EXPORTER_OTLP_* variables: {error}") from error
    quiet = QuietExporter(exporter, redact)
    quiet.queue = ExportQueue(quiet, "otlp", batch_bytes=BATCH_BYTES[protocol])
    return quiet.queue


def _exporter(protocol: str) -> Any:
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc  # noqa: PLC0415

        return Grpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http  # noqa: PLC0415

    return Http()
