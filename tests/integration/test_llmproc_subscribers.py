"""Callbacks and LLMProc programs: its own stay as they are, and those of every system hear its runs."""

import asyncio
import time

import pytest
from llmproc.callbacks import CallbackEvent
from opentelemetry import trace

import lmspan
from lmspan.callbacks.dsrs import CollectingCallback
from lmspan.callbacks.logillm import AbstractCallback
from lmspan.demo.server import Reply
from lmspan.subscribers import delivery
from lmspan.testing import recording
from support.llmproc import MODEL, asking, program, weather
from support.wires import called, serving, tokens

LOOK = called(("toolu_1", "weather", {"city": "Graz"}), text="Let me look.", usage=tokens(30, 7))
SUN = Reply("It is sunny.", usage=tokens(40, 5))


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()


async def run(*replies, prepare=lambda process: None, made=None):
    """Run a program once while it is recorded; give the process, its result and what was recorded."""
    with serving(*(replies or (LOOK, SUN))) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await (made or program(weather)).start()
        prepare(process)
        result = await process.run("Weather in Graz?")
        await process.aclose()
    delivery.drain(5)
    return process, result, recorded


# Callbacks of the process itself -----------------------------------------------------------------------------------


class Everything:
    """A callback with every method as LLMProc 0.9.5 calls them."""

    def __init__(self):
        self.heard = []

    def tool_start(self, tool_name, args):
        self.heard.append(("tool_start", tool_name, args))

    def tool_end(self, tool_name, result):
        self.heard.append(("tool_end", tool_name, str(result.content)))

    def response(self, content):
        self.heard.append(("response", content))

    def api_request(self, api_request):
        self.heard.append(("api_request", sorted(api_request)))

    def api_response(self, response):
        self.heard.append(("api_response", response.stop_reason))

    def turn_start(self, process, run_result):
        self.heard.append(("turn_start", type(process).__name__, run_result.api_calls))

    def turn_end(self, process, response, tool_results):
        self.heard.append(("turn_end", response.stop_reason, [each["content"] for each in tool_results]))

    def stderr_write(self, message):
        self.heard.append(("stderr_write", message))


WRITE = called(("toolu_1", "write_stderr", {"message": "hm"}), ("toolu_2", "weather", {"city": "nowhere"}))


async def add_callbacks(*, recorded):
    """What callbacks of a process hear: a function, an object, one that fails, an async one."""
    function, everything, later = [], Everything(), []

    def fail(event, *args):
        raise RuntimeError(event)

    async def asynchronous(event, *args, **kwargs):
        await asyncio.sleep(0)
        later.append(event)

    with serving(WRITE, LOOK, SUN) as server, asking(server):
        with recording(instrument=("llmproc",) if recorded else ()):
            process = await program(weather, "write_stderr").start()
            assert process.add_callback(lambda event, *args: function.append((event, len(args)))) is process
            for each in (everything, fail, asynchronous):
                process.add_callback(each)
            await process.run("Weather?")
            while len(later) < len(function):  # noqa: ASYNC110 - LLMProc itself awaits them nowhere
                await asyncio.sleep(0)
    return function, everything.heard, sorted(each.value for each in later), len(process.callbacks), process.stderr_log


async def test_callbacks_of_a_process_hear_the_same_with_and_without_us():
    without = await add_callbacks(recorded=False)
    assert await add_callbacks(recorded=True) == without
    assert [event for event, _ in without[0]][:4] == [
        CallbackEvent.TURN_START, CallbackEvent.API_REQUEST, CallbackEvent.API_RESPONSE, CallbackEvent.TOOL_START,
    ]  # fmt: skip


async def test_in_a_callback_of_a_process_the_current_span_is_that_of_what_it_hears():

    seen = []

    def callback(event, *args):
        seen.append((event.value, trace.get_current_span().name))

    await run(prepare=lambda process: process.add_callback(callback))
    chat = f"chat {MODEL}"
    one = [("turn_start", "turn"), ("api_request", chat), ("api_response", chat), ("response", "turn")]
    tool = [("tool_start", "turn"), ("tool_end", "turn")]
    assert seen == [*one, *tool, ("turn_end", "turn"), *one, ("turn_end", "turn")]


# LLMProc's documents, subscribed through lmspan --------------------------------------------------------------------


async def test_the_function_of_the_document_hears_everything_in_llmprocs_order():
    heard = []

    def my_callback(event, *args, **kwargs):
        heard.append((event, *args))

    lmspan.subscribe(my_callback)
    process, result, _ = await run()
    names = [event.value for event, *_ in heard]
    assert names == [
        "turn_start", "api_request", "api_response", "response", "tool_start", "tool_end", "turn_end",
        "turn_start", "api_request", "api_response", "response", "turn_end",
    ]  # fmt: skip
    assert heard[0][1] is process
    assert heard[1][1] == {**result.api_call_infos[0]["request"]}
    assert heard[2][1] is result.api_call_infos[0]["response"]
    assert heard[3][1] == "Let me look."
    assert heard[4][1:] == ("weather", {"city": "Graz"})
    assert heard[5][1] == "weather"
    assert heard[5][2].content == "sun in Graz"
    assert heard[6][1:3] == (process, result.api_call_infos[0]["response"])
    assert [each["tool_use_id"] for each in heard[6][3]] == ["toolu_1"]


async def test_the_classes_of_the_document_that_print_and_measure(capsys):
    class MyCallbacks:
        def tool_start(self, tool_name, tool_args):
            print(f"Tool started: {tool_name}")

        def tool_end(self, tool_name, result):
            print(f"Tool completed: {tool_name}")

        def response(self, text):
            print(f"Response: {text[:30]}...")

    class TimingCallback:
        def __init__(self):
            self.tools = {}
            self.current_tools = {}

        def tool_start(self, tool_name, tool_args):
            if tool_name not in self.tools:
                self.tools[tool_name] = {"calls": 0, "total_time": 0}
            self.tools[tool_name]["calls"] += 1
            self.current_tools[tool_name] = time.time()

        def tool_end(self, tool_name, result):
            if tool_name in self.current_tools:
                elapsed = time.time() - self.current_tools[tool_name]
                self.tools[tool_name]["total_time"] += elapsed
                del self.current_tools[tool_name]

    timing = TimingCallback()
    for each in (MyCallbacks(), timing):
        lmspan.subscribe(each)
    await run()
    assert capsys.readouterr().out == (
        "Response: Let me look....\nTool started: weather\nTool completed: weather\nResponse: It is sunny....\n"
    )
    assert timing.tools["weather"]["calls"] == 1
    assert timing.current_tools == {}


async def test_the_logger_of_the_document():
    class APILogger:
        def __init__(self):
            self.calls = []

        def api_request(self, payload):
            self.calls.append({"request": payload})

        def api_response(self, response):
            if self.calls:
                self.calls[-1]["response"] = response

    logger = APILogger()
    lmspan.subscribe(logger)
    _, result, _ = await run()
    assert [call["request"] for call in logger.calls] == [each["request"] for each in result.api_call_infos]
    assert [call["response"] for call in logger.calls] == [each["response"] for each in result.api_call_infos]


async def test_the_async_callbacks_of_the_document_are_done_when_the_run_is():
    heard = []

    class MixedCallbacks:
        def tool_start(self, tool_name, tool_args):
            heard.append("sync start")

        async def response(self, text):
            await asyncio.sleep(0.01)
            heard.append(text)

    lmspan.subscribe(MixedCallbacks())
    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)):
        await (await program(weather).start()).run("Weather?")
        assert sorted(heard) == ["It is sunny.", "Let me look.", "sync start"]


@pytest.mark.parametrize("capture", ["none", "span"])
async def test_stderr_writes_are_heard_of_the_process_that_writes(capture):
    heard = []

    class Listening:
        def stderr_write(self, text, process):
            heard.append((text, process))

    with serving(called(("toolu_1", "write_stderr", {"message": "hm"})), SUN) as server, asking(server):
        with recording(instrument=("llmproc",), capture_content=capture), lmspan.subscribe(Listening()):
            made = program("write_stderr")
            process = await made.start()
            await made.start()  # LLMProc now announces what the first writes on this one
            await process.run("Write!")
    assert heard == [("hm", process)]


async def test_the_dict_of_the_first_releases_hears_one_run():
    active = []
    callbacks = {
        "on_tool_start": lambda tool_name, args: active.append(tool_name),
        "on_tool_end": lambda tool_name, result: active.remove(tool_name),
        "on_response": lambda content: active.append(content),
    }
    with lmspan.subscribed(callbacks):
        await run()
    await run()
    assert active == ["Let me look.", "It is sunny."]


async def test_a_plugin_of_llmproc_1_is_accepted():
    heard = []

    class Plugin:
        async def tool_start(self, tool_name, tool_args, process):
            heard.append(("start", tool_name, tool_args, process.display_name))

        def tool_end(self, tool_name, result, process):
            heard.append(("end", tool_name, result.content, process.display_name))

        def turn_end(self, response, tool_results, process):
            heard.append(("turn", response.stop_reason, len(tool_results), process.display_name))

        def api_request(self, api_request, process):
            heard.append(("request", api_request["model"], process.display_name))

    lmspan.subscribe(Plugin())
    await run()
    assert sorted(heard) == [
        ("end", "weather", "sun in Graz", "helper"),
        ("request", MODEL, "helper"),
        ("request", MODEL, "helper"),
        ("start", "weather", {"city": "Graz"}, "helper"),
        ("turn", "end_turn", 0, "helper"),
        ("turn", "tool_use", 1, "helper"),
    ]


async def test_a_plugin_of_llmproc_1_that_waits_for_the_end_of_runs():
    ended = []

    class Plugin:
        def run_end(self, run_result, process):
            ended.append((run_result.api_calls, run_result.total_tool_calls, process.display_name))

    lmspan.subscribe(Plugin())
    await run()
    assert ended == [(2, 1, "helper")]


# One process only --------------------------------------------------------------------------------------------------


def listener(heard):
    return {"on_tool_start": lambda tool_name, args: heard.append(args["city"])}


async def test_a_callback_of_one_process_hears_that_process_only():
    heard = []

    def look(city):
        return called(("toolu_1", "weather", {"city": city}))

    with serving(look("Graz"), SUN, look("Linz"), SUN) as server, asking(server), recording(instrument=("llmproc",)):
        made = program(weather)
        mine, other = await made.start(), await made.start()
        lmspan.subscribe(listener(heard), scope=mine)
        await mine.run("Graz?")
        await other.run("Linz?")
    assert heard == ["Graz"]


async def test_what_a_process_forks_or_spawns_is_heard_with_it():
    heard = []
    spawn = called(("toolu_1", "spawn", {"prompt": "Look", "program_name": "scout"}))
    made = program("spawn", weather, linked_programs={"scout": program(weather, display_name="scout")})
    with serving(spawn, LOOK, SUN, SUN, LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)):
        parent = await made.start()
        lmspan.subscribe(listener(heard), scope=parent)
        await parent.run("Look!")
        assert heard == ["Graz"]
        child = await parent._fork_process()
        await child.run("Look again!")
    assert heard == ["Graz", "Graz"]


# Other systems' callbacks, and the result --------------------------------------------------------------------------


async def test_callbacks_of_dspy_hear_a_run():
    heard = []

    class Listening:
        def on_lm_start(self, call_id, instance, inputs):
            heard.append(("lm start", inputs["messages"][0]["role"]))

        def on_lm_end(self, call_id, outputs, exception):
            heard.append(("lm end", outputs[0] if type(outputs[0]) is str else outputs[0]["text"], exception))

        def on_tool_start(self, call_id, instance, inputs):
            heard.append(("tool start", inputs))

        def on_tool_end(self, call_id, outputs, exception):
            heard.append(("tool end", outputs.content, exception))

    lmspan.subscribe(Listening())
    await run()
    assert heard == [
        ("lm start", "user"),
        ("lm end", "Let me look.", None),
        ("tool start", {"kwargs": {"city": "Graz"}}),
        ("tool end", "sun in Graz", None),
        ("lm start", "user"),
        ("lm end", "It is sunny.", None),
    ]


async def test_callbacks_of_logillm_hear_a_run():

    heard = []

    class Listening(AbstractCallback):
        async def on_module_start(self, event):
            heard.append(("module start", type(event.module).__name__, event.inputs["user_input"]))

        async def on_module_end(self, event):
            heard.append(("module end", event.success, event.outputs.stop_reason))

        async def on_provider_response(self, event):
            usage = event.usage
            heard.append((usage.tokens.input_tokens, usage.tokens.output_tokens, usage.provider, usage.cost))

    lmspan.subscribe(Listening())
    _, result, _ = await run()
    costs = [(30 * 3 + 7 * 15) / 1e6, (40 * 3 + 5 * 15) / 1e6]
    assert heard == [
        ("module start", "LLMProcess", "Weather in Graz?"),
        (30, 7, "anthropic", pytest.approx(costs[0])),
        (40, 5, "anthropic", pytest.approx(costs[1])),
        ("module end", True, "end_turn"),
    ]
    assert result.usd_cost == pytest.approx(sum(costs))


async def test_callbacks_of_dsrs_hear_a_run():

    collecting = CollectingCallback()
    lmspan.subscribe(collecting)
    await run()
    kinds = [type(event).__name__ for event in collecting.events()]
    assert kinds == ["ModuleStart", "LmStart", "LmEnd", "LmStart", "LmEnd", "ModuleEnd", "TraceComplete"]


async def test_our_result_of_a_run_equals_llmprocs():
    with serving(LOOK, WRITE, SUN) as server, asking(server), recording(instrument=("llmproc",)):
        process = await program(weather, "write_stderr").start()
        with lmspan.run() as ours:
            theirs = await process.run("Weather?")
    assert ours.api_calls == theirs.api_calls == 3
    assert [each["tool_name"] for each in ours.tool_calls] == [each["tool_name"] for each in theirs.tool_calls]
    assert ours.usd_cost == pytest.approx(theirs.usd_cost)
    assert (ours.input_tokens, ours.output_tokens) == (theirs.input_tokens, theirs.output_tokens)
    assert (ours.cached_tokens, ours.cache_write_tokens) == (theirs.cached_tokens, theirs.cache_write_tokens)
    assert ours.stop_reason == theirs.stop_reason == "end_turn"
    for our, their in zip(ours.api_call_infos, theirs.api_call_infos, strict=True):
        assert (our["model"], our["id"], our["stop_reason"]) == (their["model"], their["id"], their["stop_reason"])
        assert our["usage"]["input_tokens"] == their["usage"].input_tokens
    assert ours.start_time <= ours.end_time
    assert theirs.duration_ms >= 0


async def test_the_run_result_of_turn_start_is_ours_with_what_was_spent_so_far():
    spent = []

    def turn_start(process, run_result):
        spent.append((run_result.api_calls, run_result.usd_cost))

    lmspan.subscribe({"turn_start": turn_start})
    await run()
    assert spent == [(0, 0), (1, pytest.approx((30 * 3 + 7 * 15) / 1e6))]


async def test_the_script_of_the_run_result_document(capsys):
    """Its callbacks are given to the run, which here is lmspan's: LLMProc 0.9.5's own takes none any more."""
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
        "on_response": lambda content: print(f"Response: {content[:50]}..."),
    }
    with serving(LOOK, SUN) as server, asking(server), recording(instrument=("llmproc",)):
        process = await program(weather).start()
        with lmspan.run(callbacks=[callbacks]) as run_result:
            await process.run("Use available tools.")
        print(f"Response: {process.get_last_message()}")
        print(f"API calls: {run_result.api_calls}")
        for i, api_info in enumerate(run_result.api_call_infos):
            print(f"API call {i + 1}:")
            if "model" in api_info:
                print(f"  Model: {api_info['model']}")
            if "usage" in api_info:
                print(f"  Usage: {api_info['usage']['output_tokens']}")
    assert run_result.duration_ms >= 0
    assert capsys.readouterr().out.splitlines() == [
        "Response: Let me look....",
        "Running tool: weather (1 active tools)",
        "Completed tool: weather (0 active tools)",
        "Response: It is sunny....",
        "Response: It is sunny.",
        "API calls: 2",
        "API call 1:",
        f"  Model: {MODEL}",
        "  Usage: 7",
        "API call 2:",
        f"  Model: {MODEL}",
        "  Usage: 5",
    ]


async def test_turn_start_of_the_old_style_and_of_the_new():
    heard = []

    def old_turn_start(process):
        heard.append(type(process).__name__)

    def new_turn_start(process, run_result=None):
        heard.append(f"cost so far: ${run_result.usd_cost if run_result else 0:.4f}")

    lmspan.subscribe({"turn_start": old_turn_start})
    lmspan.subscribe({"turn_start": new_turn_start})
    await run(SUN)
    assert heard == ["LLMProcess", "cost so far: $0.0000"]
