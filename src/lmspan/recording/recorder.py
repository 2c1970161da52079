"""The recorder turns calls into spans: the only file that starts, annotates or ends one.

    source -> Recorder.start(...)   starts the span with its sampling facts, makes it current
              call.found[...] = ...  what becomes known on the way
              Recorder.capture(...)  content, if the content rule allows
              Recorder.add_event(..) a point in time
              Recorder.end(call)     facts first, then the end; the context is as it was before

The parent is the call named by `parent_id`, else the one in the current OpenTelemetry context, else there is none. A
call is in the context given to `start_span` under `STARTING`, so that a span processor finds the live object, and in
the attached one under `CURRENT`, where the program's own code finds the innermost; a foreign span carries none.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from lmspan import semconv as sc
from lmspan.content.payload import Content, qualified_name
from lmspan.context import silence
from lmspan.context.current import BAGGAGE, SPAN, restore, surroundings, who, with_entries
from lmspan.context.processes import from_environment
from lmspan.guard import guarded
from lmspan.lifecycle import CURRENT, STARTING, Call, Event, LocalContent, Operation
from lmspan.recording.totals import count, totals_of
from lmspan.semconv.spans import EVENT_NAMES, OPENINFERENCE_TOKENS, SHAPES, first_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry._logs import Logger
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, Tracer

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
    ) -> None:
        """Record through `tracer`; `events` is where events go: "span", "log" (then `event_logger`) or "both"."""
        self.enabled: bool = True
        self.tracer = tracer
        self.content: Content = content or Content()
        self.metrics = metrics
        self.clock = clock
        self.outer: Context = from_environment(os.environ)
        self.open: dict[str, Call] = {}
        self._span_events = events in ("span", "both")
        self._event_logger = event_logger if events in ("log", "both") else None
        self._openinference = openinference

    def ready(self) -> Context | None:
        """Return the current context if an operation that starts in it is to be recorded, else None: sources ask first.

        OpenTelemetry's `suppress_instrumentation()` is one of the reasons why it is not.
        """
        if not self.enabled:
            return None
        context = otel_context.get_current()
        return None if context.get(_SUPPRESSED) else context

    def start(
        self,
        operation: Operation,
        name: str,
        source: str,
        facts: Mapping[str, Any] | None = None,
        *,
        instance: Any = None,
        inputs: Any = None,
        call_id: str = "",
        parent_id: str = "",
        owned: bool = True,
        links: tuple[Link, ...] = (),
        start_time: int | None = None,
    ) -> Call:
        """Start a span and make it current. `facts` are known now: samplers and processors see them.

        A call that is not `owned` ends with its parent at the latest. Raises only what a subscriber wants raised.
        """
        call = Call(operation, name, source, instance, inputs)
        try:
            self._start(call, call_id, parent_id, facts or {}, links, start_time)
            if not owned:
                call.wait_for_parent()
        except BaseException as error:  # an interrupt: the source does not know of the call yet
            if call.span is not None:
                self.end(call, error=error)
            raise
        wanted = call.raises or (call.root.stop.again() if call.root.stop is not None else None)
        if wanted is not None:
            self.end(call, error=wanted)
            raise wanted
        return call

    def _start(
        self,
        call: Call,
        call_id: str,
        parent_id: str,
        facts: Mapping[str, Any],
        links: tuple[Link, ...],
        start_time: int | None,
    ) -> None:
        found = otel_context.get_current()
        parent, context = surroundings(found, self.open.get(parent_id) if parent_id else None, self.outer)
        if parent_id and parent_id not in self.open:
            call.orphan = call.found[sc.ORPHAN] = True
        call.parent, call.root = parent, parent.root if parent is not None else call
        call.totals = totals_of(call)
        call.parent_id = parent_id or (parent.call_id if parent is not None else "")
        call.start_time_unix_nano = start_time or self.clock()
        call.call_id = call_id
        span = self._start_span(call, facts, context, links)
        call.identify(span)
        call.recording = span.is_recording()
        call.observed = call.recording or self.metrics is not None
        call.previous = found
        call.context = with_entries(found, {CURRENT: call, SPAN: span, **(silence.entries(call.operation) or {})})
        otel_context.attach(call.context)
        self.open[call.call_id] = call

    def announce(self, begin: Callable[..., Call | None], *given: Any) -> Call | None:
        """Have a source start a call by `begin(recorder, *given)`; None where nothing is recorded, or it stays out.

        An interrupt in there passes, and ends the call that was about to be returned.
        """
        before = self.ready()
        if before is None:
            return None
        try:
            return begin(self, *given)
        except BaseException as error:
            self._unwind(before, error)
            raise

    def _unwind(self, before: Context, error: BaseException) -> None:
        """End what has started since a context was current, and leave current what was so around it."""
        around = list(_enclosing(before))
        for call in _enclosing(otel_context.get_current()):
            if call in around:
                return
            self.end(call, error=error)
        otel_context.attach(before)

    def hold(self, call: Call) -> None:
        """Keep the span of a call open for events until its parent ends; its end time is its own all the same."""
        call.held = call.wait_for_parent()

    def _start_span(self, call: Call, facts: Mapping[str, Any], context: Context, links: tuple[Link, ...]) -> Span:
        shape = SHAPES[call.operation]
        name = self.content.redactor.name(call.name)
        name, attributes = first_facts(call, shape, facts, name, openinference=self._openinference)
        if BAGGAGE in context:
            attributes.update(who(context))
        call.facts = attributes = self.content.facts(attributes)
        return self.tracer.start_span(
            name,
            with_entries(context, {STARTING: call}),
            shape.kind,
            attributes,
            links,
            start_time=call.start_time_unix_nano,
        )

    def captures(self, call: Call) -> bool:
        """Tell whether content of this call is wanted at all: ask before touching it."""
        return call.recording and bool(self.content.capture)

    def capture(self, call: Call, payload: Mapping[str, Any]) -> None:
        """Record content: attribute names of `semconv` and the values as the program has them."""
        encoded = self.content.attributes(payload, openinference=self._openinference)
        if self.content.capture.event and call.operation is Operation.LM:
            call.notes.setdefault("details", {}).update(encoded)
        if self.content.capture.span or self.content.capture.local:
            call.content_size += sum(map(len, encoded.values()))
        if self.content.capture.span:
            call.span.set_attributes(encoded)
        elif self.content.capture.local:
            _local(call).attributes.update(encoded)

    def add_event(
        self,
        call: Call,
        event: Event | str,
        attributes: Mapping[str, Any],
        *,
        content: Mapping[str, Any] | None = None,
        redacted: bool = False,
        severity: SeverityNumber = SeverityNumber.INFO,
    ) -> None:
        """Add a point in time to a call: a span event, or a log record. `content` is heard as it is."""
        if not call.recording:
            return
        name = EVENT_NAMES.get(event, f"lmspan.{event}")
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

    def _without_local_content(
        self, call: Call, attributes: Mapping[str, Any], event: tuple[str, int] | None = None
    ) -> Mapping[str, Any]:
        """Return what may be on a span, or on its event; keep the rest beside it if content is not to leave."""
        if not self.content.capture.local or not (names := attributes.keys() & sc.CONTENT):
            return attributes
        content = {name: attributes[name] for name in names}
        if event is None:
            _local(call).attributes.update(content)
        else:
            _local(call).events.append((*event, content))
        return {name: value for name, value in attributes.items() if name not in names}

    def mark_internal(self, call: Call) -> None:
        """Make a call that the process itself answered INTERNAL: known late, and the SDK has no public way for it."""
        if call.recording and hasattr(call.span, "_kind"):
            call.span._kind = SpanKind.INTERNAL  # noqa: SLF001

    @guarded
    def end(
        self,
        call: Call,
        outputs: Any = None,
        error: BaseException | None = None,
        *,
        missing: bool = False,
        end_time: int | None = None,
    ) -> None:
        """End the call's span, and the calls under it that nobody else will end. A second end is nothing."""
        if call.inherited or not call.claim("_end"):
            restore(call)  # it was ended from another thread, where its context was not current
            return
        waiting, call.waiting = call.waiting, None
        call.outputs, call.error = outputs, error
        try:
            for child in tuple((waiting or {}).values()):
                self.end(child, error=error, missing=True)
                if child.held and child.ended:
                    self._close(child)
            if call.observed:
                self._annotate(call, error, missing=missing)
        finally:  # an interrupt may come at any time, and nobody would end the span again
            try:
                self._finish(call, end_time or self.clock(), missing=missing)
            except BaseException:
                if not call.ended:
                    self._finish(call, end_time or self.clock(), missing=missing)
                raise

    def _finish(self, call: Call, ended: int, *, missing: bool) -> None:
        call.end_time_unix_nano = ended
        call.ended = True
        self.open.pop(call.call_id, None)
        try:
            restore(call)
            for watcher in call.watchers:
                watcher.end(call)
        finally:
            if self.metrics is not None:
                self.metrics.record(call, (ended - call.start_time_unix_nano) / 1e9, missing=missing)
            call.observed = False
            call.instance = call.inputs = call.outputs = None
            call.notes = {}
            if not call.held or call.parent is None or call.parent.waiting is None:
                self._close(call)

    def _close(self, call: Call) -> None:
        if call.held and not call.claim("_close"):
            return  # its parent ended in the same moment, in another thread
        call.span.end(call.end_time_unix_nano)
        call.recording = False  # who ends it once more, after a shutdown, is not listened to
        if call.parent is not None and call.parent.waiting:
            call.parent.waiting.pop(call.call_id, None)

    @guarded
    def _annotate(self, call: Call, error: BaseException | None, *, missing: bool) -> None:
        found = call.found
        if call.stop is not None:
            found[sc.STOP_REASON] = " ".join(map(str, call.stop.args))
        if missing:
            found[sc.END_MISSING] = True
        if error is not None or missing:
            found.setdefault(sc.ERROR_TYPE, qualified_name(type(error)) if error is not None else "_OTHER")
            call.failed = error is None or call.notes.get("error") is not error
            if error is not None and call.parent is not None:
                call.parent.notes["error"] = error
        if self._openinference:
            found.update({other: found[name] for name, other in OPENINFERENCE_TOKENS.items() if name in found})
        found.update(self.content.facts(found))
        total = count(call)
        if total and call.parent is None:
            self.add_event(call, Event.TRACE_COMPLETE, total)
        if call.recording:
            found[sc.CALL_ID] = call.call_id
            call.span.set_attributes(self._without_local_content(call, found))
        if call.recording and sc.ERROR_TYPE in found:
            self._record_error(call, error)
        if self.content.capture.event and call.operation is Operation.LM:
            self.add_event(call, Event.INFERENCE_DETAILS, call.facts | call.notes.get("details", {}), redacted=True)

    def _record_error(self, call: Call, error: BaseException | None) -> None:
        """Set the status; describe the exception once, where it was raised: outer calls only point to it."""
        capture = self.content.capture
        message = self.content.message(error) if error is not None and capture else None
        if capture.local:
            _local(call).status, message = message, None
        call.span.set_status(StatusCode.ERROR, message or (call.found[sc.ERROR_TYPE] if error is not None else None))
        if error is not None and call.failed:
            facts = self.content.exception(error, told=bool(capture))
            client = SHAPES[call.operation].kind is SpanKind.CLIENT and not self._openinference
            event = Event.INFERENCE_EXCEPTION if client else Event.EXCEPTION
            self.add_event(call, event, facts, redacted=True, severity=SeverityNumber.WARN)

    def close(self) -> None:
        """Stop recording and end what is still open, innermost first."""
        self.enabled = False
        for call in reversed(list(self.open.values())):
            self.end(call, missing=True)


def _enclosing(context: Context) -> Iterator[Call]:
    """Yield the call that is current in a context, then the one in which that was started, and so on."""
    call: Any = context.get(CURRENT)
    while call is not None:
        yield call
        call = call.previous.get(CURRENT) if call.previous is not None else None


def _local(call: Call) -> LocalContent:
    call.local = call.local or LocalContent()
    return call.local


active: Recorder  # the one that sources use: until `init()`, that of `lmspan.default`


def install(recorder: Recorder) -> Recorder:
    """Make `recorder` the one that sources use from now on; return the one before."""
    global active  # noqa: PLW0603 - the one of this process
    before: Recorder = globals().get("active", recorder)
    active = recorder
    return before


def _inherit() -> None:
    """Leave what was open in the parent of a forked process to that parent."""
    for call in active.open.values():
        call.inherited = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_inherit)
