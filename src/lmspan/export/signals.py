"""Export metrics and log records through the SDK's pipelines, without its log lines and with a bound on the time."""

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
    """Delivers one signal and counts the failed exports. The first failure logs one warning."""

    def __init__(
        self, name: str, exporter: Any, adapter: OtlpAdapter | None, redact: Callable[[str], str], failed: Any
    ) -> None:
        self.failures: int = 0
        self.flushing: threading.Lock = threading.Lock()
        self.delivery: Delivery = Delivery(exporter, adapter, redact)
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
                "lmspan: %s cannot be delivered: %s", self._name, self.delivery.trouble or "the reason is unknown"
            )


class QuietMetrics(MetricExporter):
    """A metric exporter that logs one warning, however many exports fail."""

    def __init__(self, exporter: Any, redact: Callable[[str], str], adapter: OtlpAdapter | None = None) -> None:
        # The exporter reads its preferences from the standard variables, and has no public name for them.
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 - the same
        self._exporter = exporter
        self.signal: _Signal = _Signal("metrics", exporter, adapter, redact, MetricExportResult.FAILURE)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export the collected metrics; called on the reader's thread."""
        result: MetricExportResult = self.signal.export(
            lambda: self._exporter.export(metrics_data, timeout_millis, **kwargs)
        )
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return True, because `export` buffers nothing."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        self.signal.delivery.shutdown(timeout_millis, **kwargs)


class QuietLogs(LogRecordExporter):
    """A log exporter that logs one warning, however many exports fail."""

    def __init__(self, exporter: Any, redact: Callable[[str], str], adapter: OtlpAdapter | None = None) -> None:
        self._exporter = exporter
        self.signal: _Signal = _Signal("log records", exporter, adapter, redact, LogRecordExportResult.FAILURE)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export one batch; called on the processor's thread."""
        result: LogRecordExportResult = self.signal.export(lambda: self._exporter.export(batch))
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Return True, because `export` buffers nothing."""
        del timeout_millis
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        self.signal.delivery.shutdown()


class Meters(MeterProvider):
    """A MeterProvider whose flush returns True only after a delivery in time; the SDK's flush always returns True."""

    def __init__(self, exporter: QuietMetrics, resource: Resource) -> None:
        self._signal = exporter.signal
        super().__init__([PeriodicExportingMetricReader(exporter)], resource, shutdown_on_exit=False)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Export the measurements so far."""
        return _flushed(lambda: super(Meters, self).force_flush(timeout_millis), self._signal, timeout_millis)

    def shutdown_within(self, timeout_s: float) -> None:
        """Export for the last time, on the reader's thread; return at the deadline if the endpoint hangs."""
        self.shutdown(timeout_s * 1000)


class Loggers(LoggerProvider):
    """A LoggerProvider with a bounded flush and shutdown; the SDK's wait as long as an export takes."""

    def __init__(self, exporter: QuietLogs, resource: Resource) -> None:
        super().__init__(resource, shutdown_on_exit=False)
        self._signal = exporter.signal
        self._batches = _Batches(exporter)
        self.add_log_record_processor(self._batches)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export the queued log records."""
        return _flushed(lambda: super(Loggers, self).force_flush(timeout_millis), self._signal, timeout_millis)

    def shutdown_within(self, timeout_s: float) -> None:
        """Export for the last time, on the processor's thread; return at the deadline if the endpoint hangs."""
        self._batches.timeout_millis = int(timeout_s * 1000)
        self.shutdown()


class _Batches(BatchLogRecordProcessor):
    """A processor whose shutdown has a timeout, which a LoggerProvider does not pass on."""

    timeout_millis = 30_000

    def shutdown(self) -> None:
        self._batch_processor.shutdown(self.timeout_millis)


def meter_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> Meters:
    """Return a provider that exports to `OTEL_METRICS_EXPORTER`, every `OTEL_METRIC_EXPORT_INTERVAL`."""
    if config.metrics == "console":
        return Meters(QuietMetrics(ConsoleMetricExporter(), redact), resource)
    exporter, adapter = official(config.metrics_protocol, "metrics")
    return Meters(QuietMetrics(exporter, redact, adapter), resource)


def logger_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> Loggers:
    """Return a provider that exports log records by OTLP."""
    exporter, adapter = official(config.logs_protocol, "logs")
    return Loggers(QuietLogs(exporter, redact, adapter), resource)


def _flushed(flush: Callable[[], bool], signal: _Signal, timeout_millis: float) -> bool:
    """Flush on a thread, because the SDK does not bound an export; return True only if all was delivered in time."""
    deadline = time.monotonic() + timeout_millis / 1000
    if not signal.flushing.acquire(timeout=timeout_millis / 1000):  # one thread at a time waits for a hung endpoint
        return False
    failures_before = signal.failures
    flushed: list[bool] = []

    def run() -> None:
        try:
            flushed.append(bool(guarded(flush)()))
        finally:
            signal.flushing.release()

    run_within(max(deadline - time.monotonic(), 0.0), run)
    return flushed == [True] and signal.failures == failures_before
