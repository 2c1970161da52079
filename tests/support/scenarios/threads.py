"""Programs that run their parts on threads, in tasks, and as streams."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import dspy

from support.scenarios.core import YES, ask, predict, scenario


class Fan(dspy.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how
        self.parts = [dspy.Predict("question -> answer") for _ in range(3)]

    def forward(self, question):
        return dspy.Prediction(answers=[each.answer for each in self.how(self.parts, question)])

    async def aforward(self, question):
        return dspy.Prediction(answers=[each.answer for each in await self.how(self.parts, question)])


FAN = """
    invoke_workflow Fan
      Predict* at parts[0]
      Predict* at parts[1]
      Predict* at parts[2]"""


@scenario("a thread pool of the user's own", [YES], FAN, ordered=False)
def _(lm, server):
    def how(parts, question):
        def one(part):
            with dspy.context(lm=lm):
                return part(question=question)

        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(one, parts))

    return ask(Fan(how))


@scenario("dspy.Parallel", [YES], FAN, ordered=False)
def _(lm, server):
    def how(parts, question):
        parallel = dspy.Parallel(num_threads=3, disable_progress_bar=True)
        return parallel([(part, {"question": question}) for part in parts])

    return ask(Fan(how))


@scenario("asyncio.gather", [YES], FAN, ordered=False)
def _(lm, server):
    async def how(parts, question):
        return await asyncio.gather(*(part.acall(question=question) for part in parts))

    return asyncio.run(Fan(how).acall(question="why?"))


@scenario("asyncify", [YES], FAN, ordered=False)
def _(lm, server):
    async def how(parts, question):
        return await asyncio.gather(*(dspy.asyncify(part)(question=question) for part in parts))

    return asyncio.run(Fan(how).acall(question="why?"))


@scenario("streamify", [YES], "Predict*")
def _(lm, server):
    async def read():
        return [each async for each in dspy.streamify(predict())(question="why?")][-1]

    return asyncio.run(read())


@scenario("streamify with a listener", [YES], "Predict*")
def _(lm, server):
    async def read():
        listener = dspy.streaming.StreamListener(signature_field_name="answer")
        return [each async for each in dspy.streamify(predict(), stream_listeners=[listener])(question="why?")][-1]

    return asyncio.run(read())
