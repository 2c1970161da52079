"""One program of each library that does what the library can: an agent, a stream, an optimizer, a failing model."""

import asyncio
import contextlib

import dspy

import lmspan
from lmspan.testing import recording
from support import logillm_programs, wires
from support.llmproc import asking, program, weather
from support.programs import model, serving
from support.scenarios import ALL, execute
from support.scenarios.agents import step
from support.scenarios.agents import weather as look
from support.scenarios.core import YES

RLM = "RLM, its code asks a model and a tool"


def dspy_program():
    async def stream(predict):
        return [item async for item in dspy.streamify(predict)(question="?")]

    script = step("weather", city="Graz"), step("finish"), YES
    with serving(*script) as server, recording(), dspy.context(lm=model(server, num_retries=0)):
        dspy.ReAct("question -> answer", tools=[look])(question="?")
        asyncio.run(stream(dspy.Predict("question -> answer")))
        lmspan.add_event("mine", {"a": 1})
        with lmspan.run("events"):
            lmspan.add_event("mine", {"a": 1})
    with serving(wires.Reply(status=400)) as server, recording(), dspy.context(lm=model(server, num_retries=0)):
        with contextlib.suppress(Exception):
            dspy.Predict("question -> answer")(question="?")
    with recording():
        for name in ("COPRO", RLM):
            execute(next(each for each in ALL if each.name == name))


def logillm_program():
    async def run():
        mock = logillm_programs.mock
        answers = logillm_programs.WEATHER, logillm_programs.FINISH, logillm_programs.ANSWER
        await logillm_programs.react(mock(*answers))(question="?")
        with contextlib.suppress(Exception):
            await logillm_programs.predict(mock(error_rate=1.0, max_retries=1))(question="?")

    async def stream(provider):
        return [text async for text in provider.stream([{"role": "user", "content": "?"}])]

    with recording():
        asyncio.run(run())
        logillm_programs.optimize("GridSearchOptimizer")
        with logillm_programs.serving(wires.Reply("blue")) as server:
            asyncio.run(stream(logillm_programs.openai(server)))
        with lmspan.run("events"):
            lmspan.add_event("mine", {"a": 1})


def llmproc_program():
    def weather(city: str) -> str:
        """Look up the weather."""
        lmspan.add_event("mine", {"a": 1})
        return f"sun in {city}"

    async def run():
        process = await program(weather, "write_stderr").start()
        await process.run("?")
        with contextlib.suppress(Exception):
            await process.run("?")
        await process.aclose()

    calls = ("toolu_1", "weather", {"city": "Graz"}), ("toolu_2", "write_stderr", {"message": "hm"})
    script = wires.called(*calls, usage=wires.tokens(30, 10)), YES, wires.Reply(status=400)
    with wires.serving(*script) as server, asking(server), recording(instrument=("llmproc",)):
        asyncio.run(run())


LIBRARIES = {"DSPy": dspy_program, "LogiLLM": logillm_program, "LLMProc": llmproc_program}


# One agent of each library, which asks its model, calls a tool, and asks again; or whose model fails ----------------

QUESTION = "Is it sunny in Graz?"


def _nothing(*_):
    return None


def dspy_agent(prepare=_nothing, after=_nothing, *, fails=False):
    """Run the agent, awaited; `prepare` receives the program, and `after` is called when it has returned."""

    async def run():
        program = dspy.ReAct("question -> answer", tools=[look])
        prepare(program)
        try:
            return (await program.acall(question=QUESTION)).answer
        finally:
            after()

    script = (wires.Reply(status=400),) if fails else (step("weather", city="Graz"), step("finish"), YES)
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server, num_retries=0)):
        return asyncio.run(run()), recorded


def logillm_agent(prepare=_nothing, after=_nothing, *, fails=False):
    async def run():
        answers = logillm_programs.WEATHER, logillm_programs.FINISH, logillm_programs.ANSWER
        failure = {"error_rate": 1.0, "max_retries": 1} if fails else {}
        program = logillm_programs.react(logillm_programs.mock(*answers, **failure))
        prepare(program)
        try:
            return (await program(question=QUESTION)).outputs["answer"]
        finally:
            after()

    with recording() as recorded:
        return asyncio.run(run()), recorded


def llmproc_agent(prepare=_nothing, after=_nothing, *, fails=False):
    async def run():
        process = await program(weather).start()
        prepare(process)
        try:
            await process.run(QUESTION)
            return process.get_last_message()
        finally:
            after()
            await process.aclose()

    asked = wires.called(("toolu_1", "weather", {"city": "Graz"}), usage=wires.tokens(30, 10))
    script = (wires.Reply(status=400),) if fails else (asked, wires.Reply("sun", usage=wires.tokens(40, 5)))
    with wires.serving(*script) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        return asyncio.run(run()), recorded


AGENTS = {"DSPy": dspy_agent, "LogiLLM": logillm_agent, "LLMProc": llmproc_agent}
