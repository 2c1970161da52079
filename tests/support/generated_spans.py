"""Spans of every kind that OpenTelemetry's SDK can end, for hypothesis."""

from collections import OrderedDict
from enum import IntEnum, StrEnum
from types import MappingProxyType

from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from lmspan.export.ids import UniqueIds


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Real(float):
    pass


integers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, -1, 127, 128, 2**63 - 1, -(2**63)]))
reals = st.floats(allow_nan=False) | st.just(float("nan"))  # JSON has one NaN, protobuf has many
plain = st.one_of(st.text(max_size=200), st.booleans(), integers, reals, st.none(), st.binary(max_size=20))
of_subclasses = st.sampled_from([Colour.RED, Size.SMALL, Real(0.5), OrderedDict(a=1), MappingProxyType({"b": True})])
keys = st.text(min_size=1, max_size=20)
values = st.recursive(
    st.one_of(plain, of_subclasses),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=6,
)
attributes = st.dictionaries(keys, values, max_size=6)
counts = st.integers(0, 300)
times = st.integers(0, 2**63)
states = st.sampled_from([TraceState(), TraceState([("a", "1")]), TraceState([("v@x", "y z"), ("b", "2")])])
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    trace_state=states,
)
names = st.text(max_size=30)
links = st.builds(Link, contexts, st.none() | attributes)
statuses = st.one_of(
    st.sampled_from([Status(), Status(StatusCode.OK)]), st.builds(Status, st.just(StatusCode.ERROR), st.none() | names)
)

# Equal resources and scopes that are other objects are one group.
resources = st.one_of(
    st.builds(Resource, st.just({"service.name": "shop", "n": 1, "b": True})),
    st.builds(Resource, st.just({"service.name": "shop", "n": True, "b": 1})),
    st.builds(Resource, attributes, st.sampled_from(["", "https://example.org/1"])),
)
scopes = st.one_of(
    st.none(),
    st.builds(InstrumentationScope, st.just("scope"), st.just("1.2")),
    st.builds(InstrumentationScope, names, st.none() | names, st.sampled_from(["", "https://example.org/2"])),
    st.builds(
        InstrumentationScope, names, names, st.just("https://example.org/3"), st.just({"one": 1, "two": ["a", "b"]})
    ),
)

made_spans = st.builds(
    ReadableSpan,
    name=names,
    context=contexts,
    parent=st.none() | contexts,
    resource=resources,
    attributes=st.none() | attributes,
    events=st.lists(st.builds(Event, names, st.none() | attributes, times), max_size=3),
    links=st.lists(links, max_size=3),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_time=st.none() | times,
    end_time=st.none() | times,
    instrumentation_scope=scopes,
)
"""Spans of the public constructor: every value that a field can have."""


@st.composite
def recorded_spans(draw):
    """A span that the SDK has recorded, within limits that drop and cut."""
    limits = SpanLimits(
        max_span_attributes=draw(st.integers(0, 4)),
        max_events=draw(st.integers(0, 2)),
        max_links=draw(st.integers(0, 2)),
        max_event_attributes=draw(st.integers(0, 2)),
        max_link_attributes=draw(st.integers(0, 2)),
        max_span_attribute_length=draw(st.none() | st.integers(0, 5)),
    )
    memory = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=ALWAYS_ON,
        resource=draw(resources),
        span_limits=limits,
        id_generator=UniqueIds(),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(memory))
    parent = draw(st.none() | contexts)
    span = provider.get_tracer("recorded", "1", "https://example.org/4", {"of": "scope"}).start_span(
        draw(names),
        trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent is not None else None,
        attributes=draw(attributes),
        links=draw(st.lists(links, max_size=4)),
    )
    for each in draw(st.lists(attributes, max_size=4)):
        span.add_event("event", each)
    span.set_status(draw(statuses))
    span.end()
    return memory.get_finished_spans()[0]


batches = st.lists(st.one_of(made_spans, recorded_spans()), max_size=6)
