"""The start hooks of DSPy's callbacks: `instance` and `inputs` are those that DSPy passes in the same run."""

import asyncio
import contextlib
from types import SimpleNamespace

import dspy
import pytest
from dspy.utils.callback import BaseCallback

import lmspan
from lmspan import semconv as sc
from lmspan.testing import recording
from support.programs import model, serving
from support.scenarios.agents import step, weather
from support.scenarios.core import NATIVE, YES, examples, metric

QUESTION = [{"role": "user", "content": "?"}]
SIGNATURE = dspy.Signature("question -> answer")


class Starts(BaseCallback):
    """Notes each start hook with its instance and inputs."""

    def __init__(self):
        self.heard = []


def _noting(name):
    def hook(self, call_id, instance, inputs):
        self.heard.append((name, id(instance), inputs))

    return hook


for _name in vars(BaseCallback):
    if _name.startswith("on_") and _name.endswith("_start"):
        setattr(Starts, _name, _noting(_name))


def once(heard):
    """Leave out what DSPy announces once more for a method that it has decorated twice, without the parameters."""
    return [(name, *rest, inputs) for name, *rest, inputs in heard if "adapter" not in name or "args" not in inputs]


class Positional(dspy.Module):
    def forward(self, question, *, hint=None):
        return dspy.Predict("question -> answer")(question=question)

    async def aforward(self, question, *, hint=None):
        return await dspy.Predict("question -> answer").acall(question=question)


class OwnLM(dspy.LM):
    """A model of the program's own, whose method has a further parameter."""

    def __call__(self, prompt=None, messages=None, mood="calm", **kwargs):
        return super().__call__(prompt, messages=messages, **kwargs)


def shell(command: str, args: list[str]) -> str:
    """Run a command."""
    return command


async def slow(city: str) -> str:
    """Look up the weather."""
    return f"rain in {city}"


def own_lm(lm):
    OwnLM(lm.model, **lm.kwargs, cache=False)("?", temperature=0.5)


def two_attempts(_):
    with contextlib.suppress(Exception):
        dspy.Predict("question -> answer: int")(question="?")


def evaluate(*args, **kwargs):
    def run(_):
        program = dspy.Predict("question -> answer")
        settings = {"num_threads": 1, "display_progress": False, "display_table": False}
        evaluation = dspy.Evaluate(devset=examples(1), metric=metric, **settings)
        evaluation(*(program if each is ... else each for each in args), **kwargs)

    return run


def retrieve(*args, **kwargs):
    def run(_):
        with dspy.context(rm=lambda query, k, **_: [SimpleNamespace(long_text="cats purr")] * k):
            dspy.Retrieve(k=1)(*args, **kwargs)

    return run


def adapt(adapter, *args, **kwargs):
    def run(_):
        adapter.format(*args, **kwargs)

    return run


def parse(adapter, text):
    def run(_):
        adapter.parse(SIGNATURE, text)
        adapter.parse(signature=SIGNATURE, completion=text)

    return run


def predict(adapter):
    def run(_):
        with dspy.context(adapter=adapter), contextlib.suppress(Exception):
            dspy.Predict("question -> answer")(question="?")

    return run


def bootstrap(**kwargs):
    def run(_):
        dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1, max_labeled_demos=1).compile(
            dspy.Predict("question -> answer"), **kwargs
        )

    return run


def interpret(_):
    interpreters = pytest.importorskip("dspy.primitives.local_interpreter", reason="DSPy 3.3 has no LocalInterpreter")
    interpreter = interpreters.LocalInterpreter(tools={"double": lambda x: 2 * x})
    interpreter.start()
    interpreter.execute("print(double(x=7))")
    interpreter.execute("print(double(n))", {"n": 8})  # the tool's arguments: by name above, by position here
    interpreter.execute(code="print(n)", variables={"n": 9})
    interpreter.shutdown()


def typesafe(_):
    kind = pytest.importorskip("dspy.clients.typesafe", reason="DSPy 3.3 has no TypeSafe").TypeSafe
    with contextlib.suppress(Exception):
        kind("typesafe/one")("a state", questions={"q": "?"})


CALLS = {
    "module: keywords": lambda _: dspy.Predict("question -> answer")(question="?"),
    "module: a field named args": lambda _: dspy.Predict("args -> answer")(args=("a", "b")),
    "module: positional": lambda _: Positional()("?", hint="sea"),
    "module: async": lambda _: asyncio.run(Positional().acall("?")),
    "module: an agent": lambda _: dspy.ReAct("question -> answer", tools=[weather])(question="?"),
    "module: a retriever, positional": retrieve("cats"),
    "module: a retriever, keywords": retrieve(query="cats", k=2, by="name"),
    "lm: a prompt": lambda lm: lm("?"),
    "lm: a prompt by name": lambda lm: lm(prompt="?", temperature=0.2),
    "lm: messages": lambda lm: lm(messages=QUESTION, max_tokens=9),
    "lm: async": lambda lm: asyncio.run(lm.acall("?", n=1)),
    "lm: a class of the program's own": own_lm,
    "lm: TypeSafe": typesafe,
    "tool: keywords": lambda _: dspy.Tool(weather)(city="Graz"),
    "tool: a parameter named args": lambda _: dspy.Tool(shell)(command="ls", args=["-l"]),
    "tool: async": lambda _: asyncio.run(dspy.Tool(slow).acall(city="Graz")),
    "adapter: of a predictor": predict(dspy.ChatAdapter()),
    "adapter: JSON": predict(dspy.JSONAdapter()),
    "adapter: XML": predict(dspy.XMLAdapter()),
    "adapter: a second attempt": two_attempts,
    "adapter: format, positional": adapt(dspy.ChatAdapter(), SIGNATURE, [], {"question": "?"}),
    "adapter: format, keywords": adapt(dspy.JSONAdapter(), signature=SIGNATURE, demos=[], inputs={"question": "?"}),
    "adapter: parse": parse(dspy.ChatAdapter(), "[[ ## answer ## ]]\nyes"),
    "adapter: parse JSON": parse(dspy.JSONAdapter(), '{"answer": "yes"}'),
    "evaluate: the program alone": evaluate(...),
    "evaluate: positional": evaluate(..., metric, examples(2), 1),
    "evaluate: keywords": evaluate(..., devset=examples(1), num_threads=1, callback_metadata={"at": "end"}),
    "evaluate: the instance's own values": evaluate(..., display_progress=False, display_table=False, num_threads=1),
    "compile: its defaults": bootstrap(trainset=examples(1)),
    "compile: keywords": bootstrap(trainset=examples(1), teacher=dspy.Predict("question -> answer")),
    "compile: one that evaluates": lambda _: dspy.LabeledFewShot(k=1).compile(
        student=dspy.Predict("question -> answer"), trainset=examples(2), sample=False
    ),
    "interpreter": interpret,
}


@pytest.mark.skipif(not NATIVE, reason="DSPy 3.3 announces neither optimizers nor interpreters")
@pytest.mark.parametrize("name", CALLS)
def test_start_hooks_get_the_instance_and_the_inputs_that_dspy_passes(name):
    dspys, ours = Starts(), Starts()
    script = (step("weather", city="Graz"), step("finish"), YES) if name == "module: an agent" else (YES,)
    with serving(*script) as server, recording(), dspy.context(lm=model(server), callbacks=[dspys]):
        with lmspan.subscribe(ours) as subscription:
            CALLS[name](dspy.settings.lm)
        assert subscription.failures == 0
    assert ours.heard == once(dspys.heard)
    assert name.partition(":")[0] in {hook.split("_")[1] for hook, *_ in ours.heard}


@pytest.mark.skipif(not NATIVE, reason="DSPy 3.3 has no LocalInterpreter")
def test_a_tool_of_an_interpreter_has_its_arguments_by_name_and_by_position():
    heard = []

    class Tools:
        def tool_start(self, tool_name, args):
            heard.append((tool_name, args))

    with recording() as recorded, lmspan.subscribe(Tools()):
        interpret(None)
    assert heard == [("double", {"x": 7}), ("double", {"args": (8,)})]
    captured = [span.attributes[sc.TOOL_CALL_ARGUMENTS] for span in recorded.named("execute_tool double")]
    assert captured == ['{"x":7}', '{"args":[8]}']


def test_what_an_evaluation_leaves_to_its_instance_is_in_the_inputs_of_other_systems():
    heard = []

    class Evaluations:
        def on_evaluation_start(self, event):
            heard.append((event.module, event.dataset))

    program, devset = dspy.Predict("question -> answer"), examples(1)
    with serving(YES) as server, recording(), dspy.context(lm=model(server)), lmspan.subscribe(Evaluations()):
        dspy.Evaluate(devset=devset, metric=metric, num_threads=1)(program)
    assert heard == [(program, devset)]
