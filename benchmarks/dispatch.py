"""What one event costs each callback that hears it: by each library's own dispatch, and by lmspan, in one process.

The callbacks do nothing, and are of the same kind on both sides. Each row is measured with none, one and eleven of
them, all rows in turn in every round: what the first adds, and what each of ten further ones does. Microseconds of the
calling thread's CPU for each event, the minimum of the rounds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS = (0, 1, 11)


class Prepared(NamedTuple):
    """`call` makes two events; `prepare` subscribes the callbacks, and nothing else, before it."""

    call: Callable[[], object]
    prepare: Callable[[], object]


# Callbacks that do nothing --------------------------------------------------------------------------------------------


class ForDSPy:
    def on_tool_start(self, call_id: Any, instance: Any, inputs: Any) -> None: ...
    def on_tool_end(self, call_id: Any, outputs: Any, exception: Any) -> None: ...


class ForLogiLLM:
    def on_module_start(self, event: Any) -> None: ...
    def on_module_end(self, event: Any) -> None: ...


class ForLLMProc:
    def tool_start(self, tool_name: Any, args: Any) -> None: ...
    def tool_end(self, tool_name: Any, result: Any) -> None: ...


class ForDsrs:
    def on_module_start(self, call_id: Any, module_type: Any, inputs: Any) -> None: ...
    def on_module_end(self, call_id: Any, result: Any) -> None: ...


def function(event: Any, *args: Any) -> None: ...


# The libraries' own dispatch ------------------------------------------------------------------------------------------


def dspy_own(count: int) -> Prepared:
    import dspy

    silent = type("Silent", (ForDSPy, dspy.utils.callback.BaseCallback), {})
    tool = dspy.Tool(lambda: None, name="tool")
    callbacks = [silent() for _ in range(count)]
    return Prepared(tool, lambda: dspy.configure(callbacks=callbacks))


def logillm_own(count: int) -> Prepared:
    from logillm.core import callbacks as theirs

    silent = type("Silent", (ForLogiLLM, theirs.AbstractCallback), {})
    managers: Any = theirs.CallbackManager
    manager = managers()
    context = theirs.CallbackContext()
    events = theirs.ModuleStartEvent(context, None), theirs.ModuleEndEvent(context, None)
    registered = [silent() for _ in range(count)]

    async def both() -> None:
        for event in events:
            await manager.emit_async(event)

    def prepare() -> None:
        manager.clear()
        for each in registered:
            manager.register(each)

    return Prepared(_without_waiting(both), prepare)


def _without_waiting(make: Callable[[], Any]) -> Callable[[], object]:
    """Run a coroutine that waits for nothing."""

    def call() -> None:
        coroutine = make()
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise RuntimeError("the library's dispatch has waited")

    return call


def llmproc_own(make: Callable[[], Any]) -> Callable[[int], Prepared]:
    def prepared(count: int) -> Prepared:
        from llmproc.callbacks import CallbackEvent
        from llmproc.callbacks.callback_utils import trigger_event

        process = SimpleNamespace(callbacks=[make() for _ in range(count)])

        def call() -> None:
            trigger_event(process, CallbackEvent.TOOL_START, "tool", {})
            trigger_event(process, CallbackEvent.TOOL_END, "tool", None)

        return Prepared(call, lambda: None)

    return prepared


# lmspan: an operation with the callbacks subscribed -------------------------------------------------------------------


def subscribed(make: Callable[[], Any], kind: Literal["tool", "module"] = "tool") -> Callable[[int], Prepared]:
    def prepared(count: int) -> Prepared:
        import lmspan

        callbacks = [make() for _ in range(count)]

        def call() -> None:
            with lmspan.operation(kind, "tool", inputs={}):
                pass

        def prepare() -> None:
            lmspan.unsubscribe_all()
            for each in callbacks:
                lmspan.subscribe(each)

        return Prepared(call, prepare)

    return prepared


@dataclass(frozen=True)
class Row:
    name: str
    own: Callable[[int], Prepared] | None
    ours: Callable[[int], Prepared]


ROWS = (
    Row("DSPy, class", dspy_own, subscribed(ForDSPy)),
    Row("LogiLLM, class", logillm_own, subscribed(ForLogiLLM, "module")),
    Row("LLMProc, class", llmproc_own(ForLLMProc), subscribed(ForLLMProc)),
    Row("LLMProc, function", llmproc_own(lambda: function), subscribed(lambda: function)),
    Row("dsrs, class", None, subscribed(ForDsrs, "module")),
)


def dispatch(rounds: int, events: int) -> dict[str, Any]:
    """Return for each row and side what the first callback and what each further one costs an event."""
    import lmspan

    asyncio.set_event_loop(asyncio.new_event_loop())
    with lmspan.init(exporters="none", capture_content="none", instrument=()):
        sides = {
            f"{row.name}|{side}": [make(count) for count in COUNTS]
            for row in ROWS
            for side, make in (("own", row.own), ("lmspan", row.ours))
            if make is not None
        }
        times: dict[str, list[list[float]]] = {key: [] for key in sides}
        for _ in range(rounds):
            for key, prepared in sides.items():
                times[key].append([_measure(each, events) for each in prepared])
    return {key: _cost(measured) for key, measured in times.items()}


def _measure(prepared: Prepared, events: int) -> float:
    prepared.prepare()
    for _ in range(20):
        prepared.call()
    start = time.thread_time_ns()
    for _ in range(events // 2):
        prepared.call()
    return (time.thread_time_ns() - start) / events / 1000


def _cost(times: list[list[float]]) -> tuple[float, float]:
    none, one, several = (min(column) for column in zip(*times, strict=True))
    return one - none, (several - one) / (COUNTS[2] - COUNTS[1])
