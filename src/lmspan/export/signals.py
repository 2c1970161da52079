"""Metrics and log records by OTLP, when they are asked for: the SDK's own pipelines, made quiet, bounded at the end."""

from __future__ import annotations

import logging
from importlib import import_module
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

from lmspan.errors import ConfigurationError
from lmspan.export.otlp import Hush

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource

    from lmspan.config import Config

logger = logging.getLogger("lmspan.export")

_EXPORTERS: Final = {
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
    "logs": ("_log_exporter", "OTLPLogExporter"),
}


class _Told:
    """One warning for each signal that cannot be delivered, however often it is tried."""

    def __init__(self, signal: str, redact: Callable[[str], str]) -> None:
        self.hush = Hush(redact)
        self._signal = signal
        self._said = False

    def note(self, delivered: bool) -> None:
        if not delivered and not self._said:
            self._said = True
            logger.warning("lmspan: %s cannot be delivered: %s", self._signal, self.hush.trouble or "no reason given")


class QuietMetrics(MetricExporter):
    """A metric exporter that warns once."""

    def __init__(self, exporter: Any, redact: Callable[[str], str]) -> None:
        # what aggregation and temporality it prefers, it has read from the standard variables
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001
        self._exporter = exporter
        self._told = _Told("metrics", redact)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export what was collected; on the reader's thread."""
        with self._told.hush:
            result: MetricExportResult = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        self._told.note(result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Close the connection."""
        with self._told.hush:
            self._exporter.shutdown(timeout_millis, **kwargs)


class QuietLogs(LogRecordExporter):
    """A log exporter that warns once."""

    def __init__(self, exporter: Any, redact: Callable[[str], str]) -> None:
        self._exporter = exporter
        self._told = _Told("log records", redact)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export one batch; on the processor's thread."""
        with self._told.hush:
            result: LogRecordExportResult = self._exporter.export(batch)
        self._told.note(result is LogRecordExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def shutdown(self) -> None:
        """Close the connection."""
        with self._told.hush:
            self._exporter.shutdown()


def meter_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> MeterProvider:
    """Return a provider that exports as `OTEL_METRICS_EXPORTER` says, every `OTEL_METRIC_EXPORT_INTERVAL`."""
    exporter: Any = ConsoleMetricExporter() if config.metrics == "console" else _otlp(config.protocol, "metrics")
    reader = PeriodicExportingMetricReader(QuietMetrics(exporter, redact))
    return MeterProvider([reader], resource, shutdown_on_exit=False)


def logger_provider(config: Config, resource: Resource, redact: Callable[[str], str]) -> LoggerProvider:
    """Return a provider that exports log records by OTLP."""
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(QuietLogs(_otlp(config.protocol, "logs"), redact)))
    return provider


def _otlp(protocol: str, signal: str) -> Any:
    module, name = _EXPORTERS[signal]
    road = "grpc" if protocol == "grpc" else "http"
    try:
        return getattr(import_module(f"opentelemetry.exporter.otlp.proto.{road}.{module}"), name)()
    except (ValueError, LookupError, TypeError, RuntimeError, OSError) as error:
        raise ConfigurationError(f"the OTLP exporter refuses its OTEL_EXPORTER_OTLP_* variables: {error}") from error
