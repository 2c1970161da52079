"""What an optimizer tried: every candidate, what it is made of, from whom, its score, whether it was kept."""

import json
from importlib.util import find_spec

import dspy
import pytest

from lmspan import semconv as sc
from lmspan.demo.server import Reply, ScriptedServer
from lmspan.testing import recording
from support.processes import run_lmspan, run_python
from support.programs import fields, model, serving
from support.scenarios import ALL, execute
from support.scenarios.core import CAREFUL, by_field, examples, metric, predict, wanted

PREFIX = "lmspan.optimizer.candidate."
BY_NAME = {each.name: each for each in ALL}


def run(name, **options):
    """Run one of the scenarios; its trees are asserted elsewhere."""
    with recording(**options) as recorded:
        execute(BY_NAME[name])
    recorded.assert_conventions()
    return recorded


def told(recorded, name, *wanted):
    """The candidate events of an optimizer's span: what is wanted of each, without the long prefix."""
    events = [facts for event, facts in recorded.events(name) if event == sc.EVENT_OPTIMIZER_CANDIDATE]
    return [tuple(facts.get(PREFIX + each) for each in wanted) for facts in events]


def attributes(recorded, name):
    return [dict(span.attributes) for span in recorded.named(name)]


def summary(recorded, name):
    facts = recorded.attributes(name)
    wanted = sc.OPTIMIZER_FIRST_SCORE, sc.OPTIMIZER_BEST_SCORE, sc.OPTIMIZER_IMPROVEMENT, sc.OPTIMIZER_CANDIDATE_COUNT
    return tuple(facts.get(each) for each in wanted)


def test_a_random_search_tells_seeds_scores_and_differences():
    recorded = run("BootstrapFewShotWithRandomSearch")
    name = "optimize BootstrapFewShotWithRandomSearch"
    assert told(recorded, name, "seed", "index", "score", "scope", "accepted", "changed", "demos.counts") == [
        (-3, 0, 1.0, "full", True, (), (0,)),
        (-2, 1, 1.0, "full", False, ("self.demos",), (3,)),
        (-1, 2, 1.0, "full", False, ("self.demos",), (3,)),
        (0, 3, 1.0, "full", False, ("self.demos",), (3,)),
    ]
    assert summary(recorded, name) == (1.0, 1.0, 0.0, 4)
    totals = recorded.totals(name)
    assert totals["llm_calls"] == len(recorded.named("chat gpt-4o-mini")) == 14
    assert totals["cost.amount"] > 0


def test_every_fact_of_a_candidate_and_its_event():
    recorded = run("COPRO")
    first, *_ = recorded.named("candidate")
    facts = {key: value for key, value in first.attributes.items() if not key.startswith("lmspan.total.")}
    for name in (sc.CALL_ID, sc.CALL_PARENT_ID, sc.SOURCE):
        assert facts.pop(name)
    (identity,) = {facts[sc.CANDIDATE_ID]}
    assert len(identity) == 16
    hashes = facts.pop(sc.CANDIDATE_INSTRUCTIONS_HASHES) + facts.pop(sc.CANDIDATE_DEMOS_HASHES)
    assert [len(each) for each in hashes] == [16, 16]
    content = {name: facts.pop(name) for name in (sc.CANDIDATE_INSTRUCTIONS, sc.CANDIDATE_DEMOS, sc.CANDIDATE_DIFF)}
    assert facts == {
        sc.CANDIDATE_ID: identity,
        sc.CANDIDATE_INDEX: 0,
        sc.CANDIDATE_PREDICTORS: ("self",),
        sc.CANDIDATE_INSTRUCTIONS_LENGTHS: (11,),
        sc.CANDIDATE_DEMOS_COUNTS: (0,),
        sc.CANDIDATE_CHANGED: ("self.instructions", "self.fields"),
        sc.CANDIDATE_SCOPE: "full",
        sc.CANDIDATE_SCORE: 1.0,
        sc.CANDIDATE_ACCEPTED: True,
    }
    assert content == {
        sc.CANDIDATE_INSTRUCTIONS: '{"self":"Be careful."}',
        sc.CANDIDATE_DEMOS: '{"self":[]}',
        sc.CANDIDATE_DIFF: "--- self\n+++ self\n@@ -1 +1 @@\n"
        "-Given the fields `question`, produce the fields `answer`.\n+Be careful.",
    }
    (event, *_) = [facts for name, facts in recorded.events("optimize COPRO") if name == sc.EVENT_OPTIMIZER_CANDIDATE]
    in_both = {key: value for key, value in first.attributes.items() if key.startswith(PREFIX)}
    assert event == {key: value for key, value in in_both.items() if key not in content}
    totals = {key.removeprefix("lmspan.total."): value for key, value in first.attributes.items() if "total" in key}
    assert totals["llm_calls"] == 3


def test_copro_improves_on_the_student():
    recorded = run("COPRO")
    assert told(recorded, "optimize COPRO", "index", "score", "accepted") == [
        (0, 1.0, True),
        (1, 0.0, False),
        (0, 1.0, True),
        (0, 1.0, True),
    ]
    assert summary(recorded, "optimize COPRO") == (0.0, 1.0, 1.0, 2)  # the student is the second that it tries


def test_mipro_tells_what_it_chose_and_on_how_much_it_scored():
    recorded = run("MIPROv2")
    found = told(recorded, "optimize MIPROv2", "scope", "score", "accepted")
    assert [scope for scope, _, _ in found] == ["full", "minibatch", "minibatch", "full", "minibatch", "full"]
    assert [accepted is None for _, _, accepted in found] == [scope == "minibatch" for scope, _, _ in found]
    chosen = [facts for name, facts in recorded.events("optimize MIPROv2") if name == sc.EVENT_HYPERPARAMETER_UPDATE]
    assert len(chosen) == 3
    for facts in chosen:
        assert {name.removeprefix(sc.HYPERPARAMETER) for name in facts} >= {"0_predictor_instruction"}
    tried = [span for span in recorded.named("candidate") if any(name in span.attributes for name in chosen[0])]
    assert len(tried) == 3


def test_gepa_tells_parents_and_what_it_kept():
    recorded = run("GEPA")
    found = told(recorded, "optimize GEPA", "index", "step", "score", "scope", "accepted", "changed")
    assert [(index, score, scope, accepted) for index, _, score, scope, accepted, _ in found] == [
        (0, 0.0, "full", True),
        (1, 1.0, "full", True),
    ]
    assert found[1][-1] == ("self.instructions",)
    (seed, no_parents), (_, parents) = told(recorded, "optimize GEPA", "id", "parent_ids")
    assert no_parents is None
    assert parents == (seed,)
    assert summary(recorded, "optimize GEPA") == (0.0, 1.0, 1.0, 2)


def optimize_with_gepa(**settings):
    optimizer = dspy.GEPA(
        metric=metric,
        max_metric_calls=8,
        reflection_lm=dspy.settings.lm,
        reflection_minibatch_size=2,
        num_threads=1,
        **settings,
    )
    return optimizer.compile(predict(), trainset=examples(), valset=examples())


def test_a_candidate_that_gepa_rejects_is_told_with_the_reason():
    script = by_field(answer="no", new_instruction="Say nothing of use.")
    with ScriptedServer(script) as server, recording() as recorded, dspy.context(lm=model(server)):
        optimize_with_gepa()
    found = told(recorded, "optimize GEPA", "index", "scope", "score", "accepted")
    assert found[:2] == [(0, "full", 0.0, True), (1, "minibatch", 0.0, False)]
    (_, reason), *_ = told(recorded, "optimize GEPA", "index", "reason")[1:]
    assert "not better" in reason


@pytest.mark.skipif(find_spec("gepa.strategies.proposal_sampling") is None, reason="this gepa proposes one at a time")
def test_gepa_may_make_several_proposals_in_an_iteration():
    from gepa.strategies.proposal_sampling import SameParentSampling  # noqa: PLC0415 - where there is one

    drafts = iter(["Say nothing of use.", "Be careful."])

    def script(request):
        names, _ = wanted(request)
        if names and "new_instruction" not in names:
            return by_field(answer=lambda asked: "yes" if "careful" in asked else "no")(request)
        draft = next(drafts, "Be silent.")  # DSPy 3.3 asks for it without a field
        return by_field(new_instruction=draft)(request) if names else Reply(f"```\n{draft}\n```")

    with ScriptedServer(script) as server, recording() as recorded, dspy.context(lm=model(server)):
        optimize_with_gepa(gepa_kwargs={"sampling_strategy": SameParentSampling(2)})
    found = told(recorded, "optimize GEPA", "index", "scope", "score", "accepted")
    assert found == [(0, "full", 0.0, True), (1, "minibatch", 0.0, False), (2, "full", 1.0, True)]
    (seed, _), (_, first), (_, second) = told(recorded, "optimize GEPA", "id", "parent_ids")
    assert (first, second) == ((seed,), (seed,))
    tried = [(facts[sc.CANDIDATE_INDEX], facts[sc.CANDIDATE_SCOPE]) for facts in attributes(recorded, "candidate")]
    assert tried == [(0, "full"), (0, "minibatch"), (0, "minibatch"), (1, "minibatch"), (2, "minibatch"), (2, "full")]


def test_gepas_own_callbacks_still_hear():
    heard = []

    class Mine:
        def on_candidate_accepted(self, event):
            heard.append(event["new_candidate_idx"])

    with ScriptedServer(CAREFUL) as server, recording(), dspy.context(lm=model(server)):
        optimize_with_gepa(gepa_kwargs={"callbacks": [Mine()]})
    assert heard == [1]


def test_simba_tells_steps_parents_and_scores():
    recorded = run("SIMBA")
    found = told(recorded, "optimize SIMBA", "step", "index", "scope", "score", "changed", "parent_ids")
    assert [(step, scope) for step, _, scope, *_ in found] == [
        (0, "minibatch"), (0, "minibatch"), (0, "full"), (0, "full"),
    ]  # fmt: skip
    made, _, student, best = found
    assert made[4] == ("self.instructions",)
    assert (made[3], best[3]) == (1.0, 1.0)
    assert student[4] == ()
    assert len(made[5]) == 1


def test_per_metric_scores_are_means_over_the_examples():
    def measured(example, prediction, trace=None):
        return dspy.Prediction(score=1.0, brevity=0.5, objective_scores={"tone": 0.25 * int(example.question[1])})

    with ScriptedServer(CAREFUL) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.COPRO(metric=measured, breadth=2, depth=1).compile(
            predict(), trainset=examples(), eval_kwargs={"num_threads": 1}
        )
    recorded.assert_conventions()
    (found, *_) = told(recorded, "optimize COPRO", "metrics.brevity", "metrics.tone")
    assert found == (0.5, 0.25)


def test_content_off_tells_digests_and_no_text():
    recorded = run("COPRO", capture_content="none")
    text = str([(span.attributes, [dict(event.attributes) for event in span.events]) for span in recorded.spans])
    assert "careful" not in text
    assert told(recorded, "optimize COPRO", "instructions.lengths")[0] == ((11,),)


def test_a_candidate_that_cannot_be_evaluated_is_told_as_failed():
    def broken(example, prediction, trace=None):
        raise LookupError("metric")

    with ScriptedServer(CAREFUL) as server, recording() as recorded, dspy.context(lm=model(server), max_errors=1):
        copro = dspy.COPRO(metric=broken, breadth=2, depth=1)
        with pytest.raises(Exception, match="cancelled"):
            copro.compile(predict(), trainset=examples(), eval_kwargs={"num_threads": 1})
    recorded.assert_conventions()
    assert [line for line in recorded.tree().splitlines() if "candidate" in line] == ["  candidate !"]
    assert told(recorded, "optimize COPRO", "index", "score", "accepted") == [(0, None, None)]
    assert summary(recorded, "optimize COPRO") == (None, None, None, 1)


def test_readers_of_openinference_see_what_an_optimizer_got_and_made():
    recorded = run("COPRO", openinference=True)
    facts = recorded.attributes("optimize COPRO")
    assert json.loads(facts[sc.OI_INPUT]) == {
        "program": "Predict",
        "predictors": {
            "self": {"instructions": "Given the fields `question`, produce the fields `answer`.", "demos": 0}
        },
        "trainset": 3,
    }
    assert json.loads(facts[sc.OI_OUTPUT]) == {
        "first_score": 0.0,
        "best_score": 1.0,
        "program": "Predict",
        "predictors": {"self": {"instructions": "Be careful.", "demos": 0}},
    }
    evaluation, *_ = recorded.named("evaluate metric")
    assert evaluation.attributes[sc.OI_INPUT] == '{"program":"Predict","metric":"metric","examples":3}'
    assert evaluation.attributes[sc.OI_OUTPUT] == '{"score":1.0,"failed":0}'


def test_an_optimizer_that_a_program_defines_is_recorded_once_per_run():
    class Mine(dspy.BootstrapFewShot):
        def compile(self, student, *, trainset, teacher=None):
            return super().compile(student, trainset=trainset, teacher=teacher)

    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        Mine(metric=None).compile(predict(), trainset=examples(1))
    assert [span.name for span in recorded.roots()] == ["optimize Mine"]
    assert not recorded.named("optimize BootstrapFewShot")


def test_evaluations_outside_of_an_optimizer_are_no_candidates():
    recorded = run("Evaluate, one thread")
    assert not recorded.named("candidate")


def test_show_lists_what_was_tried_in_order(tmp_path):
    done = run_python(
        """
        import sys, lmspan
        session = lmspan.init()
        from support.scenarios import ALL, execute
        execute(next(each for each in ALL if each.name == "COPRO"))
        session.shutdown()
        """,
        environ={"LMSPAN_DIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    shown = run_lmspan("show", environ={"LMSPAN_DIR": str(tmp_path), "COLUMNS": "140"}).stdout
    assert "optimize COPRO  4 evaluations of 2 candidates  0 → 1" in shown
    titles, *rows = shown.partition("  0 → 1\n")[2].splitlines()[:5]
    assert titles.split() == ["span", "#", "score", "best", "on", "kept", "time", "cost", "changed"]
    tried = [row.split()[1:6] for row in rows]
    assert tried == [
        ["0", "1", "1", "full", "yes"] if number != 1 else ["1", "0", "1", "full", "no"] for number in range(4)
    ]


def on_spans(recorded, *wanted):
    """The same of the candidates' own spans, in the order of their starts."""
    ordered = sorted(recorded.named("candidate"), key=lambda span: span.start_time)
    return [tuple(span.attributes.get(PREFIX + each) for each in wanted) for span in ordered]


@pytest.mark.parametrize("name", ["COPRO", "BootstrapFewShotWithRandomSearch", "MIPROv2", "SIMBA", "AvatarOptimizer"])
def test_the_spans_of_the_candidates_have_all_that_the_events_have(name):
    recorded = run(name)
    wanted = "id", "index", "step", "seed", "scope", "score", "accepted", "reason", "parent_ids", "changed"
    assert sorted(on_spans(recorded, *wanted), key=str) == sorted(told(recorded, f"optimize {name}", *wanted), key=str)


def test_gepas_decision_is_on_the_span_of_the_evaluation_that_it_follows_from():
    script = by_field(answer="no", new_instruction="Say nothing of use.")
    with ScriptedServer(script) as server, recording() as recorded, dspy.context(lm=model(server)):
        optimize_with_gepa()
    recorded.assert_conventions()
    found = on_spans(recorded, "index", "scope", "accepted", "reason")
    assert [each[:3] for each in found[:3]] == [(0, "full", True), (0, "minibatch", None), (1, "minibatch", False)]
    assert "not better" in found[2][3]
    assert {reason for *_, accepted, reason in found if accepted is not False} == {None}
    recorded = run("GEPA")
    decided = [each for each in on_spans(recorded, "index", "scope", "accepted") if each[2] is not None]
    assert decided == [(0, "full", True), (1, "full", True)]
    ends = {span.context.span_id: span.end_time for span in recorded.spans}
    for span in recorded.named("candidate"):  # the time that GEPA needs for a decision is not the candidate's
        last = max(ends[each.context.span_id] for each in recorded.spans if under(each, span))
        assert span.end_time == last + 1_000_000  # the next tick of the clock


def under(span, parent):
    return span.parent is not None and span.parent.span_id == parent.context.span_id


def test_an_example_whose_metric_raises_under_simba_has_failed():
    def broken(example, prediction, trace=None):
        if example.question == "q1":
            raise LookupError("q1")
        return metric(example, prediction)

    with ScriptedServer(CAREFUL) as server, recording() as recorded, dspy.context(lm=model(server)):
        simba = dspy.SIMBA(metric=broken, bsize=2, num_candidates=2, max_steps=1, max_demos=0, num_threads=1)
        simba.compile(predict(), trainset=examples())
    recorded.assert_conventions()
    facts = [dict(event.attributes) for span in recorded.named("module Predict") for event in span.events]
    results = {
        (each.get(sc.EVALUATION_LABEL), each.get(sc.ERROR_TYPE)) for each in facts if sc.EVALUATION_SCORE in each
    }
    assert results == {(None, None), ("failed", "LookupError")}


@pytest.mark.parametrize(
    ("direction", "best", "accepted"), [("max", 0.75, [True, True, False]), ("min", 0.25, [True, False, True])]
)
def test_the_best_score_is_that_of_the_optimizers_direction(direction, best, accepted):
    with recording() as recorded:
        Directed(direction).compile(predict(), trainset=examples(1), scores=[0.5, 0.75, 0.25])
    facts = recorded.attributes("optimize Directed")
    assert (facts[sc.OPTIMIZER_FIRST_SCORE], facts[sc.OPTIMIZER_BEST_SCORE]) == (0.5, best)
    assert facts[sc.OPTIMIZER_IMPROVEMENT] == 0.25
    assert [kept for (kept,) in on_spans(recorded, "accepted")] == accepted


class Directed(dspy.teleprompt.Teleprompter):
    """Evaluates three programs, and looks for the lowest or the highest score."""

    def __init__(self, optimize_for):
        self.optimize_for = optimize_for

    def compile(self, student, *, trainset, scores):
        for number, score in enumerate(scores):
            program = student.deepcopy()
            program.signature = program.signature.with_instructions(str(number))
            program.forward = lambda **_: dspy.Prediction(answer="")
            dspy.Evaluate(devset=trainset, metric=lambda *_, score=score: score, num_threads=1)(program)
        return student
