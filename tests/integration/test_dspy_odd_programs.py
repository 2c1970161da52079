"""What programs do that ours must not change, and must not stumble over."""

from __future__ import annotations

import copy
import enum
import json
import pickle
import threading
import time
from typing import Any

import dspy
import numpy as np
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult

import lmspan
from lmspan import guard
from lmspan.instrumentation.dspy import embeddings
from lmspan.testing import recording
from support.programs import fields, model, serving
from support.scenarios.agents import step
from support.scenarios.core import YES, examples

ToolCall = dspy.ToolCalls.ToolCall


def search(q: str) -> str:
    """Find something."""
    return "found " + q


class Own(ToolCall):  # type: ignore[misc, valid-type]
    def execute(self, functions: Any = None) -> Any:
        return super().execute(functions)


def vectors(texts: list[str]) -> Any:
    return np.array([[len(each), 1.0] for each in texts])


def nothing_current() -> bool:
    return not trace.get_current_span().get_span_context().is_valid


@pytest.fixture(autouse=True)
def _no_failures() -> Any:
    guard.failures.clear()
    yield
    assert dict(guard.failures) == {}


@pytest.mark.parametrize("kind", [ToolCall, Own])
@pytest.mark.parametrize("given", [(), (None,)])
def test_a_tool_call_finds_its_function_where_it_is_executed(kind: Any, given: tuple[Any, ...]) -> None:
    with recording() as recorded:
        assert kind(name="search", args={"q": "x"}).execute(*given) == "found x"
    assert recorded.tree() == "execute_tool search"


def test_methods_are_copied_and_pickled_as_ever() -> None:
    client = dspy.ColBERTv2(url="http://localhost:1")
    with recording():
        copied = copy.deepcopy(client.__call__)
        assert copied.__self__ is not client
        assert copied.__self__.url == client.url
        assert pickle.loads(pickle.dumps(client.__call__)).__self__.url == client.url  # noqa: S301 - our own
        assert pickle.loads(pickle.dumps(dspy.LM.__call__)).__wrapped__ is dspy.LM.__call__.__wrapped__  # noqa: S301
        assert copy.copy(client.__call__).__self__ is client
        agent = dspy.ReAct("question -> answer", tools=[dspy.Tool(client.__call__, name="s")])
        assert agent.deepcopy().tools["s"] is not agent.tools["s"]


def test_what_a_retriever_gives_is_not_used_up() -> None:
    class Lazy(dspy.Embeddings):  # type: ignore[misc]
        def forward(self, query: str) -> Any:
            found = super().forward(query).passages
            return dspy.Prediction(passages=(each for each in found))

    searcher = Lazy(["a", "bb"], dspy.Embedder(vectors), k=2)
    with recording():
        assert sorted(searcher("q").passages) == ["a", "bb"]


def test_a_module_may_keep_the_name_of_a_model() -> None:
    class Named(dspy.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.lm = "openai/a-model"

        def forward(self, question: str, lm: str) -> Any:
            return dspy.Prediction(answer=question + lm)

    with recording() as recorded:
        Named()(question="hello", lm="mine")
    assert json.loads(recorded.one("module Named").attributes["lmspan.module.inputs"]) == {
        "question": "hello",
        "lm": "mine",
    }


def test_a_metric_of_no_module_is_a_metric() -> None:
    made: dict[str, Any] = {"__name__": None}
    exec("def metric(example, prediction, trace=None): return 1.0", made)  # noqa: S102
    with serving(fields(answer="yes")) as server, dspy.context(lm=model(server)), recording() as recorded:
        predict = dspy.Predict("question -> answer")
        dspy.Evaluate(devset=examples(1), metric=made["metric"], num_threads=1)(predict)
        dspy.BootstrapFewShot(metric=made["metric"], max_bootstrapped_demos=1).compile(predict, trainset=examples(1))
        assert nothing_current()
    assert [each.name for each in recorded.roots()] == ["evaluate metric", "optimize BootstrapFewShot"]


def test_a_thread_leaves_a_call_that_was_ended_for_it() -> None:
    entered, closed, left = threading.Event(), threading.Event(), []

    def slow(city: str) -> str:
        """Wait."""
        entered.set()
        closed.wait(10)
        return city

    def work(lm: Any) -> None:
        with dspy.context(lm=lm):
            dspy.ReAct("question -> answer", tools=[slow])(question="why?")
        left.append(nothing_current())

    with serving(step("slow", city="a"), step("finish"), YES) as server:
        with recording():
            thread = threading.Thread(target=work, args=(model(server),))
            thread.start()
            assert entered.wait(10)
        closed.set()
        thread.join(10)
    assert left == [True]


def test_searches_that_nobody_samples_are_forgotten() -> None:
    searcher = dspy.Embeddings(["a", "bb"], dspy.Embedder(vectors), k=1)
    asked = [f"question {number}" for number in range(5)]
    with recording(sampler=ALWAYS_OFF):
        for each in asked:
            searcher(each)
        assert embeddings._searches == {}


def test_what_an_evaluation_is_told_is_content() -> None:
    def evaluate() -> str:
        with recording(capture_content=mode) as recorded:
            dspy.Evaluate(devset=examples(1), metric=lambda *_: 1.0, num_threads=1)(
                lambda question: dspy.Prediction(answer=question), callback_metadata={"note": "PRIVATE"}
            )
        return str([dict(each.attributes) for each in recorded.spans])

    mode: Any = "none"
    assert "PRIVATE" not in evaluate()
    mode = "span"
    assert "PRIVATE" in evaluate()


class Tenant(dspy.Module):  # type: ignore[misc]
    def forward(self, question: str) -> Any:
        context.attach(baggage.set_baggage("tenant", question))
        return dspy.Prediction(answer="y")


def test_baggage_that_a_program_leaves_behind_stays_without_our_span() -> None:
    before = context.get_current()
    try:
        with recording() as recorded:
            for each in "123":
                Tenant()(question=each)
                assert baggage.get_baggage("tenant") == each
                assert nothing_current()
        assert recorded.tree().splitlines() == ["module Tenant"] * 3
    finally:
        context.attach(before)


def test_baggage_that_a_program_leaves_behind_keeps_the_callers_span() -> None:
    with recording() as recorded, lmspan.operation("module", "outer"):
        outer = trace.get_current_span()
        Tenant()(question="1")
        assert trace.get_current_span() is outer
        assert baggage.get_baggage("tenant") == "1"
        context.attach(baggage.remove_baggage("tenant"))
    assert recorded.tree().splitlines() == ["module outer", "  module Tenant"]
    assert nothing_current()


def test_a_grade_is_a_number() -> None:
    class Grade(enum.IntEnum):
        GOOD = 1

    with recording() as recorded:
        dspy.Evaluate(devset=examples(1), metric=lambda *_: Grade.GOOD, num_threads=1)(
            lambda question: dspy.Prediction(answer=question)
        )
    scores = [each.attributes.get("lmspan.evaluation.score") for each in recorded.spans]
    assert scores == [1.0, 1.0]


program_tracer = TracerProvider().get_tracer("program")


class Phases(dspy.ReAct):  # type: ignore[misc]
    """A loop of its own, the second half of it inside a span of the program."""

    def forward(self, question: str) -> Any:
        turn = {"question": question, "trajectory": ""}
        self.react(**turn)
        self.tools["search"](q="a")
        with program_tracer.start_as_current_span("phase two"):
            self.react(**turn)
            self.tools["search"](q="b")
            self.react(**turn)
            self.tools["search"](q="c")
        return self.extract(**turn)


def test_turns_go_on_inside_a_span_of_the_program() -> None:
    with serving(*[step("search", q="x")] * 3, YES) as server, dspy.context(lm=model(server)):
        with recording() as recorded:
            Phases("question -> answer", tools=[search])(question="?")
    phases = ["    format ChatAdapter", "    chat gpt-4o-mini", "    parse ChatAdapter"]
    turn = ["  turn", "    module react", *[f"  {each}" for each in phases], "    execute_tool search"]
    assert recorded.tree().splitlines() == [
        "invoke_agent Phases",
        *turn * 3,
        "  module extract",
        "    module extract.predict",
        *[f"  {each}" for each in phases],
    ]


class NoModules(Sampler):
    """Drops the spans of modules, and only these."""

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any, **kwargs: Any) -> Any:
        dropped = name.startswith("module")
        return SamplingResult(Decision.DROP if dropped else Decision.RECORD_AND_SAMPLE)

    def get_description(self) -> str:
        return "no modules"


def test_turns_are_told_though_modules_are_not_sampled() -> None:
    with serving(step("search", q="x"), step("search", q="y"), step("finish"), YES) as server:
        with dspy.context(lm=model(server)), recording(sampler=NoModules()) as recorded:
            dspy.ReAct("question -> answer", tools=[search])(question="?")
    assert [each.name for each in recorded.spans if each.name == "turn"] == ["turn"] * 3


@pytest.mark.parametrize("shared", [False, True], ids=["own embedders", "one embedder"])
def test_two_searches_for_the_same_string_have_an_embedding_each(shared: bool) -> None:
    both = threading.Barrier(2)

    class Together(dspy.Embeddings):  # type: ignore[misc]
        def forward(self, query: str) -> Any:
            both.wait(10)
            return super().forward(query)

    embedder = dspy.Embedder(vectors)
    searchers = [Together(["a", "bb"], embedder if shared else dspy.Embedder(vectors), k=1) for _ in range(2)]
    query = "one object"
    with recording() as recorded:
        threads = [threading.Thread(target=searcher, args=(query,)) for searcher in searchers]
        for each in threads:
            each.start()
        for each in threads:
            each.join(10)
    trees = recorded.tree().splitlines()
    # a search with a shared embedder may have ended before the other embeds the string that both look for
    assert sorted(trees) == sorted(["retrieval Together", "  embeddings vectors"] * 2)
    assert shared or trees == ["retrieval Together", "  embeddings vectors"] * 2
    assert embeddings._searches == {}


@pytest.mark.parametrize("shared", [False, True], ids=["own embedders", "one embedder"])
def test_a_search_that_waits_for_its_embedding_gets_it_after_an_equal_one_has_ended(shared: bool) -> None:
    first_has_ended = threading.Event()

    class Last(dspy.Embeddings):  # type: ignore[misc]
        def _batch_forward(self, queries: list[str]) -> Any:
            assert first_has_ended.wait(10)
            return super()._batch_forward(queries)

    class First(dspy.Embeddings):  # type: ignore[misc]
        def __call__(self, query: str) -> Any:
            try:
                return super().__call__(query)
            finally:
                first_has_ended.set()

    embedder = dspy.Embedder(vectors)
    last = Last(["a", "bb"], embedder if shared else dspy.Embedder(vectors), k=1)
    first = First(["a", "bb"], embedder if shared else dspy.Embedder(vectors), k=1)
    query = "one object"
    with recording() as recorded:
        waiting = threading.Thread(target=last, args=(query,))
        waiting.start()
        while not embeddings._searches:
            time.sleep(0.001)
        first(query)
        waiting.join(10)
    lines = recorded.tree().splitlines()
    if shared:  # the first embedding of the string belongs to the search that has waited longest
        assert lines == ["retrieval Last", "  embeddings vectors", "  embeddings vectors", "retrieval First"]
    else:
        assert lines == ["retrieval Last", "  embeddings vectors", "retrieval First", "  embeddings vectors"]


def test_a_function_of_a_tool_call_may_call_a_tool_of_its_name() -> None:
    inner = dspy.Tool(search, name="search")

    def outer(q: str) -> str:
        return str(inner(q=q))

    call = ToolCall(name="search", args={"q": "x"})
    with recording() as recorded:
        assert call.execute({"search": outer}) == "found x"
        assert call.execute({"search": inner}) == "found x"
    assert recorded.tree().splitlines() == ["execute_tool search", "  execute_tool search", "execute_tool search"]


def results(recorded: Any, name: str) -> list[dict[str, Any]]:
    """The results of examples that are told on spans of this name, without what is the same for all."""
    told = [
        dict(event.attributes or {})
        for span in recorded.named(name)
        for event in span.events
        if event.name == "gen_ai.evaluation.result" and event.attributes.get("lmspan.evaluation.scope") == "example"
    ]
    return [{key.rpartition("evaluation.")[2]: each[key] for key in sorted(each)} for each in told]


def test_a_module_that_judges_is_not_the_program() -> None:
    judge = dspy.Predict("question -> answer")

    def metric(example: Any, prediction: Any, trace: Any = None) -> float:
        judge(question=example.question)
        return 0.5

    with serving(fields(answer="yes")) as server, dspy.context(lm=model(server)), recording() as recorded:
        dspy.Evaluate(devset=examples(1), metric=metric, num_threads=1)(lambda question: "an answer")
    assert results(recorded, "module Predict") == []
    assert [each["score.value"] for each in results(recorded, "example")] == [0.5]


def test_each_failure_of_one_example_that_stands_in_the_data_twice_is_counted() -> None:
    def broken(question: str) -> str:
        raise ValueError(question)

    evaluate = dspy.Evaluate(devset=examples(1) * 3, metric=lambda *_: 1.0, num_threads=2, max_errors=9)
    with recording() as recorded:
        evaluate(broken)
    facts = recorded.attributes("evaluate <lambda>")
    assert (facts["lmspan.evaluation.example_count"], facts["lmspan.evaluation.failure_count"]) == (3, 3)
    assert sorted(each.attributes["lmspan.evaluation.example.index"] for each in recorded.named("example")) == [0, 1, 2]


def test_data_that_is_made_as_it_is_read_is_read_as_often_as_ever() -> None:
    class Lazy:
        def __init__(self) -> None:
            self.read = 0

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Any:
            self.read += 1
            return iter(examples(2))

    def evaluate(data: Lazy) -> float:
        program = dspy.Predict("question -> answer")
        return float(dspy.Evaluate(devset=data, metric=lambda *_: 1.0, num_threads=1)(program).score)

    without, with_us = Lazy(), Lazy()
    with serving(fields(answer="yes")) as server, dspy.context(lm=model(server)):
        assert evaluate(without) == 100.0
        with recording() as recorded:
            assert evaluate(with_us) == 100.0
    assert without.read == with_us.read
    assert len(recorded.named("example")) == 2


def test_a_metric_that_raises_while_demonstrations_are_made_is_told() -> None:
    def metric(example: Any, prediction: Any, trace: Any = None) -> bool:
        raise KeyError("a label")

    with serving(fields(answer="yes")) as server, dspy.context(lm=model(server)), recording() as recorded:
        optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1, max_rounds=1)
        optimizer.compile(dspy.Predict("question -> answer"), trainset=examples(1))
    assert [(each["score.label"], each["error.type"]) for each in results(recorded, "module Predict")] == [
        ("failed", "_OTHER")
    ]
