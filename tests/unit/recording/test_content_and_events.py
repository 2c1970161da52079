"""Where content and events go in each mode, what is redacted, and what the end of a call leaves."""

import os
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind

from lmspan import guard
from lmspan import semconv as sc
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor
from lmspan.errors import StopRun
from lmspan.lifecycle import Event, Operation, with_texts
from lmspan.recording import recorder as recording_module
from lmspan.recording.metrics import Metrics
from lmspan.recording.recorder import Recorder

MODULE, TOOL, LM = Operation.MODULE, Operation.TOOL, Operation.LM
SECRET = "plum-pudding-42"  # noqa: S105 - it is planted, to be found nowhere
PLACE = (sc.CODE_FILE_PATH, sc.CODE_LINE_NUMBER, sc.CODE_FUNCTION_NAME)
MESSAGES = [{"role": "user"}]
ENCODED = '[{"role":"user"}]'


@pytest.fixture(autouse=True)
def _nothing_fails_inside(monkeypatch):
    monkeypatch.setattr(guard, "failures", Counter())
    yield
    assert guard.failures == {}


class Recording:
    """A recorder over real providers, with what they have exported; its clock reads 1, 2, 3, ... nanoseconds."""

    def __init__(self, mode="none", *, sampler=None, meter_provider=None, redact=None, **options):
        self._spans, self._logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.ticks = iter(range(1, 1000))
        self.recorder = Recorder(
            provider.get_tracer("test"),
            content=Content(CAPTURE_MODES[mode], Redactor(redact, {"SHOP_API_KEY": SECRET})),
            metrics=meter_provider and Metrics(meter_provider),
            event_logger=loggers.get_logger("test"),
            clock=lambda: next(self.ticks),
            **options,
        )

    def start(self, operation=TOOL, name="t", **options):
        return self.recorder.start(operation, name, "test", **options)

    def end(self, call, **options):
        self.recorder.end(call, **options)

    def attributes(self, call):
        (span,) = [span for span in self._spans.get_finished_spans() if span.context == call.span.get_span_context()]
        return dict(span.attributes)

    def status(self, call):
        return call.span.status.description

    def events(self, call):
        """The events of the span but for its totals: name, time, attributes."""
        events = [(event.name, event.timestamp, dict(event.attributes)) for event in call.span.events]
        return [event for event in events if event[0] != sc.EVENT_TRACE_COMPLETE]

    @property
    def logs(self):
        records = [log.log_record for log in self._logs.get_finished_logs()]
        return [record for record in records if record.event_name != sc.EVENT_TRACE_COMPLETE]


# content -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "on_span", "local", "size"),
    [
        ("span", True, False, 17 + 2),
        ("both", True, False, 17 + 2),
        ("local", False, True, 337 + 64),
        ("event", False, False, 0),
    ],
)
def test_where_the_content_of_a_call_goes_and_how_much_of_it_counts(mode, on_span, local, size):
    it = Recording(mode)
    call = it.start(LM, "m")
    assert it.recorder.captures(call)
    it.recorder.capture(call, {sc.INPUT_MESSAGES: MESSAGES})
    it.recorder.capture(call, {sc.OUTPUT_MESSAGES: []})
    assert call.content_size == size
    it.end(call)
    content = {sc.INPUT_MESSAGES: ENCODED, sc.OUTPUT_MESSAGES: "[]"}
    recorded = it.attributes(call)
    assert {name: recorded[name] for name in content if name in recorded} == (content if on_span else {})
    assert (with_texts(call.local.attributes) if call.local else None) == (content if local else None)


@pytest.mark.parametrize(("mode", "size"), [("span", 3 * len('{"result":"été"}')), ("local", 3 * len("été") + 49)])
def test_content_counts_with_its_bytes(mode, size):
    it = Recording(mode)
    call = it.start()
    it.recorder.capture(call, {sc.TOOL_CALL_RESULT: "été"})
    assert call.content_size == size
    it.end(call)


def test_local_content_of_events_is_kept_for_as_many_events_as_the_span_keeps():
    it = Recording("local")
    call = it.start()
    for number in range(130):
        it.recorder.add_event(call, Event.STDERR_WRITE, {}, content={sc.STDERR_TEXT: str(number)})
    assert len(call.span.events) == 128
    assert [content[sc.STDERR_TEXT] for *_, content in call.local.events] == [str(n) for n in range(2, 130)]
    it.end(call)


@pytest.mark.parametrize("mode", ["event", "both"])
def test_content_of_all_captures_of_an_lm_call_is_on_the_event_with_its_details(mode):
    it = Recording(mode)
    call = it.start(LM, "m", facts={sc.REQUEST_MODEL: "m"})
    it.recorder.capture(call, {sc.INPUT_MESSAGES: MESSAGES})
    it.recorder.capture(call, {sc.OUTPUT_MESSAGES: []})
    call.late_facts[sc.USAGE_INPUT_TOKENS] = 3
    it.end(call)
    ((name, _, facts),) = it.events(call)
    assert name == sc.EVENT_INFERENCE_DETAILS
    totals = {name for name in facts if name.startswith("lmspan.total.")}
    assert {name: value for name, value in facts.items() if name not in totals} == {
        sc.SOURCE: "test",
        sc.OPERATION_NAME: "chat",
        sc.REQUEST_MODEL: "m",
        sc.USAGE_INPUT_TOKENS: 3,
        sc.INPUT_MESSAGES: ENCODED,
        sc.OUTPUT_MESSAGES: "[]",
    }


@pytest.mark.parametrize(("mode", "operation"), [("event", TOOL), ("both", MODULE), ("span", LM), ("local", LM)])
def test_no_details_of_a_call_that_is_no_inference_or_where_content_is_not_for_events(mode, operation):
    it = Recording(mode)
    call = it.start(operation)
    it.recorder.capture(call, {sc.INPUT_MESSAGES: MESSAGES})
    assert call.event_content is None
    it.end(call)
    assert it.events(call) == []


@pytest.mark.parametrize(("mode", "sampler"), [("none", None), ("span", ALWAYS_OFF), ("local", ALWAYS_OFF)])
def test_no_content_without_a_mode_for_it_or_of_a_call_that_is_not_recorded(mode, sampler):
    it = Recording(mode, sampler=sampler)
    call = it.start(LM)
    assert it.recorder.captures(call) is False
    it.end(call)


def test_content_among_the_facts_of_a_call_stays_local_in_local_mode():
    it = Recording("local")
    call = it.start()
    call.late_facts.update({sc.TOOL_CALL_RESULT: "r", sc.TOOL_NAME: "n"})
    it.end(call)
    recorded = it.attributes(call)
    assert sc.TOOL_CALL_RESULT not in recorded
    assert (recorded[sc.TOOL_NAME], recorded[sc.CALL_ID]) == ("n", call.call_id)
    assert call.local.attributes == {sc.TOOL_CALL_RESULT: "r"}


def test_facts_without_content_leave_nothing_local():
    it = Recording("local")
    call = it.start()
    it.recorder.add_event(call, Event.RETRY, {sc.RETRY_ATTEMPT: 1})
    it.end(call)
    assert call.local is None
    assert it.events(call) == [(sc.EVENT_RETRY, 2, {sc.RETRY_ATTEMPT: 1})]


def test_content_of_an_event_stays_local_in_local_mode_with_the_name_and_the_time_of_its_event():
    it = Recording("local", events="both")
    call = it.start()
    it.recorder.add_event(call, Event.STDERR_WRITE, {sc.REASON: "r"}, content={sc.STDERR_TEXT: "oh"})
    assert it.events(call) == [(sc.EVENT_STDERR_WRITE, 2, {sc.REASON: "r"})]
    assert [dict(record.attributes) for record in it.logs] == [{sc.REASON: "r"}]
    assert list(call.local.events) == [(sc.EVENT_STDERR_WRITE, 2, {sc.STDERR_TEXT: "oh"})]
    assert call.local.attributes == {}
    it.end(call)


def test_a_message_of_an_error_stays_local_in_local_mode():
    it = Recording("local")
    call = it.start()
    it.end(call, error=ValueError("no"))
    assert it.status(call) == "ValueError"
    assert call.local.status == "no"
    ((name, time, facts),) = it.events(call)
    assert (name, set(facts)) == (sc.EVENT_EXCEPTION, {sc.EXCEPTION_TYPE, *PLACE})
    assert facts[sc.EXCEPTION_TYPE] == "ValueError"
    ((local_name, local_time, local),) = call.local.events
    assert (local_name, local_time) == (name, time)
    assert local[sc.EXCEPTION_MESSAGE] == "no"
    assert set(local) == {sc.EXCEPTION_MESSAGE, sc.EXCEPTION_STACKTRACE}


# events --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "text"), [("span", {sc.STDERR_TEXT: "[redacted]"}), ("none", {})])
def test_the_content_of_an_event_is_recorded_redacted_if_content_is_at_all(mode, text):
    it = Recording(mode)
    call = it.start()
    it.recorder.add_event(call, Event.STDERR_WRITE, {sc.REASON: "r"}, content={sc.STDERR_TEXT: SECRET})
    assert it.events(call) == [(sc.EVENT_STDERR_WRITE, 2, {sc.REASON: "r", **text})]
    it.end(call)


@pytest.mark.parametrize(("redacted", "recorded"), [(False, "[redacted]"), (True, SECRET)])
def test_attributes_of_an_event_are_redacted_unless_they_are_so_already(redacted, recorded):
    it = Recording()
    call = it.start()
    options = {"redacted": True} if redacted else {}
    it.recorder.add_event(call, Event.RETRY, {sc.REASON: SECRET}, **options)
    assert it.events(call) == [(sc.EVENT_RETRY, 2, {sc.REASON: recorded})]
    it.end(call)


def test_an_event_that_the_conventions_do_not_know_has_a_name_of_lmspans_own():
    it = Recording()
    call = it.start()
    it.recorder.add_event(call, "progress.made", {"step": 1})
    assert it.events(call) == [("lmspan.progress.made", 2, {"step": 1})]
    it.end(call)


class Listener:
    def __init__(self):
        self.events, self.ends = [], []

    def event(self, call, event, attributes):
        self.events.append((call, event, dict(attributes)))

    def end(self, call):
        self.ends.append((call, call.outputs, dict(call.facts)))


@pytest.mark.parametrize("mode", ["none", "span", "local"])
def test_a_watcher_receives_each_event_with_its_content_as_it_is_and_the_end_with_all_facts(mode):
    it, watcher = Recording(mode), Listener()
    call = it.start()
    call.watchers = (watcher,)
    it.recorder.add_event(call, Event.RETRY, {sc.REASON: "r"})
    it.recorder.add_event(call, Event.STDERR_WRITE, {sc.REASON: "s"}, content={sc.STDERR_TEXT: SECRET})
    outputs = object()
    it.end(call, outputs=outputs)
    assert watcher.events[:2] == [
        (call, Event.RETRY, {sc.REASON: "r"}),
        (call, Event.STDERR_WRITE, {sc.REASON: "s", sc.STDERR_TEXT: SECRET}),
    ]
    assert [event for _, event, _ in watcher.events[2:]] == [Event.TRACE_COMPLETE]
    assert watcher.ends == [(call, outputs, call.facts)]
    assert call.outputs is None


def test_a_call_that_is_not_recorded_has_no_events():
    it, watcher = Recording(events="both", sampler=ALWAYS_OFF), Listener()
    call = it.start()
    call.watchers = (watcher,)
    it.recorder.add_event(call, Event.RETRY, {sc.REASON: "r"})
    it.end(call)
    assert (watcher.events, it.logs) == ([], [])


def test_a_log_event_has_the_time_the_attributes_and_the_span_of_its_event():
    it = Recording(events="both")
    call = it.start()
    it.recorder.add_event(call, Event.RETRY, {sc.REASON: "r"}, severity=SeverityNumber.WARN)
    it.end(call, error=ValueError())
    found = [(log.event_name, log.timestamp, dict(log.attributes)) for log in it.logs]
    assert found == it.events(call)
    assert [name for name, _, _ in found] == [sc.EVENT_RETRY, sc.EVENT_EXCEPTION]
    assert [log.severity_number for log in it.logs] == [SeverityNumber.WARN] * 2
    context = call.span.get_span_context()
    assert {(log.trace_id, log.span_id) for log in it.logs} == {(context.trace_id, context.span_id)}


def test_a_log_event_is_of_the_call_that_it_happens_in_though_another_is_current():
    it = Recording(events="log")
    outer, inner = it.start(MODULE, "outer"), it.start(TOOL, "inner")
    it.recorder.add_event(outer, Event.RETRY, {})
    assert [log.span_id for log in it.logs] == [outer.span.get_span_context().span_id]
    assert it.events(outer) == []
    it.end(inner)
    it.end(outer)


# errors --------------------------------------------------------------------------------------------------------------


def test_an_error_that_passes_several_calls_is_described_where_it_was_raised():
    it = Recording("span")
    outer, inner = it.start(MODULE, "outer"), it.start(TOOL, "inner")
    error = ValueError("no")
    it.end(inner, error=error)
    it.end(outer, error=error)
    assert ([name for name, _, _ in it.events(inner)], it.events(outer)) == ([sc.EVENT_EXCEPTION], [])
    assert (inner.failed, outer.failed) == (True, False)
    assert [it.attributes(call)[sc.ERROR_TYPE] for call in (inner, outer)] == ["ValueError"] * 2


def test_an_error_that_is_not_the_one_below_is_described_too():
    it = Recording("span")
    outer, inner = it.start(MODULE, "outer"), it.start(TOOL, "inner")
    it.end(inner, error=ValueError("no"))
    it.end(outer, error=KeyError("other"))
    assert [name for name, _, _ in it.events(outer)] == [sc.EVENT_EXCEPTION]
    assert (inner.failed, outer.failed) == (True, True)


@pytest.mark.parametrize("mode", ["none", "span"])
def test_an_exception_is_described_by_its_type_and_only_as_content_by_more(mode):
    it = Recording(mode)
    call = it.start()
    it.end(call, error=ValueError(SECRET))
    ((_, _, facts),) = it.events(call)
    more = {sc.EXCEPTION_MESSAGE, sc.EXCEPTION_STACKTRACE} if mode == "span" else set()
    assert set(facts) == {sc.EXCEPTION_TYPE, *PLACE} | more
    assert SECRET not in str(facts)


def test_the_hook_of_the_user_receives_each_text_of_an_exception_once():
    it = Recording("span", redact=lambda text: f"{text}!")
    call = it.start()
    it.end(call, error=ValueError("no"))
    ((_, _, facts),) = it.events(call)
    assert (facts[sc.EXCEPTION_TYPE], facts[sc.EXCEPTION_MESSAGE]) == ("ValueError!", "no!")


@pytest.mark.parametrize("mode", ["none", "span", "local"])
def test_a_call_whose_end_is_missing_has_failed_without_an_exception(mode):
    it = Recording(mode)
    call = it.start()
    it.end(call, missing=True)
    facts = it.attributes(call)
    assert (facts[sc.ERROR_TYPE], facts[sc.END_MISSING]) == ("_OTHER", True)
    assert (it.events(call), it.status(call), call.failed) == ([], None, True)


def test_an_error_type_that_the_source_knows_stays():
    it = Recording()
    call = it.start()
    call.late_facts[sc.ERROR_TYPE] = "429"
    it.end(call, error=ValueError())
    assert it.attributes(call)[sc.ERROR_TYPE] == it.status(call) == "429"


# the end -------------------------------------------------------------------------------------------------------------


def test_a_call_that_has_ended_is_not_observed_and_keeps_no_content():
    it = Recording("event")
    call = it.start(LM)
    call.kept = object()
    it.recorder.capture(call, {sc.INPUT_MESSAGES: MESSAGES})
    it.end(call)
    assert (call.observed, call.recording, call.kept, call.event_content) == (False, False, None, None)
    assert it.recorder.open == {}


def test_a_call_that_depends_on_no_other_ends_beside_one_that_does():
    it = Recording()
    parent = it.start(MODULE, "parent")
    dependent = it.start(TOOL, "dependent", owned=False)
    beside = it.start(TOOL, "beside", parent_id=parent.call_id)
    it.end(beside)
    assert list(parent.dependents) == [dependent.call_id]
    it.end(parent)
    assert it.attributes(dependent)[sc.END_MISSING] is True


def test_the_kind_of_a_span_that_has_ended_stays():
    it = Recording()
    call = it.start(LM)
    it.end(call)
    it.recorder.mark_internal(call)
    assert call.span.kind is SpanKind.CLIENT


def test_two_open_calls_of_one_id_both_end():
    it = Recording()
    outer, inner = it.start(name="outer", call_id="same"), it.start(name="inner", call_id="same")
    it.end(inner)
    it.end(outer)
    assert [it.attributes(call)[sc.CALL_ID] for call in (outer, inner)] == ["same", "same"]


def test_a_call_held_without_a_parent_or_after_its_parents_end_closes_by_its_own_end():
    it = Recording()
    alone = it.start(name="alone")
    it.recorder.hold(alone)
    it.end(alone)
    parent, child = it.start(name="parent"), it.start(name="child")
    it.end(parent)
    it.recorder.hold(child)
    it.end(child)
    assert (alone.held, child.held) == (False, False)
    assert [span.name for span in it._spans.get_finished_spans()] == [
        f"execute_tool {name}" for name in ("alone", "parent", "child")
    ]


def points(reader, name):
    data = reader.get_metrics_data()
    metrics = [each for rm in data.resource_metrics for sm in rm.scope_metrics for each in sm.metrics]
    return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


def test_the_duration_of_a_call_is_measured_in_seconds_and_its_missing_end_counted():
    reader = InMemoryMetricReader()
    it = Recording(meter_provider=MeterProvider([reader]))
    it.end(it.start(facts={sc.TOOL_NAME: "t"}, start_time=10**9), end_time=3 * 10**9)
    (duration,) = points(reader, sc.METRIC_TOOL_DURATION)
    assert (duration.sum, duration.count) == (2.0, 1)
    assert points(reader, sc.METRIC_MISSING_ENDS) == []
    it.end(it.start(), missing=True)
    assert [point.value for point in points(reader, sc.METRIC_MISSING_ENDS)] == [1]


@contextmanager
def held_elsewhere(lock):
    """Have another thread hold a lock."""
    held, over = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            over.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    yield
    over.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_ends_no_call_of_its_parent_and_waits_for_no_lock():
    it = Recording()
    before = recording_module.install(it.recorder)
    call = it.start()
    try:
        with held_elsewhere(it.recorder.lock):
            child = os.fork()
        if child == 0:
            inside = SimpleNamespace(code=1)
            signal.alarm(30)  # a child that waits for ever is ended
            try:
                it.end(call)
                own = it.start(name="own")
                it.end(own)
                ended = [span.name for span in it._spans.get_finished_spans()]
                inside.code = 0 if ended == ["execute_tool own"] else 2
            finally:
                os._exit(inside.code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        recording_module.install(before)
    assert not call.inherited
    it.end(call)
    assert [span.name for span in it._spans.get_finished_spans()] == ["execute_tool t"]


# a stop -------------------------------------------------------------------------------------------------------------


class Hostile:
    def __str__(self):
        raise AssertionError("the program's code")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("args", "reason"), [(("enough", 3), "enough 3"), ((Hostile(),), f"<{__name__}.Hostile>"), ((), "")]
)
def test_a_reason_to_stop_is_recorded_without_running_the_code_of_its_values(args, reason):
    it = Recording("span")
    call = it.start()
    call.stop = StopRun(*args)
    it.end(call, error=call.stop)
    recorded = it.attributes(call)
    assert {name: recorded[name] for name in (sc.STOP_REASON, sc.ERROR_TYPE, sc.TOTAL_ERRORS)} == {
        sc.STOP_REASON: reason,
        sc.ERROR_TYPE: "lmspan.errors.StopRun",
        sc.TOTAL_ERRORS: 1,
    }
