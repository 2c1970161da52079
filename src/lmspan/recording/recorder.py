"""The recorder turns calls into spans: the only file that starts, annotates or ends a span.

    source -> Recorder.announce(...)   has a source start a call, if anything is to be recorded
              Recorder.start(...)      starts the span with its sampling facts and makes it current
              call.late_facts[...] = ...    facts that become known after the start
              Recorder.capture(..)     content, if the content rule allows it
              Recorder.add_event(..)   a point in time
              Recorder.end(call)       content first, then the facts, then the end; the context is as it was before

The parent is the call that `parent_id` names, else the one in the current OpenTelemetry context, else there is none. A
call is in the context that `start_span` receives under `STARTING`, where a span processor reads the live object, and in
the attached one under `CURRENT`, where lmspan reads the innermost call; a foreign span carries neither.

`lifecycle.Life` draws the life of a call. Each step is taken under one reentrant lock, because a finaliser may end a
stream on the thread that is inside. An interrupt may arrive at any point: each place that could lose a call ends it.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode, set_span_in_context

from lmspan import semconv as sc
from lmspan.content.clipping import content_bytes
from lmspan.content.origin import origin
from lmspan.content.payload import Content, plain_text, qualified_name
from lmspan.context import elsewhere, silence
from lmspan.context.attributes import ATTRIBUTES
from lmspan.context.current import BAGGAGE, SPAN, get_current, restore, session_facts, surroundings, with_entries
from lmspan.context.processes import from_environment
from lmspan.guard import guarded
from lmspan.lifecycle import CURRENT, STARTING, Event, Life, LiveCall, LocalContent, Operation
from lmspan.recording.prices import PRICED, add_cost
from lmspan.recording.totals import count, totals_of
from lmspan.semconv.spans import EVENT_NAMES, SHAPES, first_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry._logs import Logger
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Tracer

    from lmspan.content.clipping import Texts
    from lmspan.lifecycle import Arguments
    from lmspan.recording.metrics import Metrics


_SUPPRESSED: Final[str] = otel_context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001 - every instrumentation reads it


class Recorder:
    """One per process, more in tests. Every method may be called on any thread, and none raises an `Exception`."""

    def __init__(
        self,
        tracer: Tracer,
        *,
        content: Content | None = None,
        metrics: Metrics | None = None,
        events: str = "span",
        event_logger: Logger | None = None,
        openinference: bool = False,
        clock: Callable[[], int] = time.time_ns,
        listening: Callable[[], bool] | None = None,
    ) -> None:
        """Record through `tracer`; `events` names where events go: "span", "log" (to `event_logger`) or "both".

        `listening` returns whether a subscriber would hear a call that is not sampled. It is given where the sampler
        drops every child of a dropped call: such a child is then recorded for subscribers and metrics only.
        """
        self.enabled: bool = True
        self.tracer = tracer
        self.content: Content = content or Content()
        self.metrics = metrics
        self.clock = clock
        self.process_context: Context = from_environment(os.environ)
        self.open: dict[str, LiveCall] = {}
        self.lock: Any = threading.RLock()
        self._span_events = events in ("span", "both")
        self._event_logger = event_logger if events in ("log", "both") else None
        self._openinference = openinference
        self._listening = listening
        self._captures = bool(self.content.capture)
        self._keeps_apart = self.content.capture.local

    # the start -------------------------------------------------------------------------------------------------------

    def ready(self) -> Context | None:
        """Return the current context if an operation that starts in it is to be recorded, else None: sources ask first.

        OpenTelemetry's `suppress_instrumentation()` is one of the reasons for None, an unsampled call around another.
        """
        if not self.enabled:
            return None
        context = get_current()
        if context.get(_SUPPRESSED) or (self._listening is not None and self._is_unheard(context)):
            return None
        return context

    def _is_unheard(self, context: Context) -> bool:
        """Return whether nobody would notice a call that starts here: its parent is neither sampled nor measured."""
        around: LiveCall | None = context.get(CURRENT)  # type: ignore[assignment] # a context holds values of any type
        return (
            around is not None
            and not around.observed
            and around.life is Life.OPEN
            and around.span is context.get(SPAN)
            and self._listening is not None
            and not self._listening()
        )

    def announce(self, start: Callable[..., LiveCall | None], *arguments: Any) -> LiveCall | None:
        """Have a source start a call by `start(recorder, *arguments)`; None where nothing is recorded, or it stays out.

        An interrupt in there passes, and ends the call that was about to be returned.
        """
        before = self.ready()
        if before is None:
            return None
        try:
            return start(self, *arguments)
        except BaseException as error:
            try:
                self._unwind(before, error)
            except BaseException:  # another interrupt
                self._unwind(before, error)
                raise
            raise

    def start(
        self,
        operation: Operation,
        name: str,
        source: str,
        facts: Mapping[str, Any] | None = None,
        *,
        instance: Any = None,
        inputs: Any = None,
        arguments: Arguments | None = None,
        call_id: str = "",
        parent_id: str = "",
        owned: bool = True,
        links: tuple[Link, ...] = (),
        start_time: int | None = None,
        context: Context | None = None,
    ) -> LiveCall:
        """Start a span and make it current. `facts` are known now: samplers and processors see them.

        A call that is not `owned` ends with its parent at the latest. With a `context` the call starts in it, and the
        source makes the span current. Raises only what a subscriber raises on purpose.
        """
        call = LiveCall(operation, name, source, instance, inputs)
        call.call_id = call_id
        call.arguments = arguments
        call.owned = owned
        call.start_time_unix_nano = start_time or self.clock()
        try:
            self._place(call, parent_id, facts or {}, links, context)
            if not owned:
                self._depend(call)
        except BaseException as error:  # an interrupt: the source does not know of the call yet
            if call.span is not None:
                self._identify(call)
                self.end(call, error=error)
            raise
        stop = call.raises or (call.root.stop.again() if call.root.stop is not None else None)
        if stop is not None:
            self.end(call, error=stop)
            raise stop
        return call

    def _place(
        self,
        call: LiveCall,
        parent_id: str,
        facts: Mapping[str, Any],
        links: tuple[Link, ...],
        given: Context | None,
    ) -> None:
        """Start the span of a call under its parent, and attach both where no context is given."""
        before = get_current() if given is None else given
        named = self.open.get(parent_id) if parent_id else None
        parent, context = surroundings(before, named, self.process_context)
        if parent_id and named is None:
            call.orphan = call.late_facts[sc.ORPHAN] = True
        if parent is not None:
            call.parent = parent
            call.root = parent.root
        call.parent_id = parent_id or (parent.call_id if parent is not None else "")
        call.totals = totals_of(call)
        call.previous = before
        self._start_span(call, facts, context, links)
        self._identify(call)
        own = {CURRENT: call, SPAN: call.span}
        if call.operation in silence.CLIENTS:
            own.update(silence.entries(call.operation) or {})
        call.context = with_entries(before, own)
        if given is None:
            otel_context.attach(call.context)
        self.open[call.call_id] = call

    def _identify(self, call: LiveCall) -> None:
        call.identify(call.span)
        call.recording = call.span.is_recording()
        call.observed = call.recording or self.metrics is not None

    def _start_span(self, call: LiveCall, facts: Mapping[str, Any], context: Context, links: tuple[Link, ...]) -> None:
        shape = SHAPES[call.operation]
        shown = self.content.redactor.name(call.name)
        name, attributes = first_facts(call, shape, facts, shown, openinference=self._openinference)
        if BAGGAGE in context or ATTRIBUTES in context:
            session = session_facts(context)
            if not shape.genai:
                session.pop(sc.CONVERSATION_ID, None)
            attributes.update(session)
        call.facts = self.content.facts(attributes)
        call.span = self.tracer.start_span(
            name,
            with_entries(context, {STARTING: call}),
            shape.kind,
            call.facts,
            links,
            start_time=call.start_time_unix_nano,
        )
        if hasattr(call.span, "_lock"):
            _make_reentrant(call.span)

    def _unwind(self, before: Context, error: BaseException) -> None:
        """End what has started since a context was current, and leave current what was so around it."""
        around = list(_enclosing(before))
        for call in _enclosing(otel_context.get_current()):
            if call in around:
                return
            self.end(call, error=error)
        otel_context.attach(before)

    def hold(self, call: LiveCall) -> None:
        """Keep the span of a call open until `release()`, or until its parent ends; its end time stays its own."""
        call.held = self._depend(call)

    @guarded
    def release(self, call: LiveCall, facts: Mapping[str, Any]) -> None:
        """Set the last facts of a held call and end its span; no effect once the span has ended."""
        call.held = False
        if call.recording:
            facts = self.content.facts(facts)
            call.facts.update(facts)
            _put(call.span, self._without_local_content(call, facts))
        self._close(call)

    def _depend(self, call: LiveCall) -> bool:
        """Let the end of a call's parent reach the call; False when there is no parent, or its end has started."""
        parent = call.parent
        with self.lock:
            if parent is None or parent.life > Life.OPEN:
                return False
            if parent.dependents is None:
                parent.dependents = {}
            parent.dependents[call.call_id] = call
            return True

    # while it runs ---------------------------------------------------------------------------------------------------

    def captures(self, call: LiveCall) -> bool:
        """Tell whether content of this call is recorded at all: ask before touching it."""
        return call.recording and self._captures

    def capture(self, call: LiveCall, payload: Mapping[str, Any]) -> None:
        """Record content: attribute names of `semconv` and the values as the program has them."""
        capture = self.content.capture
        has_event = capture.event and call.operation is Operation.LM
        defer = getattr(call.span, "defer", None)
        encoded = self.content.attributes(
            payload,
            _texts(call.root),
            deferred=not has_event and (capture.local or defer is not None),
            openinference=self._openinference,
        )
        if has_event:
            call.event_content = {**(call.event_content or {}), **encoded}
        if capture.span or capture.local:
            call.content_size += content_bytes(encoded.values())
        if capture.local:
            _local(call).attributes.update(encoded)
        elif capture.span:
            (defer or call.span.set_attributes)(encoded)

    def add_event(
        self,
        call: LiveCall,
        event: Event | str,
        attributes: Mapping[str, Any],
        *,
        content: Mapping[str, Any] | None = None,
        redacted: bool = False,
        severity: SeverityNumber = SeverityNumber.INFO,
        name: str = "",
    ) -> None:
        """Add a point in time to a call: a span event, or a log record. Subscribers receive `content` as it is.

        `name` is the event's on the span, where it is not lmspan's.
        """
        if not call.recording:
            return
        name = name or EVENT_NAMES.get(event, f"lmspan.{event}")
        for watcher in call.watchers:
            watcher.event(call, event, {**attributes, **content} if content else attributes)
        attributes = dict(attributes) if redacted else self.content.facts(attributes)
        if content and self.captures(call):
            attributes.update(self.content.attributes(content))
        now = self.clock()
        attributes = self._without_local_content(call, attributes, (name, now))
        if self._span_events:
            call.span.add_event(name, attributes, now)
        if self._event_logger is not None:
            context = set_span_in_context(call.span)
            self._event_logger.emit(
                LogRecord(
                    timestamp=now, event_name=name, severity_number=severity, attributes=attributes, context=context
                )
            )

    def add_chunk(self, call: LiveCall, text: Any, *, first: bool) -> None:
        """Report a chunk of a model's answer to subscribers. The span counts chunks and does not carry them."""
        for watcher in call.watchers:
            if first:
                watcher.event(call, Event.STREAM_START, {})
            watcher.event(call, Event.STREAM_CHUNK, {"text": text})

    def end_chunks(self, call: LiveCall) -> None:
        """Report to subscribers that an answer, of which chunks have come, is complete."""
        for watcher in call.watchers:
            watcher.event(call, Event.STREAM_END, {})

    def _without_local_content(
        self, call: LiveCall, attributes: Mapping[str, Any], event: tuple[str, int] | None = None
    ) -> Mapping[str, Any]:
        """Return what may be on a span, or on its event; keep the rest beside it if content is not to leave."""
        if not self._keeps_apart or not (names := attributes.keys() & sc.CONTENT):
            return attributes
        content = {name: attributes[name] for name in names}
        if event is None:
            _local(call).attributes.update(content)
        elif self._span_events:
            _local(call).events.append((*event, content))
        return {name: value for name, value in attributes.items() if name not in names}

    def name_place(self, call: LiveCall, place: str) -> None:
        """Name the span of a call after its place in the program; `call.name` stays what subscribers know."""
        if call.recording:
            call.span.update_name(f"{SHAPES[call.operation].word} {self.content.redactor.name(place)}")

    def mark_internal(self, call: LiveCall) -> None:
        """Make a call INTERNAL that the process itself answered: this is known late, and the SDK has no public way."""
        if call.recording and hasattr(call.span, "set_kind"):
            call.span.set_kind(SpanKind.INTERNAL)
        elif call.recording and hasattr(call.span, "_kind"):
            call.span._kind = SpanKind.INTERNAL  # noqa: SLF001 - guarded by the look before

    # the end ---------------------------------------------------------------------------------------------------------

    @guarded
    def end(
        self,
        call: LiveCall,
        outputs: Any = None,
        error: BaseException | None = None,
        *,
        missing: bool = False,
        end_time: int | None = None,
    ) -> None:
        """End the call's span, and those calls under it that depend on it. Ending a call twice has no effect."""
        attempt = object()
        try:
            if not call.inherited:
                self._step(call, Life.OPEN, Life.ENDING, attempt)
            if call.taken_by is attempt:
                call.outputs = outputs
                call.error = error
                for child in tuple((call.dependents or {}).values()):
                    self.end(child, error=error, missing=True)
                    self._close(child)
                if call.observed:
                    self._annotate(call, error, missing=missing)
        finally:  # no other thread would end the span, so an interrupt does not keep it from its end
            try:
                self._complete(call, attempt, end_time or self.clock(), missing=missing)
            except BaseException:
                self._complete(call, attempt, end_time or self.clock(), missing=missing)
                raise

    def _complete(self, call: LiveCall, attempt: object, end_time: int, *, missing: bool) -> None:
        """Take a call from ENDING on, as far as that has not been done: an interrupt may have come in between."""
        if call.taken_by is not attempt:
            restore(call)  # it was ended on another thread, where its context was not current
            return
        if call.life is Life.ENDING:
            call.end_time_unix_nano = end_time
            self._step(call, Life.ENDING, Life.ENDED, attempt)
        self.open.pop(call.call_id, None)
        try:
            restore(call)
            while call.watchers:
                watcher = call.watchers[0]
                call.watchers = call.watchers[1:]
                watcher.end(call)
        finally:
            if self.metrics is not None:
                self._measure(call, self.metrics, missing=missing)
            call.observed = False
            call.instance = call.inputs = call.arguments = None
            call.outputs = call.response = call.tool_results = None
            call.attempt_error = None
            if call.texts:
                call.texts.clear()  # spans that wait for their export refer to it, and no queue counts it
            call.kept = call.failure_below = call.event_content = call.texts = None
            if not call.held or call.parent is None or call.parent.life > Life.OPEN:
                self._close(call)

    def _measure(self, call: LiveCall, metrics: Metrics, *, missing: bool) -> None:
        if not call.measured:
            call.measured = True
            duration_s = (call.end_time_unix_nano - call.start_time_unix_nano) / 1e9
            metrics.record(call, duration_s, missing=missing)

    def _close(self, call: LiveCall) -> None:
        attempt = object()
        try:
            self._step(call, Life.ENDED, Life.CLOSED, attempt)
        finally:
            if call.taken_by is attempt:
                try:  # here, because an interrupt at the entry of a method that ends the span would leave it open
                    call.span.end(call.end_time_unix_nano)
                except BaseException:  # an interrupt
                    if call.span.is_recording():
                        call.span.end(call.end_time_unix_nano)
                    raise
                finally:
                    call.recording = False
                    if call.parent is not None and call.parent.dependents:
                        call.parent.dependents.pop(call.call_id, None)

    def _step(self, call: LiveCall, before: Life, after: Life, attempt: object) -> None:
        """Take a call one step on, and note which attempt did; another thread may have taken the step before."""
        with self.lock:
            if call.life is before:
                call.life = after
                call.taken_by = attempt

    @guarded
    def _annotate(self, call: LiveCall, error: BaseException | None, *, missing: bool) -> None:
        facts = call.late_facts
        if call.stop is not None:
            facts[sc.STOP_REASON] = " ".join(map(plain_text, call.stop.args))
        if missing:
            facts[sc.END_MISSING] = True
        if error is not None or missing:
            facts.setdefault(sc.ERROR_TYPE, qualified_name(type(error)) if error is not None else "_OTHER")
            call.failed = error is None or call.failure_below is not error
            if error is not None and call.parent is not None:
                call.parent.failure_below = error
        if call.operation in silence.CLIENTS:
            self._add_of_client(call)
        facts.update(self.content.facts(facts))
        total = count(call)
        if total and call.parent is None:
            self.add_event(call, Event.TRACE_COMPLETE, total)
        if call.recording:
            facts[sc.CALL_ID] = call.call_id
            _put(call.span, self._without_local_content(call, facts) if self._keeps_apart else facts)
        if call.recording and sc.ERROR_TYPE in facts:
            self._record_error(call, error)
        if self.content.capture.event and call.operation is Operation.LM:
            self.add_event(call, Event.INFERENCE_DETAILS, call.facts | (call.event_content or {}), redacted=True)

    def _add_of_client(self, call: LiveCall) -> None:
        """Add what an instrumentation of the client below knows of an exchange, its cost, and other names of tokens."""
        facts = call.late_facts
        _add_gathered(call)
        if call.operation in PRICED:
            add_cost(call)
        if self._openinference:
            facts.update({other: facts[name] for name, other in sc.OPENINFERENCE_TOKENS.items() if name in facts})

    def _record_error(self, call: LiveCall, error: BaseException | None) -> None:
        """Set the status; describe the exception once, where it was raised: outer calls only refer to it."""
        capture = self.content.capture
        message = self.content.message(error) if error is not None and capture else None
        if capture.local:
            _local(call).status = message
            message = None
        call.span.set_status(
            StatusCode.ERROR, message or (call.late_facts[sc.ERROR_TYPE] if error is not None else None)
        )
        if error is not None and call.failed:
            described = self.content.exception(error, with_content=bool(capture))
            facts = {**described, **self.content.facts(origin(error))}
            client = SHAPES[call.operation].kind is SpanKind.CLIENT and not self._openinference
            event = Event.INFERENCE_EXCEPTION if client else Event.EXCEPTION
            self.add_event(call, event, facts, redacted=True, severity=SeverityNumber.WARN)

    def close(self) -> None:
        """Stop recording and end what is still open, innermost first."""
        self.enabled = False
        for call in reversed(list(self.open.values())):
            self.end(call, missing=True)


def _enclosing(context: Context) -> Iterator[LiveCall]:
    """Yield the call that is current in a context, then the one in which that was started, and so on."""
    call: Any = context.get(CURRENT)
    while call is not None:
        yield call
        call = call.previous.get(CURRENT) if call.previous is not None else None


def _make_reentrant(span: Any) -> None:
    """Replace the SDK's plain locks of a new span: a signal handler may touch the span while its thread holds one."""
    holders: tuple[Any, ...] = (span, getattr(span, "_attributes", None), getattr(span, "_events", None))
    for holder in holders:
        if hasattr(holder, "_lock"):
            holder._lock = threading.RLock()  # noqa: SLF001 - guarded by the look before


def _put(span: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes as `Content` returns them: lmspan's own span does not look at the values again."""
    put = getattr(span, "put", None) or span.set_attributes
    put(attributes)


@guarded
def _add_gathered(call: LiveCall) -> None:
    """Add the facts that the source lacks and an instrumentation of the model's client has."""
    for name, value in silence.gathered(call).items():
        is_unknown = name == sc.PROVIDER_NAME and call.facts.get(name) == sc.UNKNOWN_PROVIDER
        if is_unknown or name not in call.facts:
            call.late_facts.setdefault(name, value)


def _texts(root: LiveCall) -> Texts:
    if root.ended:
        return {}  # the root would keep them, as long as a program keeps the root
    if root.texts is None:
        root.texts = {}
    texts: Texts = root.texts
    return texts


def _local(call: LiveCall) -> LocalContent:
    if call.local is None:
        limits = getattr(call.span, "limits", None) or getattr(call.span, "_limits", None)
        call.local = LocalContent(getattr(limits, "max_events", None))
    return call.local


active: Recorder = Recorder(NoOpTracer())
"""The recorder of the sources: that of `lmspan.recording.default`, and of a session while there is one."""


_installed: Recorder = active
_held: list[Recorder] = []


def install(recorder: Recorder) -> Recorder:
    """Make a recorder the one of the sources, once none is held in front of it; return the one before."""
    global _installed  # noqa: PLW0603 - the one of this process
    before = _installed
    _installed = recorder
    _choose()
    return before


def hold(recorder: Recorder) -> None:
    """Make a recorder the one of the sources until `let_go()`, also where a program installs another one meanwhile."""
    _held.append(recorder)
    _choose()


def let_go(recorder: Recorder) -> None:
    """Undo `hold()`."""
    _held.remove(recorder)
    _choose()


def _choose() -> None:
    global active  # noqa: PLW0603 - the one of this process
    active = _held[-1] if _held else _installed


def _leave_to_the_parent() -> None:
    """In a forked child: leave what is open to the process that started it, and free the lock of its threads."""
    active.lock = threading.RLock()
    for call in active.open.values():
        call.inherited = True


elsewhere.ask(lambda: active.ready() is not None)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_the_parent)
