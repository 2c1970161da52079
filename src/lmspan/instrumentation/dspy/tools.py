"""Tools: `dspy.Tool`, called by an agent's loop or by the program itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.calls import Hook, text
from lmspan.lifecycle import Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_SENTINELS: Final = ("finish", "submit")

_get = object.__getattribute__


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start a tool call; DSPy calls tools with keywords only."""
    del args
    stored = _get(instance, "__dict__")
    name = text(stored.get("name")) or "tool"
    facts: dict[str, Any] = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    parent = current_call()
    if parent is not None and parent.operation is Operation.AGENT:
        facts[sc.AGENT_NAME] = parent.name
    return recorder.start(Operation.TOOL, name, "dspy", facts, instance=instance, inputs=kwargs)


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add what the tool says of itself and what it is called with."""
    del args
    description = _get(call.instance, "__dict__").get("desc")
    if type(description) is str:
        call.found[sc.TOOL_DESCRIPTION] = recorder.content.text(description)
    if call.name in _SENTINELS and sc.AGENT_NAME in call.facts:
        call.found[sc.TOOL_SENTINEL] = True
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: kwargs})


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record what the tool returned."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


TOOL: Final = Hook(begin, describe, finish)
