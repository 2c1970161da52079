"""The TracerProvider of the process and the span processors that lmspan adds to it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

from lmspan._version import __version__
from lmspan.errors import ConfigurationError
from lmspan.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

    from lmspan import config
    from lmspan.content.redaction import Redactor
    from lmspan.subscribers.processor import CallbackProcessor

logger: Final = logging.getLogger("lmspan")

_own_provider: TracerProvider | None = None


def existing() -> Any:
    """Return the process's TracerProvider, or None for lmspan's own and for the API's placeholder."""
    from opentelemetry import trace

    provider = trace.get_tracer_provider()
    return provider if hasattr(provider, "add_span_processor") and provider is not _own_provider else None


def make(
    resolved: config.Config,
    sampler: Sampler | None,
    resource_attributes: Mapping[str, Any] | None,
    redactor: Redactor,
) -> TracerProvider:
    """Return lmspan's provider, which the first call creates and sets: OpenTelemetry allows one for each process."""
    global _own_provider  # noqa: PLW0603 - one provider for the process
    if _own_provider is not None:
        return _own_provider
    from opentelemetry import trace

    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
    except ValueError as error:  # the SDK reads its limits from the environment when it is imported
        raise ConfigurationError(f"OpenTelemetry cannot be loaded: {error}") from error
    from lmspan.export.ids import UniqueIds
    from lmspan.subscribers.registry import anybody
    from lmspan.subscribers.sampling import ListeningSampler

    attributes = {"telemetry.distro.name": "lmspan", "telemetry.distro.version": __version__}
    resource = Resource.create({**attributes, "service.name": resolved.service_name, **(resource_attributes or {})})
    clean = {
        name: value if name.startswith("telemetry.") else redactor.value(name, value)
        for name, value in resource.attributes.items()
    }
    _own_provider = TracerProvider(
        sampler=sampler, resource=Resource(clean), id_generator=UniqueIds(), shutdown_on_exit=False
    )
    _own_provider.sampler = ListeningSampler(_own_provider.sampler, anybody)
    trace.set_tracer_provider(_own_provider)
    return _own_provider


def tracer(provider: Any) -> Any:
    """Return the tracer of a provider: it starts lmspan's own spans, or the SDK's where own ones would not be right.

    `LMSPAN_SPAN=sdk` asks for the SDK's.
    """
    tracer = provider.get_tracer("lmspan", __version__)
    if os.environ.get("LMSPAN_SPAN", "own").strip().lower() == "sdk" or not hasattr(tracer, "sampler"):
        return tracer
    from lmspan.recording.span import own_tracer
    from lmspan.subscribers.sampling import children_follow

    return own_tracer(tracer, children_follow=children_follow(tracer.sampler)) or tracer


def listening(tracer: Any) -> Callable[[], bool] | None:
    """Return what the recorder of a tracer asks before it leaves out a child of a call that is not sampled."""
    from lmspan.subscribers.registry import anybody

    return anybody if getattr(tracer, "children_follow", False) else None


def for_callbacks() -> tuple[TracerProvider, CallbackProcessor]:
    """Return a provider that only callbacks hear, and its processor. It is not the global one."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    from lmspan.export.ids import UniqueIds
    from lmspan.subscribers.processor import CallbackProcessor

    provider = TracerProvider(sampler=ALWAYS_ON, id_generator=UniqueIds(), shutdown_on_exit=False)
    processor = CallbackProcessor()
    provider.add_span_processor(processor)
    return provider, processor


def meters(resolved: config.Config, provider: Any, redactor: Redactor) -> Any:
    """Return a new MeterProvider if an exporter is configured and the process has no provider, else None."""
    from opentelemetry import metrics

    if resolved.metrics == "none" or hasattr(metrics.get_meter_provider(), "force_flush"):
        return None
    from lmspan.export.signals import meter_provider

    return meter_provider(resolved, provider.resource, redactor.secrets)


def loggers(resolved: config.Config, provider: Any, redactor: Redactor) -> Any:
    """Return a new LoggerProvider if events go to the log and the process has no provider, else None."""
    from opentelemetry import _logs

    if resolved.events == "span" or hasattr(_logs.get_logger_provider(), "force_flush"):
        return None
    if resolved.logs == "none":
        logger.warning(
            'lmspan: events="%s": there is no LoggerProvider and no OTLP endpoint, so the log records are lost; '
            "set OTEL_EXPORTER_OTLP_ENDPOINT or pass logger_provider=",
            resolved.events,
        )
        return None
    from lmspan.export.signals import logger_provider

    return logger_provider(resolved, provider.resource, redactor.secrets)


def processor(exporter: Any, resolved: config.Config, redactor: Redactor) -> Any:
    """Return the span processor for an exporter of the configuration: a name, an exporter or a processor."""
    from lmspan.export.queue import ExportQueue

    if exporter == "file":
        from lmspan.directories import trace_directory
        from lmspan.export.file import FileSink
        from lmspan.export.journal import Journal

        directory = trace_directory()
        journal = Journal(directory)
        queue: Any = ExportQueue(FileSink(directory), "file", delay_s=0.3, is_local=True, journal=journal)
        queue.directory = directory
        return queue
    if exporter == "otlp":
        from lmspan.export.otlp import otlp_queue

        return otlp_queue(resolved.protocol, redactor.secrets)
    if exporter == "console":
        return _console()
    if hasattr(exporter, "on_end"):
        from lmspan.export.foreign import ForeignProcessor

        return ForeignProcessor(exporter)
    return ExportQueue(exporter, type(exporter).__name__)


def _console() -> Any:
    from rich.console import Console

    from lmspan.export.console import ConsoleTraces
    from lmspan.terminal import tree
    from lmspan.traces import direct

    def show(requests: list[dict[str, Any]]) -> None:
        for trace in direct.read_requests(requests):
            Console(stderr=True, highlight=False).print(tree.render(trace, content=False))

    return ConsoleTraces(show)


def prepare_to_close(count: int) -> None:
    """Start spare threads for the shutdown of `count` objects that may hang: no thread can start at the exit."""
    from lmspan.export import closing

    closing.prepare(count)


def shut_down(each: Any, timeout_s: float) -> None:
    """Shut down a processor, or a provider of metrics or log records, and return in time even if it hangs."""
    from lmspan.export.closing import run_within
    from lmspan.export.queue import ExportQueue

    if isinstance(each, ExportQueue):
        each.shutdown(int(timeout_s * 1000))
    elif hasattr(each, "shutdown_within"):
        guarded(each.shutdown_within)(timeout_s)
    else:
        run_within(timeout_s, guarded(each.shutdown))


def remove(provider: Any, processors: list[SpanProcessor]) -> None:
    """Remove lmspan's processors from a provider of the program; in an unknown SDK they stay, and do nothing."""
    registry: Any = getattr(provider, "_active_span_processor", None)
    if isinstance(getattr(registry, "_span_processors", None), tuple):
        others = tuple(each for each in registry._span_processors if each not in processors)  # noqa: SLF001 - no public way
        registry._span_processors = others  # noqa: SLF001 - the same
