"""The values that hooks of each system receive, from programs of each library."""

import asyncio
import contextlib
import json
from types import SimpleNamespace

import dspy
import pytest
from llmproc.callbacks import CallbackEvent as Theirs
from logillm.core.types import Prediction

import lmspan
from lmspan.callbacks import dspy_ex
from lmspan.callbacks.dsrs import DspyCallback
from lmspan.callbacks.llmproc import CallbackEvent, LLMProgram
from lmspan.callbacks.logillm import (
    AbstractCallback,
    CallbackContext,
    CallbackContextManager,
    CallbackManager,
    JSONLCallback,
    get_current_call_id,
)
from lmspan.testing import recording
from support import every_library
from support.llmproc import asking, program
from support.llmproc import weather as look
from support.logillm_programs import ANSWER, FINISH, WEATHER, mock, predict, react
from support.logillm_programs import optimize as optimize_logillm
from support.programs import model, serving
from support.scenarios import ALL, execute
from support.scenarios.agents import step, weather
from support.scenarios.core import YES
from support.wires import Reply, called, tokens
from support.wires import serving as serving_wires


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    CallbackManager().clear()
    lmspan.unsubscribe_all()


def dspy_agent():
    script = (step("weather", city="Graz"), step("finish"), YES)
    with serving(*script) as server, recording(), dspy.context(lm=model(server, temperature=0.3, max_tokens=99)):
        dspy.ReAct("question -> answer", tools=[weather])(question="?")


def logillm_agent():
    with recording():
        asyncio.run(react(mock(WEATHER, FINISH, ANSWER))(question="?"))


def llmproc_agent():
    async def run():
        process = await program(look).start()
        await process.run("?")
        await process.aclose()

    script = called(("toolu_1", "weather", {"city": "Graz"}), usage=tokens(30, 10)), YES
    with serving_wires(*script) as server, asking(server), recording(instrument=("llmproc",)):
        asyncio.run(run())


AGENTS = pytest.mark.parametrize("agent", [dspy_agent, logillm_agent, llmproc_agent])


class Noting:
    """Collects what a callback notes."""

    def __init__(self):
        self.heard = []


# LogiLLM ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [
    lambda: asyncio.run(predict(mock())(question="?")),
    lambda: dspy.Predict("question -> answer")(question="?"),
], ids=["logillm", "dspy"])  # fmt: skip
def test_the_outputs_of_a_module_are_its_outputs_by_name(run):
    heard = []

    class Outputs(AbstractCallback):
        async def on_module_end(self, event):
            heard.append((json.dumps(event.outputs), type(event.prediction).__name__, event.success))

    with serving(YES) as server, recording(), dspy.context(lm=model(server)), lmspan.subscribed(Outputs()):
        run()
    assert [(sorted(json.loads(outputs)), kind, success) for outputs, kind, success in heard] == [
        (["answer"], "Prediction", True)
    ]


def test_the_end_of_a_module_has_the_success_of_its_prediction():
    heard = []
    listening = type("Ends", (AbstractCallback,), {"on_module_end": lambda self, event: heard.append(event.success)})()

    async def unsure(*_, **__):
        return Prediction(outputs={}, success=False)

    module = predict(mock())
    module.forward = unsure
    with recording(), lmspan.subscribed(listening):
        asyncio.run(module(question="?"))
        with lmspan.operation("module", "m"):
            pass
    assert heard == [False, True]


class Attempts(AbstractCallback):
    def __init__(self):
        self.heard = []

    def on_provider_request(self, event):
        self.heard.append("request")

    def on_provider_response(self, event):
        self.heard.append("response")

    def on_provider_error(self, event):
        self.heard.append(str(event.error)[:10])

    def on_error(self, event):
        self.heard.append((type(event.module).__name__, event.stage))


def test_each_failed_attempt_of_a_provider_is_heard():
    callback, failures = Attempts(), []
    provider = mock(max_retries=3)
    original = provider._complete_impl

    async def failing_twice(*args, **kwargs):
        if len(failures) < 2:
            failures.append(1)
            raise RuntimeError(f"attempt {len(failures)}")
        return await original(*args, **kwargs)

    provider._complete_impl = failing_twice
    provider._retry_delay = 0
    with recording(), lmspan.subscribed(callback):
        asyncio.run(provider.complete_with_retry([{"role": "user", "content": "?"}]))
    assert callback.heard == ["request", "attempt 1", "request", "attempt 2", "request", "response"]


def test_a_failure_is_one_of_the_provider_and_of_each_module():
    callback = Attempts()
    with recording(), lmspan.subscribed(callback), contextlib.suppress(Exception):
        asyncio.run(predict(mock(error_rate=1.0, max_retries=1))(question="?"))
    assert callback.heard[0] == "request"
    assert callback.heard[-1] == ("Predict", "forward")
    assert len(callback.heard) == 3


def test_parameters_of_a_dspy_model_and_the_configuration_of_optimizers():
    heard = []

    class Settings(AbstractCallback):
        def on_provider_request(self, event):
            heard.append({name: event.parameters.get(name) for name in ("temperature", "max_tokens", "api_key")})

        def on_optimization_start(self, event):
            heard.append(event.config)

    with lmspan.subscribed(Settings()):
        dspy_agent()
        assert heard[0] == {"temperature": 0.3, "max_tokens": 99, "api_key": None}
        heard.clear()
        with recording():
            execute(next(each for each in ALL if each.name == "COPRO"))
        config = next(each for each in heard if "breadth" in each)
        assert not any(name.startswith("lmspan.") for name in config)
        with recording():
            optimize_logillm("GridSearchOptimizer")
    assert any("strategy" in each for each in heard)


def test_jsonl_makes_its_folder_and_writes_strings_whole(tmp_path):
    path = tmp_path / "logs" / "run" / "x.jsonl"
    long = "x" * 300_000
    CallbackManager().register(JSONLCallback(path, include_provider_events=True))
    with recording():
        asyncio.run(predict(mock(long))(question="?"))
    start, request, response, end = map(json.loads, path.read_text().splitlines())
    assert list(start) == ["event_type", "timestamp", "call_id", "parent_call_id", "module_name", "inputs"]
    assert (request["provider_name"], request["model"], request["message_count"]) == ("mock", "mock-model", 1)
    assert response["response_text"] == long
    assert response["usage"] == {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "cost": None}
    assert end["outputs"] == {"answer": long}
    assert end["usage"]["tokens"] == {"input": 10, "output": 5, "total": 15}


def test_the_current_call_id_is_that_of_the_innermost_call_or_of_a_context():
    assert get_current_call_id() is None
    with recording(instrument=()), lmspan.operation("module", "m") as call:
        assert get_current_call_id() == call.call_id
        with CallbackContextManager(CallbackContext("mine")) as context:
            assert get_current_call_id() == context.call_id == "mine"
        assert get_current_call_id() == call.call_id
    assert get_current_call_id() is None


# LLMProc ---------------------------------------------------------------------------------------------------------


@AGENTS
def test_responses_and_turns_are_heard_of_every_agent(agent):
    class Turns(Noting):
        def response(self, text):
            self.heard.append(("response", type(text).__name__))

        def turn_end(self, process, response_obj, tool_results):
            contents = [each["content"] for each in tool_results]
            self.heard.append(("turn_end", response_obj is not None, str(contents[0]) if contents else None))

        def api_response(self, response):
            self.response_obj = response

    callback = Turns()
    with lmspan.subscribed(callback):
        agent()
    turns = [each for each in callback.heard if each[0] == "turn_end"]
    assert ("response", "str") in callback.heard
    assert len(turns) == 2
    assert all(has_response for _, has_response, _ in turns)
    assert "sun in Graz" in turns[0][2]


@pytest.mark.parametrize("library", every_library.AGENTS)
def test_a_turn_that_an_error_ends_has_no_end_as_llmproc_has_none(library):
    heard = []
    callback = {"turn_start": lambda: heard.append("start"), "turn_end": lambda: heard.append("end")}
    with lmspan.subscribed(callback), contextlib.suppress(Exception):
        every_library.AGENTS[library](fails=True)
    assert heard == ["start"]


def test_the_savings_of_prompt_caches_are_those_that_llmproc_reports():
    heard = []

    async def run():
        process = await program().start()
        with lmspan.subscribe({"run_end": lambda run_result: heard.append(run_result)}):
            result = await process.run("?")
        await process.aclose()
        return result

    reply = Reply("sun", usage=tokens(130, 5, cache_read=100))
    with serving_wires(reply) as server, asking(server), recording(instrument=("llmproc",)):
        theirs = asyncio.run(run())
    assert [each.cache_savings for each in heard] == [theirs.cache_savings] == [90.0]


def test_a_failing_tool_is_a_result_of_its_turn():
    heard = []

    @lmspan.tool
    def broken():
        raise LookupError("no")

    with (
        recording(instrument=()),
        lmspan.subscribed({"turn_end": lambda process, response, tool_results: heard.append(tool_results)}),
    ):
        with lmspan.operation("agent", "a"), lmspan.operation("turn", ""), contextlib.suppress(LookupError):
            broken()
    ((result,),) = heard
    assert (result["tool_name"], result["is_error"], str(result["content"])) == ("broken", True, "no")


def test_our_events_and_those_of_llmproc_are_equal():
    assert list(CallbackEvent) == list(Theirs)
    assert {each: each.value for each in Theirs} == {each: each.value for each in CallbackEvent}
    assert str(CallbackEvent.TOOL_START) == str(Theirs.TOOL_START)
    assert CallbackEvent.TOOL_START != Theirs.TOOL_END
    assert CallbackEvent.TOOL_START != "tool_start"


@AGENTS
def test_the_result_of_a_run_has_the_last_message_and_the_arguments_of_tools(agent):
    results = []
    with lmspan.subscribed({"turn_start": lambda process, run_result: results.append(run_result)}):
        agent()
    result = results[-1]
    assert result.tool_calls[0]["args"] == {"city": "Graz"}
    assert result.last_message != ""
    assert result.cache_savings == 0.9 * result.cached_tokens
    assert result.total_interactions == result.api_calls + result.total_tool_calls


# dsrs, DSPy, dspy.ex ---------------------------------------------------------------------------------------------


def test_the_usage_of_inner_modules_is_that_of_the_models_below_them():
    class Usage(DspyCallback, Noting):
        def on_module_end(self, call_id, result):
            self.heard.append(result.ok().lm_usage.total_tokens)

    class Models(DspyCallback, Noting):
        def on_lm_end(self, call_id, result, usage):
            self.heard.append(usage.total_tokens)

    usage, models = Usage(), Models()
    Noting.__init__(usage)
    Noting.__init__(models)
    with lmspan.subscribed(usage), lmspan.subscribed(models):
        dspy_agent()
    first, second, last = models.heard
    assert min(models.heard) > 0
    assert usage.heard == [first, second, last, last, sum(models.heard)]


def test_the_tokens_of_a_prompt_of_blocks_are_estimated():
    callback = type("Prompt", (DspyCallback, Noting), {"on_lm_start": lambda self, _, __, n: self.heard.append(n)})()
    blocks = [{"type": "text", "text": "x" * 80}, {"type": "image"}, {"type": "text", "text": "y" * 40}]
    inputs = {"system": "z" * 40, "messages": [{"role": "user", "content": blocks}]}
    with recording(instrument=()), lmspan.subscribed(callback), lmspan.operation("lm", "m", inputs=inputs):
        pass
    assert callback.heard == [40]


def test_every_number_of_a_candidate_is_a_metric():
    heard = []
    callback = type("C", (DspyCallback,), {"on_optimizer_candidate": lambda self, *given: heard.append(given)})()
    with recording(instrument=()), lmspan.subscribed(callback), lmspan.operation("optimize", "o"):
        lmspan.add_event(
            lmspan.Event.OPTIMIZER_CANDIDATE, {"candidate_id": "k", "score": 0.5, "accuracy": 0.25, "index": 3}
        )
    assert heard == [("k", {"score": 0.5, "accuracy": 0.25})]


@pytest.mark.parametrize("agent", [dspy_agent, logillm_agent])
def test_every_phase_of_an_adapter_has_the_adapter(agent):
    heard = []

    def noting(phase):
        return lambda self, meta, payload, state: heard.append((phase, meta["adapter"]))

    names = [f"on_adapter_{phase}_{end}" for phase in ("format", "call", "parse") for end in ("start", "end")]
    handler = type("Handler", (), {name: noting(name) for name in names})()
    with lmspan.subscribed((handler, None)):
        agent()
    assert {adapter for _, adapter in heard} != {None}
    assert [each for each in heard if each[1] is None] == []


def test_a_tool_has_a_name_and_its_failure_a_kind_and_a_message():
    heard = []

    class Handler:
        def on_tool_start(self, call_id, tool, inputs, state):
            heard.append((tool, tool.name))

        def on_tool_end(self, call_id, tool, outputs, error, state):
            heard.append((error.kind, error["message"], type(error.exception).__name__))

    dspy_ex.configure(callbacks=[(Handler(), None)])
    with recording(instrument=()), contextlib.suppress(ValueError), lmspan.operation("tool", "t"):
        raise ValueError("bad")
    dspy_ex.configure(callbacks=None)
    assert heard == [("t", "t"), ("exception", "bad", "ValueError")]


def test_the_instance_of_a_tool_of_llmproc_has_its_name():
    heard = []
    callback = SimpleNamespace(on_tool_start=lambda call_id, instance, inputs: heard.append(instance.name))
    with lmspan.subscribed(callback):
        llmproc_agent()
    assert heard == ["weather"]


def test_a_callback_of_a_program_is_heard_from_the_copy_that_an_optimizer_returns():
    heard = []
    program = dspy.Predict("question -> answer")
    handler = {"on_adapter_call_start": lambda meta, payload, state: heard.append(payload["request"]["model"])}
    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        dspy_ex.attach(program, callbacks=[(handler, None)])
        optimized = dspy.LabeledFewShot(k=0).compile(program, trainset=[])
        assert optimized is not program
        optimized(question="?")
        dspy.Predict("question -> answer")(question="?")
    assert heard == ["gpt-4o-mini"]


def test_a_sync_process_of_the_facade_takes_callbacks_for_one_run(tmp_path):
    heard = []
    model_and_parameters = '[model]\nname = "claude-sonnet-4-5"\nprovider = "anthropic"\n[parameters]\nmax_tokens = 9\n'
    (tmp_path / "config.toml").write_text(model_and_parameters)
    with serving_wires(YES) as server, asking(server), recording(instrument=("llmproc",)):
        process = LLMProgram.from_toml(tmp_path / "config.toml").start_sync()
        process.add_callback({"api_request": lambda payload: heard.append("added")})
        process.run("?", callbacks={"on_response": lambda content: heard.append("one run")})
        process.run("?")
        process.close()
    assert heard == ["added", "one run", "added"]
