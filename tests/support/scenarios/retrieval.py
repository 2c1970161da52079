"""Programs that search before they answer."""

import dspy
import numpy as np

from support.scenarios.core import YES, ask, scenario


def vectors(texts):
    return np.array([[len(text), text.count("a"), 1.0] for text in texts], dtype=np.float32)


class Searching(dspy.Module):
    def __init__(self, search):
        super().__init__()
        self.search = search
        self.respond = dspy.Predict("context, question -> answer")

    def forward(self, question):
        return self.respond(context=self.search(question).passages, question=question)


@scenario(
    "retrieve and answer",
    [YES],
    """
    invoke_workflow Searching
      retrieval Corpus
      Predict* at respond""",
)
def _(lm, server):
    class Corpus:
        def __call__(self, query, k, **_):
            return [dspy.dsp.utils.dotdict(long_text=f"{query} {index}") for index in range(k)]

    with dspy.context(rm=Corpus()):
        return ask(Searching(dspy.Retrieve(k=2)))


@scenario(
    "search embeddings and answer",
    [YES],
    """
    embeddings text-embedding-3-small
    invoke_workflow Searching
      retrieval Embeddings
        embeddings text-embedding-3-small
      Predict* at respond""",
    traces=2,
)
def _(lm, server):
    key = lm.kwargs["api_key"]
    embedder = dspy.Embedder("openai/text-embedding-3-small", api_base=server.url, api_key=key, caching=False)
    return Searching(dspy.Embeddings(["cats purr", "dogs bark"], embedder, k=1))(question="what do cats do?")
