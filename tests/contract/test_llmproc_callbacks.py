"""What LLMProc's documentation promises of callbacks and RunResult, heard from DSPy programs, imports changed."""

import asyncio
import io
import sys
import time

import dspy
import pytest

import lmspan
from lmspan.callbacks.llmproc import CallbackEvent
from lmspan.subscribers import delivery
from lmspan.testing import recording
from support.programs import model, serving
from support.scenarios.agents import step, weather
from support.scenarios.core import YES


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()


SCRIPT = (step("weather", city="Graz"), step("weather", city="Linz"), step("finish"), YES)


def run(*callbacks, **options):
    with serving(*SCRIPT) as server, recording() as recorded, dspy.context(lm=model(server)):
        for each in callbacks:
            lmspan.subscribe(each, **options)
        dspy.ReAct("question -> answer", tools=[weather])(question="?")
    delivery.drain(5)
    return recorded


async def run_async(*callbacks):
    async def weather(city: str) -> str:
        await asyncio.sleep(0.15)
        return f"sun in {city}"

    with serving(*SCRIPT) as server, recording(), dspy.context(lm=model(server)):
        with lmspan.run("async", callbacks=callbacks) as result:
            await dspy.ReAct("question -> answer", tools=[weather]).acall(question="?")
    return result


def test_the_events_are_the_documented_ones():
    assert [event.name for event in CallbackEvent] == [
        "TOOL_START", "TOOL_END", "RESPONSE", "API_REQUEST", "API_RESPONSE", "TURN_START", "TURN_END", "STDERR_WRITE",
    ]  # fmt: skip


def test_the_function_based_callback(capsys):
    def my_callback(event, *args, **kwargs):
        if event == CallbackEvent.TOOL_START:
            tool_name, tool_args = args
            assert isinstance(tool_args, dict)
            print(f"Tool started: {tool_name}")
        elif event == CallbackEvent.TOOL_END:
            tool_name, result = args
            assert isinstance(result, str)
            print(f"Tool completed: {tool_name}")
        elif event == CallbackEvent.RESPONSE:
            text = args[0]
            print(f"Response: {text[:30]}...")

    run(my_callback)
    out = capsys.readouterr().out
    assert out.count("Tool started: weather") == out.count("Tool completed: weather") == 2
    assert out.count("Response: [[ ## next_thought ## ]]") == 3


def test_the_class_based_callback_and_the_mixed_one(capsys):
    logged = []

    class MyCallbacks:
        def tool_start(self, tool_name, tool_args):
            print(f"Tool started: {tool_name}")

        def tool_end(self, tool_name, result):
            print(f"Tool completed: {tool_name}")

        def response(self, text):
            print(f"Response: {text[:30]}...")

    class MixedCallbacks:
        def tool_start(self, tool_name, tool_args):
            logged.append("sync start")

        async def response(self, text):
            await asyncio.sleep(0)
            logged.append(text[:4])

    run(MyCallbacks(), MixedCallbacks())
    assert capsys.readouterr().out.count("Tool started: weather") == 2
    assert sorted(logged) == ["[[ #"] * 4 + ["sync start"] * 3


def test_the_async_function():
    events = []

    async def my_async_callback(event, *args, **kwargs):
        await asyncio.sleep(0)
        events.append(event)

    run(my_async_callback)
    assert events[0] == CallbackEvent.TURN_START
    assert events.count(CallbackEvent.TOOL_END) == 3


def test_the_cost_monitor_stops_the_run_where_it_was_documented_to():
    class CostMonitoringCallback:
        def __init__(self, cost_limit=5.0):
            self.cost_limit = cost_limit

        def turn_start(self, process, run_result=None):
            if run_result and run_result.usd_cost > self.cost_limit:
                raise RuntimeError(f"Cost ${run_result.usd_cost:.4f} exceeds limit ${self.cost_limit:.2f}")
            if run_result:
                print(f"Current cost: ${run_result.usd_cost:.4f}")

        def turn_end(self, process, response_obj, tool_results):
            print("Turn completed")

    run(CostMonitoringCallback(5.0), on_error="stop")
    lmspan.unsubscribe_all()
    with pytest.raises(lmspan.StopRun) as stopped:
        run(CostMonitoringCallback(0.0), on_error="stop")
    assert "exceeds limit $0.00" in str(stopped.value.__cause__)


def test_old_and_new_turn_starts_work_side_by_side():
    heard = []

    class Old:
        def turn_start(self, process):
            heard.append("old")

    class New:
        def turn_start(self, process, run_result=None):
            heard.append(run_result.usd_cost if run_result else 0)

    run(Old(), New())
    assert heard[::2] == ["old"] * 3
    assert heard[1] == 0 < heard[3] < heard[5]


def test_the_timing_callback():
    class TimingCallback:
        def __init__(self):
            self.tools = {}
            self.current_tools = {}

        def tool_start(self, tool_name, tool_args):
            self.tools.setdefault(tool_name, {"calls": 0, "total_time": 0})
            self.tools[tool_name]["calls"] += 1
            self.current_tools[tool_name] = time.time()

        def tool_end(self, tool_name, result):
            if tool_name in self.current_tools:
                self.tools[tool_name]["total_time"] += time.time() - self.current_tools.pop(tool_name)

        def get_stats(self):
            return {
                name: {"calls": data["calls"], "avg_time": data["total_time"] / data["calls"] if data["calls"] else 0}
                for name, data in self.tools.items()
            }

    timing = TimingCallback()
    run(timing)
    stats = timing.get_stats()
    assert {name: each["calls"] for name, each in stats.items()} == {"weather": 2, "finish": 1}
    assert all(each["avg_time"] >= 0 for each in stats.values())


def test_the_api_logger():
    class APILogger:
        def __init__(self):
            self.calls = []

        def api_request(self, payload):
            self.calls.append({"request": payload})

        def api_response(self, response):
            if self.calls:
                self.calls[-1]["response"] = response

    logger = APILogger()
    run(logger)
    assert len(logger.calls) == 4
    assert logger.calls[0]["request"]["model"] == "gpt-4o-mini"
    assert logger.calls[0]["request"]["messages"][0]["role"] == "system"
    assert "weather" in logger.calls[0]["response"][0]


async def test_the_run_result_of_an_awaited_run():
    result = await run_async()
    assert result.api_calls == len(result.api_call_infos) == 4
    assert {"model", "usage"} <= set(result.api_call_infos[0])
    assert result.duration_ms > 0
    assert result.end_time > result.start_time


async def test_the_dict_of_callbacks_of_one_run(capsys):
    active_tools = set()

    def on_tool_start(tool_name, args):
        active_tools.add(tool_name)
        print(f"Running tool: {tool_name} ({len(active_tools)} active tools)")

    def on_tool_end(tool_name, result):
        active_tools.discard(tool_name)
        print(f"Completed tool: {tool_name} ({len(active_tools)} active tools)")

    callbacks = {
        "on_tool_start": on_tool_start,
        "on_tool_end": on_tool_end,
        "on_response": lambda content: print(f"Response: {content[:12]}..."),
    }
    await run_async(callbacks)
    out = capsys.readouterr().out
    assert "Running tool: weather (1 active tools)\nCompleted tool: weather (0 active tools)\n" in out
    assert out.count("Response:") == 4


class ToolProgressTracker:
    def __init__(self):
        self.active_tools = set()
        self.spinner_chars = "|/-"
        self.spinner_idx = 0
        self.should_run = False
        self.task = None

    def start(self):
        self.should_run = True
        self.task = asyncio.create_task(self._run_spinner())

    async def _run_spinner(self):
        while self.should_run and self.active_tools:
            spinner = self.spinner_chars[self.spinner_idx % len(self.spinner_chars)]
            sys.stdout.write(f"\r{spinner} Processing: {', '.join(self.active_tools)}")
            self.spinner_idx += 1
            await asyncio.sleep(0.02)

    def stop(self):
        self.should_run = False
        if self.task:
            self.task.cancel()

    def on_tool_start(self, tool_name, tool_args):
        self.active_tools.add(tool_name)
        if not self.task or self.task.done():
            self.start()

    def on_tool_end(self, tool_name, result):
        self.active_tools.discard(tool_name)
        if not self.active_tools:
            self.stop()


async def test_the_progress_tracker_spins_while_a_tool_runs(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)

    tracker = ToolProgressTracker()
    await run_async({"on_tool_start": tracker.on_tool_start, "on_tool_end": tracker.on_tool_end})
    assert "| Processing: weather" in written.getvalue()
    assert "/ Processing: weather" in written.getvalue()
    assert tracker.active_tools == set()
