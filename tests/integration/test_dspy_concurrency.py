"""Threads, tasks and streams: one trace, no orphan, every LM call under the module that made it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

from lmspan import semconv as sc
from lmspan.testing import recording
from support.programs import Reply, fields, model, serving


class Fan(dspy.Module):
    """Ask two predictors, in the way that `how` says."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.first = dspy.Predict("question -> answer")
        self.second = dspy.ChainOfThought("question -> answer")

    def forward(self, question):
        return self.how(self, question)

    async def aforward(self, question):
        return await self.how(self, question)


FAN = """
    invoke_workflow Fan
      module second
        module second.predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter
      module first
        format ChatAdapter
        chat gpt-4o-mini
        parse ChatAdapter
"""
ANSWER = fields(reasoning="so", answer="yes")


def in_order(program, question):
    return program.first(question=question), program.second(question=question)


def in_a_pool_of_the_users_own(program, question):
    settings = dspy.settings.lm

    def ask(predictor):
        with dspy.context(lm=settings):
            return predictor(question=question)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(ask, [program.first, program.second]))


def in_dspy_parallel(program, question):
    pairs = [(program.first, {"question": question}), (program.second, {"question": question})]
    return dspy.Parallel(num_threads=2, disable_progress_bar=True)(pairs)


async def in_gathered_tasks(program, question):
    return await asyncio.gather(program.first.acall(question=question), program.second.acall(question=question))


async def in_asyncified_threads(program, question):
    return await asyncio.gather(
        dspy.asyncify(program.first)(question=question), dspy.asyncify(program.second)(question=question)
    )


async def in_the_loops_executor(program, question):
    loop = asyncio.get_running_loop()
    lm = dspy.settings.lm

    def ask(predictor):
        with dspy.context(lm=lm):
            return predictor(question=question)

    return await asyncio.gather(*(loop.run_in_executor(None, ask, each) for each in (program.first, program.second)))


@pytest.mark.parametrize("how", [in_order, in_a_pool_of_the_users_own, in_dspy_parallel])
def test_whatever_runs_them_the_tree_is_the_same(how):
    with serving(ANSWER) as server, recording() as recorded, dspy.context(lm=model(server)):
        Fan(how)(question="why?")
    recorded.assert_tree(FAN, ordered=False)
    recorded.assert_conventions()
    assert len(recorded.trace_ids()) == 1


@pytest.mark.parametrize("how", [in_gathered_tasks, in_asyncified_threads, in_the_loops_executor])
async def test_whatever_awaits_them_the_tree_is_the_same(how):
    with serving(ANSWER) as server, recording() as recorded, dspy.context(lm=model(server)):
        await Fan(how).acall(question="why?")
    recorded.assert_tree(FAN, ordered=False)
    recorded.assert_conventions()
    assert len(recorded.trace_ids()) == 1


async def test_a_cancelled_call_is_ended_with_the_cancellation():
    slow = Reply(fields(answer="late").text, delay_s=0.5)
    with serving(slow) as server, recording() as recorded, dspy.context(lm=model(server)):
        task = asyncio.create_task(dspy.Predict("question -> answer").acall(question="why?"))
        while not server.exchanges:  # noqa: ASYNC110 - the server is in a thread of its own
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    recorded.assert_tree("""
        module Predict !
          format ChatAdapter
          chat gpt-4o-mini !
    """)
    assert recorded.attributes("chat gpt-4o-mini")[sc.ERROR_TYPE] == "asyncio.exceptions.CancelledError"
    recorded.assert_conventions()


def test_separate_programs_in_separate_threads_are_separate_traces():
    with serving(ANSWER) as server, recording() as recorded:
        lm = model(server)

        def run():
            with dspy.context(lm=lm):
                dspy.Predict("question -> answer")(question="why?")

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recorded.trace_ids()) == len(recorded.roots()) == 4
    recorded.assert_conventions()
