"""Callbacks of every system, subscribed with lmspan, hear LogiLLM programs; and stop them."""

import asyncio
import contextlib
import gc

import pytest
from logillm.core.callbacks import AbstractCallback
from logillm.core.refine import Refine
from logillm.core.retry import Retry
from logillm.core.tools import Tool
from logillm.evaluate.evaluator import Evaluate

import lmspan
from lmspan import guard
from lmspan import semconv as sc
from lmspan.callbacks.llmproc import CallbackEvent
from lmspan.testing import recording
from support.logillm_programs import (
    ANSWER,
    DATA,
    FINISH,
    OPTIMIZERS,
    WEATHER,
    avatar,
    mock,
    optimize,
    predict,
    react,
)


@pytest.fixture(autouse=True)
def _nobody_else_listens(recwarn):
    guard.failures.clear()
    yield
    lmspan.unsubscribe_all()
    assert guard.failures.total() == 0


class Everything(AbstractCallback):
    def __init__(self):
        self.heard = []

    def on_module_start(self, event):
        self.heard.append(("module_start", type(event.module).__name__, event.inputs))

    async def on_module_end(self, event):
        outputs = event.prediction.outputs if event.success else None
        self.heard.append(("module_end", type(event.module).__name__, outputs, event.success))

    def on_provider_request(self, event):
        self.heard.append(("provider_request", event.provider.model, event.messages[0]["role"], event.parameters))

    def on_provider_response(self, event):
        tokens = event.usage.tokens
        self.heard.append(("provider_response", event.response.text, tokens.input_tokens, tokens.output_tokens))

    def on_provider_error(self, event):
        self.heard.append(("provider_error", str(event.error)))

    def on_error(self, event):
        self.heard.append(("error", type(event.error).__name__))

    def on_evaluation_start(self, event):
        self.heard.append(("evaluation_start", type(event.optimizer).__name__, len(event.dataset)))

    def on_evaluation_end(self, event):
        self.heard.append(("evaluation_end", type(event.module).__name__, event.score))

    def on_optimization_start(self, event):
        self.heard.append(("optimization_start", type(event.optimizer).__name__, len(event.dataset)))

    def on_optimization_end(self, event):
        self.heard.append(("optimization_end", event.result.best_score, event.success))

    def on_hyperparameter_update(self, event):
        self.heard.append(("hyperparameter_update", type(event.optimizer).__name__, event.parameters))


def heard_of(run):
    callback = Everything()
    with recording(), lmspan.subscribed(callback):
        with contextlib.suppress(Exception):
            run()
    return callback.heard


def test_a_logillm_callback_hears_a_predictor():
    program = predict(mock("yes"), config={"temperature": 0.5})
    messages = {**program.config, "messages": None}
    heard = heard_of(lambda: asyncio.run(program(question="?")))
    request = heard.pop(1)
    assert request[:3] == ("provider_request", "mock-model", "user")
    assert request[3] == {key: value for key, value in messages.items() if key != "messages"}
    assert heard == [
        ("module_start", "Predict", {"question": "?"}),
        ("provider_response", "yes", 10, 5),
        ("module_end", "Predict", {"answer": "yes"}, True),
    ]


def test_a_logillm_callback_hears_an_error_once():
    heard = heard_of(lambda: asyncio.run(predict(mock(error_rate=1.0, max_retries=1))(question="?")))
    names = [name for name, *_ in heard]
    assert names.count("error") == names.count("provider_error") == 1
    assert ("error", "Exception") in heard


def test_hyperparameter_updates_fire_at_last():
    heard = heard_of(lambda: optimize("GridSearchOptimizer"))
    assert [each for each in heard if each[0].startswith(("hyper", "optim"))] == [
        ("optimization_start", "GridSearchOptimizer", 2),
        ("hyperparameter_update", "GridSearchOptimizer", {"temperature": 0.0}),
        ("hyperparameter_update", "GridSearchOptimizer", {"temperature": 1.0}),
        ("optimization_end", 1.0, True),
    ]
    assert [each for each in heard if each[0].startswith("evaluation")] == [
        ("evaluation_start", "GridSearchOptimizer", 2), ("evaluation_end", "Predict", 1.0),
    ] * 3  # fmt: skip


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "AvatarOptimizer"])
def test_optimizers_that_logillm_never_announces_are_announced(name):
    heard = [each for each in heard_of(lambda: optimize(name)) if each[:2] == ("optimization_start", name)]
    assert len(heard) == 1


def test_a_function_in_llmprocs_manner_hears_an_agent():
    heard = []

    def callback(event, *args, **kwargs):
        told = event in (CallbackEvent.TOOL_START, CallbackEvent.TOOL_END)
        heard.append((event.value, *args) if told else event.value)

    with recording(), lmspan.subscribed(callback):
        asyncio.run(react(mock(WEATHER, FINISH, ANSWER))(question="?"))
    asked = ["api_request", "api_response"]
    assert [each for each in heard if each != "response"] == [
        "turn_start", *asked, ("tool_start", "weather", {"city": "Graz"}), ("tool_end", "weather", "sun in Graz"),
        "turn_end", "turn_start", *asked, "turn_end", *asked,
    ]  # fmt: skip


def test_a_callback_in_dspys_manner_hears_modules_models_and_tools():
    heard = []

    class Callback:
        def on_module_start(self, call_id, instance, inputs):
            heard.append(("module", type(instance).__name__))

        def on_lm_end(self, call_id, outputs, exception):
            heard.append(("lm", outputs.text, exception))

        def on_tool_end(self, call_id, outputs, exception):
            heard.append(("tool", outputs, exception))

    with recording(), lmspan.subscribed(Callback()):
        asyncio.run(avatar(mock("weather(Graz)", "Finish(sun)"))(question="?"))
    assert heard == [
        ("module", "Avatar"), ("module", "Predict"), ("lm", "weather(Graz)", None), ("tool", "sun in Graz", None),
        ("module", "Predict"), ("lm", "Finish(sun)", None),
    ]  # fmt: skip


def always(prediction):
    return True


STOPPED = {
    "predict": lambda: asyncio.run(_often(predict(mock("yes")))),
    "sync": lambda: [predict(mock("yes")).call_sync(question="?") for _ in range(9)],
    "react": lambda: asyncio.run(react(mock(WEATHER))(question="?")),
    "avatar": lambda: asyncio.run(avatar(mock("weather(Graz)"), max_iters=9)(question="?")),
    "retry": lambda: asyncio.run(
        Retry(predict(mock("no")), max_retries=9, base_delay=0, retry_condition=always)(question="?")
    ),
    "refine": lambda: asyncio.run(Refine(predict(mock("no")), 9, lambda *_: 0.0, 1.0)(question="?")),
    "batch": lambda: asyncio.run(predict(mock("yes")).batch_process([{"question": "?"}] * 9)),
    "evaluate": lambda: asyncio.run(Evaluate(DATA, lambda *_: 1.0)(predict(mock("yes")))),
    "evaluate in parallel": lambda: asyncio.run(Evaluate(DATA, lambda *_: 1.0, num_threads=3)(predict(mock("yes")))),
    "gather": lambda: asyncio.run(_gathered(predict(mock("yes")))),
    "in a tool": lambda: asyncio.run(react(mock(WEATHER), Tool(_asking, name="weather"))(question="?")),
}


async def _often(program):
    for _ in range(9):
        await program(question="?")


async def _gathered(program):
    return await asyncio.gather(*(program(question="?") for _ in range(9)))


async def _asking(city):
    return (await predict(mock("yes"))(question=city)).outputs["answer"]


@pytest.mark.parametrize("name", STOPPED)
def test_a_budget_stops_a_program_wherever_logillm_catches(name):
    with recording() as recorded, lmspan.subscribed(lmspan.Budget(max_lm_calls=2)), pytest.raises(lmspan.StopRun):
        with lmspan.run("nightly"):
            STOPPED[name]()
    recorded.assert_conventions()
    assert recorded.one("invoke_workflow nightly").attributes[sc.STOP_REASON]
    answered = [span for span in recorded.named("chat mock-model") if sc.USAGE_INPUT_TOKENS in span.attributes]
    if name not in ("batch", "gather", "evaluate in parallel"):  # what runs at once is asked at once
        assert len(answered) == 2


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "BootstrapOptimizer"])
def test_a_budget_stops_every_optimizer(name):
    with recording() as recorded, lmspan.subscribed(lmspan.Budget(max_lm_calls=1)), pytest.raises(lmspan.StopRun):
        optimize(name)
    recorded.assert_conventions()
    assert recorded.one(f"optimize {name}").attributes[sc.STOP_REASON]
    assert len(recorded.roots()) == 1
    gc.collect()  # asyncio logs a second worker's stop, which nobody awaits, when it is collected: here, and not later


def test_a_start_hook_that_raises_stops_the_run():
    class Guard:
        def on_tool_start(self, call_id, instance, inputs):
            raise ValueError("no tools today")

    lmspan.subscribe(Guard(), on_error="stop")
    with recording() as recorded, pytest.raises(lmspan.StopRun) as stopped:
        asyncio.run(react(mock(WEATHER, FINISH, ANSWER))(question="?"))
    assert str(stopped.value.__cause__) == "no tools today"
    recorded.assert_conventions()
    assert recorded.tree().count("!") == 3  # the agent, its turn, the tool
    assert recorded.attributes("invoke_agent ReAct")[sc.STOP_REASON]
