"""Hooks that run on a thread of lmspan, and hooks on the program's thread that are slow."""

import asyncio
import logging
import os
import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lmspan
from lmspan.subscribers import asynchronous, delivery, queued
from lmspan.testing import recording


@lmspan.tool
def tool(query):
    return query.upper()


@lmspan.agent
def agent(question):
    return tool(question)


class Listener:
    """Hears everything in order, each hook as the test wants it."""

    def __init__(self, act=lambda: None):
        self.heard, self.threads, self.act = [], set(), act

    def _note(self, *what):
        self.act()
        self.threads.add(threading.current_thread())
        self.heard.append(what)

    def on_module_start(self, call_id, instance, inputs):
        self._note("agent", inputs)

    def on_module_end(self, call_id, outputs, exception):
        self._note("agent ended", outputs, type(exception))

    def on_tool_start(self, call_id, instance, inputs):
        self._note("tool", inputs)

    def on_tool_end(self, call_id, outputs, exception):
        self._note("tool ended", outputs, type(exception))


class AsyncListener(Listener):
    async def on_tool_start(self, call_id, instance, inputs):
        await asyncio.sleep(0)
        self._note("tool", inputs)


WHOLE = [
    ("agent", {"args": (), "kwargs": {"question": "a"}}),
    ("tool", {"kwargs": {"query": "a"}}),
    ("tool ended", "A", type(None)),
    ("agent ended", "A", type(None)),
]


@pytest.mark.parametrize("kind", [Listener, AsyncListener])
def test_queued_hooks_run_in_order_on_one_thread_with_what_was_true_when_they_were_called(kind):
    gate = threading.Event()
    listener = kind(gate.wait)
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued"):
        for _ in range(3):
            assert agent("a") == "A"  # although the first hook still waits for the gate
        assert listener.heard == []
        gate.set()
        assert delivery.drain(10)
    assert listener.heard == WHOLE * 3
    assert len(listener.threads) == 1
    assert threading.main_thread() not in listener.threads


def test_what_was_queued_before_a_subscription_is_cancelled_still_runs():
    gate = threading.Event()
    listener = Listener(gate.wait)
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued"):
        agent("a")
    tool("b")
    gate.set()
    assert delivery.drain(10)
    assert listener.heard == WHOLE


def test_a_queued_hook_does_not_hear_what_it_does_itself():
    listener = Listener(lambda: tool("inside"))
    with recording() as recorded, lmspan.subscribe(listener, dialect="dspy", delivery="queued"):
        agent("a")
        assert delivery.drain(10)
        assert listener.heard == WHOLE
        assert len(recorded.named("execute_tool tool")) == 5


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, SystemExit, lmspan.StopRun])
def test_what_a_queued_hook_raises_is_counted_and_the_next_one_runs(error, caplog):
    def fail():
        raise error

    listener = Listener(fail)
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued") as subscription:
        assert agent("a") == "A"
        assert delivery.drain(10)
    assert subscription.failures == 4
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_hook_that_hangs_costs_itself_a_bounded_queue_and_one_line(caplog, monkeypatch):
    monkeypatch.setattr(queued, "_MOST", 10)
    gate = threading.Event()
    hanging, other = Listener(gate.wait), Listener()
    with (
        recording(),
        lmspan.subscribe(hanging, dialect="dspy", delivery="queued", name="Hanging") as subscription,
        lmspan.subscribe(other, dialect="dspy"),
    ):
        agent("a")
        while len(subscription.queue._waiting) > 3:  # until the worker has the first hook in its hands
            time.sleep(0.001)
        for _ in range(9):
            agent("a")
        assert not delivery.drain(0.05)
        assert subscription.dropped == 40 - 11
        gate.set()
        assert delivery.drain(10)
    assert len(hanging.heard) == 11
    assert other.heard == WHOLE * 10
    lines = [record.getMessage() for record in caplog.records if "keep up" in record.getMessage()]
    assert lines == ["lmspan: Hanging cannot keep up: its hooks are dropped and counted"]


def test_where_no_thread_can_be_started_a_drain_runs_what_waits(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    listener = AsyncListener()
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued"):
        monkeypatch.setattr(threading.Thread, "start", refuse)
        agent("a")
        assert delivery.drain(10)
    assert listener.heard == WHOLE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_runs_its_own_hooks_alone():
    gate = threading.Event()
    listener = Listener(gate.wait)
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued"):
        agent("a")
        read, write = os.pipe()
        if not os.fork():
            gate.set()
            tool("b")
            delivery.drain(10)
            os.write(write, repr(listener.heard).encode())
            os._exit(0)
        os.wait()
        gate.set()
        assert delivery.drain(10)
    assert os.read(read, 1_000).decode() == repr(
        [("tool", {"kwargs": {"query": "b"}}), ("tool ended", "B", type(None))]
    )
    assert listener.heard == WHOLE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delivery": "later"}, "delivery: 'later' is not known; use inline or queued"),
        ({"delivery": "queued", "on_error": "stop"}, 'on_error="stop": a queued hook runs when it is too late to stop'),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(lmspan.CallbackError, match=f"^{message}"):
        lmspan.subscribe(Listener(), dialect="dspy", **options)


def test_a_subscription_whose_hooks_hold_the_program_up_is_reported_once(caplog):
    slow, quick = Listener(lambda: time.sleep(0.02)), Listener()
    with (
        recording(),
        lmspan.subscribe(slow, dialect="dspy", name="Slow"),
        lmspan.subscribe(quick, dialect="dspy", name="Quick"),
    ):
        for _ in range(8):
            agent("a")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("lmspan: the program has waited 0.")
    assert line.endswith('subscribe(..., delivery="queued") runs them on another thread')
    assert "hooks of Slow" in line


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_a_base_exception_of_a_hook_stays_in_the_hook(error, caplog):
    def fail():
        raise error

    with recording() as recorded, lmspan.subscribe(Listener(fail), dialect="dspy") as subscription:
        assert agent("a") == "A"
    assert subscription.failures == 4
    recorded.assert_tree("""
        invoke_agent agent
          execute_tool tool
    """)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, lmspan.StopRun])
def test_an_interrupt_an_exit_and_a_stop_pass_from_a_hook_into_the_program(error):
    def fail():
        raise error

    with recording() as recorded, lmspan.subscribe(Listener(fail), dialect="dspy"), pytest.raises(error):
        agent("a")
    recorded.assert_tree("invoke_agent agent !")


@pytest.mark.parametrize("subscribe", [lmspan.subscribe, lmspan.subscribed])
def test_the_thread_of_a_subscription_ends_with_it(subscribe):
    listener = Listener()
    with recording(), subscribe(listener, dialect="dspy", delivery="queued"):
        agent("a")
        assert delivery.drain(10)
    (thread,) = listener.threads
    thread.join(10)
    assert not thread.is_alive()
    assert listener.heard == WHOLE


def test_async_hooks_of_a_subscription_share_an_event_loop_that_closes_with_its_thread():
    loops, threads = [], []

    class Noting:
        async def on_tool_start(self, call_id, instance, inputs):
            loops.append(asyncio.get_running_loop())
            threads.append(threading.current_thread())

    with recording(), lmspan.subscribe(Noting(), dialect="dspy", delivery="queued"):
        tool("a")
        tool("b")
        assert delivery.drain(10)
        assert [loop is loops[0] and not loop.is_closed() for loop in loops] == [True, True]
    threads[0].join(10)
    assert loops[0].is_closed()


def test_a_queued_hook_may_run_an_event_loop_of_its_own():
    class Own(Listener):
        def on_tool_start(self, call_id, instance, inputs):
            asyncio.run(asyncio.sleep(0))
            self._note("tool", inputs)

    listener = Own()
    with recording(), lmspan.subscribe(listener, dialect="dspy", delivery="queued") as subscription:
        agent("a")
        assert delivery.drain(10)
    assert (listener.heard, subscription.failures) == (WHOLE, 0)


def test_a_hook_that_hangs_leaves_the_exporters_most_of_the_time():
    gate = threading.Event()
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    with (
        lmspan.init(tracer_provider=provider, instrument=(), exporters=[BatchSpanProcessor(exporter)]) as session,
        lmspan.subscribe(Listener(gate.wait), dialect="dspy", delivery="queued"),
    ):
        tool("a")
        assert session.force_flush(6.0) is False
        assert [span.name for span in exporter.get_finished_spans()] == ["execute_tool tool"]
        gate.set()


def test_async_hooks_that_hang_are_counted_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(asynchronous, "_MOST", 2)

    gate = threading.Event()

    class Hanging:
        async def on_tool_start(self, call_id, instance, inputs):
            await asyncio.to_thread(gate.wait)

    with recording(), lmspan.subscribe(Hanging(), dialect="dspy") as subscription:
        with lmspan.operation("module", "m"):
            for _ in range(5):
                tool("a")
            assert (subscription.dropped, len(asynchronous._under_way)) == (3, 2)
            gate.set()
        assert delivery.drain(10)
