"""A tracer for another instrumentation: each span that it starts is a call of the recorder.

The instrumentation makes its span current by itself, so the call is not attached; `context.current` finds the call by
the span. Attributes wait on the span until it ends, because the recorder records content and facts apart.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanKind, StatusCode, Tracer, TracerProvider

from lmspan import semconv as sc
from lmspan.context.current import CallSpan, innermost_call
from lmspan.guard import guarded
from lmspan.instrumentation.genai.content import inputs_of, outputs_of, payload_of, start_facts
from lmspan.instrumentation.kit import attempts
from lmspan.instrumentation.kit.kept import LMKept
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording
from lmspan.semconv.spans import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanContext

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


class CallTracerProvider(TracerProvider):
    """Gives an instrumentation the tracer whose spans are calls of `source`."""

    def __init__(self, source: str) -> None:
        self._tracer = CallTracer(source)

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        """Return the tracer; the recorder has its own instrumentation scope."""
        return self._tracer


class CallTracer(Tracer):
    """Starts calls of one source. A span that names no operation of the conventions is not recorded."""

    def __init__(self, source: str) -> None:
        self._source = source

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a call, and return a span that stands for it. Raises only what a subscriber raises on purpose."""
        del kind, record_exception, set_status_on_exception
        return self._span(name, context, attributes or {}, tuple(links or ()), start_time)

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # the API's class of context managers is private
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[Span]:
        """Start a call and make its span current."""
        del kind
        span = self._span(name, context, attributes or {}, tuple(links or ()), start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span

    def _span(
        self,
        name: str,
        context: Context | None,
        attributes: Mapping[str, Any],
        links: tuple[Link, ...],
        start_time: int | None,
    ) -> Span:
        around = otel_context.get_current() if context is None else context
        operation = OPERATIONS.get(attributes.get(sc.OPERATION_NAME, ""))
        recorder = recording.active
        outer = innermost_call(around)
        if outer is not None and outer.operation is operation and operation in _OF_MODELS and not outer.ended:
            return MergedSpan(recorder, outer, attributes)
        call = None
        if operation is not None:
            call_name = name.partition(" ")[2]
            facts = start_facts(attributes)
            call = recorder.announce(_start, operation, call_name, self._source, facts, around, links, start_time)
        if call is None:
            return NonRecordingSpan(trace.get_current_span(around).get_span_context())
        return RecordedSpan(recorder, call)


def _start(
    recorder: Recorder,
    operation: Operation,
    name: str,
    source: str,
    facts: dict[str, Any],
    around: Context,
    links: tuple[Link, ...],
    start_time: int | None,
) -> LiveCall:
    call = recorder.start(operation, name, source, facts, links=links, start_time=start_time, context=around)
    call.kept = LMKept() if operation is Operation.LM else None
    return call


class RecordedSpan(CallSpan):
    """The span that an instrumentation holds for a call. Its methods never raise, and have no effect after the end."""

    def __init__(self, recorder: Recorder, call: LiveCall) -> None:
        self.call = call
        self._recorder = recorder
        self._attributes: dict[str, Any] = {}
        self._failed = False
        self._error: BaseException | None = None

    def get_span_context(self) -> SpanContext:
        """Return the ids of the call's span."""
        context: SpanContext = self.call.span.get_span_context()
        return context

    def is_recording(self) -> bool:
        """Return whether attributes are kept."""
        return self.call.observed and not self.call.ended

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Keep attributes until the end."""
        self._attributes.update(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Keep an attribute until the end."""
        self._attributes[key] = value

    @guarded
    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Add a point in time to the call, now."""
        del timestamp
        if not self.call.ended:
            self._recorder.add_event(self.call, name, attributes or {}, name=name)

    def update_name(self, name: str) -> None:
        """Leave the name, which the recorder makes from the operation."""

    @guarded
    def set_status(self, status: Any, description: str | None = None) -> None:
        """Note a failure, and the exception that is being handled, where the failure is that exception."""
        code = getattr(status, "status_code", status)
        described = getattr(status, "description", description)
        if code is StatusCode.ERROR:
            self._failed = True
            error = sys.exception()
            if error is not None and (not described or str(error) == described):
                self._error = error

    def record_exception(self, exception: BaseException, *_: Any, **__: Any) -> None:
        """Note the exception of the call, which the recorder describes."""
        self._error = exception

    def end(self, end_time: int | None = None) -> None:
        """End the call with its facts and its content."""
        call = self.call
        if call.ended:
            return
        payload = self._describe() or {}
        outputs = guarded(outputs_of)(call.operation, payload)
        error = self._error if self._failed else None
        if error is not None:
            attempts.note_failure(call, error)
            attempts.last_failed(self._recorder, call)
        self._recorder.end(call, outputs, error, end_time=end_time)
        self._attributes = {}  # a context may hold the span for long
        self._error = None

    @guarded
    def _describe(self) -> dict[str, Any]:
        """Put the attributes where they belong: facts on the call, content where the content rule allows it."""
        call = self.call
        facts, payload = payload_of(self._attributes)
        call.late_facts.update(facts)
        call.inputs = inputs_of(call.operation, payload)
        attempts.count(call)
        if self._failed and self._error is None:
            call.late_facts.setdefault(sc.ERROR_TYPE, _OTHER)
            call.failed = True
        if payload and self._recorder.captures(call):
            self._recorder.capture(call, payload)
        return payload


class MergedSpan(RecordedSpan):
    """The span of a model's call that a source around it reports already: the call gets the facts that it lacks.

    The instrumentations themselves leave such a call to what is around it, unless the program imports the client, and
    so turns its instrumentation on, inside the call.
    """

    def __init__(self, recorder: Recorder, call: LiveCall, attributes: Mapping[str, Any]) -> None:
        super().__init__(recorder, call)
        self._attributes.update(attributes)

    def end(self, end_time: int | None = None) -> None:
        """Add the facts; the source ends the call."""
        del end_time
        if not self.call.ended:
            self._merge()

    @guarded
    def _merge(self) -> None:
        call = self.call
        facts, _ = payload_of(self._attributes)
        if call.facts.get(sc.PROVIDER_NAME) == sc.UNKNOWN_PROVIDER and sc.PROVIDER_NAME in facts:
            call.late_facts.setdefault(sc.PROVIDER_NAME, facts[sc.PROVIDER_NAME])
        for name in facts.keys() - call.facts.keys() - {sc.ERROR_TYPE}:
            call.late_facts.setdefault(name, facts[name])
        self._attributes = {}


_OF_MODELS: Final = (Operation.LM, Operation.EMBEDDING, Operation.RETRIEVAL)
_OTHER: Final = "_OTHER"
"""The error type of a failure of an unknown kind, as the conventions name it."""
