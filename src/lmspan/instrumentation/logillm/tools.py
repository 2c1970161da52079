"""Tools: `Tool`, called by an agent's loop, a registry, or the program itself.

`execute` and `execute_sync`, which turn an error into a result, call `acall` and `__call__`. The span is around those,
so it has the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import is_inside, stored, text
from lmspan.instrumentation.kit.turns import agent_of, count_tool
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def start(recorder: Recorder, instance: Any, _: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a tool call, whose arguments are keywords."""
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
    """Add the description of the tool and its arguments."""
    description = stored(call.instance).get("desc")
    if type(description) is str:
        call.late_facts[sc.TOOL_DESCRIPTION] = recorder.content.text(description)
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: kwargs})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result of the tool."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


TOOL: Final = Steps(start, describe, succeed, cause=root_cause)
