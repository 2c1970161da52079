"""After a failure, a callback of LogiLLM hears with lmspan the events that LogiLLM sends in the same run."""

import asyncio
import contextlib

import pytest
from logillm.core import callbacks as logillm
from logillm.core.modules import Module
from logillm.core.optimizers import AccuracyMetric, Optimizer
from logillm.core.tools import Tool
from logillm.core.types import OptimizationStrategy
from logillm.evaluate.evaluator import Evaluate

import lmspan
from lmspan.callbacks.logillm import AbstractCallback
from lmspan.testing import recording
from support.logillm_programs import ANSWER, DATA, FINISH, OPTIMIZERS, WEATHER, mock, predict, react

SUBJECT = {
    "provider": "provider",
    "optimization": "optimizer",
    "evaluation": "optimizer",
    "hyperparameter": "optimizer",
}


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    logillm.callback_manager.clear()
    lmspan.unsubscribe_all()


def noting(base):
    """A callback that notes the type of each event, its subject and its success."""
    heard = []

    def handler(kind):
        async def hook(self, event):
            subject = getattr(event, SUBJECT.get(kind.partition("_")[0], "module"))
            heard.append((kind, type(subject).__name__, getattr(event, "success", None)))

        return hook

    hooks = {f"on_{kind.value}": handler(kind.value) for kind in logillm.CallbackType}
    return type("Noting", (base,), hooks)(), heard


def heard_in(run):
    """What a callback hears from LogiLLM, and what the same callback hears from lmspan."""
    theirs, native = noting(logillm.AbstractCallback)
    ours, heard = noting(AbstractCallback)
    logillm.callback_manager.register(theirs)
    with recording(), lmspan.subscribe(ours) as subscription:
        with contextlib.suppress(Exception, KeyboardInterrupt):
            asyncio.run(run())
        assert subscription.failures == 0
    return native, heard


class Outer(Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    async def forward(self, **inputs):
        return await self.inner(**inputs)


class Raising(Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    async def forward(self, **inputs):
        raise self.error


class Endless(Module):
    async def forward(self, **inputs):
        await asyncio.Event().wait()


async def cancelled(program):
    task = asyncio.ensure_future(program)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def failing():
    provider = mock(error_rate=1.0, max_retries=2)
    provider._retry_delay = 0
    return provider


def broken_tool(city: str) -> str:
    raise ValueError(city)


def broken_metric(*_):
    raise ValueError("no score")


class OwnOptimizer(Optimizer):
    """An optimizer of the program's own: it announces its start, and raises."""

    async def optimize(self, module, dataset, validation_set=None, **_):
        context = self._create_context()
        event = logillm.OptimizationStartEvent(context=context, optimizer=self, module=module, dataset=dataset)
        await self._emit_async(event)
        raise ValueError("no")


def optimizer(make):
    async def run():
        await make().optimize(None, DATA[:2], None)

    return run


RUNS = {
    "a model": lambda: predict(failing())(question="?"),
    "a model below two modules": lambda: Outer(predict(failing()))(question="?"),
    "a model of an agent": lambda: react(failing())(question="?"),
    "a provider alone": lambda: failing().complete_with_retry([{"role": "user", "content": "?"}]),
    "a module below two others": lambda: Outer(Outer(Raising(ValueError("no"))))(question="?"),
    "an interrupt": lambda: Outer(Raising(KeyboardInterrupt()))(question="?"),
    "a module that is cancelled": lambda: cancelled(Outer(Endless())(question="?")),
    "a tool of an agent": lambda: react(mock(WEATHER, FINISH, ANSWER), Tool(broken_tool, name="weather"))(question="?"),
    "a parser that a predictor ignores": lambda: predict(mock("no JSON"))(question="?"),
    "an optimizer with demonstrations": optimizer(OPTIMIZERS["LabeledFewShot"][0]),
    "an optimizer of parameters": optimizer(OPTIMIZERS["AdaptiveOptimizer"][0]),
    "an optimizer that announces no end": optimizer(OPTIMIZERS["BootstrapOptimizer"][0]),
    "an optimizer of the program's own": optimizer(
        lambda: OwnOptimizer(OptimizationStrategy.BOOTSTRAP, AccuracyMetric(key="answer"))
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_after_a_failure_the_same_events_come_as_from_logillm(name):
    native, heard = heard_in(RUNS[name])
    assert heard == native
    assert heard


def test_an_evaluation_that_raises_has_no_end():
    _, heard = heard_in(lambda: Evaluate(DATA[:1], broken_metric)(Raising(KeyboardInterrupt())))
    assert [kind for kind, *_ in heard] == ["evaluation_start", "module_start"]


def test_an_evaluation_whose_examples_fail_has_its_end():
    _, heard = heard_in(lambda: Evaluate(DATA[:1], broken_metric)(Raising(ValueError("no"))))
    assert [kind for kind, *_ in heard] == ["evaluation_start", "module_start", "error", "evaluation_end"]


def test_an_optimizer_that_logillm_never_announces_has_an_end_that_says_so():
    native, heard = heard_in(optimizer(OPTIMIZERS["InstructionOptimizer"][0]))
    assert native == []
    assert heard == [
        ("optimization_start", "InstructionOptimizer", None), ("optimization_end", "InstructionOptimizer", False),
    ]  # fmt: skip


def test_the_failures_of_another_library_are_heard_in_the_same_way():
    ours, heard = noting(AbstractCallback)
    with recording(), lmspan.subscribe(ours), contextlib.suppress(ValueError):
        with lmspan.operation("optimize", "o"), lmspan.operation("module", "m"), lmspan.operation("tool", "t"):
            raise ValueError("no")
    assert [(kind, success) for kind, _, success in heard] == [
        ("optimization_start", None), ("module_start", None), ("error", None), ("optimization_end", False),
    ]  # fmt: skip
