"""Calls become spans: parents, ends that nobody announces, metrics, sampling, events, OpenInference."""

from collections import Counter
from contextlib import ExitStack
from threading import Thread

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision

import lmspan
from lmspan import guard
from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.export.queue import ExportQueue
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording_module
from lmspan.recording import span as span_module
from lmspan.subscribers.sampling import ListeningSampler
from lmspan.testing import recording

MODULE, TOOL, LM = Operation.MODULE, Operation.TOOL, Operation.LM


@pytest.fixture
def recorded():
    with recording(instrument=()) as it:
        yield it


REQUIRED = {LM: {sc.PROVIDER_NAME: "p"}, TOOL: {sc.TOOL_NAME: "t"}}


def start(operation, name, **options):
    options.setdefault("facts", REQUIRED.get(operation))
    return recording_module.active.start(operation, name, "test", **options)


def end(call, **options):
    recording_module.active.end(call, **options)


def test_the_parent_is_the_named_call_else_the_current_one_else_none(recorded):
    first = start(MODULE, "first", call_id="mine")
    end(start(TOOL, "inner"))
    second = start(MODULE, "second")
    end(start(TOOL, "elsewhere", parent_id="mine"))
    end(start(TOOL, "unknown", parent_id="nobody"))
    end(second)
    end(first)
    end(start(MODULE, "alone", parent_id="nobody"))
    recorded.assert_tree("""
        module first
          execute_tool inner
          module second
            execute_tool unknown
          execute_tool elsewhere
        module alone
    """)
    recorded.assert_conventions()
    assert recorded.attributes("execute_tool elsewhere")[sc.CALL_PARENT_ID] == "mine"
    assert recorded.attributes("execute_tool unknown")[sc.CALL_PARENT_ID] == "nobody"
    assert recorded.attributes("module alone")[sc.CALL_PARENT_ID] == "nobody"


def test_a_call_that_nobody_ends_ends_with_its_parent_and_one_that_is_owned_does_not(recorded):
    parent = start(MODULE, "parent")
    start(TOOL, "announced", owned=False)
    streaming = start(TOOL, "streaming")
    end(parent)
    assert [span.name for span in recorded.spans] == ["module parent", "execute_tool announced"]
    end(streaming)
    recorded.assert_conventions()
    facts = recorded.attributes("execute_tool announced")
    assert (facts[sc.END_MISSING], facts[sc.ERROR_TYPE]) == (True, "_OTHER")
    assert sc.END_MISSING not in recorded.attributes("execute_tool streaming")


def test_an_end_out_of_order_leaves_nothing_current(recorded):
    outer, inner = start(MODULE, "outer"), start(TOOL, "inner")
    end(outer)
    end(inner)
    assert current_call() is None
    end(start(MODULE, "next"))
    assert len(recorded.roots()) == 2


def test_a_second_end_is_nothing(recorded):
    call = start(MODULE, "once")
    end(call)
    end(call, error=ValueError())
    assert recorded.one("module once").status.is_unset


def test_two_threads_that_end_a_call_at_once_end_it_once(recorded):
    """One is a worker that finishes, the other whoever left it: the second comes while the first is describing it."""

    class Meanwhile:
        def event(self, call, event, attributes):
            other = Thread(target=end, args=(call,), kwargs={"error": ValueError("second")})
            other.start()
            other.join()

        def end(self, call):
            ends.append(call)

    ends = []
    call = start(MODULE, "once")
    call.watchers = (Meanwhile(),)
    end(call, error=KeyError("first"))
    assert ends == [call]
    assert recorded.attributes("module once")[sc.ERROR_TYPE] == "KeyError"


class Meanwhile:
    """Who ends another call, in another thread, while a failed call is being described."""

    def __init__(self, other):
        self.other = other

    def event(self, call, event, attributes):
        thread = Thread(target=end, args=(self.other,))
        thread.start()
        thread.join()

    def end(self, call):
        pass


def test_a_parent_that_ends_while_a_worker_ends_its_child_leaves_the_child_to_the_worker(recorded):
    parent = start(MODULE, "parent")
    child = start(TOOL, "child", owned=False)
    child.watchers = (Meanwhile(parent),)
    end(child, error=KeyError("its own"))
    recorded.assert_tree("""
        module parent
          execute_tool child !
    """)
    recorded.assert_conventions()
    facts = recorded.attributes("execute_tool child")
    assert facts[sc.ERROR_TYPE] == "KeyError"
    assert sc.END_MISSING not in facts


@pytest.mark.parametrize("first", ["parent", "child"])
def test_a_held_call_is_whole_whichever_thread_comes_second(recorded, first):
    parent = start(MODULE, "parent")
    child = start(TOOL, "child")
    recording_module.active.hold(child)
    one, other = (parent, child) if first == "parent" else (child, parent)
    one.watchers = (Meanwhile(other),)
    child.late_facts[sc.TOOL_NAME] = "child"
    end(one, error=KeyError())
    assert [span.name for span in recorded.spans] == ["module parent", "execute_tool child"]
    facts = recorded.attributes("execute_tool child")
    assert (facts[sc.TOOL_NAME], facts[sc.CALL_ID]) == ("child", child.call_id)
    assert all(span.end_time >= span.start_time for span in recorded.spans)


def test_a_held_call_is_closed_by_whoever_comes_last(recorded):
    parent = start(MODULE, "parent")
    first = start(TOOL, "first")
    recording_module.active.hold(first)
    end(first)
    late = start(TOOL, "late", parent_id=parent.call_id)
    recording_module.active.hold(late)
    assert recorded.spans == []
    end(parent)
    assert [span.name for span in recorded.spans] == ["module parent", "execute_tool first", "execute_tool late"]
    recorded.assert_conventions()


def test_what_is_open_at_shutdown_is_ended(recorded):
    start(MODULE, "outer")
    start(TOOL, "inner")
    recording_module.active.close()
    recorded.assert_tree("""
        module outer !
          execute_tool inner !
    """)


def test_an_ended_call_keeps_nothing_of_the_program(recorded):
    call = start(MODULE, "m", instance=object(), inputs=object())
    call.kept = object()
    end(call, outputs=object())
    assert (call.instance, call.inputs, call.outputs, call.kept) == (None, None, None, None)


def points(reader):
    data = reader.get_metrics_data()
    metrics = [each for rm in data.resource_metrics for sm in rm.scope_metrics for each in sm.metrics] if data else []
    return {
        (metric.name, tuple(sorted(point.attributes.items()))): point
        for metric in metrics
        for point in metric.data.data_points
    }


@pytest.fixture
def failures(monkeypatch):
    """The failures of this test alone: they are counted for the whole process."""
    monkeypatch.setattr(guard, "failures", Counter())
    monkeypatch.setattr(guard, "dropped", Counter())


@pytest.mark.usefixtures("failures")
@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF], ids=["sampled", "not sampled"])
def test_metrics_of_an_lm_call_whether_its_span_is_sampled_or_not(sampler):
    reader = InMemoryMetricReader()
    with recording(instrument=(), meter_provider=MeterProvider([reader]), sampler=sampler):
        facts = {sc.PROVIDER_NAME: "openai", sc.REQUEST_MODEL: "m"}
        call = start(LM, "m", facts=facts)
        call.late_facts.update(
            {
                sc.USAGE_INPUT_TOKENS: 10,
                sc.USAGE_OUTPUT_TOKENS: 3,
                sc.COST_AMOUNT: 0.5,
                sc.RESPONSE_TIME_TO_FIRST_CHUNK: 0.25,
            }
        )
        end(call)
        hit = start(LM, "m", facts=facts)
        hit.late_facts[sc.CACHE_HIT] = True
        end(hit)
        tool = start(TOOL, "t", facts={sc.TOOL_NAME: "t", sc.TOOL_TYPE: "function"})
        end(start(Operation.TURN, ""))  # a call inside is no run
        end(tool, error=ValueError())
    client = ((sc.OPERATION_NAME, "chat"), (sc.PROVIDER_NAME, "openai"), (sc.REQUEST_MODEL, "m"))
    found = points(reader)
    tool = (("error.type", "ValueError"), (sc.TOOL_NAME, "t"), (sc.TOOL_TYPE, "function"))
    assert set(found) == {
        (sc.METRIC_OPERATION_DURATION, client),
        (sc.METRIC_TOKEN_USAGE, tuple(sorted((*client, (sc.TOKEN_TYPE, "input"))))),
        (sc.METRIC_TOKEN_USAGE, tuple(sorted((*client, (sc.TOKEN_TYPE, "output"))))),
        (sc.METRIC_TIME_TO_FIRST_CHUNK, client),
        (sc.METRIC_COST, client),
        (sc.METRIC_CACHE_REQUESTS, ((sc.CACHE_HIT, False),)),
        (sc.METRIC_CACHE_REQUESTS, ((sc.CACHE_HIT, True),)),
        (sc.METRIC_TOOL_DURATION, tool),
        (sc.METRIC_RUNS, ()),
        (sc.METRIC_RUNS, (("error.type", "ValueError"),)),
    }
    assert found[sc.METRIC_RUNS, ()].value == 2
    assert found[sc.METRIC_OPERATION_DURATION, client].count == 1
    assert found[sc.METRIC_COST, client].value == 0.5


@pytest.mark.usefixtures("failures")
def test_the_last_score_of_an_evaluation_and_of_an_optimizer_is_measured():
    reader = InMemoryMetricReader()
    with recording(instrument=(), meter_provider=MeterProvider([reader])):
        for score in (50.0, 75.0):
            call = start(Operation.EVALUATE, "exact", facts={sc.SPAN_METRIC: "exact"})
            call.late_facts[sc.SPAN_SCORE] = score
            end(call)
        call = start(Operation.OPTIMIZE, "GEPA", facts={sc.OPTIMIZER_NAME: "GEPA"})
        call.late_facts[sc.OPTIMIZER_BEST_SCORE] = 90.0
        end(call)
        end(start(Operation.EVALUATE, "broken", facts={sc.SPAN_METRIC: "broken"}))
    assert {key: point.value for key, point in points(reader).items()} == {
        (sc.METRIC_EVALUATION_SCORE, ((sc.SPAN_METRIC, "exact"),)): 75.0,
        (sc.METRIC_OPTIMIZER_SCORE, ((sc.OPTIMIZER_NAME, "GEPA"),)): 90.0,
        (sc.METRIC_RUNS, ()): 4,
    }


def test_a_dropped_span_is_still_recorded_while_somebody_listens():
    listening = True
    sampler = ListeningSampler(ALWAYS_OFF, lambda: listening)
    assert sampler.should_sample(None, 1, "x").decision is Decision.RECORD_ONLY
    listening = False
    assert sampler.should_sample(None, 1, "x").decision is Decision.DROP
    assert "AlwaysOff" in sampler.get_description()


@pytest.mark.parametrize(("events", "spans", "logs"), [("span", 1, 0), ("log", 0, 1), ("both", 1, 1)])
def test_where_events_go(events, spans, logs):
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    with recording(instrument=(), events=events, event_logger=provider.get_logger("lmspan")) as recorded:
        with lmspan.operation("optimize", "o"):
            lmspan.add_event(Event.OPTIMIZER_CANDIDATE, {"id": "c1"})
    assert len(recorded.events("optimize o")) == spans
    records = [each.log_record for each in memory.get_finished_logs()]
    assert [each.event_name for each in records[logs:]] == ["lmspan.trace.complete"] * logs
    for record in records[:logs]:
        assert (record.event_name, dict(record.attributes)) == ("lmspan.optimizer.candidate", {sc.CANDIDATE_ID: "c1"})
        assert record.span_id == recorded.one("optimize o").context.span_id
        assert record.severity_number is SeverityNumber.INFO


def test_openinference_adds_kind_input_and_output_and_nothing_else():
    with (
        recording(instrument=(), openinference=True) as recorded,
        lmspan.operation("tool", "t", inputs={"q": 1}) as call,
    ):
        call.outputs = {"a": 2}
    attributes = recorded.attributes("execute_tool t")
    own = {name: value for name, value in attributes.items() if name.startswith(("openinference", "input", "output"))}
    assert own == {
        sc.OI_SPAN_KIND: "TOOL",
        sc.OI_INPUT: '{"q":1}',
        sc.OI_INPUT_MIME: "application/json",
        sc.OI_OUTPUT: '{"a":2}',
        sc.OI_OUTPUT_MIME: "application/json",
    }
    recorded.assert_conventions()


@pytest.mark.parametrize("asked", [False, True])
def test_openinference_adds_its_names_of_tokens_and_of_errors(asked):
    with recording(instrument=(), openinference=asked) as recorded:
        call = start(LM, "m")
        call.late_facts.update({sc.USAGE_CACHE_WRITE_TOKENS: 7, sc.USAGE_REASONING_TOKENS: 3})
        end(call, error=ValueError("no"))
    facts = recorded.attributes("chat m")
    own = {name: value for name, value in facts.items() if name.startswith("llm.")}
    assert own == ({sc.OI_CACHE_WRITE_TOKENS: 7, sc.OI_REASONING_TOKENS: 3} if asked else {})
    told = next(name for name, _ in recorded.events("chat m"))
    assert told == (sc.EVENT_EXCEPTION if asked else sc.EVENT_INFERENCE_EXCEPTION)


@pytest.mark.parametrize(("capture", "description"), [("span", "no"), ("none", "ValueError")])
def test_a_status_says_the_message_or_what_may_be_told(capture, description):
    with recording(instrument=(), capture_content=capture) as recorded:
        end(start(TOOL, "t"), error=ValueError("no"))
        start(TOOL, "open")
        recording_module.active.close()
    assert recorded.one("execute_tool t").status.description == description
    assert recorded.one("execute_tool open").status.description is None


def test_openinference_has_input_and_output_of_retrieval():
    with recording(instrument=(), openinference=True) as recorded:
        call = start(Operation.RETRIEVAL, "r")
        recording_module.active.capture(call, {sc.RETRIEVAL_QUERY: "why?", sc.RETRIEVAL_DOCUMENTS: [{"content": "so"}]})
        end(call)
    facts = recorded.attributes("retrieval r")
    assert (facts[sc.OI_INPUT], facts[sc.OI_INPUT_MIME]) == ("why?", "text/plain")
    assert (facts[sc.OI_OUTPUT], facts[sc.OI_OUTPUT_MIME]) == ('[{"content":"so"}]', "application/json")


def test_content_on_events_gives_the_details_of_an_inference():
    with recording(instrument=(), capture_content="event") as recorded:
        call = start(LM, "m", facts={sc.PROVIDER_NAME: "p", sc.REQUEST_MODEL: "m"})
        recording_module.active.capture(call, {sc.INPUT_MESSAGES: [{"role": "user"}]})
        end(call)
    assert sc.INPUT_MESSAGES not in recorded.attributes("chat m")
    ((name, facts),) = recorded.events("chat m")
    assert name == "gen_ai.client.inference.operation.details"
    assert (facts[sc.INPUT_MESSAGES], facts[sc.REQUEST_MODEL]) == ('[{"role":"user"}]', "m")


def test_metrics_of_many_calls_are_all_there_when_somebody_reads():
    reader = InMemoryMetricReader()
    with recording(instrument=(), meter_provider=MeterProvider([reader])):
        for _ in range(1000):
            end(start(TOOL, "t", facts={sc.TOOL_NAME: "t", sc.TOOL_TYPE: "function"}))
    ((_, count),) = [(key, point.count) for key, point in points(reader).items() if key[0] == sc.METRIC_TOOL_DURATION]
    assert count == 1000


@pytest.mark.usefixtures("failures")
def test_spans_that_are_lost_are_a_metric(monkeypatch):
    class Refusing(SpanExporter):
        def export(self, spans):
            return SpanExportResult.FAILURE

    monkeypatch.setattr("lmspan.export.queue.dropped", guard.dropped)
    reader, queue = InMemoryMetricReader(), ExportQueue(Refusing(), "refusing")
    provider = TracerProvider()
    provider.add_span_processor(queue)
    provider.get_tracer("t").start_span("s").end()
    assert queue.force_flush() is False
    with recording(instrument=(), meter_provider=MeterProvider([reader])):
        ((key, point),) = points(reader).items()
    assert key == (sc.METRIC_DROPPED, ((sc.REASON, "the endpoint refuses them"),))
    assert point.value == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("where", ["event", "end"])
def test_an_interrupt_while_a_call_ends_leaves_no_span_open(recorded, error, where):
    class Interrupted:
        def event(self, call, event, attributes):
            if where == "event":
                raise error

        def end(self, call):
            if where == "end":
                raise error

    outer = start(MODULE, "outer")
    call = start(TOOL, "t")
    call.watchers = (Interrupted(),)
    with pytest.raises(error):
        end(call, error=ValueError())
    assert current_call() is outer
    end(outer)
    assert [span.name for span in recorded.spans] == ["module outer", "execute_tool t"]


@pytest.mark.usefixtures("failures")
def test_our_own_failures_are_a_metric():
    reader = InMemoryMetricReader()
    with recording(instrument=(), meter_provider=MeterProvider([reader])):
        assert points(reader) == {}
        for _ in range(2):
            guard.report("somewhere", ValueError())
        ((key, point),) = points(reader).items()
    assert (key, point.value) == ((sc.METRIC_FAILURES, ()), 2)


def test_without_a_provider_no_call_is_announced():
    from lmspan.recording import default  # noqa: PLC0415

    asleep = default.recorder()
    assert asleep.ready() is None
    before = recording_module.install(asleep)
    try:
        with lmspan.operation("tool", "t") as call:
            assert current_call() is None
            call.outputs = 1
    finally:
        recording_module.install(before)


@pytest.mark.parametrize("place", ["recorder", "sdk"])
def test_a_signal_handler_may_end_a_call_while_its_thread_is_inside_the_recorder_or_the_sdk(place, recorded):
    def inside():
        call = start(TOOL, "tool")
        span = call.span
        holders = (span, span._attributes, span._events)
        of_sdk = [holder._lock for holder in holders if hasattr(holder, "_lock")] or [span_module._ending]
        with ExitStack() as held:  # as at any point of their methods
            for lock in of_sdk if place == "sdk" else (recording_module.active.lock,):
                held.enter_context(lock)
            recording_module.active.add_event(call, "tick", {"n": 1})
            end(call)

    thread = Thread(target=inside, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    (ended,) = recorded.spans
    assert [event.name for event in ended.events] == ["lmspan.tick", sc.EVENT_TRACE_COMPLETE]


def test_a_held_call_gets_its_last_facts_when_it_is_released_and_ends_when_it_did(recorded):
    recorder = recording_module.active
    outer = start(MODULE, "outer")
    held = start(MODULE, "held")
    recorder.hold(held)
    end(held)
    end(start(TOOL, "later"))
    assert [span.name for span in recorded.spans] == ["execute_tool later"]
    recorder.release(held, {sc.CANDIDATE_ACCEPTED: False, sc.CANDIDATE_REASON: "not better"})
    recorder.release(held, {sc.CANDIDATE_ACCEPTED: True})
    end(outer)
    recorder.release(held, {sc.CANDIDATE_ACCEPTED: True})
    facts = recorded.attributes("module held")
    assert (facts[sc.CANDIDATE_ACCEPTED], facts[sc.CANDIDATE_REASON]) == (False, "not better")
    assert recorded.one("module held").end_time < recorded.one("execute_tool later").start_time
    assert recorder.open == {}


def test_a_held_call_that_is_released_before_its_end_ends_by_itself(recorded):
    recorder = recording_module.active
    outer = start(MODULE, "outer")
    held = start(MODULE, "held")
    recorder.hold(held)
    recorder.release(held, {sc.CANDIDATE_ACCEPTED: True})
    assert recorded.spans == []
    end(held)
    assert recorded.attributes("module held")[sc.CANDIDATE_ACCEPTED] is True
    end(outer)
    recorded.assert_tree("""
        module outer
          module held
    """)


def test_a_place_in_the_program_names_the_span_and_not_the_call(recorded):
    call = start(MODULE, "Predict")
    recording_module.active.name_place(call, "judges[0]")
    end(call)
    recording_module.active.name_place(call, "after the end")
    assert ([span.name for span in recorded.spans], call.name) == (["module judges[0]"], "Predict")
