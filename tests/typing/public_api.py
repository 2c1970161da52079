"""What a type checker makes of the public API; checked by mypy, never run."""

import functools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, assert_type

from opentelemetry.sdk.trace.export import SpanExporter

import lmspan
from lmspan.callbacks.dspy import BaseCallback
from lmspan.callbacks.dsrs import CallbackEvent
from lmspan.callbacks.logillm import AbstractCallback, ModuleEndEvent, Priority


@lmspan.tool
def double(x: int) -> int:
    return 2 * x


@lmspan.tool(name="later")
async def later(x: int) -> str:
    return str(x)


@lmspan.module
def stream() -> Iterator[int]:
    yield 1


@lmspan.agent
async def astream() -> AsyncIterator[int]:
    yield 1


@lmspan.tool("search")
def search(query: str) -> list[str]:
    return [query]


@lmspan.lm(provider="openai", model="gpt-4o-mini")
def ask(question: str) -> str:
    lmspan.add_response(model="gpt-4o-mini", finish_reason="stop", input_tokens=1, output_tokens=2, cost_usd=0.1)
    lmspan.add_response({"usage": {}}, finish_reason=["stop", "length"], cost_source="list")
    return question


@lmspan.tool()
def count(words: list[str]) -> int:
    return len(words)


class Desk:
    @lmspan.tool
    @classmethod
    def above(cls, x: int) -> str:
        return str(x)

    @classmethod
    @lmspan.tool("below")
    def below(cls, x: int) -> str:
        return str(x)

    @lmspan.tool
    @staticmethod
    async def apart(x: int) -> str:
        return str(x)

    @property
    @lmspan.tool
    def size(self) -> int:
        return 1

    def __call__(self, x: int) -> str:
        return str(x)


class DSPyTiming(BaseCallback):
    def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        assert_type(super().on_lm_end(call_id, outputs, exception), None)


class LogiLLMTiming(AbstractCallback):
    @property
    def priority(self) -> Priority:
        return Priority.HIGH

    def on_module_end(self, event: ModuleEndEvent) -> None:
        assert_type((event.success, event.duration, event.context.call_id), tuple[bool, float | None, str])


async def use() -> None:
    assert_type(double(1), int)
    assert_type(await later(1), str)
    assert_type(list(stream()), list[int])
    assert_type([item async for item in astream()], list[int])
    assert_type(search("tea"), list[str])
    assert_type(count(["tea"]), int)
    assert_type((ask("tea"), lmspan.lm(double)(1), lmspan.lm("m")(double)(1)), tuple[str, int, int])
    assert_type((Desk.above(1), Desk().above(1), Desk.below(1)), tuple[str, str, str])
    assert_type(await Desk.apart(1), str)
    assert_type(Desk().size, int)
    assert_type(lmspan.tool(Desk()), Desk)
    assert_type(lmspan.agent("desk")(Desk())(1), str)
    assert_type(lmspan.tool(functools.partial(double, 1))(), int)
    assert_type(lmspan.tool(double, name="twice")(1), int)
    assert_type(lmspan.tool(property(double)), property)
    with lmspan.operation(lmspan.Operation.TOOL, "search", inputs={"q": "cats"}) as call:
        assert_type(call, lmspan.Call)
        call.outputs = ["a"]
    with lmspan.init("shop", exporters=["file"], capture_content="none") as session:
        assert_type(session, lmspan.Session)
        assert_type(session.force_flush(timeout_s=1.0), bool)
        assert_type((session.trace_directory, session.instrumented), tuple[Path | None, tuple[str, ...]])
    assert_type(lmspan.subscribe({"on_tool_start": print}, scope=session), lmspan.Subscription)
    with lmspan.subscribed(DSPyTiming(), hooks=["on_lm_end"], on_error="stop", priority=lmspan.Priority.HIGH) as timing:
        assert_type(timing, lmspan.Subscription)
        assert_type((timing.failures, timing.dropped, timing.active), tuple[int, int, bool])
    with lmspan.run("nightly", callbacks=[LogiLLMTiming()]) as result:
        assert_type((result.api_calls, result.total_tokens, result.cost), tuple[int, int, float])
    assert_type(CallbackEvent.ModuleEnd("1", success=True, duration_ms=5, tokens=None).success, bool)
    trace = lmspan.traces.find(3)
    assert_type((trace.root.name, trace.total.cost, trace.failures[0].recovered), tuple[str, float | None, bool])
    assert_type(lmspan.traces.list(failed=True, since="2h")[0].words, str)
    assert_type(lmspan.traces.list(sort="cost", ascending=True, model="m")[0].cost, float | None)
    assert_type(lmspan.traces.statistics("tool", service="shop")[0].p95_s, float)
    assert_type(trace.optimizer_runs[0].candidates[0].score, float | None)
    assert_type(trace.evaluations[0].examples[0].feedback, str)
    lmspan.traces.list(colour="blue")  # type: ignore[call-arg]
    double("wrong")  # type: ignore[arg-type]
    search(1)  # type: ignore[arg-type]
    lmspan.tool(3)  # type: ignore[call-overload]
    lmspan.tool(name=3)  # type: ignore[call-overload]
    lmspan.tool("a", name="b")  # type: ignore[call-overload]
    lmspan.tool(model="m")  # type: ignore[call-overload]
    lmspan.lm(model=3)  # type: ignore[call-overload]
    lmspan.add_response(tokens=3)  # type: ignore[call-arg]
    lmspan.init(colour="blue")  # type: ignore[call-arg]


def options(exporter: SpanExporter) -> None:
    """Options with fixed values: editors complete them, and a wrong one is an error."""
    lmspan.init(exporters="otlp", instrument="all", capture_content="event", events="both")
    lmspan.init(exporters=exporter, instrument=["dspy", "llmproc"], callbacks=[print])
    lmspan.init(exporters=[exporter, "console"])
    lmspan.init(exporters="oltp")  # type: ignore[arg-type]
    lmspan.init(exporters=["oltp"])  # type: ignore[list-item]
    lmspan.init(exporters=[3])  # type: ignore[list-item]
    lmspan.init(instrument="haystack")  # type: ignore[arg-type]
    lmspan.init(instrument=["dsypy"])  # type: ignore[list-item]
    lmspan.init(capture_content="all")  # type: ignore[arg-type]
    lmspan.init(events="logs")  # type: ignore[arg-type]
    lmspan.subscribe(print, on_error="log", delivery="queued", dialect="llmproc")
    lmspan.subscribe(print, on_error="raise")  # type: ignore[arg-type]
    lmspan.subscribe(print, delivery="async")  # type: ignore[arg-type]
    lmspan.subscribe(print, dialect="dspy.ex")  # type: ignore[arg-type]
    lmspan.subscribed(print, delivery="async")  # type: ignore[arg-type]
    lmspan.subscribed(print, colour="blue")  # type: ignore[call-arg]
    with lmspan.attributes(session_id="s", user_id="u", conversation_id="c", tags=["a"]):
        pass
    lmspan.attributes(session=1)  # type: ignore[call-arg]
    with lmspan.operation("embedding", provider="openai", model="text-embedding-3-small"):
        pass
    with lmspan.operation("tool", "search"), lmspan.operation(lmspan.Operation.LM):
        pass
    lmspan.operation("chat")  # type: ignore[arg-type]
