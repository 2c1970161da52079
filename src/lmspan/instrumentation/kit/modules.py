"""Modules: predictors, programs and agents. The outermost program that the user wrote is a workflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import agent_message
from lmspan.content.payload import qualified_name
from lmspan.instrumentation.kit import examples, turns
from lmspan.instrumentation.kit.kept import ModuleKept, kept
from lmspan.instrumentation.kit.structure import MODULES, is_outermost, path_in, submodules
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.instrumentation.kit.turns import Loop
    from lmspan.lifecycle import Arguments, LiveCall
    from lmspan.recording.recorder import Recorder

_NAMED: Final = {Operation.AGENT: sc.AGENT_NAME, Operation.WORKFLOW: sc.WORKFLOW_NAME}


def start(
    recorder: Recorder,
    source: str,
    instance: Any,
    inputs: dict[str, Any],
    arguments: Arguments | None = None,
    *,
    loops: dict[str, Loop],
    base: type,
) -> LiveCall:
    """Start a module call. `loops` has the library's agents, `base` is the base class of its modules."""
    turns.advance(recorder, instance)
    kind = type(instance)
    loop = turns.loop_of(kind, loops, f"{source}.")
    operation = Operation.AGENT if loop is not None else _operation(source, kind, instance, base)
    facts: dict[str, Any] = {sc.MODULE_NAME: kind.__name__}
    if operation in _NAMED:
        facts[_NAMED[operation]] = kind.__name__
    call = recorder.start(
        operation, kind.__name__, source, facts, instance=instance, inputs=inputs, arguments=arguments
    )
    call.kept = ModuleKept(loop)
    examples.adopt(recorder, call)
    return call


def _operation(source: str, kind: type, instance: Any, base: type) -> Operation:
    own = not qualified_name(kind).startswith(f"{source}.")
    return Operation.WORKFLOW if own and is_outermost() and any(submodules(instance, base)) else Operation.MODULE


def place(recorder: Recorder, call: LiveCall, base: type) -> None:
    """Add where the module sits in its program; the span of a module has its name from there."""
    parent = turns.agent_of(call.parent) or call.parent
    path = path_in(call.instance, parent, base) if parent is not None and parent.operation in MODULES else ""
    own = kept(call, ModuleKept)
    if path and own is not None:
        own.path = path
        call.late_facts[sc.MODULE_PATH] = path
        if call.operation is Operation.MODULE:
            recorder.name_place(call, path)


def capture(recorder: Recorder, call: LiveCall, inputs: dict[str, Any]) -> None:
    """Record the inputs; for an agent, also as its first message, and its tools."""
    if call.operation is Operation.AGENT:
        if message := agent_message("user", inputs, recorder.content.brief):
            recorder.capture(call, {sc.INPUT_MESSAGES: message})
        if tools := turns.tools_of(call):
            recorder.capture(call, {sc.TOOL_DEFINITIONS: tools})
    recorder.capture(call, {sc.MODULE_INPUTS: inputs})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record what the module returned."""
    if not recorder.captures(call):
        return
    if call.operation is Operation.AGENT and (message := agent_message("assistant", outputs, recorder.content.brief)):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: message})
    recorder.capture(call, {sc.MODULE_OUTPUTS: outputs})


def release(recorder: Recorder, call: LiveCall, error: BaseException | None) -> None:
    """End the last turn of an agent, and keep on a turn that its predictor has returned."""
    if error is None:
        turns.note_choice(call)
    turns.end_turn(recorder, call, error)
