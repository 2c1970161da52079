"""A call that is not sampled: its children are left out where nobody would notice them."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

import lmspan
from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.recording.recorder import Recorder
from lmspan.testing import recording


class Unknown(ParentBased):
    """A sampler of which nobody knows whether it samples a child of an unsampled call."""


@pytest.fixture
def started(monkeypatch):
    """The names of the calls that start."""
    names, start = [], Recorder.start

    def counted(self, operation, name, *args, **kwargs):
        names.append(name)
        return start(self, operation, name, *args, **kwargs)

    monkeypatch.setattr(Recorder, "start", counted)
    return names


@lmspan.tool
def inner(value):
    return value + 1


@lmspan.module
def outer(value):
    return inner(value) + inner(value)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (ALWAYS_OFF, ["outer"]),
        (ParentBased(ALWAYS_OFF), ["outer"]),
        (ALWAYS_ON, ["outer", "inner", "inner"]),
        (Unknown(ALWAYS_OFF), ["outer", "inner", "inner"]),
    ],
)
def test_the_children_of_an_unsampled_call_are_left_out(sampler, expected, started):
    with recording(instrument=(), sampler=sampler) as recorded:
        assert outer(1) == 4
    assert started == expected
    assert len(recorded.spans) == (3 if sampler is ALWAYS_ON else 0)
    assert current_call() is None


def test_where_metrics_are_measured_every_call_counts():
    reader = InMemoryMetricReader()
    with recording(instrument=(), sampler=ALWAYS_OFF, meter_provider=MeterProvider([reader])):
        outer(1)
        (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    counts = {metric.name: [point.count for point in metric.data.data_points] for metric in scope.metrics
              if metric.name in (sc.METRIC_TOOL_DURATION, sc.METRIC_MODULE_DURATION)}  # fmt: skip
    assert counts == {sc.METRIC_TOOL_DURATION: [2], sc.METRIC_MODULE_DURATION: [1]}


def test_a_callback_that_is_subscribed_inside_hears_from_then_on():
    heard = []

    @lmspan.module
    def program():
        inner(1)
        with lmspan.subscribed({"on_tool_start": lambda call_id, instance, inputs: heard.append(inputs)}):
            inner(2)
        return inner(3)

    with recording(instrument=(), sampler=ALWAYS_OFF):
        program()
    assert heard == [{"kwargs": {"value": 2}}]


def test_the_result_of_a_run_counts_what_is_not_sampled():
    with recording(instrument=(), sampler=ALWAYS_OFF), lmspan.run("nightly") as result:
        outer(1)
    assert len(result.tool_calls) == 2


def test_a_sampled_span_of_the_program_in_between_has_children():
    memory = InMemorySpanExporter()
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(SimpleSpanProcessor(memory))

    @lmspan.module
    def program():
        span = theirs.get_tracer("theirs").start_span("theirs", trace.set_span_in_context(trace.INVALID_SPAN))
        with trace.use_span(span, end_on_exit=True):
            return inner(1)

    with recording(instrument=(), sampler=ParentBased(ALWAYS_OFF)) as recorded:
        program()
    (span,), (around,) = recorded.spans, memory.get_finished_spans()
    assert (span.name, span.parent.span_id) == ("execute_tool inner", around.context.span_id)
