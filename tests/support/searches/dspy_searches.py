"""The optimizers of DSPy."""

import contextlib
import io
import json
import logging
import random
import re
import warnings
from importlib.util import find_spec

import dspy
from dspy.teleprompt import Ensemble

from lmspan.demo.server import Reply, ScriptedServer
from support.programs import fields, model
from support.scenarios.core import plain, wanted
from support.scenarios.optimizers import Actor, Tuner
from support.scenarios.retrieval import vectors
from support.searches.core import Reported, Run, answer

SCALE = 100  # DSPy's `Evaluate` reports 100 times the mean
DSPY = {}
RAISED = []
"""The examples for which the metric has raised in this run."""


def script(request):
    names, as_json = wanted(request)

    def formatted(values):
        return Reply(json.dumps(values)) if as_json else fields(**values) if values else Reply("```\nBe careful.\n```")

    return answer(request, names=names, formatted=formatted)


def metric(example, prediction, trace=None, pred_name=None, pred_trace=None):
    """Right or wrong; for one example it raises unless the answer is right."""
    right = example.answer == getattr(prediction, "answer", None)
    if example.question == "q3" and not right:
        RAISED.append(example.question)
        raise LookupError("q3")
    return float(right)


def calm(example, prediction, trace=None, pred_name=None, pred_trace=None):
    """The same without exceptions, for optimizers that they end."""
    return float(example.answer == getattr(prediction, "answer", None))


def data(size, start=0):
    each = [dspy.Example(question=f"q{index}", answer="yes") for index in range(start, start + size)]
    return [example.with_inputs("question") for example in each]


TRAIN, VALIDATION = data(8), data(6, 8)


def student():
    return dspy.Predict("question -> answer")


def search(name):
    """Add a search `(lm) -> (result, function of its log and output that gives what it reports)`."""

    def add(function):
        DSPY[name] = lambda: _run(function)

    return add


def _run(function):
    random.seed(0)
    RAISED.clear()
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("dspy").addHandler(handler)
    try:
        with (
            ScriptedServer(script) as server,
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            warnings.catch_warnings(),
            dspy.context(lm=model(server), max_errors=1000),
        ):
            warnings.simplefilter("ignore")
            result, report = function(dspy.settings.lm)
            return Run(plain(result), report(said.getvalue()), server.exchanges, len(RAISED))
    finally:
        logging.getLogger("dspy").removeHandler(handler)


def nothing(_):
    return Reported()


def shares(scores):
    return [score / SCALE for score in scores]


@search("LabeledFewShot")
def _(lm):
    return dspy.LabeledFewShot(k=3).compile(student(), trainset=TRAIN), nothing


@search("BootstrapFewShot")
def _(lm):
    optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=3)
    return optimizer.compile(student(), trainset=TRAIN), nothing


@search("BootstrapFewShotWithRandomSearch")
def _(lm):
    optimizer = dspy.BootstrapFewShotWithRandomSearch(
        metric=metric, num_candidate_programs=4, max_bootstrapped_demos=2, num_threads=3
    )
    best = optimizer.compile(student(), trainset=TRAIN, valset=VALIDATION)
    tried = sorted(best.candidate_programs, key=lambda each: each["seed"])
    scores = shares(each["score"] for each in tried)
    report = Reported("candidate_programs", scores, [], len(scores), None, scores[0], max(scores))
    return best, lambda _: report


@search("BootstrapFewShotWithOptuna")
def _(lm):
    import optuna  # noqa: PLC0415 - as DSPy does

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    create, studies = optuna.create_study, []

    def seeded(**settings):
        studies.append(create(sampler=optuna.samplers.TPESampler(seed=0), **settings))
        return studies[-1]

    optuna.create_study = seeded
    try:
        optimizer = dspy.BootstrapFewShotWithOptuna(metric=metric, num_candidate_programs=5, num_threads=3)
        best = optimizer.compile(student(), max_demos=3, trainset=TRAIN, valset=VALIDATION)
    finally:
        optuna.create_study = create
    scores = shares(trial.value for trial in studies[0].trials)
    report = Reported("study.trials", scores, [], len(scores), None, scores[0], studies[0].best_value / SCALE)
    return best, lambda _: report


@search("COPRO")
def _(lm):
    optimizer = dspy.COPRO(metric=metric, breadth=3, depth=2)
    settings = {"num_threads": 3, "display_progress": False}
    best = optimizer.compile(student(), trainset=TRAIN, eval_kwargs=settings)
    scores = shares(each["score"] for each in best.candidate_programs)
    report = Reported(
        "candidate_programs, total_calls", scores, [], best.total_calls, None, None, max(scores), whole=False
    )
    return best, lambda _: report


def _mipro(**settings):
    optimizer = dspy.MIPROv2(
        metric=calm, auto=None, num_candidates=3, max_bootstrapped_demos=1, max_labeled_demos=1, num_threads=3, seed=0
    )
    best = optimizer.compile(student(), trainset=TRAIN, valset=VALIDATION, num_trials=5, seed=0, **settings)
    logs = [log for _, log in sorted(best.trial_logs.items())]
    full, small = (shares(log[name] for log in logs if name in log) for name in ("full_eval_score", "mb_score"))
    report = Reported("trial_logs, score", full, small, len(full) + len(small), None, full[0], best.score / SCALE)
    return best, lambda _: report


@search("MIPROv2")
def _(lm):
    return _mipro(minibatch_size=3, minibatch_full_eval_steps=2)


@search("MIPROv2 without minibatches")
def _(lm):
    return _mipro(minibatch=False)


def _simba(**settings):
    optimizer = dspy.SIMBA(metric=metric, bsize=4, num_candidates=2, max_steps=2, num_threads=2, **settings)
    best = optimizer.compile(student(), trainset=TRAIN, seed=0)
    scores = [each["score"] for each in best.candidate_programs]
    return best, lambda _: Reported("candidate_programs", scores, None, None, None, None, max(scores))


@search("SIMBA")
def _(lm):
    return _simba(max_demos=0)


@search("SIMBA with demos")
def _(lm):
    return _simba(max_demos=2)


@search("GEPA")
def _(lm):
    optimizer = dspy.GEPA(
        metric=calm, max_metric_calls=60, reflection_lm=lm, reflection_minibatch_size=3, num_threads=2,
        track_stats=True, seed=0,
    )  # fmt: skip
    best = optimizer.compile(student(), trainset=TRAIN, valset=VALIDATION)
    scores = list(best.detailed_results.val_aggregate_scores)
    report = Reported("detailed_results", scores, None, None, scores, scores[0], max(scores))
    return best, lambda _: report


@search("InferRules")
def _(lm):
    optimizer = dspy.InferRules(metric=metric, num_candidates=3, num_rules=2, num_threads=2, max_bootstrapped_demos=1)
    best = optimizer.compile(student(), trainset=TRAIN, valset=VALIDATION)

    def report(log):
        found = dict(re.findall(r"Evaluated Candidate (\d+) with score ([\d.]+)\. ", log))  # a line may be there twice
        scores = shares(map(float, found.values()))
        return Reported("its log", scores, [], len(scores), None, scores[0], max(scores))

    return best, report


@search("BetterTogether")
def _(lm):
    program = student()
    program.set_lm(lm)
    optimizer = dspy.BetterTogether(
        metric=metric,
        p=dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1),
        q=dspy.LabeledFewShot(k=2),
    )
    best = optimizer.compile(program, trainset=TRAIN, valset=VALIDATION, strategy="p -> q -> p", num_threads=2, seed=0)
    scores = shares(each["score"] for each in best.candidate_programs)
    (first,) = shares(each["score"] for each in best.candidate_programs if not each["strategy"])
    return best, lambda _: Reported("candidate_programs", scores, [], len(scores), None, first, max(scores))


@search("BootstrapFinetune")
def _(lm):
    program = student()
    program.set_lm(lm.copy(provider=Tuner()))
    with dspy.context(experimental=True):
        tuned = dspy.BootstrapFinetune(metric=metric, num_threads=2).compile(program, trainset=TRAIN)
    return tuned.lm.model, nothing


@search("KNNFewShot")
def _(lm):
    optimizer = dspy.KNNFewShot(k=2, trainset=TRAIN, vectorizer=dspy.Embedder(vectors), metric=metric)
    compiled = optimizer.compile(student())
    return [str(compiled(question=f"is it {number}?")) for number in (11, 12)], nothing


@search("Ensemble")
def _(lm):
    both = [student() for _ in range(2)]
    both[1].demos = TRAIN[:1]
    return str(Ensemble().compile(both)(question="is it so?")), nothing


def _avatar(lm, direction):
    typed = getattr(dspy, "TypedPredictor", None)
    dspy.TypedPredictor = typed or dspy.Predict  # this DSPy may have lost what its AvatarOptimizer needs
    try:
        optimizer = dspy.AvatarOptimizer(
            metric=calm,
            max_iters=3,
            lower_bound=0,
            max_negative_inputs=1,
            max_positive_inputs=1,
            optimize_for=direction,
        )
    finally:
        if typed is None:
            del dspy.TypedPredictor
    actor = Actor()
    actor.set_lm(lm)  # it runs the actor on bare threads, where no setting of this one holds
    best = optimizer.compile(actor, trainset=TRAIN)

    def report(said):
        scores = [float(each) for each in re.findall(r"Average Score: ([\d.]+)", said)]
        return Reported("its output", scores, [], len(scores), None, scores[0], direction(scores))

    return best, report


@search("AvatarOptimizer")
def _(lm):
    return _avatar(lm, max)


@search("AvatarOptimizer that minimizes")
def _(lm):
    return _avatar(lm, min)


if find_spec("optuna") is None:
    del DSPY["BootstrapFewShotWithOptuna"], DSPY["MIPROv2"], DSPY["MIPROv2 without minibatches"]
