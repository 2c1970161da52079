"""Async hooks: where they hold the program back, where they run beside it, how they stop it, and what a slow one costs.

Each test runs real programs of LogiLLM, DSPy or LLMProc, or of decorated functions.
"""

import asyncio
import gc
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

import lmspan
from lmspan.callbacks.logillm import AbstractCallback, CallbackManager, Priority
from lmspan.testing import recording
from support.every_library import dspy_agent, logillm_agent
from support.llmproc import asking, program, weather
from support.logillm_programs import mock, predict
from support.programs import model, serving
from support.scenarios.core import YES
from support.wires import WireServer, called, tokens

LOOK = called(("toolu_1", "weather", {"city": "Graz"}), usage=tokens(30, 10))


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    CallbackManager().clear()
    lmspan.unsubscribe_all()


@lmspan.lm
async def ask(question):
    await asyncio.sleep(0)
    return f"{question}!"


@lmspan.module
async def agent(count=3):
    return [await ask(str(number)) for number in range(count)]


@lmspan.lm
def ask_now(question):
    return f"{question}!"


@lmspan.module
def sync_agent(count=3):
    return [ask_now(str(number)) for number in range(count)]


def ours(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "lmspan"]


# Stopping --------------------------------------------------------------------------------------------------------


class Limit:
    """Stops the run before its second LM call."""

    def __init__(self, error):
        self.error, self.heard = error, 0

    async def on_lm_start(self, call_id, instance, inputs):
        await asyncio.sleep(0)
        self.heard += 1
        if self.heard == 2:
            raise self.error


@pytest.mark.parametrize("error", [RuntimeError("limit"), lmspan.StopRun("limit")], ids=["on_error", "StopRun"])
def test_an_async_start_hook_stops_an_awaited_run_before_the_call(error):
    sent = []

    @lmspan.lm
    async def send(number):
        sent.append(number)

    @lmspan.module
    async def run():
        for number in range(5):
            await send(number)

    limit = Limit(error)
    with recording() as recorded, lmspan.subscribed(limit, on_error="stop"):
        with pytest.raises(lmspan.StopRun, match="limit" if isinstance(error, lmspan.StopRun) else "RuntimeError"):
            asyncio.run(run())
    assert (sent, limit.heard) == ([0], 2)
    recorded.assert_conventions()


@pytest.mark.parametrize("error", [RuntimeError("limit"), lmspan.StopRun("limit")], ids=["on_error", "StopRun"])
def test_an_async_hook_stops_a_sync_run_at_a_later_operation_at_the_latest(error):
    limit = Limit(error)
    with recording(), lmspan.subscribed(limit, on_error="stop"):
        with pytest.raises(lmspan.StopRun):
            sync_agent(1_000_000)
    assert limit.heard < 1_000_000


@pytest.mark.parametrize("error", [RuntimeError("limit"), lmspan.StopRun("limit")], ids=["on_error", "StopRun"])
async def test_an_async_hook_stops_a_run_of_llmproc(error, caplog):
    class Spending:
        async def turn_start(self, process, run_result=None):
            if run_result and run_result.api_calls > 0:
                raise error

    requests = []

    def reply(request):
        requests.append(request)
        return LOOK

    with WireServer(reply) as server, asking(server), recording(instrument=("llmproc",)):
        process = await program(weather).start()
        lmspan.subscribe(Spending(), scope=process, on_error="stop")
        with pytest.raises(lmspan.StopRun):
            await process.run("?")
        await process.aclose()
    assert len(requests) == 2
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


# Order and place -------------------------------------------------------------------------------------------------


def noting(heard, word, *, wait=None, level=Priority.NORMAL):
    class Noting(AbstractCallback):
        priority = level

        if wait is None:

            def on_module_end(self, event):
                heard.append(word)
        else:

            async def on_module_end(self, event):
                await asyncio.sleep(wait)
                heard.append(word)

    return Noting()


@pytest.mark.parametrize("wait", [0, 0.01])
def test_a_sync_hook_runs_after_an_async_one_of_higher_priority(wait):
    heard = []
    for callback in (
        noting(heard, "normal"),
        noting(heard, "normal, async", wait=0),
        noting(heard, "low", level=Priority.LOW),
        noting(heard, "high, async", wait=wait, level=Priority.HIGH),
        noting(heard, "highest", level=Priority.HIGHEST),
    ):
        CallbackManager().register(callback)
    with recording():
        asyncio.run(predict(mock())(question="?"))
    assert heard == ["highest", "high, async", "normal", "normal, async", "low"]


def test_an_async_hook_of_a_request_holds_the_request_back():
    heard = []

    class Slots(AbstractCallback):
        async def on_provider_request(self, event):
            await asyncio.sleep(0.01)
            heard.append("slot taken")

    provider = mock()
    original = provider._complete_impl

    async def sending(*args, **kwargs):
        heard.append("sent")
        return await original(*args, **kwargs)

    provider._complete_impl = sending
    CallbackManager().register(Slots())
    with recording():
        asyncio.run(predict(provider)(question="?"))
    assert heard == ["slot taken", "sent"]


class Both:
    """An async callback of DSPy's, which suspends, and a sync one, over the same operations."""

    def __init__(self):
        self.heard = []

    async def on_module_start(self, call_id, instance, inputs):
        await asyncio.sleep(0.003)
        self.heard.append("module start")

    async def on_lm_start(self, call_id, instance, inputs):
        await asyncio.sleep(0.002)
        self.heard.append("lm start")

    async def on_lm_end(self, call_id, outputs, exception):
        self.heard.append("lm end")

    async def on_module_end(self, call_id, outputs, exception):
        await asyncio.sleep(0.001)
        self.heard.append("module end")


WHOLE = ["module start", *["lm start", "lm end"] * 3, "module end"]


@pytest.mark.parametrize("run", [lambda: asyncio.run(agent()), sync_agent], ids=["async", "sync"])
def test_async_hooks_have_run_in_order_when_the_outermost_call_returns(run):
    both = Both()
    with recording(), lmspan.subscribed(both):
        run()
        assert both.heard == WHOLE


def test_all_async_hooks_of_a_sync_run_are_one_chain_over_the_subscriptions():
    heard = []

    def noting_lm(word, wait, priority):
        async def on_lm_start(call_id, instance, inputs):
            await asyncio.sleep(wait)
            heard.append(word)

        return lmspan.subscribe(
            type("Noting", (), {"on_lm_start": staticmethod(on_lm_start)})(), dialect="dspy", priority=priority
        )

    noting_lm("normal", 0, 3)
    noting_lm("high", 0.01, 4)
    with recording():
        sync_agent(2)
    assert heard == ["high", "normal"] * 2


def test_async_hooks_of_a_sync_step_have_ended_before_the_next_awaited_step_starts():
    heard = []

    class Hook:
        async def on_tool_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.01)
            heard.append("tool")

        def on_lm_start(self, call_id, instance, inputs):
            heard.append("lm")

        def on_module_end(self, call_id, outputs, exception):
            heard.append("module end")

    @lmspan.tool
    def look():
        return 1

    @lmspan.module
    async def run():
        look()
        await ask("?")
        look()

    with recording(), lmspan.subscribed(Hook(), dialect="dspy"):
        asyncio.run(run())
    assert heard == ["tool", "lm", "tool", "module end"]


def test_the_items_of_an_async_generator_come_after_the_hooks_of_its_start_and_before_those_of_its_end():
    heard = []

    class Hook:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.01)
            heard.append("start")

        async def on_lm_end(self, call_id, outputs, exception):
            await asyncio.sleep(0.01)
            heard.append("end")

    take = heard.append

    @lmspan.lm
    async def stream():
        heard.append("stream")
        yield 1

    async def run():
        async for item in stream():
            take(item)
        heard.append("after")

    with recording(), lmspan.subscribed(Hook()):
        asyncio.run(run())
    assert heard == ["start", "stream", 1, "end", "after"]


# Re-entrancy -----------------------------------------------------------------------------------------------------


def in_a_pool(work):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_a_task(work):
    async def run():
        await asyncio.gather(asyncio.to_thread(work), asyncio.to_thread(work))

    asyncio.run(run())


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("place", [in_a_pool, in_a_task, in_a_thread, lambda work: work()])
def test_a_callback_does_not_hear_its_own_calls_on_any_thread(place):
    heard, others = [], []

    class Judge:
        def on_lm_end(self, call_id, outputs, exception):
            heard.append(outputs)
            if len(heard) < 5:
                place(lambda: ask_now("good?"))

    class Other:
        def on_lm_end(self, call_id, outputs, exception):
            others.append(outputs)

    with recording(), lmspan.subscribe(Other()), lmspan.subscribe(Judge()):
        ask_now("?")
    assert heard == ["?!"]
    assert set(others) == {"?!", "good?!"}


def test_a_callback_does_not_hear_its_own_calls_in_a_pool_that_is_older_than_the_hook():
    heard = []

    with ThreadPoolExecutor(9) as pool:
        pool.submit(int).result()  # one thread is older than the hook

        class Judge:
            def on_lm_start(self, call_id, instance, inputs):  # before the span of the call is current
                heard.append(inputs)
                if len(heard) < 5:
                    pool.submit(ask_now, "good?").result()

        with recording(), lmspan.subscribe(Judge()):
            ask_now("?")
    assert len(heard) == 1


@pytest.mark.parametrize("agent", [dspy_agent, logillm_agent])
def test_async_hooks_of_turns_have_ended_before_the_next_module_starts_and_when_the_run_returns(agent):
    heard, at_the_end = [], []

    class Turns:
        async def turn_start(self, process):
            await asyncio.sleep(0.01)
            heard.append("turn_start")

        async def turn_end(self, process):
            await asyncio.sleep(0.05)
            heard.append("turn_end")

    class Modules:
        def on_module_start(self, call_id, instance, inputs):
            heard.append(type(instance).__name__)

        def on_adapter_format_start(self, call_id, instance, inputs):
            heard.append("format")

    with lmspan.subscribe(Turns()), lmspan.subscribe(Modules()):
        agent(after=lambda: at_the_end.extend(heard))
    turn = ["turn_start", "Predict", "format", "turn_end"]
    assert at_the_end == heard
    assert heard[: 2 * len(turn) + 2] == ["ReAct", *turn * 2, "ChainOfThought"]


def test_a_callback_of_logillm_that_judges_by_call_sync_hears_one_module():
    heard = []
    judge = predict(mock())

    class Judge(AbstractCallback):
        def on_module_end(self, event):
            heard.append(event)
            if len(heard) < 5:
                judge.call_sync(question="good?")

    CallbackManager().register(Judge())
    with recording():
        asyncio.run(predict(mock())(question="?"))
    assert len(heard) == 1


def test_a_callback_of_dspy_that_judges_in_parallel_hears_one_module():
    heard = []

    class Judge:
        def on_module_end(self, call_id, outputs, exception):
            heard.append(outputs)
            if len(heard) < 5:
                dspy.Parallel(num_threads=2, disable_progress_bar=True)([(judge, {"question": "good?"})] * 2)

    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        judge = dspy.Predict("question -> answer")
        with lmspan.subscribed(Judge()):
            dspy.Predict("question -> answer")(question="?")
    assert len(heard) == 1


@pytest.mark.parametrize("run", [lambda: asyncio.run(ask("?")), lambda: ask_now("?")], ids=["async", "sync"])
def test_an_async_hook_that_asks_a_model_ends_and_does_not_hear_it(run):
    heard = []

    class Judge:
        async def on_lm_start(self, call_id, instance, inputs):
            heard.append("start")
            await ask("good?")
            ask_now("good?")

        async def on_lm_end(self, call_id, outputs, exception):
            heard.append(outputs)
            await asyncio.gather(ask("good?"), asyncio.to_thread(ask_now, "good?"))

    with recording(), lmspan.subscribed(Judge(), timeout_s=60):
        run()
        assert heard == ["start", "?!"]


# Hooks that hang -------------------------------------------------------------------------------------------------


REPORT = (
    "lmspan: hook on_lm_start of Hanging has not ended in 0.05 s; from now on no run waits for its async hooks "
    "(subscribe(..., timeout_s=) and LMSPAN_HOOK_TIMEOUT_S set the time)"
)


class Hanging:
    def __init__(self):
        self.started = 0

    async def on_lm_start(self, call_id, instance, inputs):
        self.started += 1
        await asyncio.Event().wait()


@pytest.mark.parametrize("run", [lambda: asyncio.run(agent()), sync_agent], ids=["async", "sync"])
def test_a_hook_that_hangs_is_waited_for_once_and_reported_once(run, caplog):
    hanging, heard = Hanging(), []

    class Other:
        async def on_lm_end(self, call_id, outputs, exception):
            heard.append(outputs)

    with (
        recording(),
        lmspan.subscribed(hanging, timeout_s=0.05) as subscription,
        lmspan.subscribed(Other(), timeout_s=60),
    ):
        for _ in range(3):
            run()
        assert heard == ["0!", "1!", "2!"] * 3
    assert hanging.started == 9
    assert subscription.waited_for is False
    assert ours(caplog)[:1] == [REPORT]
    assert [text for text in ours(caplog) if "Hanging" in text][1:] == []


def test_a_slow_hook_is_not_cancelled_when_the_run_no_longer_waits_for_it():
    ended = []

    class Slow:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.05)
            ended.append(call_id)

    async def run():
        await ask("?")
        assert ended == []
        await asyncio.sleep(0.2)
        assert len(ended) == 1

    with recording(), lmspan.subscribed(Slow(), timeout_s=0.01):
        asyncio.run(run())


def test_the_bound_comes_from_the_argument_else_from_the_environment(monkeypatch):
    monkeypatch.setenv("LMSPAN_HOOK_TIMEOUT_S", "2.5")
    assert lmspan.subscribe(Hanging()).timeout_s == 2.5
    assert lmspan.subscribe(Hanging(), timeout_s=1).timeout_s == 1
    monkeypatch.delenv("LMSPAN_HOOK_TIMEOUT_S")
    assert lmspan.subscribe(Hanging()).timeout_s == 5.0
    for wrong in (0, -1, float("nan"), "1"):
        with pytest.raises(lmspan.CallbackError, match="timeout_s"):
            lmspan.subscribe(Hanging(), timeout_s=wrong)


def test_a_wrong_bound_in_the_environment_is_reported_and_the_default_holds(monkeypatch, caplog):
    monkeypatch.setenv("LMSPAN_HOOK_TIMEOUT_S", "soon")
    assert lmspan.subscribe(Hanging()).timeout_s == 5.0
    assert "LMSPAN_HOOK_TIMEOUT_S" in caplog.text


async def test_a_run_that_is_cancelled_while_a_hook_holds_it_back_is_cancelled():
    class Held:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.05)

    with recording() as recorded, lmspan.subscribed(Held()):
        task = asyncio.create_task(ask("?"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert recorded.one("chat ask").attributes["error.type"].endswith("CancelledError")


def test_async_hooks_leave_no_task_and_no_warning_behind(caplog):
    caplog.set_level(logging.DEBUG, "asyncio")
    with recording(), lmspan.subscribed(Both()):
        asyncio.run(agent(), debug=True)
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
