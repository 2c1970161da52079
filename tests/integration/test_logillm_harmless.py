"""LogiLLM programs run as they do without us: results, callbacks, logs, copies, errors."""

import asyncio
import copy
import gc
import json
import pickle
import random

import pytest
import wrapt
from logillm.core.callbacks import AbstractCallback, CallbackManager
from logillm.core.jsonl_callback import JSONLCallback
from logillm.core.modules import BaseModule, Module
from logillm.core.predict import Predict
from logillm.core.refine import Refine
from logillm.core.retry import Retry
from logillm.core.tools import Tool
from logillm.core.types import CacheLevel, Prediction
from logillm.evaluate.evaluator import Evaluate
from logillm.exceptions import ModuleError
from logillm.providers import register_provider
from logillm.providers.mock import MockProvider

from lmspan import guard, instrumentation
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.logillm_programs import (
    ANSWER,
    FINISH,
    MIXED,
    OPTIMIZERS,
    WEATHER,
    avatar,
    mock,
    openai,
    optimize,
    predict,
    react,
    serving,
)
from support.processes import run_python

PREDICT = "module Predict\n  format ChatAdapter\n  chat mock-model\n  parse ChatAdapter"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def _nobody_listens(recwarn):
    manager = CallbackManager()
    manager.clear()
    random.seed(0)
    guard.failures.clear()
    yield
    manager.clear()
    assert guard.failures.total() == 0


def right(outputs, expected):
    return float(outputs == expected)


async def _streamed(provider):
    return [text async for text in provider.stream(HELLO)]


def _over_http(use, *replies, **settings):
    with serving(*replies) as server:
        found = asyncio.run(use(openai(server, **settings)))
        return found, [exchange.request for exchange in server.exchanges]


async def _twice(provider):
    program = predict(provider)
    return [(await program(question="?")).outputs for _ in range(2)]


async def _error(awaitable):
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001
        return type(error), str(error), type(error.__cause__)


async def _refined():
    register_provider(mock('{"discussion": "d", "advice": {"Predict": "be right"}}'), set_default=True)
    program = Refine(predict(mock("yes")), 2, lambda inputs, prediction: 0.5, 0.9)
    return (await program(question="?")).outputs, len(program.history.attempts)


async def _retried():
    program = Retry(predict(mock("no")), max_retries=1, base_delay=0, retry_condition=lambda prediction: True)
    found = await program(question="?")
    return found.outputs, found.success, found.error, program.history.total_attempts


async def _evaluated(threads):
    found = await Evaluate(MIXED, right, num_threads=threads)(predict(mock("yes")))
    return found.score, found.scores, found.predictions, found.successes, found.failures, found.errors


async def _agent(program):
    found = await program(question="?")
    return found.outputs, found.metadata.get("trajectory"), found.metadata.get("actions")


def _optimized(name):
    random.seed(0)
    found = optimize(name)
    module = getattr(found, "optimized_module", found)
    score = getattr(found, "best_score", None)
    timed = name in ("MultiObjectiveOptimizer", "FormatOptimizer")  # their scores are of time
    return type(found), type(module), None if timed else score, getattr(found, "iterations", None)


PROGRAMS = {
    "predict": lambda: _over_http(lambda provider: predict(provider)(question="?"), Reply("yes"))[1],
    "retries": lambda: _over_http(_twice, Reply(status=500), Reply("a"), Reply("b"), max_retries=2),
    "cache": lambda: _over_http(_twice, Reply("a"), Reply("b"), cache_level=CacheLevel.MEMORY),
    "failure": lambda: asyncio.run(_error(predict(mock(error_rate=1.0, max_retries=1))(question="?"))),
    "stream": lambda: _over_http(_streamed, Reply("a b c")),
    "mock stream": lambda: asyncio.run(_streamed(mock("a b c"))),
    "garbage": lambda: asyncio.run(predict(mock("garbage"), adapter="json")(question="?")).outputs,
    "batch": lambda: [each.outputs for each in asyncio.run(predict(mock("a")).batch_process([{"question": "?"}] * 3))],
    "sync": lambda: predict(mock("yes")).call_sync(question="?").outputs,
    "react": lambda: asyncio.run(_agent(react(mock(WEATHER, FINISH, ANSWER)))),
    "avatar": lambda: asyncio.run(_agent(avatar(mock("weather(Graz)", "Finish(sun)")))),
    "refine": lambda: asyncio.run(_refined()),
    "retry": lambda: asyncio.run(_retried()),
    "evaluate": lambda: asyncio.run(_evaluated(1)),
    "evaluate in parallel": lambda: asyncio.run(_evaluated(3)),
    **{name: (lambda name=name: _optimized(name)) for name in OPTIMIZERS},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_the_same_with_and_without_us(name):
    bare = PROGRAMS[name]()
    with recording() as recorded:
        found = PROGRAMS[name]()
    assert found == bare
    assert recorded.spans


class Everything(AbstractCallback):
    """Notes what LogiLLM tells it."""

    def __init__(self):
        self.heard = []

    def __deepcopy__(self, memo):
        return self  # LogiLLM's optimizers copy whatever is registered


def _noting(name):
    def hook(self, event):
        fields = {key: value for key, value in vars(event).items() if key not in ("context", "timestamp", "duration")}
        told = {key: type(value).__name__ if hasattr(value, "__dict__") else value for key, value in fields.items()}
        self.heard.append((name, event.context.parent_call_id is None, sorted(told.items(), key=str)))

    return hook


for _name in [name for name in dir(AbstractCallback) if name.startswith("on_")]:
    setattr(Everything, _name, _noting(_name))


@pytest.mark.parametrize("name", ["react", "failure", "refine", "GridSearchOptimizer", "BootstrapFewShot"])
def test_logillms_own_callbacks_hear_the_same(name):
    heard = []
    for _ in range(2):
        callback = Everything()
        CallbackManager().clear()
        CallbackManager().register(callback)
        if heard:
            with recording():
                PROGRAMS[name]()
        else:
            PROGRAMS[name]()
        heard.append(callback.heard)
    assert len(heard[0]) > 1
    assert heard[0] == heard[1]


def test_the_jsonl_log_is_the_same(tmp_path):
    logs = []
    for number in range(2):
        path = tmp_path / f"{number}.jsonl"
        CallbackManager().clear()
        CallbackManager().register(JSONLCallback(str(path), include_provider_events=True))
        if number:
            with recording():
                PROGRAMS["react"]()
        else:
            PROGRAMS["react"]()
        logs.append([json.loads(line) for line in path.read_text().splitlines()])
    assert len(logs[0]) == len(logs[1]) > 6
    assert [set(line) for line in logs[0]] == [set(line) for line in logs[1]]
    assert [line["event_type"] for line in logs[0]] == [line["event_type"] for line in logs[1]]


@pytest.mark.parametrize(("value", "heard"), [("1", 4), ("0", 0), ("true", 0)])
def test_the_environment_silences_logillms_callbacks_and_not_us(value, heard, monkeypatch):
    monkeypatch.setenv("LOGILLM_CALLBACKS_ENABLED", value)
    callback = Everything()
    CallbackManager().register(callback)
    with recording() as recorded:
        asyncio.run(predict(mock("yes"))(question="?"))
    assert (len(callback.heard), len(recorded.spans)) == (heard, 4)


def test_disable_silences_logillms_callbacks_and_not_us():
    callback = Everything()
    CallbackManager().register(callback)
    CallbackManager().disable()
    try:
        with recording() as recorded:
            asyncio.run(predict(mock("yes"))(question="?"))
    finally:
        CallbackManager().enable()
    assert (callback.heard, len(recorded.spans)) == ([], 4)


def test_copies_and_pickles_of_what_is_recorded():
    with recording() as recorded:
        program = predict(mock("yes"))
        copied, dumped = copy.deepcopy(program), program.deepcopy()
        method = copy.deepcopy(Predict.__call__), pickle.loads(pickle.dumps(Tool.acall))  # noqa: S301
        for each in (program, copied, dumped):
            assert asyncio.run(each(question="?")).outputs == {"answer": "yes"}
        assert asyncio.run(copy.deepcopy(program.__call__)(question="?")).outputs == {"answer": "yes"}
    assert len(recorded.named("module Predict")) == 4
    assert all(callable(each) for each in method)
    assert vars(copied).keys() == vars(program).keys()


def _methods():
    owners = (Module, Predict, MockProvider, MockProvider.__mro__[1], Tool, Evaluate)
    return {(owner, name): value for owner in owners for name, value in vars(owner).items()}


def test_leaving_puts_everything_back_and_twice_is_once():
    before = _methods()
    with recording() as recorded:
        with recording():
            pass
        instrumentation.load("logillm").instrument()
        asyncio.run(predict(mock("yes"))(question="?"))
    assert len(recorded.spans) == 4
    after = {key: value for key, value in _methods().items() if key[1] != "__init_subclass__"}
    assert after == {key: value for key, value in before.items() if key[1] != "__init_subclass__"}
    asyncio.run(predict(mock("yes"))(question="?"))
    assert len(recorded.spans) == 4


def test_a_class_made_while_recording_is_recorded_and_one_made_after_is_left_alone():
    def made():
        class Mine(MockProvider):
            async def complete(self, messages, **kwargs):
                return await super().complete(messages, **kwargs)

        return Mine

    with recording() as recorded:
        asyncio.run(made()(response_text="yes").complete(HELLO))
    assert [span.name for span in recorded.spans] == ["chat mock-model"]
    assert not isinstance(vars(made())["complete"], wrapt.FunctionWrapper)


def test_a_method_that_is_written_otherwise_than_the_librarys_works():
    class Mine(MockProvider):
        def complete(self, messages, **kwargs):
            return super().complete(messages, **kwargs)

    class Bare(MockProvider):
        def complete(self, messages, **kwargs):
            return "at once"

    with recording() as recorded:
        assert asyncio.run(Mine(response_text="yes").complete(HELLO)).text == "yes"
        assert Bare().complete(HELLO) == "at once"
    recorded.assert_tree("chat mock-model")
    recorded.assert_conventions()


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    __str__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = __repr__


def test_hostile_values_pass_and_are_named():
    class Passing(BaseModule):
        async def forward(self, **inputs):
            return Prediction(outputs=inputs)

    hostile = Hostile()
    with recording() as recorded:
        found = asyncio.run(Passing()(value=hostile))
        Tool(lambda value: "taken", name="take")(value=hostile)
    assert found.outputs["value"] is hostile
    described = '{"value":"<test_logillm_harmless.Hostile>"}'
    assert recorded.attributes("module Passing")["lmspan.module.inputs"] == described
    assert recorded.attributes("execute_tool take")["gen_ai.tool.call.arguments"] == described
    recorded.assert_conventions()


def test_a_provider_that_gives_a_hostile_answer():
    hostile = Hostile()

    class Odd(MockProvider):
        async def complete(self, messages, **kwargs):
            return hostile

    async def same():  # inside of the loop: asyncio itself asks a task's result for its class
        return await Odd().complete(hostile, tools=hostile, temperature=hostile) is hostile

    with recording() as recorded:
        assert asyncio.run(same())
    recorded.assert_tree("chat mock-model")
    recorded.assert_conventions()


def test_the_users_exception_passes_as_the_same_object_and_without_our_frames():
    class Mine(BaseException):
        pass

    raised = Mine("stop")

    class Raising(BaseModule):
        async def forward(self, **inputs):
            raise raised

    with recording() as recorded:
        with pytest.raises(Mine) as caught:
            asyncio.run(Raising()(question="?"))
    assert caught.value is raised
    frames = [entry.frame.f_globals.get("__name__", "") for entry in caught.traceback]
    assert not [name for name in frames if name.startswith("lmspan.")]
    recorded.assert_tree("module Raising !")


def test_results_are_not_kept_alive():
    with recording():
        asyncio.run(predict(mock("yes"))(question="?"))
        gc.collect()
        kept = [each for each in gc.get_objects() if type(each) is Prediction]
    assert kept == []


def test_an_attribute_of_a_program_that_raises_is_not_asked_for():
    class Odd(BaseModule):
        @property
        def inner(self):
            raise RuntimeError("not for you")

        async def forward(self, **inputs):
            return Prediction(outputs={"answer": "yes"})

    with recording() as recorded:
        asyncio.run(Odd()(question="?"))
    recorded.assert_tree("module Odd")


def test_a_program_runs_before_and_after_and_import_order_does_not_matter():
    code = """
        import asyncio, sys
        from lmspan.testing import recording
        assert "logillm" not in sys.modules
        with recording() as recorded:
            assert "logillm" not in sys.modules
            from logillm.core.predict import Predict
            from logillm.providers.mock import MockProvider
            asyncio.run(Predict("question -> answer", provider=MockProvider(response_text="yes"))(question="?"))
        print(recorded.tree())
    """
    done = run_python(code)
    assert done.stdout.splitlines() == [
        "module Predict",
        "  format ChatAdapter",
        "  chat mock-model",
        "  parse ChatAdapter",
    ]


def test_the_documents_complete_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    class ExecutionMonitor(AbstractCallback):
        def __init__(self):
            self.call_count = 0
            self.total_duration = 0

        async def on_module_end(self, event):
            self.call_count += 1
            self.total_duration += event.duration or 0

        def get_stats(self):
            calls = self.call_count
            return {"calls": calls, "avg_time": self.total_duration / calls if calls > 0 else 0}

    async def main():
        manager = CallbackManager()
        manager.register(JSONLCallback("execution.jsonl"))
        monitor = ExecutionMonitor()
        manager.register(monitor)
        register_provider(MockProvider(response_text="AI is artificial intelligence"), set_default=True)
        module = Predict("question -> answer")
        for question in ("What is AI?", "What is ML?", "What is DL?"):
            result = await module(question=question)
            print(f"A: {result.outputs['answer']}")
        return monitor.get_stats()

    with recording() as recorded:
        stats = asyncio.run(main())
    assert stats["calls"] == 3 and stats["avg_time"] > 0
    assert capsys.readouterr().out == "A: AI is artificial intelligence\n" * 3
    assert len((tmp_path / "execution.jsonl").read_text().splitlines()) == 6
    assert recorded.tree() == "\n".join(
        ["module Predict\n  format ChatAdapter\n  chat mock-model\n  parse ChatAdapter"] * 3
    )


def test_a_module_error_keeps_its_cause():
    failing = predict(mock(error_rate=1.0, max_retries=1))
    with recording(), pytest.raises(ModuleError) as caught:
        asyncio.run(failing(question="?"))
    chain, error = [], caught.value
    while error is not None:
        chain.append(type(error).__name__)
        error = error.__cause__
    assert chain == ["ModuleError", "ModuleError", "ProviderError", "Exception"]
