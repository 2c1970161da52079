"""Code interpreters: their startup and shutdown, the code that they run, and the tools that the code calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.dspy.tools import ToolKept
from lmspan.instrumentation.kit.arguments import argument, keywords
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.turns import agent_of, end_turn
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def describe_execute(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the code of `execute(code, variables)`."""
    code = text(argument(args, kwargs, 0, "code"))
    call.late_facts[sc.INTERPRETER_CODE_LENGTH] = len(code)
    if recorder.captures(call):
        recorder.capture(call, {sc.INTERPRETER_CODE: code})


def succeed_execute(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the output of the code, or the values that it submits."""
    if recorder.captures(call):
        submitted = stored(outputs) if type(outputs).__name__ == "FinalOutput" else outputs
        recorder.capture(call, {sc.INTERPRETER_OUTPUT: submitted})


def start_tool(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `invoke_tool(tool_name, kwargs)`, by which generated code calls a function of the program."""
    name = text(argument(args, kwargs, 0, "tool_name")) or "tool"
    facts = {sc.TOOL_NAME: name, sc.TOOL_TYPE: "function", sc.TOOL_CALLER: "interpreter"}
    passed = (args, kwargs)
    call = recorder.start(
        Operation.TOOL, name, "dspy", facts, instance=instance, inputs=_tool_inputs(args, kwargs), arguments=passed
    )
    call.kept = ToolKept(name)  # a `dspy.Tool` of that name, called for it, is this very call
    return call


def _tool_inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the arguments of the tool; a local interpreter passes the positional ones before the keywords."""
    by_name = kwargs.get("kwargs", args[-1] if len(args) > 1 else None)
    positional = kwargs.get("args", args[1] if len(args) > 2 else ())  # noqa: PLR2004 - (tool_name, args, kwargs)
    return keywords(tuple(positional), by_name) if type(by_name) is dict else by_name


def describe_tool(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the arguments of the tool."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_ARGUMENTS: call.inputs})


def succeed_tool(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result that the code receives."""
    if recorder.captures(call):
        recorder.capture(call, {sc.TOOL_CALL_RESULT: outputs})


def _starts(operation: Operation) -> Any:
    def start(recorder: Recorder, instance: Any, *arguments: Any) -> LiveCall:
        agent = agent_of(current_call())
        if agent is not None and operation is Operation.INTERPRETER_SHUTDOWN:
            end_turn(recorder, agent)  # the loop is over
        name = type(instance).__name__
        facts = {sc.INTERPRETER_NAME: name, sc.INTERPRETER_LANGUAGE: "python"}
        return recorder.start(operation, name, "dspy", facts, instance=instance, arguments=arguments)

    return start


METHODS: Final[dict[str, Steps]] = {
    "execute": Steps(_starts(Operation.INTERPRETER_EXECUTE), describe_execute, succeed_execute),
    "invoke_tool": Steps(start_tool, describe_tool, succeed_tool),
    "start": Steps(_starts(Operation.INTERPRETER_STARTUP)),
    "shutdown": Steps(_starts(Operation.INTERPRETER_SHUTDOWN)),
}
