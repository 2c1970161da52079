"""`init()` puts configuration, provider, exporters, recorder and instrumentors together; `Session` takes them apart."""

from __future__ import annotations

import atexit
import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from lmspan import config, environment, instrumentation
from lmspan._version import __version__
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor
from lmspan.context import processes, propagation
from lmspan.errors import CallbackError, ConfigurationError, InstrumentationError
from lmspan.guard import guarded
from lmspan.locks import Lock
from lmspan.patching import Patches
from lmspan.recording import recorder
from lmspan.recording.default import DefaultRecorder
from lmspan.session import providers
from lmspan.session.arguments import Arguments
from lmspan.subscribers.subscriptions import subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.sampling import Sampler

    from lmspan.session.arguments import CaptureContent, EventTarget, Exporter, ExporterName, LibraryName

logger: Final = logging.getLogger("lmspan")

_EXIT_TIMEOUT_S = 1.5


class Session:
    """Everything that one `init()` added to the process. A context manager, on any thread: leaving it shuts it down."""

    def __init__(self) -> None:
        self.trace_directory: Path | None = None
        """The directory that the file sink writes to, or None without a file sink."""
        self.instrumented: tuple[str, ...] = ()
        """The libraries that are instrumented, now or when the program imports them."""
        self._undo: list[Callable[[], Any]] = []
        self._processors: list[SpanProcessor] = []
        self._provider: Any = None
        self._signals: list[Any] = []  # our own providers of metrics and log records
        self._patches = Patches()
        self._closed = False
        self._arguments = Arguments()
        self._config: config.Config | None = None
        self._reported: set[str] = set()
        self._redactor: Redactor | None = None
        self._is_of_command = False  # of `lmspan run`, until the program calls init()
        self._is_for_callbacks = False  # of `listen()`, until the program calls init()

    def force_flush(self, timeout_s: float = 2.0) -> bool:
        """Export the spans that have ended; return whether all were delivered in time. Never raises."""
        deadline = time.monotonic() + timeout_s
        flushed = [
            guarded(each.force_flush)(max(int((deadline - time.monotonic()) * 1000), 0))
            for each in (*self._processors, *self._signals)
        ]
        return all(flushed)

    def shutdown(self, timeout_s: float = 2.0) -> None:
        """Remove our patches, recorder and exporters, and export what is queued until one deadline. Never raises."""
        global _session  # noqa: PLW0603 - one session for the process
        with _lock:
            if self._closed:
                return
            self._closed = True
            _session = None if _session is self else _session
        for undo in reversed(self._undo):
            guarded(undo)()
        self._undo.clear()
        self._patches.restore()
        deadline = time.monotonic() + timeout_s
        for each in (*self._processors, *self._signals):
            guarded(providers.shut_down)(each, max(deadline - time.monotonic(), 0.1))
        guarded(providers.remove)(self._provider, self._processors)
        atexit.unregister(self._exit)

    def _exit(self) -> None:
        self.shutdown(_EXIT_TIMEOUT_S)

    def _report_at_exit(self) -> None:
        """Print at the exit of this process how many traces were recorded, and how to look at them."""
        from lmspan.session.report import Report

        report = Report(self.trace_directory)
        self._provider.add_span_processor(report)
        self._processors.append(report)
        atexit.unregister(self._exit)
        atexit.register(report.print)
        atexit.register(self._exit)  # the last to be registered is the first to run

    def _adopt(self, arguments: Arguments) -> None:
        """Take the callbacks and the `redact` of the program's own first `init()` into the session of `lmspan run`."""
        arguments.check()
        self._is_of_command = False
        for callback in arguments.callbacks:
            self._undo.append(subscribe(callback).cancel)
        if self._redactor is not None and arguments.redact is not None:
            self._redactor.set_hook(arguments.redact)
        self._arguments = replace(self._arguments, callbacks=arguments.callbacks, redact=arguments.redact)

    def _warn_of_changes(self, arguments: Arguments) -> None:
        """Warn, once for each argument, that a later `init()` asks for another value than this session has."""
        changes = [name for name in arguments.changes(self._arguments, self._config) if name not in self._reported]
        if changes:
            self._reported.update(changes)
            logger.warning(
                "lmspan: init() has been called before (`lmspan run` does so); this call does not change %s",
                ", ".join(changes),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.shutdown()


_lock = Lock()
_session: Session | None = None
_starting = False
_heard: Any = None
"""The program's own provider that callbacks hear without a session."""


def init(
    service_name: str | None = None,
    *,
    exporters: Iterable[ExporterName | Exporter] | ExporterName | Exporter | None = None,
    instrument: Iterable[LibraryName] | LibraryName | None = None,
    callbacks: Iterable[Any] = (),
    capture_content: CaptureContent | None = None,
    redact: Callable[[str], str] | None = None,
    events: EventTarget = "span",
    openinference: bool = False,
    sampler: Sampler | None = None,
    resource_attributes: Mapping[str, Any] | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> Session:
    """Record this program from now on. A second call returns the same session unchanged, and warns of other arguments.

    Under `lmspan run` the program's own first call is the second: it adds its `callbacks` and its `redact`.

    Args:
        service_name: else `OTEL_SERVICE_NAME`, else the script's name.
        exporters: "file", "otlp", "console", "none", or SpanExporter and SpanProcessor objects. None: the exporters of
            the `OTEL_*` variables, else "file"; if the process has a TracerProvider, only that provider's exporters.
        instrument: names of libraries. None: every supported one that is installed; "all": also the other
            OpenTelemetry instrumentors that are installed.
        callbacks: each is subscribed as with `subscribe()`, until the session is shut down.
        capture_content: "none", "span", "event" or "both". None: on spans while they only go to the local file or
            the terminal, else as OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, else none.
        redact: takes every string before it is recorded, on the thread of the program, and returns the string to
            record. Secrets are never recorded.
        events: record events on the "span", as "log" records of `logger_provider`, or "both".
        openinference: also set OpenInference's span kind, input and output; so does `LMSPAN_OPENINFERENCE=1`.
        sampler: for the provider that init makes; an existing provider keeps its own.
        resource_attributes: added to the resource of that provider.
        tracer_provider: None: the global one if the process has one, else a new one.
        meter_provider: None: the global one if the process has one, else one that exports as `OTEL_METRICS_EXPORTER`
            says ("otlp" or "console"), else no metrics.
        logger_provider: for `events="log"`. None: the global one if the process has one, else OTLP if spans go there
            or `OTEL_LOGS_EXPORTER=otlp` is set.

    If the environment prevents the start, for lack of threads or descriptors or because OpenTelemetry refuses a
    variable, init logs one warning and returns a session that records nothing, and the program runs.

    Raises:
        ConfigurationError: an argument that cannot be used.
        CallbackError: a callback that could never be called.
        InstrumentationError: the name of a library that is unknown or not installed.
    """
    arguments = Arguments(
        service_name, exporters, instrument, callbacks, capture_content, redact, events, openinference, sampler,
        resource_attributes, tracer_provider, meter_provider, logger_provider,
    )  # fmt: skip
    with _lock:
        if _session is not None and _session._is_for_callbacks:
            _session.shutdown(timeout_s=0)
        if _session is not None:
            if _session._is_of_command:
                _session._adopt(arguments)
            _session._warn_of_changes(arguments)
            return _session
        if config.is_disabled(os.environ):
            return Session()
        with environment.without_wrong_variables():
            return _start(arguments)


def listen() -> None:
    """Record for callbacks alone, where a program subscribes one and nothing is recorded. Never raises.

    The provider is not the global one and has no exporter. Where the program has a provider of its own, its exporters
    would receive spans that it has not asked for, so lmspan only reports that nothing is recorded.
    """
    if type(recorder.active) is not DefaultRecorder or config.is_disabled(os.environ):
        return
    with _lock:
        if _session is None and not _starting:
            _listen()


@guarded
def _listen() -> None:
    global _session  # noqa: PLW0603 - one session for the process
    existing = providers.existing()
    if existing is not None:
        _listen_to(existing)
        return
    session = Session()
    session._is_for_callbacks = True
    with environment.without_wrong_variables(warn=False):
        session._provider, processor = providers.for_callbacks()
    session._processors = [processor]
    content = Content(CAPTURE_MODES["none"], Redactor(environ=os.environ))
    new = recorder.Recorder(providers.tracer(session._provider), content=content)
    before = recorder.install(new)
    session._undo += [lambda: recorder.install(before), new.close]
    _instrument(session, instrumentation.choose(None))
    atexit.register(session._exit)
    _session = session
    logger.info("lmspan: a callback is subscribed, so its events are recorded; lmspan.init() exports them, too")


def _listen_to(provider: Any) -> None:
    """Let callbacks hear a provider of the program, if our instrumentors record through it; else report that none does.

    `opentelemetry-instrument` makes such a provider.
    """
    global _heard  # noqa: PLW0603 - one global provider for the process
    if _heard is provider:
        return
    _heard = provider
    if instrumentation.is_any_instrumented():
        from lmspan.subscribers.processor import CallbackProcessor

        provider.add_span_processor(CallbackProcessor())
        return
    logger.warning("lmspan: a callback is subscribed, but nothing is recorded; call lmspan.init()")


def _start(arguments: Arguments) -> Session:
    """Start a session. Raises for a wrong argument; if the environment is the reason, the session records nothing."""
    global _starting  # noqa: PLW0603 - of the one session of the process
    _starting = True
    try:
        return _started(arguments)
    finally:
        _starting = False


def _started(arguments: Arguments) -> Session:
    global _session  # noqa: PLW0603 - as above
    existing = arguments.tracer_provider or providers.existing()
    resolved = config.resolve(
        service_name=arguments.service_name,
        exporters=arguments.exporters,
        instrument=arguments.instrument,
        capture_content=arguments.capture_content,
        events=arguments.events,
        openinference=arguments.openinference,
        provider_exists=existing is not None,
    )
    names = instrumentation.choose(resolved.instrument)
    arguments.check()
    redactor = Redactor(arguments.redact, os.environ)
    session = Session()
    session._arguments = arguments
    session._config = resolved
    session._redactor = redactor
    try:
        for callback in arguments.callbacks:
            session._undo.append(subscribe(callback).cancel)
        session._provider = existing or providers.make(
            resolved, arguments.sampler, arguments.resource_attributes, redactor
        )
        _add_processors(session, resolved, redactor)
        _install_recorder(session, resolved, redactor, arguments.meter_provider, arguments.logger_provider)
        _instrument(session, names, others=resolved.instrument == ("all",))
    except BaseException as error:
        session.shutdown(timeout_s=0)
        if not isinstance(error, Exception) or isinstance(error, (CallbackError, InstrumentationError)):
            raise
        _warn_of_no_start(error)
        return session
    atexit.register(session._exit)
    processes.when_a_child_exits(session._patches, session, Session._exit)
    _session = session
    return session


def _warn_of_no_start(error: Exception) -> None:
    """Log why lmspan cannot start, such as a lack of threads or descriptors."""
    reason = str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
    logger.warning("lmspan: cannot start, so the program runs without being recorded (%s)", reason)
    logger.debug("lmspan: the cause", exc_info=error)


def disable() -> None:
    """Record nothing until `enable()`; open calls end as usual. Instrumented code then costs next to nothing."""
    recorder.active.enabled = False


def enable() -> None:
    """Record again after `disable()`."""
    recorder.active.enabled = True


def is_enabled() -> bool:
    """Tell whether calls are recorded."""
    return recorder.active.enabled and not config.is_disabled(os.environ)


def _add_processors(session: Session, resolved: config.Config, redactor: Redactor) -> None:
    from lmspan.subscribers.processor import CallbackProcessor

    processors: list[SpanProcessor] = [CallbackProcessor()]
    for exporter in resolved.exporters:
        processors.append(providers.processor(exporter, resolved, redactor))
        session.trace_directory = getattr(processors[-1], "directory", session.trace_directory)
    for each in processors:
        session._processors.append(each)
        session._provider.add_span_processor(each)
    providers.prepare_to_close(sum(not isinstance(each, str) for each in resolved.exporters))


def _install_recorder(
    session: Session,
    resolved: config.Config,
    redactor: Redactor,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
) -> None:
    from opentelemetry._logs import get_logger

    from lmspan.recording.metrics import Metrics, global_metrics

    if meter_provider is None and (meter_provider := providers.meters(resolved, session._provider, redactor)):
        session._signals.append(meter_provider)
    if logger_provider is None and (logger_provider := providers.loggers(resolved, session._provider, redactor)):
        session._signals.append(logger_provider)
    tracer = providers.tracer(session._provider)
    new = recorder.Recorder(
        tracer,
        content=Content(CAPTURE_MODES[resolved.capture_content], redactor, max_bytes=resolved.content_max_bytes),
        metrics=Metrics(meter_provider) if meter_provider is not None else global_metrics(),
        events=resolved.events,
        event_logger=get_logger("lmspan", __version__, logger_provider) if resolved.events != "span" else None,
        openinference=resolved.openinference,
        listening=providers.listening(tracer),
    )
    before = recorder.install(new)
    session._undo += [lambda: recorder.install(before), new.close]


def _instrument(session: Session, names: tuple[str, ...], *, others: bool = False) -> None:
    """Instrument the chosen libraries until the session is shut down."""
    propagation.install()
    session._undo.append(propagation.uninstall)
    session._undo += [instrumentation.use(name) for name in names]
    session.instrumented = names
    if others:
        instrumentation.instrument_others(names)
