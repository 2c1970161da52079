"""Each hook is isolated and counted; async hooks run in order, and are waited for no longer than is allowed."""

import asyncio
import logging
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider

import lmspan
from lmspan.subscribers import delivery
from lmspan.testing import recording
from support.processes import lines_of_ours, run_python
from support.subscribers import ask, listener


def test_a_failing_hook_is_logged_once_counted_always_and_others_hear(caplog):
    heard = []

    class Failing:
        def on_lm_start(self, call_id, instance, inputs):
            raise ValueError("mine")

    failing = lmspan.subscribe(Failing(), priority=lmspan.Priority.HIGH)
    lmspan.subscribe(listener(heard, "other"))
    ask()
    recorded = ask()
    assert heard == ["other"] * 2
    assert failing.failures == 2
    recorded.assert_conventions()
    logged = [record for record in caplog.records if record.name == "lmspan" and record.levelno >= logging.WARNING]
    assert len(logged) == 1
    assert logged[0].exc_info[1].args == ("mine",)


def test_every_event_is_heard_once_and_in_order_by_each_of_five_under_eight_threads():
    class Counting:
        def __init__(self):
            self.by_thread = {}

        def on_tool_start(self, call_id, instance, inputs):
            self.by_thread.setdefault(threading.get_ident(), []).append(inputs["kwargs"]["number"])

    counting = [Counting() for _ in range(5)]
    subscriptions = [lmspan.subscribe(each) for each in counting]
    with recording(instrument=()):

        def work(thread):
            for number in range(10_000):
                with lmspan.operation("tool", "t", inputs={"number": (thread, number)}):
                    pass

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    for each in counting:
        assert sorted(each.by_thread.values()) == [
            [(thread, number) for number in range(10_000)] for thread in range(8)
        ]
    assert [each.failures for each in subscriptions] == [0] * 5


def test_async_hooks_of_a_sync_program_run_in_order_and_are_drained():
    heard = []

    class Slow:
        async def on_module_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.02)
            heard.append("module")

        async def on_lm_start(self, call_id, instance, inputs):
            heard.append("lm")

    lmspan.subscribe(Slow())
    ask()
    assert delivery.drain(5)
    assert heard == ["module", "lm"]


def test_an_async_hook_that_hangs_is_bounded_and_reported(caplog):
    class Hanging:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(60)

    lmspan.subscribe(Hanging())
    with recording(instrument=()), lmspan.operation("lm", "m"):
        assert delivery.drain(0.1) is False
        assert "1 hooks did not end in 0.1 s" in caplog.text
        assert delivery.drain(0.1, cancel=True) is False
        assert delivery.drain(5.0) is True


class Flushing:
    """Flushes the session in each of its hooks."""

    def __init__(self):
        self.results = []

    def on_tool_end(self, call_id, outputs, exception=None):
        self.results.append(self.session.force_flush(90))


class FlushingAsync(Flushing):
    async def on_tool_end(self, call_id, outputs, exception=None):
        await asyncio.sleep(0)
        super().on_tool_end(call_id, outputs)


@pytest.mark.parametrize("how", ["inline", "queued"])
@pytest.mark.parametrize("kind", [Flushing, FlushingAsync])
def test_a_hook_that_flushes_the_session_does_not_wait_for_itself(kind, how, caplog):
    callback = kind()
    provider = TracerProvider(shutdown_on_exit=False)
    with (
        lmspan.init(exporters="none", instrument=[], tracer_provider=provider) as callback.session,
        lmspan.subscribe(callback, delivery=how),
    ):
        for _ in range(3):
            with lmspan.operation("tool", "t"):
                pass
        assert callback.session.force_flush(30)
    assert callback.results == [True] * 3
    assert caplog.messages == []


FORKING = """
import asyncio, os, sys
import lmspan

heard = []

class Hearing:
    def on_tool_start(self, call_id, instance, inputs):
        heard.append("sync")
    async def on_tool_end(self, call_id, outputs, exception):
        await asyncio.sleep(0)
        heard.append("async")

session = lmspan.init(exporters="none")
lmspan.subscribe(Hearing())
with lmspan.operation("tool", "parent"):
    pass
assert session.force_flush(5)
if (child := os.fork()) == 0:
    heard.clear()
    with lmspan.operation("tool", "child"):
        pass
    ok = session.force_flush(5) and heard == ["sync", "async"]
    os._exit(0 if ok else 1)
assert os.waitpid(child, 0)[1] == 0
assert heard == ["sync", "async"]
"""


def test_a_forked_child_inherits_the_subscriptions_and_their_async_hooks_run():
    done = run_python(FORKING)  # from Python 3.12 on, Python itself warns of a fork in a process with threads
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr
