"""Tools: `dspy.Tool`, called by an agent's loop or by the program itself, and tool calls that a program executes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps, around
from lmspan.instrumentation.kit.facts import cells, stored, text
from lmspan.instrumentation.kit.kept import TurnKept, kept
from lmspan.instrumentation.kit.turns import agent_of, count_tool
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder

_SENTINELS: Final = ("finish", "submit")
_MCP: Final = "dspy.utils.mcp"
_MCP_FAILED: Final = "Failed to call a MCP tool"


@dataclass(slots=True)
class ToolKept:
    """Of a tool call that runs a tool of the program: that tool or its name, until it is called."""

    executes: Any


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a tool call, whose arguments are keywords."""
    name = text(stored(instance).get("name")) or "tool"
    caller = current_call()
    executing = kept(caller, ToolKept)
    if executing is not None:
        executed = executing.executes
        executing.executes = None
        if executed is instance or (type(executed) is str and executed == name):
            return None  # the tool call that executes this tool is the span
    facts: dict[str, Any] = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    agent = agent_of(caller)
    if agent is not None:
        facts[sc.AGENT_NAME] = agent.name
    call = recorder.start(
        Operation.TOOL, name, "dspy", facts, instance=instance, inputs=kwargs, arguments=(args, kwargs)
    )
    count_tool(caller)
    _add_id(call, kept(caller, TurnKept))
    return call


def _add_id(call: LiveCall, turn: TurnKept | None) -> None:
    """Add the id that the model gave the tool call: tools are called in the model's order."""
    requested = turn.tool_calls if turn is not None else []
    for index, (name, call_id) in enumerate(requested):
        if name == call.name:
            del requested[: index + 1]
            if call_id is not None:
                call.late_facts[sc.TOOL_CALL_ID] = call_id
            return


def describe(recorder: Recorder, call: LiveCall, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the description of the tool and its arguments."""
    fields = stored(call.instance)
    if type(fields.get("desc")) is str:
        call.late_facts[sc.TOOL_DESCRIPTION] = recorder.content.text(fields["desc"])
    if call.name in _SENTINELS and sc.AGENT_NAME in call.facts:
        call.late_facts[sc.TOOL_SENTINEL] = True
    _describe_mcp(call, fields.get("func"))
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: kwargs})


def _describe_mcp(call: LiveCall, function: Any) -> None:
    """Add that an MCP server runs the tool: then its function is the one that DSPy makes around a session."""
    if type(function).__name__ != "function" or function.__module__ != _MCP:
        return
    call.late_facts[sc.MCP_METHOD] = "tools/call"
    session = cells(function).get("session")
    session = session.cell_contents if session is not None else None
    fields = stored(session) if type(session).__module__.startswith("mcp.") else {}
    inner = fields.get("_session") or fields.get("session")
    version = fields.get("_negotiated_version") or (stored(inner) if inner else {}).get("_negotiated_version")
    if type(version) is str:
        call.late_facts[sc.MCP_PROTOCOL_VERSION] = version


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result of the tool."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


def fail(_: Recorder, call: LiveCall, error: BaseException) -> None:
    """Name an error that the MCP server has answered with, other than one of the connection."""
    if sc.MCP_METHOD in call.late_facts and type(error) is RuntimeError and text(error.args[0]).startswith(_MCP_FAILED):
        call.late_facts[sc.ERROR_TYPE] = "tool_error"


def patch(patches: Patches) -> None:
    """Patch the functions that know the ids of tool calls."""
    react = sys.modules.get("dspy.predict.react_v2")
    if react is not None:
        patches.wrap(react, "_ensure_tool_call_ids", _ensure_ids)
    calls = getattr(sys.modules["dspy.adapters.types.tool"], "ToolCalls", None)
    one = getattr(calls, "ToolCall", None)
    if one is not None:
        patches.wrap(one, "execute", _execute)


def _ensure_ids(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the tool calls of a turn before ReActV2 makes ids for those to which the model gave none."""
    _note_calls(argument(args, kwargs, 0, "tool_calls"))
    return wrapped(*args, **kwargs)


@guarded
def _note_calls(calls: Any) -> None:
    turn = kept(current_call(), TurnKept)
    if turn is not None:
        turn.tool_calls = [(text(each.name), each.id) for each in calls.tool_calls]


def start_execute(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `ToolCall.execute(functions)`, which calls the bare function and no `dspy.Tool`."""
    fields = stored(instance)
    name = text(fields.get("name")) or "tool"
    facts: dict[str, Any] = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    call = recorder.start(Operation.TOOL, name, "dspy", facts, instance=instance, inputs=fields.get("args"))
    functions = argument(args, kwargs, 0, "functions")
    call.kept = ToolKept(functions.get(name) if type(functions) is dict else None)
    if type(fields.get("id")) is str:
        call.late_facts[sc.TOOL_CALL_ID] = fields["id"]
    return call


def describe_execute(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the arguments of the tool."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: call.inputs})


_around_execute = around(Steps(start_execute, describe_execute, succeed))


def _execute(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record a tool call that a program executes.

    If no functions are passed, DSPy looks for one with the tool's name in the frame of its caller. With this wrapper
    between them, that is not the program's frame, so the wrapper looks it up; DSPy raises for a name that is unknown.
    """
    functions = argument(args, kwargs, 0, "functions")
    if recording.active.ready() is not None and functions is None and not args[1:]:
        name = stored(instance).get("name")
        frame: Any = sys._getframe(1)  # noqa: SLF001 - as DSPy does
        while frame.f_globals.get("__name__", "").startswith("wrapt"):  # where wrapt has no compiled part
            frame = frame.f_back
        args = ()
        kwargs = {"functions": {name: frame.f_locals.get(name) or frame.f_globals.get(name)}}
        del frame
    return _around_execute(wrapped, instance, args, kwargs)


TOOL: Final = Steps(start, describe, succeed, fail)
