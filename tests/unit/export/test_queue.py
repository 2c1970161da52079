"""The queue between a program and an exporter: batches, bytes, deadlines and failures."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.export import closing
from lmspan.export.queue import ExportQueue
from lmspan.export.weight import OBJECT_BYTES, weigh
from support.processes import STARTS_A_THREAD
from support.spans import some_spans

MEMORY = weigh(some_spans()[1]) + OBJECT_BYTES  # of one span
TROUBLE = "lmspan: test: spans cannot be delivered"


class Exporter(SpanExporter):
    """Keeps its batches; refuses batches with a span named in `refused`; waits for `gate`."""

    def __init__(self, refused=()):
        self.names, self.refused, self.gate = [], set(refused), threading.Event()
        self.requests = 0
        self.gate.set()

    def export(self, spans):
        self.gate.wait()
        self.requests += 1
        names = [span.name for span in spans]
        if self.refused.intersection(names):
            return SpanExportResult.FAILURE
        self.names += names
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


class Endpoint(Exporter):
    """An exporter with both kinds of failures: of the endpoint (`down`), and of spans (`refused`)."""

    trouble = "no route"

    def __init__(self, refused=(), down=False):
        super().__init__(refused)
        self.down = down

    @property
    def batch_refused(self):
        return not self.down

    def export(self, spans):
        if self.down:
            self.requests += 1
            return SpanExportResult.FAILURE
        return super().export(spans)


def put(queue, spans):
    for span in spans:
        queue.on_end(span)


def numbered(count):
    """Spans of different names, in order."""
    return [span for span in some_spans(count) if span.name != "inner"]


def messages(caplog):
    return [(record.levelno, record.getMessage()) for record in caplog.records]


def test_one_span_that_cannot_be_sent_loses_no_other_span(caplog):
    exporter = Exporter(refused=["outer 3"])
    queue = ExportQueue(exporter, "test")
    put(queue, some_spans(6))
    assert queue.force_flush(5_000) is False
    assert sorted(exporter.names) == sorted(["inner"] * 6 + [f"outer {n}" for n in (0, 1, 2, 4, 5)])
    assert queue.dropped == 1
    put(queue, some_spans(1))
    assert queue.force_flush(5_000) is True
    assert messages(caplog) == [
        (
            logging.WARNING,
            f"{TROUBLE}, they are being lost: the endpoint refuses them",
        )
    ]


def test_a_full_queue_drops_and_counts_and_never_blocks(caplog):
    exporter = Exporter()
    exporter.gate.clear()
    queue = ExportQueue(exporter, "test", queue_bytes=10_000, delay_s=0.01)
    put(queue, some_spans(20, text="z" * 1_000))
    assert queue.dropped > 0
    exporter.gate.set()
    assert queue.force_flush(5_000) is True  # what was queued got through; what was dropped was told of
    assert len(exporter.names) == 40 - queue.dropped
    assert len(caplog.records) == 1


def test_a_loss_has_one_line_when_it_begins_and_one_when_it_ends(caplog):
    """A slow endpoint takes one batch after the other, and each leaves room for spans that fill the queue again."""
    caplog.set_level(logging.INFO)
    spans = numbered(8)

    class Slow(Exporter):
        def export(self, batch):
            if self.requests < 20:
                put(queue, spans)  # the program goes on
            return super().export(batch)

    queue = ExportQueue(Slow(), "test", delay_s=60, batch_spans=2, queue_bytes=7 * MEMORY)
    put(queue, spans)
    while queue.force_flush(60_000) is False:
        pass
    assert queue.dropped > 20
    assert messages(caplog) == [
        (logging.WARNING, f"{TROUBLE}, they are being lost: the queue is full"),
        (logging.INFO, f"lmspan: test: exporting again, {queue.dropped} spans were lost"),
    ]


def test_a_flush_on_a_hanging_exporter_returns_false_in_time():
    exporter = Exporter()
    exporter.gate.clear()
    queue = ExportQueue(exporter, "test", delay_s=0.01)
    put(queue, some_spans())
    assert queue.force_flush(50) is False
    queue.shutdown(50)
    assert queue.dropped == 2
    exporter.gate.set()


def test_spans_from_many_threads_all_arrive():
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=0.01)
    spans = some_spans(50)
    threads = [threading.Thread(target=put, args=(queue, spans)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert queue.force_flush(10_000) is True
    assert len(exporter.names) == 800
    queue.shutdown()
    put(queue, spans)
    assert len(exporter.names) == 800


def test_undelivered_spans_are_kept_in_order_and_tried_again(caplog):
    caplog.set_level(logging.INFO)
    endpoint = Endpoint(down=True)
    queue = ExportQueue(endpoint, "test", delay_s=0.01, pause_s=0.01, batch_spans=2)
    put(queue, numbered(5))
    assert queue.force_flush(5_000) is False
    assert queue.failing is True
    endpoint.down = False
    assert queue.force_flush(5_000) is True
    assert queue.failing is False
    assert endpoint.names == [f"outer {n}" for n in range(5)]
    assert queue.dropped == 0
    queue.shutdown()
    assert messages(caplog) == [
        (
            logging.WARNING,
            f"{TROUBLE}, they are kept and tried again until the queue is full or the program ends (no route)",
        ),
        (logging.INFO, "lmspan: test: exporting again, 0 spans were lost"),
    ]


def test_undelivered_spans_count_as_queued_until_the_queue_is_full():
    endpoint = Endpoint(down=True)
    queue = ExportQueue(endpoint, "test", delay_s=0.01, pause_s=0.01, queue_bytes=4 * MEMORY)
    put(queue, numbered(4))
    assert queue.force_flush(5_000) is False
    put(queue, numbered(4))
    assert queue.dropped == 4
    endpoint.down = False
    assert queue.force_flush(5_000) is True
    assert len(endpoint.names) == 4
    put(queue, numbered(4))
    assert queue.force_flush(5_000) is True
    assert len(endpoint.names) == 8


def test_undelivered_spans_at_the_end_are_tried_once_more_and_counted_as_lost(caplog):
    endpoint = Endpoint(down=True)
    queue = ExportQueue(endpoint, "test", delay_s=0.01, pause_s=60)
    put(queue, numbered(3))
    assert queue.force_flush(5_000) is False
    before = endpoint.requests
    queue.shutdown(5_000)
    assert (endpoint.requests, queue.dropped, endpoint.names) == (before + 1, 3, [])
    assert len(caplog.records) == 1


def test_an_endpoint_that_refuses_everything_gets_few_requests():
    spans = numbered(2_000)
    endpoint = Endpoint(refused={span.name for span in spans})
    queue = ExportQueue(endpoint, "test", delay_s=60)
    put(queue, spans)
    assert queue.force_flush(30_000) is False
    assert (endpoint.names, queue.dropped) == ([], 2_000)
    assert endpoint.requests <= 30


@pytest.mark.parametrize("bad", [[0], [511], [0, 1], [1, 2], [3, 200, 400], list(range(0, 512, 100))])
def test_refused_spans_lose_no_other_span_wherever_they_stand(bad):
    spans = numbered(512)
    endpoint = Endpoint(refused={f"outer {n}" for n in bad})
    queue = ExportQueue(endpoint, "test", delay_s=60, batch_spans=1_000)  # no full batch before the flush
    put(queue, spans)
    assert queue.force_flush(30_000) is False
    assert endpoint.names == [f"outer {n}" for n in range(512) if n not in bad]
    assert queue.dropped == len(bad)


@pytest.mark.parametrize(
    ("limit", "requests", "delivered"),
    [
        (3, [16, 8, 4, 2, 2, 4, 8], []),
        (5, [16, 8, 4, 2, 1, 1, 2, 4, 8], [0]),
        (8, [16, 8, 4, 2, 1, 1, 2, 1, 1, 4, 8], [0, 2]),
    ],
)
def test_the_search_for_refused_spans_has_a_limit_of_requests(limit, requests, delivered, monkeypatch):
    monkeypatch.setattr("lmspan.export.queue._MOST_REQUESTS", limit)

    class Counting(Endpoint):
        sizes = ()

        def export(self, batch):
            self.sizes = (*self.sizes, len(batch))
            return super().export(batch)

    endpoint = Counting(refused={f"outer {n}" for n in range(1, 16, 2)})
    queue = ExportQueue(endpoint, "test", delay_s=60)
    put(queue, numbered(16))
    assert queue.force_flush(30_000) is False
    assert list(endpoint.sizes) == requests  # from the limit on, what is left is sent once and not halved
    assert (endpoint.names, queue.dropped) == ([f"outer {n}" for n in delivered], 16 - len(delivered))


def test_each_flush_that_loses_a_span_returns_false():
    queue = ExportQueue(Endpoint(refused={"outer 0"}), "test", delay_s=60)
    results = []
    refused, good = numbered(2)
    for span in (refused, refused, good, refused):
        put(queue, [span])
        results.append(queue.force_flush(5_000))
    assert results == [False, False, True, False]
    assert queue.dropped == 3


def test_a_flush_returns_after_one_attempt_that_fails_and_not_at_its_deadline():
    endpoint = Endpoint(down=True)
    queue = ExportQueue(endpoint, "test", delay_s=60, pause_s=60)
    put(queue, numbered(3))
    for requests in (1, 2, 3):
        flushing = threading.Thread(target=queue.force_flush, args=(600_000,), daemon=True)
        flushing.start()
        flushing.join(30)
        assert (flushing.is_alive(), endpoint.requests) == (False, requests)


def test_an_endpoint_that_is_back_at_the_end_gets_the_spans(monkeypatch):
    monkeypatch.setattr("lmspan.export.queue._REFUSED_GRACE_S", 30)
    endpoint = Endpoint(down=True)
    queue = ExportQueue(endpoint, "test", delay_s=60, pause_s=60)
    put(queue, numbered(3))
    assert queue.force_flush(5_000) is False
    endpoint.down = False
    endpoint.gate.clear()
    threading.Timer(0.05, endpoint.gate.set).start()  # it takes its time
    queue.shutdown(30_000)
    assert (endpoint.names, queue.dropped) == ([f"outer {n}" for n in range(3)], 0)


def test_the_search_for_refused_spans_ends_where_the_endpoint_goes_down():
    spans = numbered(8)

    class Falling(Endpoint):
        def export(self, batch):
            self.down = self.requests == 4
            return super().export(batch)

    endpoint = Falling(refused={"outer 1"})
    queue = ExportQueue(endpoint, "test", delay_s=60, pause_s=60)  # a flush alone tries again
    put(queue, spans)
    assert queue.force_flush(5_000) is False  # "outer 0" was delivered; the rest waits
    assert queue.force_flush(5_000) is False  # "outer 1" was refused
    assert endpoint.names == [f"outer {n}" for n in (0, 2, 3, 4, 5, 6, 7)]
    assert queue.dropped == 1


def test_a_batch_that_cannot_be_encoded_loses_the_span_at_fault_only():
    class Encoder(Exporter):
        batch_refused = False

        def export(self, spans):
            if any(span.name == "outer 2" for span in spans):
                raise ValueError
            return super().export(spans)

    encoder = Encoder()
    queue = ExportQueue(encoder, "test", delay_s=60)
    put(queue, numbered(4))
    assert queue.force_flush(5_000) is False
    assert encoder.names == ["outer 0", "outer 1", "outer 3"]


def test_a_thread_that_could_not_be_started_is_started_with_the_next_span(monkeypatch):
    exporter, start = Exporter(), threading.Thread.start
    failures = [RuntimeError("can't start new thread")]

    def fail_once(thread):
        if failures:
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fail_once)
    queue = ExportQueue(exporter, "test", delay_s=0.01)
    put(queue, numbered(3))
    assert queue.force_flush(5_000) is True
    assert exporter.names == ["outer 0", "outer 1", "outer 2"]


@pytest.mark.parametrize("end", ["flush", "shutdown"])
def test_without_any_thread_a_flush_and_the_end_export_in_place(monkeypatch, end):
    exporter = Exporter()
    queue = ExportQueue(exporter, "test")

    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    put(queue, numbered(600))
    if end == "flush":
        assert queue.force_flush(5_000) is True
    else:
        queue.shutdown(5_000)
    assert exporter.names == [f"outer {n}" for n in range(600)]
    assert queue.dropped == 0


def test_a_step_that_hangs_at_the_end_is_left_also_where_no_thread_can_be_started(monkeypatch):
    gate = threading.Event()
    closing.prepare(2)
    closing.prepare(2)  # starts no more

    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert closing.run_within(0.01, gate.wait) is False
    assert closing.run_within(10, lambda: None) is True  # on the other thread
    assert closing.run_within(0.01, gate.wait) is False
    assert closing.run_within(0.01, lambda: None) is False  # both hang
    gate.set()
    assert closing.run_within(10, lambda: None) is True


_SIGNALS = """
import signal, sys, lmspan
session = lmspan.init(exporters="file")

@lmspan.tool
def t(n):
    return n

def handle(*_):
    {handler}
    signal.setitimer(signal.ITIMER_REAL, 0.0005)

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
for n in range(5_000):
    t(n)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print(session.force_flush(20))
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this platform")
@pytest.mark.parametrize("handler", ["t(-1)", "session.force_flush(0.2)"])
def test_a_signal_handler_may_record_and_flush_at_any_point(tmp_path, handler):
    program = tmp_path / "program.py"
    program.write_text(_SIGNALS.format(handler=handler))
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "LMSPAN_DIR": str(tmp_path / "traces")},
    )
    assert (done.stdout, done.returncode) == ("True\n", 0)


class Interrupted(deque):
    """A queue whose first span arrives with an interrupt, just before or just after."""

    def __init__(self, arrives):
        super().__init__()
        self.arrives, self.happened = arrives, False

    def append(self, item):
        if self.happened or self.arrives:
            super().append(item)
        if not self.happened:
            self.happened = True
            raise KeyboardInterrupt


@pytest.mark.parametrize("arrives", [False, True])
def test_a_span_that_is_interrupted_on_its_way_does_not_spoil_each_flush_after_it(arrives):
    exporter = Exporter()
    queue = ExportQueue(exporter, "test", delay_s=60)
    queue._queue = Interrupted(arrives)
    one, *others = numbered(3)
    with pytest.raises(KeyboardInterrupt):
        queue.on_end(one)
    put(queue, others)
    assert queue.force_flush(20_000) is True
    assert exporter.names == [*(["outer 0"] if arrives else []), "outer 1", "outer 2"]
    assert (queue._bytes, queue._memory) == (0, 0)
    queue.shutdown()
    assert queue.dropped == 0


def test_a_queue_has_one_worker_though_an_interrupt_hides_the_first(monkeypatch):
    class Timeout(Exception):
        pass

    def interrupted(*arguments, **options):
        start(*arguments, **options)
        monkeypatch.undo()
        while "lmspan-only one" not in [thread.name for thread in list(threading._active.values())]:
            time.sleep(0.001)
        signal.raise_signal(signal.SIGUSR1)

    def handle(*_):
        raise Timeout

    name = STARTS_A_THREAD
    start, before = getattr(threading, name), signal.signal(signal.SIGUSR1, handle)
    try:
        exporter = Exporter()
        queue = ExportQueue(exporter, "only one", delay_s=60)
        monkeypatch.setattr(threading, name, interrupted)
        one, *others = numbered(3)
        with pytest.raises(Timeout):
            queue.on_end(one)
        put(queue, others)
        assert queue.force_flush(20_000) is True
    finally:
        signal.signal(signal.SIGUSR1, before)
    until = time.monotonic() + 20
    while (workers := [thread for thread in threading.enumerate() if thread.name == "lmspan-only one"])[1:]:
        assert time.monotonic() < until
    assert len(workers) == 1
    assert sorted(exporter.names) == ["outer 0", "outer 1", "outer 2"]
    queue.shutdown()


class Reentrant(Exporter):
    """Flushes or ends its own queue inside each export."""

    def __init__(self, act):
        super().__init__()
        self.act, self.results, self.ended = act, [], 0

    def export(self, spans):
        self.results.append(self.act(self.queue))
        return super().export(spans)

    def shutdown(self):
        self.ended += 1


def reentrant(act):
    exporter = Reentrant(act)
    exporter.queue = ExportQueue(exporter, "test", batch_spans=4, delay_s=60)
    put(exporter.queue, some_spans(3))
    return exporter


def test_an_exporter_that_flushes_its_queue_is_not_waited_for():
    exporter = reentrant(lambda queue: queue.force_flush(60_000))
    assert exporter.queue.force_flush(20_000) is True
    assert exporter.results == [False, False]  # what it exports is not delivered yet
    assert len(exporter.names) == 6
    exporter.queue.shutdown()


def test_an_exporter_that_ends_its_queue_exports_the_rest_and_ends_once(caplog):
    exporter = reentrant(lambda queue: queue.shutdown(60_000))
    assert exporter.queue.force_flush(20_000) is True
    exporter.queue._worker.join(20)
    assert (exporter.results, len(exporter.names), exporter.queue.dropped) == ([None, None], 6, 0)
    assert exporter.ended == 1
    assert caplog.messages == []
