"""Metrics and log records by OTLP, where they are asked for: the SDK's pipelines, made quiet and bounded in time."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)

from lmspan.export.closing import run_within
from lmspan.export.otlp import Delivery, official
from lmspan.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from lmspan.config import Config
    from lmspan.export.http import OtlpAdapter

logger: Final = logging.getLogger("lmspan.export")


class _Signal:
    """Delivers one signal and counts the exports that failed; the first failure is one warning."""

    def __init__(
        self, name: str, exporter: Any, adapter: OtlpAdapter | None, redact: Callable[[str], str], failed: Any
    ) -> None:
        self.failures = 0
        self.flushing = threading.Lock()
        self.delivery = Delivery(exporter, adapter, redact)
        self._name = name
        self._failed = failed

    def export(self, export: Callable[[], Any]) -> Any:
        """Return the result of an export."""
        result = self.delivery.export(export, self._failed)
        if result is self._failed:
            self._count()
        return result

    def _count(self) -> None:
        self.failures += 1
        if self.failures == 1:
            logger.warning(
                "lmspan: %s cannot be delivered: %s", self._name, self.delivery.trouble or "no reason is given"
            )


class QuietMetrics(MetricExporter):
    """A metric exporter that warns once."""

    def __init__(self, exporter: Any, redact: Callable[[str], str], adapter: OtlpAdapter | None = None) -> None:
        # the exporter has read its preferred aggregation and temporality from the standard variables
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._exporter = exporter
        self.signal: _Signal = _Signal("metrics", exporter, adapter, redact, MetricExportResult.FAILURE)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export the collected metrics; called on the reader's thread."""
        result: MetricExportResult = self.signal.export(
            lambda: self._exporter.export(metrics_data, timeout_millis, **kwargs)
        )
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        self.signal.delivery.shutdown(timeout_millis, **kwargs)


class QuietLogs(LogRecordExporter):
    """A log exporter that warns once."""

    def __init__(self, exporter: Any, redact: Callable[[str], str], adapter: OtlpAdapter | None = None) -> None:
        self._exporter = exporter
        self.signal: _Signal = _Signal("log records", exporter, adapter, redact, LogRecordExportResult.FAILURE)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export one batch; called on the processor's thread."""
        result: LogRecordExportResult = self.signal.export(lambda: self._exporter.export(batch))
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        self.signal.delivery.shutdown()


class Meters(MeterProvider):
    """A MeterProvider whose flush is True only if everything was delivered in time: the SDK's own is always True."""

    def __init__(self, exporter: QuietMetrics, resource: Resource) -> None:
        self._signal = exporter.signal
        super().__init__([PeriodicExportingMetricReader(exporter)], resource, shutdown_on_exit=False)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export what has been measured so far."""
        return _flushed(lambda: super(Meters, self).force_flush(timeout_millis), self._signal, timeout_millis)

    def shutdown_within(self, timeout_s: float) -> None:
        """Export for the last time, on the reader's thread, and stop; an endpoint that hangs is left alone."""
        self.shutdown(timeout_s * 1000)


class Loggers(LoggerProvider):
    """A LoggerProvider whose flush and shutdown are bounded: the SDK's own wait for as long as an export takes."""

    def __init__(self, exporter: QuietLogs, resource: Resource) -> None:
        super().__init__(resource, shutdown_on_exit=False)
        self._signal = exporter.signal
        self._batches = _Batches(exporter)
        self.add_log_record_processor(self._batches)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the log records that are queued."""
        return _flushed(lambda: super(Loggers, self).force_flush(timeout_millis), self._signal, timeout_millis)

    def shutdown_within(self, timeout_s: float) -> None:
        """Export for the last time, on the processor's thread, and stop; an endpoint that hangs is left alone."""
        self._batches.timeout_millis = int(timeout_s * 1000)
        self.shutdown()


class _Batches(BatchLogRecordProcessor):
    """A processor whose shutdown has a timeout, which a LoggerProvider cannot hand on."""

    timeout_millis = 30_000

    def shutdown(self) -> None:
        self._batch_processor.shutdown(self.timeout_millis)


def meter_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> Meters:
    """Return a provider that exports as `OTEL_METRICS_EXPORTER` says, every `OTEL_METRIC_EXPORT_INTERVAL`."""
    if config.metrics == "console":
        return Meters(QuietMetrics(ConsoleMetricExporter(), redact), resource)
    exporter, adapter = official(config.protocol, "metrics")
    return Meters(QuietMetrics(exporter, redact, adapter), resource)


def logger_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> Loggers:
    """Return a provider that exports log records by OTLP."""
    exporter, adapter = official(config.protocol, "logs")
    return Loggers(QuietLogs(exporter, redact, adapter), resource)


def _flushed(flush: Callable[[], bool], signal: _Signal, timeout_millis: float) -> bool:
    """Flush on a thread, since the SDK does not bound an export; True only if nothing failed and time was enough."""
    deadline = time.monotonic() + timeout_millis / 1000
    if not signal.flushing.acquire(timeout=timeout_millis / 1000):  # one thread at a time waits for a hung endpoint
        return False
    before, done = signal.failures, [False]

    def run() -> None:
        try:
            done[0] = bool(guarded(flush)())
        finally:
            signal.flushing.release()

    run_within(max(deadline - time.monotonic(), 0.0), run)
    return done[0] and signal.failures == before
