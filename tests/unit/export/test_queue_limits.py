"""What the queue takes, how it weighs it, when it exports, and how it ends."""

import asyncio
import json
import os
import threading
import tracemalloc
from contextlib import nullcontext

import pytest
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, SamplingResult

from lmspan import guard
from lmspan.export import queue as queue_module
from lmspan.export import spans as export_spans
from lmspan.export.queue import ExportQueue
from lmspan.export.spans import slim
from lmspan.export.weight import OBJECT_BYTES, SLIM_BYTES, weigh
from lmspan.lifecycle import STARTING, Deferred, LiveCall, LocalContent, Operation
from lmspan.recording.span import own_tracer
from support.spans import some_spans

LATER = 3_600  # a delay that no test waits for


class Exporter(SpanExporter):
    """Keeps the batches that it receives, and counts its shutdowns."""

    def __init__(self, result=SpanExportResult.SUCCESS):
        self.batches, self.closed, self.result = [], 0, result
        self.received = threading.Event()

    def export(self, spans):
        self.batches.append(list(spans))
        self.received.set()
        return self.result

    def shutdown(self):
        self.closed += 1

    @property
    def names(self):
        return [[span.name for span in batch] for batch in self.batches]


@pytest.fixture(autouse=True)
def failures(monkeypatch):
    """The failures of one test alone; no test leaves any."""
    monkeypatch.setattr(guard, "failures", type(guard.failures)())
    yield guard.failures
    assert guard.failures == {}


def started(name="s", sampler=ALWAYS_ON, **attributes):
    return (
        TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("t").start_span(name, attributes=attributes)
    )


def span(name="s", **attributes):
    it = started(name, **attributes)
    it.end()
    return it


def put(queue, *names):
    for name in names:
        queue.on_end(span(name))


# what it takes -------------------------------------------------------------------------------------------------------


class RecordOnly:
    def should_sample(self, *args, **kwargs):
        return SamplingResult(Decision.RECORD_ONLY)


def test_a_span_that_is_not_sampled_is_not_exported():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    recorded = started("recorded", RecordOnly())
    recorded.end()
    queue.on_end(recorded)
    assert queue.force_flush(5_000) is True
    assert (exporter.names, queue.dropped) == ([], 0)


def test_a_span_that_ends_after_the_shutdown_is_not_queued():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    put(queue, "before")
    queue.shutdown(5_000)
    put(queue, "after")
    assert (exporter.names, queue.dropped, len(queue._queue)) == ([["before"]], 0, 0)


def noted(queue, call, name="s"):
    """A span of a call, ended on a queue."""
    it = started(name)
    queue.on_start(it, otel_context.Context({STARTING: call}))
    it.end()
    queue.on_end(it)
    return it


def test_a_span_of_a_call_weighs_what_its_content_does_and_another_what_its_texts_do():
    queue = ExportQueue(Exporter(), "test", delay_s=LATER)
    call = LiveCall(Operation.TOOL, "t", "test")
    call.content_size = 500
    noted(queue, call)
    assert queue._bytes == 1_024 + 500
    queue.on_end(span(text="x" * 65))
    assert queue._bytes == 2 * 1_024 + 565
    assert queue.force_flush(5_000) is True
    assert queue._bytes == 0


def test_a_span_of_a_call_weighs_its_events_with_their_local_content():
    queue = ExportQueue(Exporter(), "test", delay_s=LATER, is_local=True)
    call = LiveCall(Operation.TOOL, "t", "test")
    call.content_size = 500
    call.local = LocalContent()
    call.local.events.append(("wrote", 1, {"text": "x" * 100}))
    it = started()
    it.add_event("wrote", {"lines": 1, "to": "stderr"}, 1)
    queue.on_start(it, otel_context.Context({STARTING: call}))
    it.end()
    queue.on_end(it)
    assert queue._bytes == 1_024 + 500 + (64 + 3 * len("stderr")) + (64 + 3 * 100)
    queue.shutdown(5_000)


@pytest.mark.parametrize(
    ("options", "is_local"), [({"is_local": True}, True), ({"is_local": False}, False), ({}, False)]
)
def test_local_content_is_exported_only_where_nothing_leaves_this_machine(options, is_local):
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, **options)
    call = LiveCall(Operation.TOOL, "t", "test")
    call.local = LocalContent()
    call.local.attributes["text"] = "t"
    it = noted(queue, call)
    queue.on_end(span("another"))
    assert queue.force_flush(5_000) is True
    ((ours, theirs),) = exporter.batches
    assert dict(ours.attributes) == ({"text": "t"} if is_local else {})
    assert (ours is it, theirs.name) == (not is_local, "another")


@pytest.mark.parametrize("is_local", [False, True])
def test_content_is_encoded_on_the_programs_thread_while_three_batches_wait(is_local):
    """A program may end at any moment, and what waits then has to be encoded within two seconds. An interrupt of the
    encoding costs no span."""
    gate, exported, encoded_on = threading.Event(), {}, {}
    worker, program = "lmspan-test", threading.current_thread().name

    class Reading(Exporter):
        def export(self, spans):
            exported.update((each.name, each.attributes["x"]) for each in spans)
            gate.wait(30)
            return super().export(spans)

    def encode(name):
        encoded_on.setdefault(name, []).append(threading.current_thread().name)
        if encoded_on[name] == [program] and name == "h":
            raise KeyboardInterrupt
        return name

    queue = ExportQueue(Reading(), "test", delay_s=LATER, batch_bytes=4_000, is_local=is_local)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    tracer = own_tracer(provider.get_tracer("t"), children_follow=False)
    for name in "abcdefgh":
        call = LiveCall(Operation.TOOL, name, "test")
        call.content_size = 1_000
        it = tracer.start_span(name, otel_context.Context({STARTING: call}))
        content = {"x": Deferred(1_000, encode, name)}
        if is_local:
            call.local = LocalContent()
            call.local.attributes.update(content)
        else:
            it.defer(content)
        with pytest.raises(KeyboardInterrupt) if name == "h" else nullcontext():
            it.end()
    gate.set()
    assert queue.force_flush(5_000) is True
    assert exported == {name: name for name in "abcdefgh"}
    assert encoded_on == {**{name: [worker] for name in "abcdef"}, "g": [program], "h": [program, worker]}


@pytest.mark.parametrize(
    ("attributes", "more"),
    [
        ({}, 0),
        ({"a": "x" * 64, "n": 10**9, "b": True}, 0),
        ({"a": "x" * 65, "b": "y" * 100}, 165),
        ({"a": "é" * 65}, 195),
        ({"a": ["xy", "z"], "n": [1, 2]}, 3),
    ],
)
def test_a_span_weighs_its_long_texts_and_a_constant(attributes, more):
    assert weigh(span(**attributes)) == 1_024 + more


def test_an_event_weighs_its_texts_and_a_constant():
    it = started()
    it.add_event("plain")
    it.add_event("texts", {"a": "xy", "b": "z", "n": 5})
    it.end()
    assert weigh(it) == 1_024 + 64 + 64 + 9


MEMORY = 1_024 + OBJECT_BYTES  # of a small span


@pytest.mark.parametrize(("room", "kept"), [(2 * MEMORY, 2), (2 * MEMORY - 1, 1), (MEMORY, 1), (MEMORY - 1, 0)])
def test_a_queue_takes_as_many_bytes_as_it_may_and_drops_the_rest(room, kept, monkeypatch):
    lost = type(guard.dropped)()
    monkeypatch.setattr("lmspan.export.queue.dropped", lost)
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, queue_bytes=room)
    put(queue, "a", "b", "c")
    assert queue.dropped == 3 - kept
    assert lost == {"the queue is full": 3 - kept}
    assert queue.force_flush(5_000) is True
    assert exporter.names == ([["a", "b", "c"][:kept]] if kept else [])


def everything(it):
    names = ("attributes", "events", "links", "context", "parent", "kind", "name", "start_time", "end_time", "resource")
    names += ("status", "instrumentation_scope", "dropped_attributes", "dropped_events", "dropped_links")
    return {name: getattr(it, name) for name in names}


@pytest.mark.parametrize("it", [*some_spans(), span(), span(a=1, b=("x", "y"))])
def test_a_slim_span_has_all_that_the_span_has(it):
    copy = slim(it)
    assert copy is not it
    assert everything(copy) == everything(it)


def test_slim_spans_share_the_names_of_their_attributes_of_which_a_bounded_number_is_kept():
    one, other = (slim(span(**{f"name {index}": value for index in range(3)})) for value in "xy")
    assert [(name, value) for name, value in other.attributes.items()] == [(f"name {index}", "y") for index in range(3)]
    assert all(first is second for first, second in zip(one.attributes, other.attributes, strict=True))
    for index in range(3_000):
        slim(span(**{f"another {index}": 1}))
    assert len(export_spans._names) <= 1_025
    assert dict(one.attributes) == {f"name {index}": "x" for index in range(3)}


def test_a_slim_span_encodes_its_content_when_it_is_read():
    encoded = []
    tracer = own_tracer(TracerProvider(shutdown_on_exit=False).get_tracer("t"), children_follow=False)
    it = tracer.start_span("s", attributes={"a": 1})
    it.defer({"late": Deferred(9, lambda: encoded.append(1) or "the text")})
    it.end()
    copy = slim(it._readable_span())
    assert encoded == []
    assert dict(copy.attributes) == json.loads(copy.to_json())["attributes"] == {"a": 1, "late": "the text"}
    assert encoded == [1]


def test_a_span_that_has_dropped_something_keeps_the_count():
    it = TracerProvider(span_limits=SpanLimits(max_span_attributes=1)).get_tracer("t").start_span("s")
    it.set_attributes({"a": 1, "b": 2})
    it.end()
    assert (slim(it) is it, it.dropped_attributes) == (True, 1)


def test_spans_that_wait_for_more_than_a_batch_are_slim_and_take_less_of_the_queue():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=2)
    spans = [span(name) for name in "abcd"]
    queue.failing = True  # nothing is exported before the flush
    for each in spans:
        queue.on_end(each)
    assert queue._memory == 2 * MEMORY + 2 * (1_024 + SLIM_BYTES)
    assert queue.force_flush(5_000) is True
    assert exporter.names == [["a", "b"], ["c", "d"]]
    assert [new is old for batch, olds in zip(exporter.batches, (spans[:2], spans[2:]), strict=True)
            for new, old in zip(batch, olds, strict=True)] == [True, True, False, False]  # fmt: skip
    assert (queue._memory, queue._bytes) == (0, 0)


@pytest.mark.parametrize("slimmed", [False, True])
def test_a_queued_span_counts_about_as_many_bytes_as_it_has_in_memory(slimmed):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    queue = ExportQueue(Exporter(), "test", delay_s=LATER, batch_spans=0 if slimmed else 10_000)
    queue.failing = True
    names = [f"attribute.{index}" for index in range(16)]

    def put_spans(count):
        for number in range(count):
            it = tracer.start_span("s", attributes={name: f"{name} {number}" for name in names})
            it.end()
            queue.on_end(it._readable_span())

    queue._worker = threading.current_thread()  # none is to run
    put_spans(10)
    before = queue._memory
    tracemalloc.start()
    try:
        put_spans(1_000)
        real = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 0.7 < real / (queue._memory - before) < 1.4


def pauses(monkeypatch, queue, count):
    """How long a program that ends spans gives way."""
    slept, program = [], threading.current_thread()

    def sleep(pause):  # threads that other tests have left sleep as well
        if threading.current_thread() is program:
            slept.append(pause)

    monkeypatch.setattr(queue_module.time, "sleep", sleep)
    queue._worker = threading.current_thread()  # none is to run
    put(queue, *["s"] * count)
    return slept


def test_a_program_gives_way_when_the_queue_is_more_than_half_full_and_longer_the_fuller_it_is(monkeypatch):
    queue = ExportQueue(Exporter(), "test", delay_s=LATER, queue_bytes=8 * MEMORY)
    slept = pauses(monkeypatch, queue, 8)
    assert slept == pytest.approx([0.00005 + excess * 0.001 for excess in (0.25, 0.5, 0.75, 1.0)])


def test_a_program_does_not_give_way_while_the_endpoint_fails(monkeypatch):
    queue = ExportQueue(Exporter(), "test", delay_s=LATER, queue_bytes=2 * MEMORY)
    queue.failing = True
    assert pauses(monkeypatch, queue, 10) == []


def test_a_program_gives_way_for_a_bounded_time_for_each_batch(monkeypatch):
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, queue_bytes=MEMORY)
    slept = pauses(monkeypatch, queue, 2_000)
    assert 0.05 < sum(slept) < 0.052
    assert queue._step() is True
    assert pauses(monkeypatch, queue, 1) != []


# when it exports -----------------------------------------------------------------------------------------------------


def test_a_batch_is_exported_as_soon_as_it_is_full_of_spans():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=3)
    put(queue, "a", "b")
    assert exporter.names == []
    put(queue, "c")
    assert exporter.received.wait(30)
    assert queue.force_flush(5_000) is True
    assert exporter.names == [["a", "b", "c"]]


def test_a_batch_is_exported_as_soon_as_it_is_full_of_bytes():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_bytes=2_048)
    put(queue, "a")
    assert exporter.names == []
    put(queue, "b")
    assert exporter.received.wait(30)
    assert queue.force_flush(5_000) is True
    assert exporter.names == [["a", "b"]]


def test_a_span_is_exported_without_a_full_batch_when_it_is_old():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=0.01)
    put(queue, "a")
    assert exporter.received.wait(30)
    assert exporter.names == [["a"]]
    queue.shutdown(5_000)


def test_batches_are_cut_by_spans_and_by_bytes_and_a_large_span_goes_alone():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=100, batch_bytes=3 * 1_024)
    queue._wake_worker = lambda: None  # all of them are queued before the first batch
    put(queue, "a", "b", "c", "d")
    queue.on_end(span("large", text="x" * 10_000))
    put(queue, "e")
    assert queue.force_flush(5_000) is True
    assert exporter.names == [["a", "b", "c"], ["d"], ["large"], ["e"]]


def test_a_flush_waits_for_every_batch():
    class Slow(Exporter):
        def export(self, spans):
            if self.batches:
                threading.Event().wait(0.05)
            return super().export(spans)

    exporter = Slow()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=1)
    queue._wake_worker = lambda: None
    put(queue, "a", "b", "c")
    assert queue.force_flush(30_000) is True
    assert exporter.names == [["a"], ["b"], ["c"]]


def test_a_flush_of_an_empty_queue_delivers_all_of_nothing():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    assert queue.force_flush(0) is True
    assert (queue._worker, exporter.names) == (None, [])


def test_a_flush_after_a_loss_that_was_reported_before_is_whole_again():
    queue = ExportQueue(Exporter(), "test", delay_s=LATER, queue_bytes=MEMORY)
    put(queue, "a", "too much")
    assert queue.force_flush(5_000) is True
    put(queue, "b")
    assert queue.force_flush(5_000) is True
    assert queue.dropped == 1


def waits(monkeypatch, count, *, after=0, retry_after_s=None, pause_s=1.0):
    """Return the waits of a queue before `count` exports, of which the last succeeds, and `after` more waits.

    None of them takes any time.
    """
    exporter = Exporter(SpanExportResult.FAILURE)
    exporter.batch_refused, exporter.retry_after_s = False, retry_after_s
    queue = ExportQueue(exporter, "test", delay_s=0.5, pause_s=pause_s)
    seen, enough, plain = [], threading.Event(), queue_module._wait

    def wait(wake, timeout_s):
        if wake is not queue._wake:  # of a queue of another test
            return plain(wake, timeout_s)
        seen.append(timeout_s)
        if len(seen) == count:
            exporter.result = SpanExportResult.SUCCESS
        if len(seen) == count + after:
            enough.set()
        return None

    monkeypatch.setattr(queue_module, "_wait", wait)
    put(queue, "a")
    assert enough.wait(30)
    queue.shutdown(5_000)
    assert exporter.names == [["a"]] * count
    return seen[: count + after]


def test_the_pause_after_failures_doubles_up_to_30_seconds(monkeypatch):
    assert waits(monkeypatch, 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_the_first_pause_is_that_of_the_queue_and_a_delivery_ends_the_pauses(monkeypatch):
    assert waits(monkeypatch, 4, after=2, pause_s=0.25) == [0.5, 0.25, 0.5, 1.0, 0.5, 0.5]


def test_a_pause_is_as_long_as_the_endpoint_asks_for_at_least(monkeypatch):
    assert waits(monkeypatch, 5, retry_after_s=3.0) == [0.5, 3.0, 6.0, 12.0, 24.0]


def test_trouble_is_over_with_a_delivery_that_leaves_less_than_half_of_the_queue_and_less_than_a_batch(caplog):
    caplog.set_level("INFO", "lmspan.export")
    for memory, spans, over in ((999, 1, True), (1_000, 1, False), (999, 2, False)):
        caplog.clear()
        queue = ExportQueue(Exporter(), "test", delay_s=LATER, batch_spans=2, queue_bytes=2_000)
        queue._warn("for a reason")
        queue.failing = queue._refuses_all = True
        queue._memory = memory
        queue._queue.extend([None] * spans)
        queue._recover()
        assert (queue.failing, queue._refuses_all, queue._troubled) == (False, False, not over)
        assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"][: 1 + over]
        queue._recover()
        assert len(caplog.records) == 1 + over


# the end -------------------------------------------------------------------------------------------------------------


def test_a_shutdown_exports_what_is_queued_and_closes_the_exporter_once():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    put(queue, "a", "b")
    queue.shutdown(5_000)
    queue.shutdown(5_000)
    assert (exporter.names, exporter.closed, queue.dropped) == ([["a", "b"]], 1, 0)


def test_what_is_not_delivered_at_the_end_is_counted_with_its_reason(monkeypatch):
    lost = type(guard.dropped)()
    monkeypatch.setattr("lmspan.export.queue.dropped", lost)
    exporter = Exporter(SpanExportResult.FAILURE)
    exporter.batch_refused = False
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    put(queue, "a", "b")
    queue.shutdown(5_000)
    assert lost == {"the program ended before they were delivered": 2}
    assert (queue.dropped, exporter.closed) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_exports_its_own_spans_alone_and_soon():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    put(queue, "the parent's")
    assert queue._worker is not None
    child = os.fork()
    if child == 0:
        code = 1
        try:
            put(queue, "the child's")
            delivered = exporter.received.wait(30)  # without a flush: a child may leave at any point
            code = 0 if delivered and exporter.names == [["the child's"]] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert queue.force_flush(5_000) is True
    assert exporter.names == [["the parent's"]]


def test_a_queue_whose_delay_is_short_keeps_it_in_a_child(monkeypatch):
    queues = [ExportQueue(Exporter(), "test", delay_s=delay_s) for delay_s in (0.01, LATER)]
    monkeypatch.setattr(queue_module, "_queues", queues)
    queue_module._reset_in_child()
    assert [queue._delay_s for queue in queues] == [0.01, 0.05]


def test_an_exporter_that_hangs_at_its_shutdown_does_not_hold_the_program():
    gate, ended = threading.Event(), []
    exporter = Exporter()
    exporter.shutdown = lambda: (gate.wait(30), ended.append(True))
    ExportQueue(exporter, "test", delay_s=LATER).shutdown(50)
    assert ended == []
    gate.set()


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, ValueError])
def test_an_exporter_that_raises_loses_its_batch_and_no_later_one(error, failures, caplog):
    exporter = Exporter()
    plain = exporter.export

    def fails_once(spans):
        exporter.export = plain
        raise error

    exporter.export = fails_once
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    put(queue, "a")
    assert queue.force_flush(10_000) is False
    put(queue, "b")
    assert queue.force_flush(10_000) is True
    assert (exporter.names, queue.dropped) == ([["b"]], 1)
    assert failures.pop(f"{__name__}.Exporter") == 1
    assert caplog.messages[0].startswith(f"lmspan: {__name__}.Exporter failed ({error.__qualname__}); ")


def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_an_export_on_the_programs_thread_passes_and_costs_no_span(error, monkeypatch):
    exporter = Exporter()
    plain = exporter.export

    def interrupted(spans):
        exporter.export = plain
        raise error

    exporter.export = interrupted
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    ended = span("a"), span("b")  # the SDK starts threads for a provider
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for each in ended:
            queue.on_end(each)
        with pytest.raises(error):
            queue.force_flush(5_000)
        assert is_instrumentation_enabled()
        assert queue.force_flush(5_000) is True
    assert (exporter.names, queue.dropped, queue._bytes) == ([["a", "b"]], 0, 0)


def test_a_flush_starts_the_worker_that_could_not_be_started_before(monkeypatch):
    class Noting(Exporter):
        def export(self, spans):
            self.thread = threading.current_thread().name
            return super().export(spans)

    exporter = Noting()
    queue = ExportQueue(exporter, "test", delay_s=LATER)
    ended = span("a")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        queue.on_end(ended)
    assert queue.force_flush(5_000) is True
    assert (exporter.names, exporter.thread) == ([["a"]], "lmspan-test")


def test_a_second_full_batch_is_exported_without_a_wait():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=2)
    queue._wake_worker = lambda: None  # the first batch starts when all are queued
    put(queue, "a", "b", "c", "d")
    ExportQueue._wake_worker(queue)
    while len(exporter.batches) < 2 and exporter.received.wait(30):
        exporter.received.clear()
    assert exporter.names == [["a", "b"], ["c", "d"]]


def test_a_shutdown_exports_more_than_one_batch():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=LATER, batch_spans=1)
    queue._wake_worker = lambda: None
    put(queue, "a", "b", "c")
    queue.shutdown(5_000)
    assert (exporter.names, queue.dropped) == ([["a"], ["b"], ["c"]], 0)


def test_the_requests_of_an_exporter_make_no_spans():
    suppressed = []

    class Asking(Exporter):
        def export(self, spans):
            suppressed.append(is_instrumentation_enabled())
            return super().export(spans)

        def shutdown(self):
            suppressed.append(is_instrumentation_enabled())

    queue = ExportQueue(Asking(), "test", delay_s=LATER)
    put(queue, "a")
    queue.shutdown(5_000)
    assert suppressed == [False, False]
    assert is_instrumentation_enabled()
