"""Tools: `Tool`, called by an agent's loop, a registry, or the program itself.

`execute` and `execute_sync`, which turn an error into a result, call `acall` and `__call__`: those are the spans, so an
error is seen where it happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.facts import is_inside, stored, text
from lmspan.instrumentation.kit.turns import agent_of, count_tool
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def begin(recorder: Recorder, instance: Any, _: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a tool call; LogiLLM calls tools with keywords only."""
    if is_inside(instance, Operation.TOOL):
        return None
    name = text(stored(instance).get("name")) or "tool"
    facts: dict[str, Any] = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    caller = current_call()
    agent = agent_of(caller)
    if agent is not None:
        facts[sc.AGENT_NAME] = agent.name
    call = recorder.start(Operation.TOOL, name, "logillm", facts, instance=instance, inputs=kwargs)
    count_tool(caller)
    return call


def describe(recorder: Recorder, call: LiveCall, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add what the tool says of itself and what it is called with."""
    description = stored(call.instance).get("desc")
    if type(description) is str:
        call.found[sc.TOOL_DESCRIPTION] = recorder.content.text(description)
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: kwargs})


def finish(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record what the tool returned."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


TOOL: Final = Hook(begin, describe, finish, cause=root_cause)
