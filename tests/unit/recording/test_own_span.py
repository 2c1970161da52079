"""lmspan's own span beside the SDK's: the same calls give the same span, to a processor and to a program."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from enum import IntEnum
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from lmspan.lifecycle import Deferred
from lmspan.recording.span import OwnSpan, own_tracer
from lmspan.session import providers
from lmspan.subscribers.sampling import ListeningSampler, children_follow
from lmspan.testing import FixedIds

REMOTE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")]))


class Seen(SpanProcessor):
    """Keeps what a processor can read of each span, at its start and at its end."""

    def __init__(self):
        self.started = []
        self.ending = []
        self.ended = []

    def on_start(self, span, parent_context=None):
        self.started.append(read(span))

    def _on_ending(self, span):
        self.ending.append(read(span))

    def on_end(self, span):
        assert isinstance(span, ReadableSpan)
        assert not hasattr(span, "set_attribute")
        self.ended.append(read(span))


def read(span):
    return {
        "name": span.name,
        "context": span.context,
        "its context": span.get_span_context(),
        "parent": span.parent,
        "kind": span.kind,
        "times": (span.start_time, span.end_time),
        "status": (span.status.status_code, span.status.description),
        "attributes": list(span.attributes.items()),
        "types": [type(each) for each in span.attributes.values()],
        "events": [(each.name, list(each.attributes.items()), each.timestamp) for each in span.events],
        "links": [(each.context, dict(each.attributes)) for each in span.links],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "of events": [each.dropped_attributes for each in span.events],
        "resource": span.resource,
        "scope": span.instrumentation_scope,
        "json": json_of(span),
    }


def json_of(span):
    """Return the span as JSON; the SDK writes none for bytes."""
    try:
        return json.loads(span.to_json())
    except TypeError:
        return None


class Kind:
    """A provider with one kind of span."""

    def __init__(self, own, limits=None, sampler=DEFAULT_ON):
        self.seen = Seen()
        self.provider = TracerProvider(
            sampler, Resource({"service.name": "s"}), shutdown_on_exit=False, id_generator=FixedIds(),
            span_limits=limits or SpanLimits(),
        )  # fmt: skip
        self.provider.add_span_processor(self.seen)
        tracer = self.provider.get_tracer("lmspan", "1.0", "https://schema")
        self.tracer = own_tracer(tracer, children_follow=children_follow(sampler)) if own else tracer


def both(program, limits=None, sampler=DEFAULT_ON):
    """Run a program on both kinds, and return what the SDK's kind shows once it is clear that the own one is equal."""
    seen = []
    for own in (False, True):
        kind = Kind(own, limits, sampler)
        program(kind.tracer)
        seen.append((kind.seen.started, kind.seen.ending, kind.seen.ended))
    assert seen[0] == seen[1]
    return seen[0]


@contextmanager
def quiet():
    loggers = [logging.getLogger(f"opentelemetry.{name}") for name in ("sdk.trace", "attributes")]
    for each in loggers:
        each.disabled = True
    try:
        yield
    finally:
        for each in loggers:
            each.disabled = False


class Level(IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Odd:
    def __str__(self):
        return "odd"


VALUES = st.one_of(
    st.text(max_size=12), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none(), st.binary(max_size=4),
    st.lists(st.text(max_size=3), max_size=3),
    st.lists(st.integers() | st.none() | st.lists(st.booleans()), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from([Level.LOW, Text("text"), Odd(), object, (1, Odd())]),
)  # fmt: skip
NAMES = st.sampled_from([f"n{index}" for index in range(9)] + [""])
ATTRIBUTES = st.dictionaries(NAMES | st.sampled_from([3, Text("t")]), VALUES, max_size=7)
CONTEXTS = st.sampled_from([REMOTE, trace.INVALID_SPAN_CONTEXT, None])
STEPS = st.one_of(
    st.tuples(st.just("set_attributes"), ATTRIBUTES),
    st.tuples(st.just("set_attribute"), NAMES | st.just(5), VALUES),
    st.tuples(st.just("defer"), st.dictionaries(NAMES.filter(bool), st.text(max_size=12), max_size=7)),
    st.tuples(st.just("add_event"), st.text(max_size=3), st.none() | ATTRIBUTES, st.integers(1, 99)),
    st.tuples(st.just("add_link"), CONTEXTS, st.none() | ATTRIBUTES),
    st.tuples(st.just("update_name"), st.text(max_size=3)),
    st.tuples(st.just("set_status"), st.sampled_from(StatusCode), st.none() | st.text(max_size=3)),
    st.tuples(st.just("set_status"), st.sampled_from([Status(StatusCode.OK), Status(StatusCode.ERROR, "e"), "error"])),
    st.tuples(st.just("end"), st.integers(100, 200)),
)


def defer(span, attributes):
    """Set every second attribute as a text that is not encoded yet; the SDK's span receives the texts."""
    if type(span) is not OwnSpan:
        span.set_attributes(attributes)
    elif span.is_recording():  # the recorder looks before
        late = list(attributes)[::2]
        span.defer({name: Deferred(1, str, text) if name in late else text for name, text in attributes.items()})


LIMIT = st.none() | st.integers(0, 4)
LIMITS = st.builds(
    SpanLimits, max_events=LIMIT, max_links=LIMIT, max_span_attributes=LIMIT, max_event_attributes=LIMIT,
    max_link_attributes=LIMIT, max_attribute_length=LIMIT, max_span_attribute_length=LIMIT,
)  # fmt: skip
LINKS = st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=3)


@given(st.lists(STEPS, max_size=9), ATTRIBUTES, LINKS, LIMITS)
@settings(max_examples=300, deadline=None)
def test_any_sequence_of_calls_gives_the_span_of_the_sdk(steps, attributes, links, limits):
    def program(tracer):
        fresh = [Link(each.context, each.attributes) for each in links]  # the SDK changes the links that it gets
        span = tracer.start_span("s", Context(), SpanKind.CLIENT, dict(attributes), fresh, 50)
        for name, *arguments in steps:
            if name == "defer":
                defer(span, *arguments)
            else:
                getattr(span, name)(*arguments)
        assert span.is_recording() is not any(name == "end" for name, *_ in steps)
        if span.is_recording():
            span.end(300)

    with quiet():  # both complain of the same values
        both(program, limits)


def test_a_trace_of_several_spans_with_a_remote_parent_and_links():
    def program(tracer):
        around = trace.set_span_in_context(trace.NonRecordingSpan(REMOTE), Context())
        outer = tracer.start_span("outer", around, attributes={"a": 1}, start_time=1)
        inside = trace.set_span_in_context(outer, Context())
        inner = tracer.start_span("inner", inside, links=[Link(REMOTE, {"of": "inner"})], start_time=2)
        inner.end(3)
        outer.end(4)
        tracer.start_span("alone", Context(), start_time=5).end(6)

    started, _, ended = both(program)
    assert [each["name"] for each in started] == ["outer", "inner", "alone"]
    assert [(each["name"], each["parent"] and each["parent"].span_id) for each in ended] == [
        ("inner", 1), ("outer", 8), ("alone", None),
    ]  # fmt: skip


class Marking(Sampler):
    """Samples by the name, adds an attribute, and asks no parent."""

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        decision = {"drop": Decision.DROP, "local": Decision.RECORD_ONLY}.get(name, Decision.RECORD_AND_SAMPLE)
        return SamplingResult(decision, {**(attributes or {}), "by": ["me"]}, TraceState([("c", "d")]))

    def get_description(self):
        return "Marking"


SAMPLERS = (
    ALWAYS_ON, ALWAYS_OFF, DEFAULT_ON, Marking(), ParentBased(Marking()),
    ParentBased(ALWAYS_ON, local_parent_sampled=Marking()), ParentBasedTraceIdRatio(0.5), TraceIdRatioBased(0.5),
    ListeningSampler(ParentBased(Marking()), lambda: True),
)  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.get_description()[:40])
def test_every_sampler_decides_as_for_the_spans_of_the_sdk(sampler):
    def program(tracer):
        for name in ("kept", "drop", "local"):
            outer = tracer.start_span(name, Context(), attributes={"a": 1}, start_time=1)
            for below in ("kept", "drop", "local"):
                inside = trace.set_span_in_context(outer, Context())
                inner = tracer.start_span(below, inside, attributes={"b": 2}, start_time=2)
                contexts.append((outer.get_span_context(), inner.get_span_context(), inner.is_recording()))
                inner.end(3)
            outer.end(4)

    contexts = []
    both(program, sampler=sampler)
    assert contexts[:9] == contexts[9:]


@pytest.mark.parametrize(
    ("sampler", "follows"),
    [(ALWAYS_ON, True), (DEFAULT_ON, True), (ParentBasedTraceIdRatio(0.1), True), (ParentBased(Marking()), True),
     (ListeningSampler(DEFAULT_ON, lambda: False), True), (ALWAYS_OFF, True), (Marking(), False),
     (TraceIdRatioBased(1.0), False), (ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF), False)],
)  # fmt: skip
def test_it_is_known_of_the_usual_samplers_that_a_child_of_a_sampled_span_is_sampled(sampler, follows):
    assert children_follow(sampler) is follows


def test_a_span_is_a_span_of_the_sdk_to_whoever_asks():
    span = Kind(own=True).tracer.start_span("s", Context())
    assert type(span) is OwnSpan
    assert all(isinstance(span, kind) for kind in (trace.Span, sdk.Span, ReadableSpan))
    assert str(span) == f'OwnSpan(name="s", context={span.context})'
    with pytest.raises(TypeError):
        span.attributes["a"] = 1


def test_a_span_that_has_ended_does_not_change_and_complains_as_the_sdk_does(monkeypatch):
    complaints = []
    logger = logging.getLogger("opentelemetry.sdk.trace")
    monkeypatch.setattr(logger, "warning", lambda message, *_: complaints.append(message))
    for own in (False, True):
        span = Kind(own).tracer.start_span("s", Context())
        span.end(5)
        before = read(span)
        span.set_attribute("a", 1)
        span.set_attributes({"a": 1})
        span.add_event("e")
        span.add_link(REMOTE)
        span.update_name("t")
        span.set_status(StatusCode.ERROR)
        span.end(6)
        assert read(span) == before
    assert len(complaints) == 14
    assert complaints[:2] == complaints[7:9] == 2 * ["Setting attribute on ended span."]


def test_a_processor_changes_the_span_at_its_start_and_reads_a_span_at_its_end_that_nobody_changes():
    class Adds(SpanProcessor):
        def on_start(self, span, parent_context=None):
            span.set_attribute("added", [1, 2])
            spans.append(span)

        def on_end(self, span):
            spans.append(span)

    spans = []
    kind = Kind(own=True)
    kind.provider.add_span_processor(Adds())  # after the tracer was made
    span = kind.tracer.start_span("s", Context(), attributes={"first": 1})
    span.add_event("e", {"x": [1]}, 5)
    span.end(6)
    live, ended = spans
    assert live is span
    assert dict(ended.attributes) == {"first": 1, "added": (1, 2)}
    live._attributes["late"] = 1  # as another thread does that was in `set_attributes` when the span ended
    live._events.append(ended.events[0])
    assert (dict(ended.attributes), len(ended.events)) == ({"first": 1, "added": (1, 2)}, 1)


def test_the_exception_of_a_with_is_recorded_as_by_the_sdk():
    def program(tracer):
        with pytest.raises(ValueError, match="no"), tracer.start_span("s", Context(), start_time=1):
            raise ValueError("no")

    seen = []
    for own in (False, True):
        kind = Kind(own)
        program(kind.tracer)
        (ended,) = kind.seen.ended
        (event,) = ended["events"]
        seen.append((ended["status"], event[0], dict(event[1])["exception.type"], dict(event[1])["exception.escaped"]))
    assert seen[0] == seen[1] == ((StatusCode.ERROR, "ValueError: no"), "exception", "ValueError", "True")


def test_a_span_ends_once_whichever_threads_end_it():
    kind = Kind(own=True)
    with quiet():
        for _ in range(200):
            span = kind.tracer.start_span("s", Context())
            threads = [Thread(target=span.end) for _ in range(2)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
    assert len(kind.seen.ended) == 200


def test_attributes_over_the_limit_are_the_latest_and_keep_their_count():
    kind = Kind(own=True, limits=SpanLimits(max_span_attributes=3))
    span = kind.tracer.start_span("s", Context(), attributes={"a": 1, "b": 2})
    span.set_attributes({"a": 3, "c": 4})
    assert list(span.attributes.items()) == [("b", 2), ("a", 3), ("c", 4)]
    span.put({"d": 5, "e": 6})
    assert (list(span.attributes.items()), span.dropped_attributes) == ([("c", 4), ("d", 5), ("e", 6)], 2)
    assert isinstance(span._attributes, BoundedAttributes)


def test_where_own_spans_would_not_be_right_the_sdk_makes_them(monkeypatch):
    class OfSomebody(sdk.Tracer):
        pass

    tracer = Kind(own=False).tracer
    assert own_tracer(trace.NoOpTracer(), children_follow=True) is None
    theirs = OfSomebody.__new__(OfSomebody)
    theirs.__dict__.update(tracer.__dict__)
    assert own_tracer(theirs, children_follow=True) is None
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert own_tracer(tracer, children_follow=True) is None


@pytest.mark.parametrize(("value", "kind"), [("sdk", "Tracer"), ("own", "OwnTracer"), ("", "OwnTracer")])
def test_the_environment_asks_for_the_spans_of_the_sdk(value, kind, monkeypatch):
    monkeypatch.setenv("LMSPAN_SPAN", value)
    assert type(providers.tracer(Kind(own=False).provider)).__name__ == kind


def test_a_tracer_that_is_switched_off_records_nothing():
    kind = Kind(own=True)
    kind.provider._set_tracer_configurator(tracer_configurator=lambda _: sdk._TracerConfig(is_enabled=False))
    assert not kind.tracer.start_span("s", Context()).is_recording()
    assert kind.seen.started == []
