"""`init()` puts the parts together: configuration, provider, exporters, recorder, instrumentors. `Session` undoes."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from lmspan import config, instrumentation, propagation, recorder
from lmspan._version import __version__
from lmspan.content import CAPTURE_MODES, Content
from lmspan.errors import ConfigurationError
from lmspan.guard import guarded
from lmspan.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

logger = logging.getLogger("lmspan")

_EXIT_TIMEOUT_S = 1.5


class Session:
    """What one `init()` set up; leaving it takes away what it added. Usable as a context manager, from any thread."""

    def __init__(self) -> None:
        self.trace_directory: Any = None
        """Where the file sink writes (a `pathlib.Path`), or None when there is none."""
        self.instrumented: tuple[str, ...] = ()
        """The libraries that are instrumented, or will be when the program imports them."""
        self._undo: list[Callable[[], Any]] = []
        self._processors: list[SpanProcessor] = []
        self._provider: Any = None
        self._closed = False

    def force_flush(self, timeout_s: float = 2.0) -> bool:
        """Export what has ended so far; True only if everything was delivered in time. Never raises."""
        deadline = time.monotonic() + timeout_s
        done = [
            guarded(processor.force_flush)(max(int((deadline - time.monotonic()) * 1000), 0))
            for processor in self._processors
        ]
        return all(done)

    def shutdown(self, timeout_s: float = 2.0) -> None:
        """Take our patches, recorder and exporters away, exporting what is queued until one deadline. Never raises."""
        global _session  # noqa: PLW0603
        with _lock:
            if self._closed:
                return
            self._closed = True
            _session = None if _session is self else _session
        for undo in reversed(self._undo):
            guarded(undo)()
        self._undo.clear()
        deadline = time.monotonic() + timeout_s
        for processor in self._processors:
            guarded(_shut_down)(processor, max(deadline - time.monotonic(), 0))
        guarded(_remove_processors)(self._provider, self._processors)
        atexit.unregister(self._exit)

    def _exit(self) -> None:
        self.shutdown(_EXIT_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.shutdown()


_lock = threading.RLock()
_session: Session | None = None
_own_provider: TracerProvider | None = None


def init(
    service_name: str | None = None,
    *,
    exporters: Iterable[Any] | str | None = None,
    instrument: Iterable[str] | str | None = None,
    capture_content: str | None = None,
    redact: Callable[[str], str] | None = None,
    events: str = "span",
    openinference: bool = False,
    sampler: Sampler | None = None,
    resource_attributes: Mapping[str, Any] | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> Session:
    """Record this program from now on. A second call returns the same session and changes nothing.

    Args:
        service_name: else `OTEL_SERVICE_NAME`, else the script's name.
        exporters: "file", "otlp", "console", "none", or SpanExporter and SpanProcessor objects. None: what the `OTEL_*`
            variables say, else "file"; with a TracerProvider already there, that stack alone.
        instrument: names of libraries. None: every supported one that is installed; "all": also the other
            OpenTelemetry instrumentors that are installed.
        capture_content: "none", "span", "event" or "both". None: on spans while they only go to the local file or
            the terminal, else what OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for, else none.
        redact: sees every string before it is recorded and returns what may be. Secrets are never recorded anyway.
        events: where events go: "span", "log" (then `logger_provider`, or the global one) or "both".
        openinference: also set OpenInference's span kind, input and output.
        sampler: for the provider that init makes; one that is already there keeps its own.
        resource_attributes: added to the resource of that provider.
        tracer_provider: use this one. None: the global one if the process has one, else a new one.
        meter_provider: use this one. None: the global one, if the process has one.
        logger_provider: for `events="log"`.

    Raises:
        ConfigurationError: an argument that cannot be used.
        InstrumentationError: a library asked for by name that is unknown or missing.
    """
    global _session  # noqa: PLW0603
    with _lock:
        if _session is not None:
            return _session
        if config.is_disabled(os.environ):
            return Session()
        existing = tracer_provider or _existing_provider()
        resolved = config.resolve(
            service_name=service_name,
            exporters=exporters,
            instrument=instrument,
            capture_content=capture_content,
            events=events,
            openinference=openinference,
            provider_exists=existing is not None,
        )
        names = instrumentation.choose(resolved.instrument)
        redactor = Redactor(redact, os.environ)
        session = Session()
        session._provider = existing or _make_provider(resolved, sampler, resource_attributes, redactor)
        try:
            _add_exporters(session, resolved, redactor)
            _install_recorder(session, resolved, redactor, meter_provider, logger_provider)
            _instrument(session, names)
        except BaseException:
            session.shutdown(timeout_s=0)
            raise
        atexit.register(session._exit)
        _session = session
        return session


def disable() -> None:
    """Record nothing until `enable()`; calls that are open end as usual. Instrumented code costs next to nothing."""
    recorder.active.enabled = False


def enable() -> None:
    """Record again after `disable()`."""
    recorder.active.enabled = True


def is_enabled() -> bool:
    """Tell whether calls are recorded."""
    return recorder.active.enabled and not config.is_disabled(os.environ)


def _existing_provider() -> Any:
    """Return the process's TracerProvider if somebody else has set one; the API's placeholder is none."""
    from opentelemetry import trace  # noqa: PLC0415

    provider = trace.get_tracer_provider()
    return provider if hasattr(provider, "add_span_processor") and provider is not _own_provider else None


def _make_provider(
    resolved: config.Config,
    sampler: Sampler | None,
    resource_attributes: Mapping[str, Any] | None,
    redactor: Redactor,
) -> TracerProvider:
    """Return the provider of this process, made the first time. OpenTelemetry lets it be set only once."""
    global _own_provider  # noqa: PLW0603
    if _own_provider is not None:
        return _own_provider
    from opentelemetry import trace  # noqa: PLC0415

    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    except ValueError as error:  # the SDK reads its limits from the environment when it is imported
        raise ConfigurationError(f"OpenTelemetry cannot be loaded: {error}") from error
    from lmspan.export.ids import UniqueIds  # noqa: PLC0415

    attributes = {"telemetry.distro.name": "lmspan", "telemetry.distro.version": __version__}
    resource = Resource.create({**attributes, "service.name": resolved.service_name, **(resource_attributes or {})})
    clean = {
        key: redactor.secrets(value) if type(value) is str else value for key, value in resource.attributes.items()
    }
    _own_provider = TracerProvider(
        sampler=sampler, resource=Resource(clean), id_generator=UniqueIds(), shutdown_on_exit=False
    )
    trace.set_tracer_provider(_own_provider)
    return _own_provider


def _add_exporters(session: Session, resolved: config.Config, redactor: Redactor) -> None:
    for exporter in resolved.exporters:
        processor = _processor(session, exporter, resolved, redactor)
        session._processors.append(processor)
        session._provider.add_span_processor(processor)


def _processor(session: Session, exporter: Any, resolved: config.Config, redactor: Redactor) -> Any:
    from lmspan.export.queue import ExportQueue  # noqa: PLC0415

    if exporter == "file":
        from lmspan.export.file import FileSink, trace_directory  # noqa: PLC0415

        session.trace_directory = trace_directory()
        return ExportQueue(FileSink(session.trace_directory), "file", delay_s=0.3)
    if exporter == "otlp":
        from lmspan.export.otlp import otlp_queue  # noqa: PLC0415

        return otlp_queue(resolved.protocol, redactor.secrets)
    if exporter == "console":
        return _console()
    return exporter if hasattr(exporter, "on_end") else ExportQueue(exporter, type(exporter).__name__)


def _console() -> Any:
    from rich.console import Console  # noqa: PLC0415

    from lmspan.export.console import ConsoleTraces  # noqa: PLC0415
    from lmspan.viewer import store, tree  # noqa: PLC0415

    def show(requests: list[dict[str, Any]]) -> None:
        for trace in store.read_requests(requests).traces.values():
            Console(stderr=True).print(tree.render(trace, content=False))

    return ConsoleTraces(show)


def _install_recorder(
    session: Session,
    resolved: config.Config,
    redactor: Redactor,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
) -> None:
    from opentelemetry._logs import get_logger  # noqa: PLC0415

    from lmspan.metrics import Metrics, global_metrics  # noqa: PLC0415

    made = recorder.Recorder(
        session._provider.get_tracer("lmspan", __version__),
        content=Content(CAPTURE_MODES[resolved.capture_content], redactor, max_bytes=resolved.content_max_bytes),
        metrics=Metrics(meter_provider) if meter_provider is not None else global_metrics(),
        events=resolved.events,
        event_logger=get_logger("lmspan", __version__, logger_provider) if resolved.events != "span" else None,
        openinference=resolved.openinference,
    )
    before = recorder.install(made)
    session._undo += [lambda: recorder.install(before), made.close]


def _instrument(session: Session, names: tuple[str, ...]) -> None:
    """Instrument the chosen libraries; the patches of a session go away with it."""
    propagation.install()
    session._undo.append(propagation.uninstall)
    for name in names:
        instrumentor = instrumentation.load(name)
        if not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()
            session._undo.append(instrumentor.uninstrument)
    session.instrumented = names


def _shut_down(processor: Any, timeout_s: float) -> None:
    from lmspan.export.queue import ExportQueue  # noqa: PLC0415

    if isinstance(processor, ExportQueue):
        processor.shutdown(int(timeout_s * 1000))
    else:
        processor.shutdown()


def _remove_processors(provider: Any, ours: list[SpanProcessor]) -> None:
    """Take our processors out of a provider that lives on; where the SDK looks otherwise, they stay, silent."""
    registry: Any = getattr(provider, "_active_span_processor", None)
    if isinstance(getattr(registry, "_span_processors", None), tuple):
        registry._span_processors = tuple(each for each in registry._span_processors if each not in ours)
