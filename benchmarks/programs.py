"""The programs. Their models answer at once, so that every ratio is a worst case."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = "what colour is the sky?"
TASKS = 1000


@dataclass(frozen=True)
class Program:
    """A program of one library; `make(size)` returns a function that runs it once on an input of so many characters."""

    name: str
    library: str
    make: Callable[[int], Callable[[], object]]
    is_threaded: bool = False
    """Its work is on several threads: the clock is that of the process."""
    weight: int = 1
    """How many calls of `Predict` it is worth, about: the other programs run so many times less in a round."""


def question(size: int) -> str:
    return (QUESTION * (size // len(QUESTION) + 1))[:size] if size else QUESTION


# DSPy -----------------------------------------------------------------------------------------------------------------


def _lm(*answers: dict[str, Any]) -> Any:
    from dspy.utils import DummyLM

    lm = DummyLM([])
    lm.answers = itertools.cycle(answers)
    return lm


def _predict(size: int) -> Callable[[], object]:
    import dspy

    program, text = dspy.Predict("question -> answer"), question(size)
    program.set_lm(_lm({"answer": "blue"}))
    return lambda: program(question=text)


def _predict_with_lm(size: int) -> Callable[[], object]:
    """Return a `Predict` over the LM class of programs, with usage, on an engine in the process."""
    import dspy
    from dspy.lm15 import Message, Response, TextPart, Usage

    class Engine:
        def complete(self, request: Any) -> Any:
            parts = [TextPart("[[ ## answer ## ]]\nblue\n\n[[ ## completed ## ]]")]
            usage = Usage(input_tokens=120, output_tokens=12, total_tokens=132)
            return Response(
                id="1", model="fast", message=Message.assistant(parts), finish_reason="stop", usage=usage
            )  # fmt: skip

    program, text = dspy.Predict("question -> answer"), question(size)
    program.set_lm(dspy.LM("bench/fast", engine=Engine(), cache=False))
    return lambda: program(question=text)


def _chain_of_thought(size: int) -> Callable[[], object]:
    import dspy

    program, text = dspy.ChainOfThought("question -> answer"), question(size)
    program.set_lm(_lm({"reasoning": "it scatters light", "answer": "blue"}))
    return lambda: program(question=text)


def weather(city: str) -> str:
    """Look up the weather."""
    return f"sun in {city}"


def population(city: str) -> int:
    """Count the people."""
    return len(city) * 1000


def _react(size: int) -> Callable[[], object]:
    import dspy

    def step(tool: str, **arguments: str) -> dict[str, Any]:
        return {"next_thought": "look", "next_tool_name": tool, "next_tool_args": arguments}

    program, text = dspy.ReAct("question -> answer", tools=[weather, population]), question(size)
    program.set_lm(
        _lm(step("weather", city="Graz"), step("population", city="Graz"), step("finish"),
            {"reasoning": "seen", "answer": "sun"})
    )  # fmt: skip
    return lambda: program(question=text)


def _evaluate(size: int) -> Callable[[], object]:
    import dspy

    program = dspy.Predict("question -> answer")
    program.set_lm(_lm({"answer": "blue"}))
    example = dspy.Example(question=question(size), answer="blue").with_inputs("question")
    evaluate = dspy.Evaluate(
        devset=[example] * 40, metric=lambda given, found, trace=None: 1.0, num_threads=4, display_progress=False
    )
    return lambda: evaluate(program)


def _asyncio(size: int) -> Callable[[], object]:
    import dspy

    program, text = dspy.Predict("question -> answer"), question(size)
    program.set_lm(_lm({"answer": "blue"}))

    async def all_of_them() -> None:
        await asyncio.gather(*(program.acall(question=text) for _ in range(TASKS)))

    return lambda: asyncio.run(all_of_them())


# LogiLLM and LLMProc --------------------------------------------------------------------------------------------------


def _logillm(size: int) -> Callable[[], object]:
    from logillm.core.predict import Predict
    from logillm.providers.mock import MockProvider

    program, text = (
        Predict("question -> answer", provider=MockProvider(responses=['{"answer": "blue"}'])),
        question(size),
    )
    return _looped(lambda: program(question=text))


def _looped(make: Callable[[], Any]) -> Callable[[], object]:
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(make())


class _Claude:
    """The part of Anthropic's client that LLMProc calls."""

    def __init__(self) -> None:
        from anthropic.types import Message

        usage = dict.fromkeys(("cache_creation_input_tokens", "cache_read_input_tokens"), 0)
        usage |= {"input_tokens": 120, "output_tokens": 12}
        common = {"id": "1", "model": "claude-sonnet-4-5", "role": "assistant", "type": "message", "usage": usage}
        tool_use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Graz"}}
        text = {"type": "text", "text": "blue"}
        replies = (("tool_use", tool_use), ("end_turn", text))
        self._replies = itertools.cycle(
            [Message.model_validate({**common, "content": [block], "stop_reason": reason}) for reason, block in replies]
        )
        self.messages = self

    async def create(self, **_: Any) -> Any:
        return next(self._replies)


def _llmproc(size: int) -> Callable[[], object]:
    from llmproc import LLMProgram

    text = question(size)
    program = LLMProgram(
        model_name="claude-sonnet-4-5", provider="anthropic", system_prompt="Be brief.", tools=[weather],
        parameters={"max_tokens": 100},
    )  # fmt: skip
    loop = asyncio.new_event_loop()
    process = loop.run_until_complete(program.start())
    process.client = _Claude()
    for callback in LISTENING_TO_LLMPROC:
        process.add_callback(callback)

    async def run() -> None:
        process.state.clear()
        await process.run(text)

    return lambda: loop.run_until_complete(run())


LISTENING_TO_LLMPROC: list[Any] = []
"""The callbacks of each process: contenders add theirs."""


# Python ---------------------------------------------------------------------------------------------------------------


def _function(size: int) -> Callable[[], object]:
    text = question(size)
    return lambda: DECORATED[-1](text)


def _plain(text: str) -> int:
    return len(text)


DECORATED: list[Callable[[str], int]] = [_plain]
"""The last one is called: contenders add theirs."""

PROGRAMS = {
    program.name: program
    for program in (
        Program("Predict", "dspy", _predict),
        Program("Predict, dspy.LM", "dspy", _predict_with_lm),
        Program("ChainOfThought", "dspy", _chain_of_thought),
        Program("ReAct, two tools", "dspy", _react, weight=8),
        Program("Evaluate, 40 on 4 threads", "dspy", _evaluate, is_threaded=True, weight=50),
        Program("asyncio, 1,000 tasks", "dspy", _asyncio, is_threaded=True, weight=1000),
        Program("LogiLLM Predict", "logillm", _logillm),
        Program("LLMProc, one tool", "llmproc", _llmproc, weight=2),
        Program("decorated function", "python", _function),
    )
}
