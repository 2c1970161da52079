"""Evaluations, and every optimizer that DSPy exports."""

import dspy

from support.programs import fields, model
from support.scenarios.core import CAREFUL, YES, Fresh, ask, by_field, evaluate, examples, metric, predict, scenario
from support.scenarios.retrieval import vectors


@scenario("Evaluate, one thread", [YES], "Evaluate*")
def _(lm, server):
    return evaluate(num_threads=1)


@scenario("Evaluate on threads", [YES], "Evaluate*", ordered=False)
def _(lm, server):
    return evaluate(num_threads=3)


@scenario(
    "Evaluate, the metric asks a model and fails once",
    by_field(answer="yes", verdict=lambda text: "True"),
    """
    evaluate judge
      example
        Predict*
        Cot*
      example !
        Predict*
      example
        Predict*
        Cot*""",
)
def _(lm, server):
    def judge(example, prediction, trace=None):
        if example.question == "q1":
            raise LookupError("q1")
        return dspy.ChainOfThought("question, answer -> verdict: bool")(question="", answer="").verdict

    return evaluate(measured=judge, num_threads=1)


@scenario("LabeledFewShot", [YES], "optimize LabeledFewShot")
def _(lm, server):
    return dspy.LabeledFewShot(k=2).compile(predict(), trainset=examples())


@scenario(
    "BootstrapFewShot",
    [YES],
    """
    optimize BootstrapFewShot
      optimize LabeledFewShot
      Example* x1""",
)
def _(lm, server):
    return dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1).compile(predict(), trainset=examples())


CANDIDATE = """
      candidate
        Evaluate*"""


@scenario(
    "BootstrapFewShotWithRandomSearch",
    [YES],
    f"""
    optimize BootstrapFewShotWithRandomSearch{CANDIDATE}
      optimize LabeledFewShot{CANDIDATE}
      optimize BootstrapFewShot
        optimize LabeledFewShot
        Example* x1{CANDIDATE}
      optimize BootstrapFewShot
        optimize LabeledFewShot
        Example* x1{CANDIDATE}""",
    ordered=False,
)
def _(lm, server):
    search = dspy.BootstrapFewShotWithRandomSearch(
        metric=metric, num_candidate_programs=1, max_bootstrapped_demos=1, num_threads=2
    )
    return search.compile(predict(), trainset=examples())


@scenario(
    "BootstrapFewShotWithOptuna",
    [YES],
    f"""
    optimize BootstrapFewShotWithOptuna
      optimize BootstrapFewShot
        optimize LabeledFewShot
        Example* x1{CANDIDATE}{CANDIDATE}""",
    ordered=False,
)
def _(lm, server):
    search = dspy.BootstrapFewShotWithOptuna(metric=metric, num_candidate_programs=2, num_threads=2)
    search.compile(predict(), max_demos=1, trainset=examples())  # which of equals it returns is chance


@scenario(
    "COPRO",
    CAREFUL,
    f"""
    optimize COPRO
      Predict*{CANDIDATE}{CANDIDATE}
      module Predict
        format ChatAdapter
        chat gpt-4o-mini
        parse ChatAdapter
        parse ChatAdapter{CANDIDATE}{CANDIDATE}""",
    ordered=False,
)
def _(lm, server):
    copro = dspy.COPRO(metric=metric, breadth=2, depth=2)
    return copro.compile(predict(), trainset=examples(), eval_kwargs={"num_threads": 2, "display_progress": False})


MINIBATCH = """
      candidate
        evaluate metric
          Example* x2"""


@scenario(
    "MIPROv2",
    CAREFUL,
    f"""
    optimize MIPROv2
      optimize LabeledFewShot
      Predict* x2
      module GenerateModuleInstruction
        Predict* at describe_program
        Predict* at describe_module
        Predict* at generate_module_instruction
      module GenerateModuleInstruction
        Predict* at describe_program
        Predict* at describe_module
        Predict* at generate_module_instruction{CANDIDATE}{MINIBATCH}{MINIBATCH}{CANDIDATE}{MINIBATCH}{CANDIDATE}""",
    ordered=False,
)
def _(lm, server):
    mipro = dspy.MIPROv2(
        metric=metric, auto=None, num_candidates=2, max_bootstrapped_demos=1, max_labeled_demos=1, num_threads=2
    )
    return mipro.compile(
        predict(), trainset=examples(), valset=examples(), num_trials=3, minibatch_size=2, minibatch_full_eval_steps=2
    )


def wavering():
    """A model that answers right at first, then wrong, and right again once it has been told to be careful."""
    answers = iter(["yes", "yes", "no", "no"])
    told = by_field(answer=lambda text: "yes" if "careful" in text else "no", module_advice='{"self": "Be careful."}')
    return lambda request: fields(answer=next(answers, "")) if answers.__length_hint__() else told(request)


@scenario(
    "SIMBA",
    Fresh(wavering),
    """
    optimize SIMBA
      Example* x4
      Predict* x2
      candidate
        Example* x2
      candidate
        Example* x2
      candidate
        Example* x3
      candidate
        Example* x3""",
    ordered=False,
)
def _(lm, server):
    simba = dspy.SIMBA(metric=metric, bsize=2, num_candidates=2, max_steps=1, max_demos=0, num_threads=1)
    return simba.compile(predict(), trainset=examples())


@scenario(
    "GEPA",
    CAREFUL,
    f"""
    optimize GEPA{CANDIDATE}{MINIBATCH}
      module Predict
        format JSONAdapter
        chat gpt-4o-mini
        parse JSONAdapter{MINIBATCH}{CANDIDATE}{MINIBATCH}{MINIBATCH}""",
    older=f"""
    optimize GEPA{CANDIDATE}{MINIBATCH}
      chat gpt-4o-mini{MINIBATCH}{CANDIDATE}{MINIBATCH}{MINIBATCH}""",
    ordered=False,
)
def _(lm, server):
    gepa = dspy.GEPA(metric=metric, max_metric_calls=14, reflection_lm=lm, reflection_minibatch_size=2, num_threads=2)
    return gepa.compile(predict(), trainset=examples(), valset=examples())


@scenario(
    "InferRules",
    CAREFUL,
    f"""
    optimize InferRules
      optimize LabeledFewShot
      Example* x3
      module RulesInductionProgram
        Cot* at rules_induction{CANDIDATE}""",
    ordered=False,
)
def _(lm, server):
    rules = dspy.InferRules(metric=metric, num_candidates=1, num_rules=1, num_threads=2, max_bootstrapped_demos=1)
    return rules.compile(predict(), trainset=examples(), valset=examples())


@scenario(
    "BetterTogether",
    [YES],
    f"""
    optimize BetterTogether{CANDIDATE}
      optimize BootstrapFewShot
        optimize LabeledFewShot
        Example* x1{CANDIDATE}
      optimize LabeledFewShot{CANDIDATE}""",
    needs="BetterTogether._run_and_evaluate_step",  # older ones took other arguments
    ordered=False,
)
def _(lm, server):
    student = predict()
    student.set_lm(lm)
    together = dspy.BetterTogether(
        metric=metric,
        p=dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=1),
        q=dspy.LabeledFewShot(k=1),
    )
    return together.compile(student, trainset=examples(), valset=examples(), strategy="p -> q", num_threads=2, seed=0)


class Tuner(dspy.Provider):
    """A provider that tunes nothing and says it did."""

    def __init__(self):
        super().__init__()
        self.finetunable = True

    @staticmethod
    def finetune(job, model, train_data, train_data_format=None, train_kwargs=None):
        return f"{model}-tuned-on-{len(train_data)}"


@scenario(
    "BootstrapFinetune",
    [YES],
    """
    optimize BootstrapFinetune
      Evaluate*
      format ChatAdapter x3""",
    ordered=False,
)
def _(lm, server):
    student = predict()
    student.set_lm(model(server, provider=Tuner()))
    with dspy.context(experimental=True):
        tuned = dspy.BootstrapFinetune(metric=metric, num_threads=2).compile(student, trainset=examples())
    return tuned.lm.model


@scenario(
    "Ensemble",
    [YES],
    """
    optimize Ensemble
    module EnsembledProgram
      Predict* at programs[0]
      Predict* at programs[1]""",
    traces=2,
)
def _(lm, server):
    from dspy.teleprompt import Ensemble  # noqa: PLC0415

    return ask(Ensemble().compile([predict(), predict()]))


@scenario(
    "KNNFewShot",
    [YES],
    """
    embeddings vectors
    optimize KNNFewShot
    module Predict
      retrieval KNN
        embeddings vectors
      optimize BootstrapFewShot
        optimize LabeledFewShot
        Example* x1
      Predict*""",
    traces=3,
)
def _(lm, server):
    knn = dspy.KNNFewShot(k=1, trainset=examples(), vectorizer=dspy.Embedder(vectors), metric=metric)
    return ask(knn.compile(predict()))


class Actor(dspy.Module):
    """What AvatarOptimizer optimizes, without the parts of `dspy.Avatar` that DSPy no longer has."""

    def __init__(self):
        super().__init__()
        self.tools = ["search"]
        self.actor = dspy.Predict("question -> answer")

    def forward(self, question):
        found = self.actor(question=question)
        return dspy.Prediction(answer=found.answer, actions=[])


@scenario(
    "AvatarOptimizer",
    by_field(answer=lambda text: "no" if "q1" in text else "yes"),
    """
    optimize AvatarOptimizer
      candidate
        example
          invoke_workflow Actor
            Predict* at actor
        example
          invoke_workflow Actor
            Predict* at actor
        example
          invoke_workflow Actor
            Predict* at actor
      Predict*
      Predict*""",
    ordered=False,
)
def _(lm, server):
    typed = getattr(dspy, "TypedPredictor", None)
    dspy.TypedPredictor = typed or dspy.Predict  # this DSPy may have lost what its AvatarOptimizer needs
    try:
        optimizer = dspy.AvatarOptimizer(metric=metric, max_iters=1, max_negative_inputs=1, max_positive_inputs=1)
    finally:
        if typed is None:
            del dspy.TypedPredictor
    actor = Actor()
    actor.set_lm(lm)  # it runs the actor on bare threads, where no setting of this one holds
    return optimizer.compile(actor, trainset=examples())
