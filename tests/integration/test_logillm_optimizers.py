"""LogiLLM's evaluations and all 19 of its optimizers: one trace each, every candidate, every choice."""

import asyncio
import itertools
import random
import re

import pytest
from logillm.core.optimizers import BootstrapOptimizer, CustomMetric, Optimizer
from logillm.core.types import OptimizationResult
from logillm.evaluate.evaluator import Evaluate
from logillm.exceptions import OptimizationError
from logillm.optimizers import HyperparameterOptimizer
from logillm.optimizers.avatar_optimizer import AvatarOptimizer
from logillm.providers import register_provider

import lmspan
from lmspan import semconv as sc
from lmspan.testing import recording
from support.logillm_programs import DATA, METRIC, MIXED, OPTIMIZERS, avatar, mock, optimize, predict, scored

PREFIX = "lmspan.optimizer.candidate."
PREDICT = """module Predict
                  format ChatAdapter
                  chat mock-model
                  parse ChatAdapter"""


@pytest.fixture(autouse=True)
def _same_choices(recwarn):
    random.seed(0)
    lmspan.guard.failures.clear()


def run(name, **options):
    with recording(**options) as recorded:
        found = optimize(name)
    recorded.assert_conventions()
    return found, recorded


def told(recorded, name, *wanted):
    """The candidate events of an optimizer's span: what is wanted of each, without the long prefix."""
    events = [facts for event, facts in recorded.events(name) if event == sc.EVENT_OPTIMIZER_CANDIDATE]
    return [tuple(facts.get(PREFIX + each) for each in wanted) for facts in events]


def chosen(recorded, name):
    events = [facts for event, facts in recorded.events(name) if event == sc.EVENT_HYPERPARAMETER_UPDATE]
    return [{key.removeprefix(sc.HYPERPARAMETER): value for key, value in facts.items()} for facts in events]


def test_no_optimizer_is_left_out():
    def family(kind):
        return {kind} | {each for below in kind.__subclasses__() for each in family(below)}

    optimizers = {each.__name__ for each in family(Optimizer) if each.__module__.startswith("logillm.")}
    assert optimizers - {"Optimizer", "PromptOptimizer"} | {AvatarOptimizer.__name__} == set(OPTIMIZERS)
    assert len(OPTIMIZERS) == 19


# Numbers of candidates' events; and of LM calls, which are all in the one trace.
EXPECTED = {
    "BootstrapOptimizer": 1, "RandomSearchOptimizer": 2, "HyperparameterOptimizer": 3, "GridSearchOptimizer": 3,
    "AdaptiveOptimizer": 3, "BootstrapFewShot": 2, "COPRO": 2, "SignatureOptimizer": 2, "InstructionOptimizer": 5,
    "KNNFewShot": 3, "LabeledFewShot": 2, "MIPROv2Optimizer": 2, "RandomPromptOptimizer": 2, "HybridOptimizer": 3,
    "ReflectiveEvolutionOptimizer": 2, "MultiObjectiveOptimizer": 3, "FormatOptimizer": 4, "SIMBA": 1,
    "AvatarOptimizer": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_one_trace_with_its_candidates(name):
    found, recorded = run(name)
    assert [span.name for span in recorded.roots()] == [f"optimize {name}"]
    totals = recorded.totals(f"optimize {name}")
    assert totals["nodes"] == len(recorded.spans)
    assert totals["llm_calls"] == sum(span.name.startswith("chat ") for span in recorded.spans) > 0
    assert (totals["orphans"], lmspan.guard.failures.total()) == (0, 0)
    tried = told(recorded, f"optimize {name}", "id", "index", "score", "predictors")
    assert len(tried) == EXPECTED[name] == len(_of(recorded, name))
    assert all(re.fullmatch("[0-9a-f]{16}", identity) for identity, *_ in tried)
    assert all(type(score) is float for *_, score, _ in tried)
    attributes = recorded.one(f"optimize {name}").attributes
    assert attributes[sc.OPTIMIZER_CANDIDATE_COUNT] == len({identity for identity, *_ in tried})
    if isinstance(found, OptimizationResult):
        assert attributes[sc.OPTIMIZER_BEST_SCORE] == pytest.approx(found.best_score)
        assert attributes[sc.OPTIMIZER_ITERATIONS] == found.iterations


def _of(recorded, name):
    """The candidates of an optimizer's own: another that it runs has its own."""
    identity = recorded.one(f"optimize {name}").context.span_id
    return [span for span in recorded.named("candidate") if span.parent.span_id == identity]


CHOOSERS = {
    "HyperparameterOptimizer": 2, "GridSearchOptimizer": 2, "AdaptiveOptimizer": 2, "MIPROv2Optimizer": 2,
    "HybridOptimizer": 2, "MultiObjectiveOptimizer": 1, "FormatOptimizer": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_chooses_is_told_and_is_on_the_candidate(name):
    _, recorded = run(name)
    updates = chosen(recorded, f"optimize {name}")
    assert len(updates) == CHOOSERS.get(name, 0)
    on_candidates = [
        {key.removeprefix(sc.HYPERPARAMETER): value for key, value in each.items() if key.startswith(sc.HYPERPARAMETER)}
        for each in (span.attributes for span in _of(recorded, name))
    ]
    assert [each for each in on_candidates if each] == updates


def test_a_grid_in_full():
    _, recorded = run("GridSearchOptimizer")
    name = "optimize GridSearchOptimizer"
    assert chosen(recorded, name) == [{"temperature": 0.0}, {"temperature": 1.0}]
    assert told(recorded, name, "index", "score", "scope", "accepted", "changed") == [
        (0, 1.0, "full", True, ("self.config",)),
        (1, 1.0, "full", False, ("self.config",)),
        (2, 1.0, "full", False, ()),
    ]
    one = f"""  candidate
            evaluate AccuracyMetric
              example
                {PREDICT}
              example
                {PREDICT}"""
    recorded.assert_tree(f"""
        optimize GridSearchOptimizer
        {one}
        {one}
        {one}
    """)
    attributes = recorded.attributes(name)
    del attributes[sc.CALL_ID]
    assert attributes == {
        sc.SOURCE: "logillm",
        sc.OPTIMIZER_NAME: "GridSearchOptimizer",
        sc.OPTIMIZER_STRATEGY: "hybrid",
        sc.OPTIMIZER_DATASET_SIZE: 2,
        sc.OPTIMIZER_FIRST_SCORE: 1.0,
        sc.OPTIMIZER_BEST_SCORE: 1.0,
        sc.OPTIMIZER_IMPROVEMENT: 0.0,
        sc.OPTIMIZER_CANDIDATE_COUNT: 3,
        sc.OPTIMIZER_EVALUATION_COUNT: 3,
        sc.OPTIMIZER_ITERATIONS: 2,
        sc.OPERATION_INPUTS: '{"program":"Predict","predictors":{"self":{"instructions":"","demos":0}},"trainset":2}',
        sc.OPERATION_OUTPUTS: '{"first_score":1.0,"best_score":1.0,"program":"Predict",'
        '"predictors":{"self":{"instructions":"","demos":0}}}',
    }
    results = [
        event.attributes[sc.EVALUATION_SCORE] for span in recorded.named("module Predict") for event in span.events
    ]
    assert results == [1.0] * 6
    sent = [span.attributes.get(sc.REQUEST_TEMPERATURE) for span in recorded.named("chat mock-model")]
    assert sent == [0.0, 0.0, 1.0, 1.0, None, None]


def test_new_instructions_and_demonstrations_are_what_changed():
    _, recorded = run("RandomPromptOptimizer")
    assert told(recorded, "optimize RandomPromptOptimizer", "changed")[0] == (("self.instructions",),)
    assert all(sc.CANDIDATE_DIFF in span.attributes for span in recorded.named("candidate"))
    _, recorded = run("LabeledFewShot")
    assert told(recorded, "optimize LabeledFewShot", "changed", "demos.counts") == [(("self.demos",), (2,)), ((), (0,))]


@pytest.mark.parametrize(
    ("name", "program", "scores"),
    [("SIMBA", "module Predict", [1.0] * 4), ("AvatarOptimizer", "invoke_agent Avatar", [0.0, 1.0])],
)
def test_examples_that_run_beside_each_other_tell_their_scores(name, program, scores):
    _, recorded = run(name)
    told = [each.attributes[sc.EVALUATION_SCORE] for span in recorded.named(program) for each in span.events]
    assert sorted(told) == scores
    assert sorted(span.attributes[sc.SPAN_SCORE] for span in recorded.named("example")) == scores


def test_several_objectives_are_metrics_of_the_candidate():
    _, recorded = run("MultiObjectiveOptimizer")
    first, *_ = recorded.named("candidate")
    names = {key.removeprefix(sc.CANDIDATE_METRICS) for key in first.attributes if key.startswith(sc.CANDIDATE_METRICS)}
    assert names == {"accuracy", "latency", "cost", "consistency"}
    evaluations = [span.name for span in recorded.spans if span.name.startswith("evaluate ")]
    assert evaluations == ["evaluate AccuracyMetric", "evaluate latency", "evaluate cost", "evaluate consistency"] * 3


def test_an_optimizer_in_an_optimizer_has_candidates_of_its_own():
    _, recorded = run("KNNFewShot")
    inner = recorded.one("optimize BootstrapFewShot")
    assert inner.parent.span_id == recorded.one("optimize KNNFewShot").context.span_id
    assert len(told(recorded, "optimize BootstrapFewShot", "id")) == 2
    assert len(recorded.named("retrieval KNN")) == 4


def test_an_optimizer_that_fails_ends_with_what_it_had():
    with recording() as recorded, pytest.raises(OptimizationError):
        asyncio.run(BootstrapOptimizer(metric=METRIC).optimize(predict(mock("no")), DATA))
    recorded.assert_conventions()
    assert recorded.tree().startswith("optimize BootstrapOptimizer !\n  module Predict\n")
    assert recorded.attributes("optimize BootstrapOptimizer")[sc.ERROR_TYPE] == (
        "logillm.exceptions.base.OptimizationError"
    )


def right(outputs, expected):
    return float(outputs == expected)


def strict(outputs, expected):
    if outputs != expected:
        raise LookupError("not as expected")
    return 1.0


@pytest.mark.parametrize("threads", [1, 2])
async def test_evaluate(threads):
    with recording() as recorded:
        result = await Evaluate(MIXED, right, num_threads=threads)(predict(mock("yes")))
    assert (result.score, result.failures) == (0.5, 0)
    recorded.assert_tree(
        """
        evaluate right
          example
            module Predict
              format ChatAdapter
              chat mock-model
              parse ChatAdapter
          example
            module Predict
              format ChatAdapter
              chat mock-model
              parse ChatAdapter
        """,
        ordered=False,
    )
    recorded.assert_conventions()
    attributes = recorded.attributes("evaluate right")
    del attributes[sc.CALL_ID]
    assert attributes == {
        sc.SOURCE: "logillm",
        sc.SPAN_METRIC: "right",
        sc.EVALUATION_SCOPE: "dataset",
        sc.EVALUATION_EXAMPLE_COUNT: 2,
        sc.EVALUATION_NUM_THREADS: threads,
        sc.EVALUATION_FAILURE_COUNT: 0,
        sc.SPAN_SCORE: 0.5,
        sc.OPERATION_INPUTS: '{"program":"Predict","metric":"right","examples":2}',
        sc.OPERATION_OUTPUTS: '{"score":0.5,"failed":0}',
    }
    results = [dict(span.events[0].attributes) for span in recorded.named("module Predict")]
    assert sorted(results, key=lambda facts: facts[sc.EXAMPLE_INDEX]) == [
        {sc.EVALUATION_NAME: "right", sc.EVALUATION_SCOPE: "example", sc.EXAMPLE_INDEX: 0, sc.EVALUATION_SCORE: 1.0},
        {sc.EVALUATION_NAME: "right", sc.EVALUATION_SCOPE: "example", sc.EXAMPLE_INDEX: 1, sc.EVALUATION_SCORE: 0.0},
    ]


async def test_examples_that_fail_are_told_although_evaluate_swallows_them():
    with recording() as recorded:
        await Evaluate(MIXED, strict)(predict(mock("yes")))
        await Evaluate(MIXED, right)(predict(mock(error_rate=1.0, max_retries=1)))
    recorded.assert_conventions()
    first, second = recorded.named("evaluate strict") + recorded.named("evaluate right")
    assert [span.attributes[sc.EVALUATION_FAILURE_COUNT] for span in (first, second)] == [1, 2]
    labels = [
        (event.attributes.get(sc.EVALUATION_LABEL), event.attributes.get(sc.ERROR_TYPE))
        for span in recorded.named("module Predict")
        for event in span.events
    ]
    assert labels == [(None, None), ("failed", "_OTHER"), ("failed", "Exception"), ("failed", "Exception")]


async def test_an_optimizers_evaluation_tells_each_example_with_its_score():
    metric = CustomMetric(strict)
    optimizer = HyperparameterOptimizer(metric=metric)
    with recording() as recorded:
        score, traces = await optimizer.evaluate(predict(mock("yes")), MIXED)
    assert (score, len(traces)) == (0.5, 2)
    recorded.assert_tree("""
        evaluate strict
          example
            module Predict
              format ChatAdapter
              chat mock-model
              parse ChatAdapter
          example
            module Predict
              format ChatAdapter
              chat mock-model
              parse ChatAdapter
    """)
    recorded.assert_conventions()
    facts = [dict(span.events[0].attributes) for span in recorded.named("module Predict")]
    assert [(each[sc.EVALUATION_SCORE], each.get(sc.EVALUATION_LABEL)) for each in facts] == [
        (1.0, None), (0.0, "failed"),
    ]  # fmt: skip
    assert recorded.attributes("evaluate strict")[sc.EVALUATION_FAILURE_COUNT] == 1


async def test_a_metric_that_asks_a_model_is_under_its_example_beside_the_program():
    judge = predict(mock("good"))

    def judged(outputs, expected):
        return float(judge.call_sync(question=outputs["answer"]).outputs["answer"] == "good")

    with recording() as recorded:
        await HyperparameterOptimizer(metric=CustomMetric(judged)).evaluate(predict(mock("yes")), DATA[:1])
        await Evaluate(DATA[:1], judged)(predict(mock("yes")))
    predictor = """module Predict
              format ChatAdapter
              chat mock-model
              parse ChatAdapter"""
    one = f"""
        evaluate judged
          example
            {predictor}
            {predictor}"""
    recorded.assert_tree(one + one)
    recorded.assert_conventions()


@pytest.mark.parametrize(
    ("name", "sizes", "scopes"),
    [
        ("MIPROv2Optimizer", {"minibatch_size": 1, "num_trials": 3}, ["full", "minibatch", "full"]),
        ("FormatOptimizer", {"max_samples_per_format": 2}, ["minibatch", "full"]),
        ("FormatOptimizer", {"min_samples_per_format": 3, "max_samples_per_format": 3}, ["full"]),
    ],
)
def test_a_candidate_that_is_evaluated_on_a_part_of_the_data_is_of_a_minibatch(name, sizes, scopes):
    optimizer = OPTIMIZERS[name][0]()
    vars(optimizer.config).update(sizes)
    register_provider(mock(), set_default=True)
    with recording() as recorded:
        asyncio.run(optimizer.optimize(predict(mock()), DATA[:3], DATA[:3]))
    recorded.assert_conventions()
    tried = [span.attributes for span in _of(recorded, name)]
    found = [(facts[sc.CANDIDATE_SCOPE], sc.CANDIDATE_ACCEPTED in facts) for facts in tried]
    # how many formats it tries depends on how long they take
    assert [scope for scope, _ in itertools.groupby(found)] == [(scope, scope == "full") for scope in scopes]


def test_the_best_of_an_optimizer_that_minimizes_is_the_lowest():
    register_provider(mock(), set_default=True)
    optimizer = AvatarOptimizer(metric=scored, max_iters=2, num_threads=1, optimize_for="min")
    with recording() as recorded:
        asyncio.run(optimizer.optimize(avatar(mock("Finish(yes)", "Finish(no)")), MIXED))
    scores = [span.attributes[sc.CANDIDATE_SCORE] for span in recorded.named("candidate")]
    facts = recorded.attributes("optimize AvatarOptimizer")
    assert facts[sc.OPTIMIZER_FIRST_SCORE] == scores[0]
    assert facts[sc.OPTIMIZER_BEST_SCORE] == min(scores)
    assert facts[sc.OPTIMIZER_IMPROVEMENT] == scores[0] - min(scores)


@pytest.mark.parametrize("broken", [LookupError, ZeroDivisionError])
def test_an_example_whose_metric_raises_under_simba_has_failed(broken):
    def metric(prediction, expected):
        raise broken("metric")

    register_provider(mock(), set_default=True)
    optimizer = OPTIMIZERS["SIMBA"][0]()
    optimizer.metric = metric
    with recording() as recorded:
        asyncio.run(optimizer.optimize(predict(mock()), DATA[:2], None))
    recorded.assert_conventions()
    results = [dict(event.attributes) for span in recorded.named("module Predict") for event in span.events]
    kind = f"{broken.__module__}.{broken.__qualname__}".removeprefix("builtins.")
    assert results
    assert {(each[sc.EVALUATION_LABEL], each[sc.ERROR_TYPE], each[sc.EVALUATION_SCORE]) for each in results} == {
        ("failed", kind, 0.0)
    }
