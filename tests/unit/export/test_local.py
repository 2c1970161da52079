"""Content that stays on this machine joins its span where the span is written, and nowhere else."""

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import StatusCode

from lmspan.export.local import OpenCalls, with_content
from lmspan.lifecycle import STARTING, LiveCall, LocalContent, Operation


def ended_span():
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    tracer = provider.get_tracer("scope", "1.2")
    link = trace.Link(trace.SpanContext(5, 6, is_remote=True), {"why": "test"})
    parent = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=False, trace_flags=trace.TraceFlags(1)))
    span = tracer.start_span(
        "name", trace.set_span_in_context(parent), trace.SpanKind.CLIENT, {"a": 1, "b": 2}, [link], start_time=10
    )
    span.add_event("one", {"x": 1}, 11)
    span.add_event("one", {"x": 2}, 12)
    span.add_event("two", None, 11)
    span.set_status(StatusCode.ERROR, "described")
    span.end(20)
    return span


def local(**attributes):
    content = LocalContent()
    content.attributes.update(attributes)
    return content


def facts(span):
    return {
        "name": span.name,
        "context": span.context,
        "parent": span.parent,
        "resource": span.resource,
        "attributes": dict(span.attributes),
        "events": [(event.name, dict(event.attributes), event.timestamp) for event in span.events],
        "links": list(span.links),
        "kind": span.kind,
        "scope": span.instrumentation_scope,
        "status": (span.status.status_code, span.status.description),
        "times": (span.start_time, span.end_time),
    }


def test_a_span_without_local_content_is_exported_itself():
    span = ended_span()
    assert with_content(span, None) is span


def test_a_span_with_local_content_is_a_copy_that_carries_it():
    span = ended_span()
    before = facts(span)
    content = local(b="the span's own attribute stays", c=3)
    content.events.append(("one", 12, {"text": "t"}))
    content.status = "the message"
    assert facts(with_content(span, content)) == {
        **before,
        "attributes": {"a": 1, "b": 2, "c": 3},
        "events": [("one", {"x": 1}, 11), ("one", {"x": 2, "text": "t"}, 12), ("two", {}, 11)],
        "status": (StatusCode.ERROR, "the message"),
    }
    assert facts(span) == before


def test_content_of_an_event_joins_the_event_of_its_name_and_time_alone():
    span, content = ended_span(), local()
    content.events += [("two", 11, {"text": "of two"}), ("one", 13, {"text": "no event"}), ("one", 11, {"x": "new"})]
    copy = with_content(span, content)
    assert facts(copy)["events"] == [("one", {"x": "new"}, 11), ("one", {"x": 2}, 12), ("two", {"text": "of two"}, 11)]


def test_a_copy_counts_what_the_limits_of_the_sdk_have_dropped():
    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1)
    tracer = TracerProvider(span_limits=limits, shutdown_on_exit=False).get_tracer("t")
    links = [trace.Link(trace.SpanContext(5, number, is_remote=True)) for number in (6, 7, 8, 9)]
    span = tracer.start_span("name", attributes={"a": 1, "b": 2}, links=links)
    for number in range(3):
        span.add_event(f"{number}")
    span.end()
    copy = with_content(span, local(c=3))
    assert (copy.dropped_attributes, copy.dropped_events, copy.dropped_links) == (1, 2, 3)


def test_a_status_stays_where_there_is_no_local_message():
    assert facts(with_content(ended_span(), local(c=1)))["status"] == (StatusCode.ERROR, "described")


def test_the_call_of_a_span_is_returned_once_and_that_of_another_instrumentation_never():
    provider = TracerProvider(shutdown_on_exit=False)
    ours, theirs, plain = (provider.get_tracer("t").start_span(name) for name in ("ours", "theirs", "plain"))
    calls, call = OpenCalls(), LiveCall(Operation.TOOL, "t", "test")
    calls.note(ours, otel_context.Context({STARTING: call}))
    calls.note(theirs, otel_context.Context())
    calls.note(plain, None)
    assert [calls.take(span.context.span_id) for span in (theirs, plain, ours, ours)] == [None, None, call, None]
    for span in (ours, theirs, plain):
        span.end()
