"""Single programs: adapters, retries, candidates, caches, programs of several modules."""

import asyncio
import tempfile

import dspy

from lmspan.demo.server import Reply
from support.programs import fields
from support.scenarios.core import YES, ask, by_field, predict, scenario


@scenario("Predict", [YES], "Predict*")
def _(lm, server):
    return ask(predict())


@scenario("ChainOfThought", [YES], "Cot*")
def _(lm, server):
    return ask(dspy.ChainOfThought("question -> answer"))


@scenario("async Predict", [YES], "Predict*")
def _(lm, server):
    return asyncio.run(predict().acall(question="why?"))


class Nested(dspy.Module):
    def __init__(self):
        super().__init__()
        self.draft = dspy.Predict("question -> answer")
        self.check = [dspy.ChainOfThought("question -> answer")]

    def forward(self, question):
        return self.check[0](question=self.draft(question=question).answer)


@scenario(
    "a program of several modules",
    [YES],
    """
    invoke_workflow Nested
      Predict* at draft
      Cot* at check[0]""",
)
def _(lm, server):
    return ask(Nested())


@scenario(
    "JSONAdapter",
    [Reply('{"answer": "yes"}')],
    """
    module Predict
      format JSONAdapter
      chat gpt-4o-mini
      parse JSONAdapter""",
)
def _(lm, server):
    with dspy.context(adapter=dspy.JSONAdapter()):
        return ask(predict())


@scenario(
    "XMLAdapter",
    [Reply("<answer>yes</answer>")],
    """
    module Predict
      format XMLAdapter
      chat gpt-4o-mini
      parse XMLAdapter""",
)
def _(lm, server):
    with dspy.context(adapter=dspy.XMLAdapter()):
        return ask(predict())


@scenario(
    "a parse failure, then JSON",
    [Reply("no fields here"), Reply('{"answer": "yes"}')],
    """
    module Predict
      format ChatAdapter
      chat gpt-4o-mini
      parse ChatAdapter !
      format JSONAdapter
      chat gpt-4o-mini
      parse JSONAdapter""",
)
def _(lm, server):
    return ask(predict())


@scenario("two 429, then an answer", [Reply(status=429, headers={"Retry-After": "0"})] * 2 + [YES], "Predict*")
def _(lm, server):
    return ask(predict())


@scenario(
    "three candidates at once",
    [YES],
    """
    module Predict
      format ChatAdapter
      chat gpt-4o-mini
      parse ChatAdapter
      parse ChatAdapter
      parse ChatAdapter""",
)
def _(lm, server):
    return list(dspy.Predict("question -> answer", n=3, temperature=1.0)(question="why?").completions.answer)


@scenario(
    "the cache answers the second",
    [YES],
    """
    Predict*
    Predict*""",
    traces=2,
    cache=True,
)
def _(lm, server):
    with tempfile.TemporaryDirectory() as folder:
        dspy.configure_cache(disk_cache_dir=folder, enable_disk_cache=False)
        return [ask(predict()), ask(predict())]


@scenario(
    "best of three",
    [fields(answer="no"), fields(answer="no"), fields(answer="yes")],
    """
    module BestOfN
      Predict* x3""",
)
def _(lm, server):
    return ask(dspy.BestOfN(predict(), N=3, reward_fn=lambda _, found: float(found.answer == "yes"), threshold=1.0))


@scenario(
    "refine once",
    by_field(
        answer=lambda text: "yes" if "hint_" in text else "no", advice='{"self": "say yes"}', discussion="it said no"
    ),
    """
    module Refine
      Predict* x3""",
)
def _(lm, server):
    return ask(dspy.Refine(predict(), N=2, reward_fn=reward, threshold=1.0))


def reward(_, found):
    return float(found.answer == "yes")


@scenario(
    "compare two chains",
    [YES, YES, fields(rationale="both", answer="yes")],
    """
    Cot*
    Cot*
    module MultiChainComparison
      Predict* at predict""",
    traces=3,
)
def _(lm, server):
    chain = dspy.ChainOfThought("question -> answer")
    compare = dspy.MultiChainComparison("question -> answer", M=2)
    return compare([ask(chain), ask(chain)], question="why?")
