"""Evaluations: every example with its result on the program's span, failures that DSPy swallows, the whole score."""

import contextlib

import dspy
import numpy as np
import pytest

from lmspan import semconv as sc
from lmspan.testing import recording
from support.programs import fields, model, serving

ANSWER = fields(answer="yes")
ONE = """
      example
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter"""


def devset(size=3):
    return [dspy.Example(question=f"q{index}", answer="yes").with_inputs("question") for index in range(size)]


def exact(example, prediction, trace=None):
    return example.answer == prediction.answer


def evaluate(metric=exact, script=(ANSWER,), size=3, program=None, **settings):
    with serving(*script) as server, dspy.context(lm=model(server, num_retries=0)):
        asked = {"num_threads": 1, "max_errors": 99, **settings}
        return dspy.Evaluate(devset=devset(size), metric=metric, **asked)(
            program or dspy.Predict("question -> answer"), callback_metadata={"metric_key": "eval_full"}
        )


def results(recorded):
    """The result of each example: (name of its span, facts but for what is always the same)."""
    found = []
    for span in recorded.spans:
        for event in span.events:
            if event.name == sc.EVENT_EVALUATION_RESULT and event.attributes[sc.EVALUATION_SCOPE] == "example":
                facts = dict(event.attributes)
                assert facts.pop(sc.EVALUATION_SCOPE) == "example"
                assert facts.pop(sc.EVALUATION_NAME)
                found.append((span.name, facts))
    return sorted(found, key=lambda each: each[1][sc.EXAMPLE_INDEX])


@pytest.mark.parametrize("score", [np.float32(1), np.float64(1), np.bool_(True), np.int64(1), np.array(1.0)])
def test_a_score_of_any_type_of_number_is_that_number(score):
    with recording() as recorded:
        evaluate(lambda *_: score, size=1)
    assert recorded.attributes("evaluate <lambda>")[sc.SPAN_SCORE] == 1.0
    assert [facts[sc.EVALUATION_SCORE] for _, facts in results(recorded)] == [1.0]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_evaluation_is_one_trace_with_the_programs_under_their_examples(threads):
    with recording() as recorded:
        assert evaluate(num_threads=threads).score == 100.0
    recorded.assert_tree(f"""
    evaluate exact{ONE}{ONE}{ONE}""", ordered=False)  # fmt: skip
    recorded.assert_conventions()
    attributes = recorded.attributes("evaluate exact")
    assert attributes.pop(sc.CALL_ID)
    assert attributes == {
        sc.SOURCE: "dspy",
        sc.SPAN_METRIC: "exact",
        sc.SPAN_SCORE: 1.0,
        sc.EVALUATION_SCOPE: "dataset",
        sc.EVALUATION_EXAMPLE_COUNT: 3,
        sc.EVALUATION_NUM_THREADS: threads,
        sc.EVALUATION_FAILURE_COUNT: 0,
        sc.EVALUATION_METADATA: '{"metric_key":"eval_full"}',
        sc.OPERATION_INPUTS: '{"program":"Predict","metric":"exact","examples":3}',
        sc.OPERATION_OUTPUTS: '{"score":1.0,"failed":0}',
    }
    assert recorded.events("evaluate exact") == [
        (
            "gen_ai.evaluation.result",
            {sc.EVALUATION_NAME: "exact", sc.EVALUATION_SCORE: 1.0, sc.EVALUATION_SCOPE: "dataset"},
        )
    ]
    assert results(recorded) == [
        ("module Predict", {sc.EXAMPLE_INDEX: index, sc.EVALUATION_SCORE: 1.0}) for index in range(3)
    ]
    examples = recorded.named("example")
    assert sorted(span.attributes[sc.EXAMPLE_INDEX] for span in examples) == [0, 1, 2]
    assert '"answer":"yes"' in examples[0].attributes[sc.OPERATION_INPUTS]
    totals = recorded.totals("evaluate exact")
    assert (totals["nodes"], totals["llm_calls"], totals["errors"]) == (16, 3, 0)


def test_the_programs_span_ends_when_the_program_does_not_when_the_metric_has_judged():
    def judged(example, prediction, trace=None):
        return dspy.ChainOfThought("question, answer -> verdict: bool")(question="", answer="").verdict

    script = (ANSWER, fields(reasoning="well", verdict="True"))
    with recording() as recorded:
        evaluate(judged, script, size=1)
    recorded.assert_tree("""
    evaluate judged
      example
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter
        module ChainOfThought
          module predict
            format ChatAdapter
            chat gpt-4o-mini
            parse ChatAdapter
    """)
    recorded.assert_conventions()
    program, judge = recorded.spans[2], recorded.one("module ChainOfThought")
    assert program.end_time < judge.start_time < program.events[0].timestamp
    assert results(recorded) == [("module Predict", {sc.EXAMPLE_INDEX: 0, sc.EVALUATION_SCORE: 1.0})]


def test_a_failing_program_is_seen_as_failed_though_evaluate_goes_on():
    class Program(dspy.Predict):
        def forward(self, **kwargs):
            if kwargs["question"] == "q1":
                raise RuntimeError("no such thing")
            return super().forward(**kwargs)

    with recording() as recorded:
        result = evaluate(program=Program("question -> answer"), failure_score=0.25)
    assert result.score == pytest.approx(75.0)
    first, second, third = results(recorded)
    assert (first[1][sc.EVALUATION_SCORE], third[1][sc.EVALUATION_SCORE]) == (1.0, 1.0)
    name, facts = second
    assert name == "module Program"
    assert facts == {
        sc.EXAMPLE_INDEX: 1,
        sc.EVALUATION_SCORE: 0.25,
        sc.EVALUATION_LABEL: "failed",
        sc.ERROR_TYPE: "RuntimeError",
    }
    assert recorded.attributes("evaluate exact")[sc.EVALUATION_FAILURE_COUNT] == 1
    failed = [span for span in recorded.named("example") if not span.status.is_unset]
    assert [span.attributes[sc.EXAMPLE_INDEX] for span in failed] == [1]
    recorded.assert_conventions()


def test_a_failing_metric_fails_the_example_and_not_the_program():
    def wrong(example, prediction, trace=None):
        raise LookupError("metric")

    with recording() as recorded:
        evaluate(wrong, size=1)
    recorded.assert_tree("""
    evaluate wrong
      example !
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter
    """)
    assert results(recorded) == [
        (
            "module Predict",
            {
                sc.EXAMPLE_INDEX: 0,
                sc.EVALUATION_SCORE: 0.0,
                sc.EVALUATION_LABEL: "failed",
                sc.ERROR_TYPE: "LookupError",
            },
        )
    ]
    assert recorded.attributes("evaluate wrong")[sc.EVALUATION_FAILURE_COUNT] == 1
    recorded.assert_conventions()


def test_an_evaluation_that_gives_up_tells_how_far_it_came():
    def wrong(example, prediction, trace=None):
        raise LookupError("metric")

    with recording() as recorded, pytest.raises(Exception, match="cancelled"):
        evaluate(wrong, max_errors=1)
    assert recorded.attributes("evaluate wrong")[sc.EVALUATION_FAILURE_COUNT] == 1
    recorded.assert_conventions()


class Score(float):
    def __float__(self):
        raise AssertionError("the program's code was run")


@pytest.mark.parametrize(
    ("given", "score", "explanation"),
    [
        (True, 1.0, None),
        (0, 0.0, None),
        (0.5, 0.5, None),
        (Score(0.5), 0.5, None),
        (dspy.Prediction(score=0.75, feedback="nearly"), 0.75, "nearly"),
    ],
)
def test_whatever_a_metric_gives_its_score_is_a_number(given, score, explanation):
    with recording() as recorded:
        evaluate(lambda *_: given, size=1)
    ((_, facts),) = results(recorded)
    assert type(facts[sc.EVALUATION_SCORE]) is float
    assert facts[sc.EVALUATION_SCORE] == score
    assert facts.get(sc.EVALUATION_EXPLANATION) == explanation


@pytest.mark.parametrize("given", [float("nan"), 10**400, None, "good", object()])
def test_what_is_no_score_is_no_score_and_never_an_error_of_ours(given, caplog):
    with recording() as recorded, contextlib.suppress(Exception):  # DSPy itself cannot add up some of them
        evaluate(lambda *_: given, size=1)
    ((_, facts),) = results(recorded)
    assert sc.EVALUATION_SCORE not in facts
    assert not [record for record in caplog.records if record.name == "lmspan"]
    recorded.assert_conventions()


def test_the_same_example_twice_is_two_examples():
    same = devset(1)[0]
    with serving(ANSWER) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.Evaluate(devset=[same, same], metric=exact, num_threads=1)(dspy.Predict("question -> answer"))
    assert [facts[sc.EXAMPLE_INDEX] for _, facts in results(recorded)] == [0, 1]


def test_content_off_tells_scores_but_neither_examples_nor_feedback():
    with recording(capture_content="none") as recorded:
        evaluate(lambda *_: dspy.Prediction(score=1.0, feedback="the secret"), size=1)
    text = str([(span.attributes, [event.attributes for event in span.events]) for span in recorded.spans])
    assert "secret" not in text
    assert "q0" not in text
    assert results(recorded) == [("module Predict", {sc.EXAMPLE_INDEX: 0, sc.EVALUATION_SCORE: 1.0})]


def test_a_program_that_is_a_plain_function_has_its_result_on_the_example():
    with recording() as recorded:
        evaluate(size=1, program=lambda question: dspy.Prediction(answer="yes"))
    recorded.assert_tree("""
    evaluate exact
      example
    """)
    assert results(recorded) == [("example", {sc.EXAMPLE_INDEX: 0, sc.EVALUATION_SCORE: 1.0})]
    recorded.assert_conventions()


def test_the_metric_itself_is_handed_on_untouched():
    seen = []

    class Metric:
        def __call__(self, example, prediction, trace=None):
            seen.append((example, prediction, trace))
            return 1

    with recording() as recorded:
        evaluate(Metric(), size=1)
    assert len(seen) == 1
    assert type(seen[0][1]) is dspy.Prediction
    assert recorded.attributes("evaluate Metric")[sc.SPAN_METRIC] == "Metric"


@pytest.mark.parametrize(
    ("values", "reported", "mean"),
    [((1, 0, 1), 66.67, 0.6667), ((True, True, True), 100.0, 1.0), ((3.5, 40, -2), 1383.33, 13.8333)],
)
def test_a_score_is_the_mean_of_the_metrics_values_whatever_dspy_reports(values, reported, mean):
    def graded(example, prediction, trace=None):
        return values[int(example.question[1])]

    with recording() as recorded:
        assert evaluate(graded).score == reported
    assert recorded.attributes("evaluate graded")[sc.SPAN_SCORE] == mean
    (event,) = [facts for name, facts in recorded.events("evaluate graded") if name == sc.EVENT_EVALUATION_RESULT]
    assert event[sc.EVALUATION_SCORE] == mean
    assert [span.attributes[sc.SPAN_SCORE] for span in recorded.named("example")] == [float(each) for each in values]
