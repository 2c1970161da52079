"""Agents, their tools and interpreters."""

import asyncio
import json

import dspy

from lmspan.demo.server import Reply
from support.programs import fields
from support.scenarios.core import YES, ask, scenario


def weather(city: str) -> str:
    """Look up the weather."""
    if city == "nowhere":
        raise LookupError(city)
    return f"sun in {city}"


def step(tool, **arguments):
    return fields(next_thought="hm", next_tool_name=tool, next_tool_args=json.dumps(arguments))


def called(*calls):
    named = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
    return Reply(tool_calls=[{"id": f"c{i}", "type": "function", "function": each} for i, each in enumerate(named)])


REACT = """
    invoke_agent ReAct
      turn
        Predict* at react
        execute_tool weather{0}
      turn
        Predict* at react
        execute_tool finish
      Cot* at extract"""


@scenario("ReAct", [step("weather", city="Graz"), step("finish"), YES], REACT.format(""))
def _(lm, server):
    return ask(dspy.ReAct("question -> answer", tools=[weather]))


@scenario("async ReAct", [step("weather", city="Graz"), step("finish"), YES], REACT.format(""))
def _(lm, server):
    async def weather(city: str) -> str:
        return f"sun in {city}"

    return asyncio.run(dspy.ReAct("question -> answer", tools=[weather]).acall(question="why?"))


@scenario("ReAct, the tool fails", [step("weather", city="nowhere"), step("finish"), YES], REACT.format(" !"))
def _(lm, server):
    found = ask(dspy.ReAct("question -> answer", tools=[weather]))
    return [found.answer, found.trajectory, [str(each.request["messages"]) for each in server.exchanges]]


@scenario(
    "ReActV2, native tool calls",
    [called(("weather", {"city": "Graz"}), ("weather", {"city": "Linz"})), called(("submit", {"answer": "sun"}))],
    """
    invoke_agent ReActV2
      turn
        module react
          format ChatAdapter
          chat gpt-4o-mini
        execute_tool weather
        execute_tool weather
      turn
        module react
          format ChatAdapter
          chat gpt-4o-mini
        execute_tool submit""",
    needs="ReActV2",
)
def _(lm, server):
    return ask(dspy.ReActV2("question -> answer", tools=[weather])).answer


@scenario(
    "ProgramOfThought",
    [
        fields(reasoning="r", generated_code="```python\n1/0\n```"),
        fields(reasoning="r", generated_code="```python\nSUBMIT({'answer': 4})\n```"),
        fields(reasoning="r", answer="4"),
    ],
    """
    invoke_agent ProgramOfThought
      turn
        Cot* at code_generate
        interpreter.execute LocalInterpreter !
          interpreter.startup LocalInterpreter
      turn
        Cot* at code_regenerate
        interpreter.execute LocalInterpreter
      Cot* at generate_output
      interpreter.shutdown LocalInterpreter""",
    needs="LocalInterpreter",
)
def _(lm, server):
    return ask(dspy.ProgramOfThought("question -> answer", interpreter_factory=dspy.LocalInterpreter))


@scenario(
    "CodeAct",
    [fields(generated_code="```python\nprint(weather('Graz'))\n```", finished="True"), YES],
    """
    invoke_agent CodeAct
      interpreter.execute LocalInterpreter
        interpreter.startup LocalInterpreter
      turn
        Predict* at codeact
        interpreter.execute LocalInterpreter
      Cot* at extractor
      interpreter.shutdown LocalInterpreter""",
    needs="LocalInterpreter",
)
def _(lm, server):
    return ask(dspy.CodeAct("question -> answer", tools=[weather], interpreter_factory=dspy.LocalInterpreter))


@scenario(
    "RLM, its code asks a model and a tool",
    [
        fields(reasoning="look", code="```python\nprint(weather(city='Graz'), llm_query('say hi'))\n```"),
        Reply("hi"),
        fields(reasoning="done", code="```python\nSUBMIT(answer='sun')\n```"),
    ],
    """
    invoke_agent RLM
      interpreter.execute LocalInterpreter
        interpreter.startup LocalInterpreter
      interpreter.startup LocalInterpreter
      turn
        Predict* at generate_action
        interpreter.execute LocalInterpreter
          execute_tool weather
          execute_tool llm_query
            chat gpt-4o-mini
      turn
        Predict* at generate_action
        interpreter.execute LocalInterpreter
      interpreter.shutdown LocalInterpreter""",
    needs="LocalInterpreter",
)
def _(lm, server):
    program = dspy.RLM("question -> answer", tools=[weather], interpreter_factory=dspy.LocalInterpreter)
    return ask(program).answer


@scenario(
    "an agent in an agent",
    [step("expert", question="hm"), step("weather", city="Graz"), step("finish"), YES, step("finish"), YES],
    """
    invoke_agent ReAct
      turn
        Predict* at react
        execute_tool expert
          invoke_agent ReAct
            turn
              Predict* at react
              execute_tool weather
            turn
              Predict* at react
              execute_tool finish
            Cot* at extract
      turn
        Predict* at react
        execute_tool finish
      Cot* at extract""",
)
def _(lm, server):
    inner = dspy.ReAct("question -> answer", tools=[weather])

    def expert(question: str) -> str:
        """Ask the expert."""
        return inner(question=question).answer

    return ask(dspy.ReAct("question -> answer", tools=[expert])).answer
