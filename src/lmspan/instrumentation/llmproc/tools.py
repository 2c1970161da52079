"""Tools: `LLMProcess.call_tool`, which never raises, but returns a result that describes the error.

The exception is kept where LLMProc makes the result from it. The id of a tool call is the id of the block of the answer
whose input is the very object that the tool is called with.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import put, stored, text
from lmspan.instrumentation.kit.instrumentor import find
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.kit.turns import count_tool
from lmspan.instrumentation.llmproc.requests import RunKept, TurnKept
from lmspan.instrumentation.llmproc.responses import tool_call_id
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder


# the prefix of a refusal by LLMProc itself -> error.type
_REFUSALS: Final = (("Access denied:", "access_denied"), ("This tool is not available", "tool_not_available"))
_DEEPEST: Final = 3
_MCP: Final = "llmproc.tools.mcp."


@dataclass(slots=True)
class ToolKept:
    """Of a tool call: the name that its alias stands for, and the exception that LLMProc makes a result of."""

    resolved: str = ""
    raised: BaseException | None = None


def start(recorder: Recorder, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start a tool call of this process."""
    name = text(argument(args, kwargs, 0, "tool_name")) or "tool"
    arguments = argument(args, kwargs, 1, "args_dict")
    caller = current_call()
    facts: dict[str, Any] = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function"}
    turn = caller if caller is not None and caller.operation is Operation.TURN and caller.instance is process else None
    if turn is not None and turn.parent is not None:
        facts[sc.AGENT_NAME] = turn.parent.name
        count_tool(turn)
    call = recorder.start(Operation.TOOL, name, "llmproc", facts, instance=process, inputs=arguments)
    call.kept = ToolKept()
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the description of the tool, whether an MCP server runs it, and the arguments."""
    own = kept(call, ToolKept)
    turn = kept(call.parent, TurnKept)
    if call.parent is not None:
        put(call.late_facts, sc.TOOL_CALL_ID, tool_call_id(call.parent.response, call.inputs), str)
    offered = turn.tools if turn is not None else None
    for definition in offered if type(offered) is list else ():
        if definition.get("name") == call.name and type(definition.get("description")) is str:
            call.late_facts[sc.TOOL_DESCRIPTION] = recorder.content.text(definition["description"])
    registry = stored(call.instance)["tool_manager"].runtime_registry
    resolved = registry.tool_aliases.get(call.name, call.name)
    if own is not None:
        own.resolved = resolved
    if resolved != call.name:
        call.late_facts[sc.TOOL_ALIAS_OF] = resolved
    handler = registry.tool_handlers.get(resolved)
    if type(handler) is FunctionType and handler.__module__.startswith(_MCP):
        call.late_facts[sc.MCP_METHOD] = "tools/call"
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: call.inputs})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result of the tool, its error, and whether it aborts the rest of the answer."""
    fields = _stored(outputs)
    if fields.get("abort_execution") is True:
        call.late_facts[sc.TOOL_ABORTS] = True
        _compacted(call)
    if fields.get("is_error") is True:
        _failed(recorder, call, text(fields.get("content")))
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: fields.get("content")})


def _compacted(call: LiveCall) -> None:
    """Keep on the run that the history of its next request is shorter, after the tool `goto`."""
    own = kept(call, ToolKept)
    turn = call.parent
    run = kept(turn.parent, RunKept) if turn is not None else None
    if own is not None and own.resolved == "goto" and run is not None:
        run.compacted = True


def _failed(recorder: Recorder, call: LiveCall, content: str) -> None:
    """Make the span an error, though nothing was raised, and record the exception if there was one."""
    own = kept(call, ToolKept)
    error = own.raised if own is not None else None
    refusal = next((word for prefix, word in _REFUSALS if content.startswith(prefix)), "")
    if refusal or error is None:
        call.late_facts[sc.ERROR_TYPE] = refusal or "tool_error"
        call.failed = True
        return
    call.late_facts[sc.ERROR_TYPE] = qualified_name(type(error))
    call.failed = call.failure_below is not error  # else it was recorded below, where it was raised
    if call.failed:
        facts = {sc.EXCEPTION_TYPE: qualified_name(type(error))}
        if recorder.captures(call):
            facts[sc.EXCEPTION_MESSAGE] = recorder.content.message(error)
        recorder.add_event(call, Event.EXCEPTION, facts)


def patch(patches: Patches) -> None:
    """Patch the method that makes a result from an exception."""
    result = find("llmproc.common.results", "ToolResult")
    if result is not None:
        patches.wrap(result, "from_error", _from_error)


def _from_error(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _note_exception(sys.exc_info()[1])
    return wrapped(*args, **kwargs)


@guarded
def _note_exception(error: BaseException | None) -> None:
    own = kept(current_call(), ToolKept)
    if own is not None and error is not None:
        own.raised = error


def _stored(outputs: Any) -> dict[str, Any]:
    """Return the fields of a result, or of the result in it: LLMProc puts one that a tool returns into another."""
    kind = sys.modules["llmproc.common.results"].ToolResult
    fields = {"content": outputs}
    for _ in range(_DEEPEST):
        if issubclass(type(fields.get("content")), kind):
            fields = stored(fields["content"])
    return fields


TOOL: Final = Steps(start, describe, succeed, awaits_hooks=False)
