"""The start of a call: whether it is recorded, what its span starts with, and what ends it after an interrupt."""

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from lmspan import StopRun
from lmspan import semconv as sc
from lmspan.context import silence
from lmspan.context.current import current_call
from lmspan.context.processes import from_environment
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording_module
from lmspan.recording.recorder import Recorder

MODULE, TOOL, LM = Operation.MODULE, Operation.TOOL, Operation.LM


class Provider(TracerProvider):
    """A provider with the spans that ended, in the order of their ends."""

    def __init__(self):
        super().__init__(shutdown_on_exit=False)
        self.memory = InMemorySpanExporter()
        self.add_span_processor(SimpleSpanProcessor(self.memory))

    @property
    def spans(self):
        return {span.name: span for span in self.memory.get_finished_spans()}


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def recorder(provider):
    token = otel_context.attach(otel_context.Context())  # without what other tests have left
    yield Recorder(provider.get_tracer("test"))
    assert otel_context.get_current() == {}
    otel_context.detach(token)


def start_tool(recorder, name="t", **options):
    return recorder.start(TOOL, name, "test", **options)


def test_nothing_is_recorded_under_suppress_instrumentation(recorder, provider):
    with suppress_instrumentation():
        assert recorder.ready() is None
        assert recorder.announce(start_tool) is None
    assert recorder.ready() is otel_context.get_current()
    recorder.end(recorder.announce(start_tool))
    assert list(provider.spans) == ["execute_tool t"]


def test_a_recorder_that_is_closed_or_not_enabled_records_nothing(recorder, provider):
    recorder.close()
    assert recorder.ready() is None
    assert recorder.announce(start_tool) is None
    assert provider.spans == {}


def test_a_call_keeps_the_objects_of_the_program_as_they_are(recorder):
    instance, inputs = object(), object()
    call = recorder.start(TOOL, "t", "test", instance=instance, inputs=inputs)
    assert call.instance is instance
    assert call.inputs is inputs
    recorder.end(call)


@pytest.mark.parametrize("operation", [LM, Operation.EMBEDDING, Operation.RETRIEVAL, TOOL, MODULE])
def test_only_a_request_to_another_service_is_a_client_span(recorder, provider, operation):
    recorder.end(recorder.start(operation, "", "test"))
    (span,) = provider.spans.values()
    requests = (LM, Operation.EMBEDDING, Operation.RETRIEVAL)
    assert span.kind is (SpanKind.CLIENT if operation in requests else SpanKind.INTERNAL)


def test_a_request_that_the_process_answers_itself_becomes_internal(recorder, provider):
    call = recorder.start(LM, "m", "test")
    recorder.mark_internal(call)
    recorder.end(call)
    assert provider.spans["chat m"].kind is SpanKind.INTERNAL


def test_a_span_of_no_sdk_has_no_kind_to_change():
    before = otel_context.get_current()
    recorder = Recorder(trace.NoOpTracer())
    call = recorder.start(LM, "m", "test")
    recorder.mark_internal(call)
    assert not hasattr(call.span, "_kind")
    recorder.end(call)
    assert otel_context.get_current() == before


def test_a_span_has_the_links_and_the_start_time_of_its_call(recorder, provider):
    link = trace.Link(trace.SpanContext(5, 6, is_remote=True), {"why": "test"})
    recorder.end(start_tool(recorder, links=(link,), start_time=10), end_time=20)
    recorder.end(start_tool(recorder, "no links"))
    span = provider.spans["execute_tool t"]
    assert span.links == (link,)
    assert (span.start_time, span.end_time) == (10, 20)
    assert provider.spans["execute_tool no links"].links == ()


def test_a_span_has_the_session_and_the_user_of_the_baggage_and_nothing_else_of_it(recorder, provider):
    entries = {sc.SESSION_ID: "s", sc.USER_ID: 7, "other": "o"}  # a user that is no text cannot be a user
    context = otel_context.get_current()
    for name, value in entries.items():
        context = baggage.set_baggage(name, value, context)
    token = otel_context.attach(context)
    recorder.end(start_tool(recorder))
    otel_context.detach(token)
    call = start_tool(recorder, "outside", call_id="c")
    recorder.end(call)
    own = {sc.SOURCE: "test", sc.OPERATION_NAME: "execute_tool"}
    inside = dict(provider.spans["execute_tool t"].attributes)
    assert {name: inside[name] for name in inside if name in own or name in entries} == {**own, sc.SESSION_ID: "s"}
    assert call.facts.keys() & entries.keys() == set()


def test_the_parent_id_is_that_of_the_call_around_or_the_one_that_the_source_names_or_empty(recorder):
    outer = start_tool(recorder, "outer", call_id="o")
    inner = start_tool(recorder, "inner", call_id="i")
    named = start_tool(recorder, "named", parent_id="o")
    orphan = start_tool(recorder, "orphan", parent_id="nobody")
    assert [call.parent_id for call in (outer, inner, named, orphan)] == ["", "o", "o", "nobody"]
    assert [call.orphan for call in (outer, inner, named, orphan)] == [False, False, False, True]
    assert [call.root for call in (outer, inner, named, orphan)] == [outer] * 4
    for call in (orphan, named, inner, outer):
        recorder.end(call)


def test_an_empty_parent_id_names_no_call(recorder):
    outer = start_tool(recorder)
    recorder.open[""] = start_tool(recorder, "without an id")
    recorder.end(recorder.open[""])
    inner = start_tool(recorder)
    assert inner.parent is outer
    del recorder.open[""]
    recorder.end(inner)
    recorder.end(outer)


def test_the_outermost_span_is_under_the_span_of_the_environment(recorder, provider):
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    environ = {"TRACEPARENT": f"00-{trace_id}-{span_id}-01", "BAGGAGE": "session.id=s"}
    recorder.process_context = from_environment(environ)
    recorder.end(start_tool(recorder))
    span = provider.spans["execute_tool t"]
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (trace_id, span_id)
    assert span.attributes[sc.SESSION_ID] == "s"


def test_a_recorder_reads_the_environment_of_its_process(monkeypatch, provider):
    monkeypatch.setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    recorder = Recorder(provider.get_tracer("test"))
    recorder.end(start_tool(recorder))
    assert f"{provider.spans['execute_tool t'].parent.span_id:016x}" == "b7ad6b7169203331"


def test_installing_a_recorder_returns_the_one_before(recorder):
    before = recording_module.active
    assert recording_module.install(recorder) is before
    assert recording_module.active is recorder
    assert recording_module.install(before) is recorder


def test_the_context_of_a_model_call_holds_what_keeps_other_instrumentations_silent(recorder):
    for operation in (LM, Operation.EMBEDDING, TOOL):
        call = recorder.start(operation, "", "test")
        silent = silence.entries(operation)
        assert {name: call.context.get(name) for name in silent} == silent
        assert bool(silent) is (operation is not TOOL)
        recorder.end(call)


# interrupts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", [True, False], ids=["in a call", "outermost"])
@pytest.mark.parametrize("starts", [0, 1, 2])
def test_an_interrupt_while_a_source_starts_calls_ends_them_and_no_other(recorder, provider, around, starts):
    outer = recorder.start(MODULE, "outer", "test") if around else None
    before = otel_context.get_current()

    def interrupted(recorder):
        for number in range(starts):
            start_tool(recorder, str(number))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorder.announce(interrupted)
    assert otel_context.get_current() is before
    names = [span.name for span in provider.memory.get_finished_spans()]
    assert names == [f"execute_tool {number}" for number in reversed(range(starts))]
    assert {span.attributes[sc.ERROR_TYPE] for span in provider.spans.values()} <= {"KeyboardInterrupt"}
    assert current_call() is outer
    if outer is not None:
        recorder.end(outer)
        assert sc.ERROR_TYPE not in provider.spans["module outer"].attributes


def test_an_interrupt_leaves_current_what_was_so_before_the_source_attached_more(recorder):
    before = otel_context.get_current()

    def interrupted(recorder):
        otel_context.attach(baggage.set_baggage("key", "value"))
        raise SystemExit

    with pytest.raises(SystemExit):
        recorder.announce(interrupted)
    assert otel_context.get_current() is before


def test_announce_passes_the_arguments_and_returns_the_call_or_none_if_the_source_stays_out(recorder):
    call = recorder.announce(lambda recorder, *arguments: start_tool(recorder, inputs=arguments), 1, 2)
    assert call.inputs == (1, 2)
    recorder.end(call)
    assert recorder.announce(lambda recorder: None) is None


class Interrupts(dict):
    """The open calls of a recorder; a signal arrives as a call has been added."""

    def __setitem__(self, call_id, call):
        super().__setitem__(call_id, call)
        raise KeyboardInterrupt


def test_an_interrupt_at_the_end_of_a_start_ends_the_call(recorder, provider):
    recorder.open = Interrupts()
    with pytest.raises(KeyboardInterrupt):
        start_tool(recorder)
    assert recorder.open == {}
    assert provider.spans["execute_tool t"].attributes[sc.ERROR_TYPE] == "KeyboardInterrupt"


def test_an_interrupt_before_the_span_starts_passes_and_leaves_nothing(recorder, provider):
    class Interrupted(trace.NoOpTracer):
        def start_span(self, *args, **kwargs):
            raise KeyboardInterrupt

    recorder.tracer = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        start_tool(recorder)
    assert recorder.open == {}
    assert provider.spans == {}


# a stop --------------------------------------------------------------------------------------------------------------


def test_after_a_stop_each_further_call_of_the_run_ends_with_a_stop_of_its_own(recorder, provider):
    outer = recorder.start(MODULE, "outer", "test")
    outer.stop = StopRun("enough", 3)
    outer.stop.__cause__ = cause = ValueError("the hook's")
    for number in range(2):
        with pytest.raises(StopRun) as stopped:
            start_tool(recorder, str(number))
        assert stopped.value is not outer.stop
        assert (stopped.value.args, stopped.value.__cause__) == (("enough", 3), cause)
    assert current_call() is outer
    recorder.end(outer)
    reasons = {name: span.attributes.get(sc.STOP_REASON) for name, span in provider.spans.items()}
    assert reasons == {"execute_tool 0": None, "execute_tool 1": None, "module outer": "enough 3"}
    errors = {name: span.attributes.get(sc.ERROR_TYPE) for name, span in provider.spans.items()}
    stop = "lmspan.errors.StopRun"
    assert errors == {"execute_tool 0": stop, "execute_tool 1": stop, "module outer": None}


def test_what_a_hook_raises_on_purpose_ends_the_call_and_reaches_the_program(provider):
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415 - the base of this test's class alone

    from lmspan.lifecycle import STARTING  # noqa: PLC0415

    error = PermissionError("no")

    class Refuses(SpanProcessor):
        def on_start(self, span, parent_context=None):
            parent_context[STARTING].raises = error

    provider.add_span_processor(Refuses())
    recorder = Recorder(provider.get_tracer("test"))
    before = otel_context.get_current()
    with pytest.raises(PermissionError) as raised:
        start_tool(recorder)
    assert raised.value is error
    assert provider.spans["execute_tool t"].attributes[sc.ERROR_TYPE] == "PermissionError"
    assert otel_context.get_current() is before
