"""`init()` puts the parts together: configuration, provider, exporters, recorder, instrumentors. `Session` undoes."""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from lmspan import config, environment, instrumentation
from lmspan._version import __version__
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor
from lmspan.context import processes, propagation
from lmspan.errors import CallbackError, ConfigurationError, InstrumentationError
from lmspan.guard import guarded
from lmspan.patching import Patches
from lmspan.recording import recorder
from lmspan.session import providers
from lmspan.subscribers.subscriptions import subscribe

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
        self._signals: list[Any] = []  # the providers of metrics and log records that are ours
        self._patches = Patches()
        self._closed = False
        self._asked: dict[str, Any] = {}
        self._config: config.Config | None = None
        self._told: set[str] = set()

    def force_flush(self, timeout_s: float = 2.0) -> bool:
        """Export what has ended so far; True only if everything was delivered in time. Never raises."""
        deadline = time.monotonic() + timeout_s
        flushed = [
            guarded(each.force_flush)(max(int((deadline - time.monotonic()) * 1000), 0))
            for each in (*self._processors, *self._signals)
        ]
        return all(flushed)

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
        self._patches.restore()
        deadline = time.monotonic() + timeout_s
        for each in (*self._processors, *self._signals):
            guarded(providers.shut_down)(each, max(deadline - time.monotonic(), 0.1))
        guarded(providers.remove)(self._provider, self._processors)
        atexit.unregister(self._exit)

    def _exit(self) -> None:
        self.shutdown(_EXIT_TIMEOUT_S)

    def _tell_what_is_left_out(self, asked: Mapping[str, Any]) -> None:
        """Say once of each option that a later `init()` asks for another value than this session has."""
        other = [
            name
            for name, parameter in inspect.signature(init).parameters.items()
            if asked[name] is not parameter.default
            and name not in self._told
            and _plain(asked[name]) not in (_plain(self._asked[name]), _plain(getattr(self._config, name, None)))
        ]
        if other:
            self._told.update(other)
            logger.warning(
                "lmspan: init() has been called before (`lmspan run` does so); this call does not change %s",
                ", ".join(other),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.shutdown()


_lock = threading.RLock()
_session: Session | None = None


def init(
    service_name: str | None = None,
    *,
    exporters: Iterable[Any] | str | None = None,
    instrument: Iterable[str] | str | None = None,
    callbacks: Iterable[Any] = (),
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
    """Record this program from now on. A second call returns the same session, changes nothing, and says what not.

    Args:
        service_name: else `OTEL_SERVICE_NAME`, else the script's name.
        exporters: "file", "otlp", "console", "none", or SpanExporter and SpanProcessor objects. None: what the `OTEL_*`
            variables say, else "file"; with a TracerProvider already there, that stack alone.
        instrument: names of libraries. None: every supported one that is installed; "all": also the other
            OpenTelemetry instrumentors that are installed.
        callbacks: each is subscribed as with `subscribe()`, until the session is shut down.
        capture_content: "none", "span", "event" or "both". None: on spans while they only go to the local file or
            the terminal, else what OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT asks for, else none.
        redact: sees every string before it is recorded and returns what may be. Secrets are never recorded anyway.
        events: where events go: "span", "log" (then `logger_provider`, or the global one) or "both".
        openinference: also set OpenInference's span kind, input and output; `LMSPAN_OPENINFERENCE=1` does so as well.
        sampler: for the provider that init makes; one that is already there keeps its own.
        resource_attributes: added to the resource of that provider.
        tracer_provider: use this one. None: the global one if the process has one, else a new one.
        meter_provider: use this one. None: the global one if the process has one, else what `OTEL_METRICS_EXPORTER`
            asks for ("otlp" or "console"), else no metrics.
        logger_provider: for `events="log"`. None: the global one if the process has one, else OTLP where spans go there
            or `OTEL_LOGS_EXPORTER=otlp` says so.

    Where the environment does not let it start (no thread or descriptor is to be had, OpenTelemetry refuses one of its
    variables), it logs one warning and returns a session that records nothing: the program runs.

    Raises:
        ConfigurationError: an argument that cannot be used.
        CallbackError: a callback that could never be called.
        InstrumentationError: a library asked for by name that is unknown or missing.
    """
    asked = locals()
    with _lock:
        if _session is not None:
            _session._tell_what_is_left_out(asked)
            return _session
        if config.is_disabled(os.environ):
            return Session()
        with environment.without_wrong_variables():
            return _start(asked)


def _start(asked: dict[str, Any]) -> Session:
    """Start a session. Raises for arguments; where the environment is the reason, the session records nothing."""
    global _session  # noqa: PLW0603 - the one of this process
    existing = asked["tracer_provider"] or providers.existing()
    options = ("service_name", "exporters", "instrument", "capture_content", "events", "openinference")
    resolved = config.resolve(**{name: asked[name] for name in options}, provider_exists=existing is not None)
    names = instrumentation.choose(resolved.instrument)
    _check(asked)
    redactor = Redactor(asked["redact"], os.environ)
    session = Session()
    session._asked, session._config = asked, resolved
    try:
        for callback in asked["callbacks"]:
            session._undo.append(subscribe(callback).cancel)
        session._provider = existing or providers.make(
            resolved, asked["sampler"], asked["resource_attributes"], redactor
        )
        _add_processors(session, resolved, redactor)
        _install_recorder(session, resolved, redactor, asked["meter_provider"], asked["logger_provider"])
        _instrument(session, names)
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


_PROVIDERS: Final = (
    ("tracer_provider", "add_span_processor"),
    ("meter_provider", "get_meter"),
    ("logger_provider", "get_logger"),
)


def _check(asked: Mapping[str, Any]) -> None:
    redact = asked["redact"]
    if redact is not None and not callable(redact):
        raise ConfigurationError(f"redact: {type(redact).__name__} cannot be called; it takes a string and returns one")
    for name, method in _PROVIDERS:
        given = asked[name]
        if given is not None and not hasattr(given, method):
            raise ConfigurationError(f"{name}: {type(given).__name__} has no {method}(); give a provider of the SDK")


def _warn_of_no_start(error: Exception) -> None:
    """Say why the environment does not let lmspan start, such as a lack of threads or descriptors."""
    reason = str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
    logger.warning("lmspan: cannot start, so the program runs without being recorded (%s)", reason)
    logger.debug("lmspan: the cause", exc_info=error)


def _plain(value: Any) -> Any:
    """Return what tells two options apart, without asking objects of the program whether they are equal."""
    kind = type(value)
    if kind is list or kind is tuple:
        return _plain(value[0]) if len(value) == 1 else [_plain(each) for each in value]
    if kind is dict:
        return {name: _plain(each) for name, each in value.items() if type(name) is str}
    return value if kind is str or kind is bool else id(value)


def disable() -> None:
    """Record nothing until `enable()`; calls that are open end as usual. Instrumented code costs next to nothing."""
    recorder.active.enabled = False


def enable() -> None:
    """Record again after `disable()`."""
    recorder.active.enabled = True


def is_enabled() -> bool:
    """Tell whether calls are recorded."""
    return recorder.active.enabled and not config.is_disabled(os.environ)


def _add_processors(session: Session, resolved: config.Config, redactor: Redactor) -> None:
    from lmspan.subscribers.processor import CallbackProcessor  # noqa: PLC0415

    made: list[SpanProcessor] = [CallbackProcessor()]
    for exporter in resolved.exporters:
        made.append(providers.processor(exporter, resolved, redactor))
        session.trace_directory = getattr(made[-1], "directory", session.trace_directory)
    for each in made:
        session._processors.append(each)
        session._provider.add_span_processor(each)
    if any(hasattr(each, "on_end") for each in resolved.exporters):
        providers.prepare_to_close()


def _install_recorder(
    session: Session,
    resolved: config.Config,
    redactor: Redactor,
    meter_provider: MeterProvider | None,
    logger_provider: LoggerProvider | None,
) -> None:
    from opentelemetry._logs import get_logger  # noqa: PLC0415

    from lmspan.recording.metrics import Metrics, global_metrics  # noqa: PLC0415

    if meter_provider is None and (meter_provider := providers.meters(resolved, session._provider, redactor)):
        session._signals.append(meter_provider)
    if logger_provider is None and (logger_provider := providers.loggers(resolved, session._provider, redactor)):
        session._signals.append(logger_provider)
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
