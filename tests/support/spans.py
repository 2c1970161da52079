"""Ended spans of the real SDK, for what exports and reads them."""

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def some_spans(count=1, **attributes):
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "n": 3}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("scope", "1.2")
    for index in range(count):
        link = trace.Link(trace.SpanContext(5, 6, is_remote=True), {"why": "test"})
        with tracer.start_as_current_span(f"outer {index}", kind=trace.SpanKind.CLIENT, links=[link]) as span:
            span.set_attributes(
                {"s": "é\n\u2028", "i": 7, "f": 0.5, "b": True, "l": ["a", "b"], "nan": float("inf"), **attributes}
            )
            span.add_event("happened", {"x": 1}, 1234)
            span.set_status(trace.StatusCode.ERROR, "why")
            tracer.start_span("inner").end()
    return memory.get_finished_spans()
