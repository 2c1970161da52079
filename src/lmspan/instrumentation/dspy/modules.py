"""Modules: predictors and programs, agents, and the workflow that the outermost program is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation import examples, turns
from lmspan.instrumentation.calls import Hook
from lmspan.instrumentation.dspy import rivals
from lmspan.instrumentation.dspy.agents import LOOPS
from lmspan.instrumentation.dspy.describe import base, signature_facts
from lmspan.instrumentation.dspy.lm import is_lm, learn_secrets
from lmspan.instrumentation.structure import MODULES, is_outermost, path_in, submodules
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_get = object.__getattribute__


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start a module call; the inputs are taken as they are, before DSPy looks at them."""
    if rivals.waiting:
        rivals.check()
    turns.advance(recorder, instance)
    kind = type(instance)
    loop = turns.loop_of(kind, LOOPS, "dspy.")
    operation = Operation.AGENT if loop is not None else _operation(kind, instance)
    facts: dict[str, Any] = {sc.MODULE_NAME: kind.__name__}
    if operation is Operation.AGENT:
        facts[sc.AGENT_NAME] = kind.__name__
    elif operation is Operation.WORKFLOW:
        facts[sc.WORKFLOW_NAME] = kind.__name__
    inputs = {**kwargs, "args": args} if args else kwargs
    call = recorder.start(operation, kind.__name__, "dspy", facts, instance=instance, inputs=inputs)
    call.notes["loop"] = loop
    examples.adopt(recorder, call)
    return call


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, where the module sits in its program, and its inputs."""
    del args, kwargs
    call.found.update(signature_facts(_get(call.instance, "__dict__").get("signature")))
    parent = turns.agent_of(call.parent) or call.parent
    path = path_in(call.instance, parent, base()) if parent is not None and parent.operation in MODULES else ""
    if path:
        call.notes["path"] = call.found[sc.MODULE_PATH] = path
    if recorder.captures(call):
        for lm in (
            call.inputs.get("lm"),
            _get(call.instance, "__dict__").get("lm"),
            sys.modules["dspy"].settings.get("lm"),
        ):
            learn_secrets(recorder, lm)
        inputs = {name: value for name, value in call.inputs.items() if name != "lm" or not is_lm(value)}
        recorder.capture(call, {sc.MODULE_INPUTS: inputs})
        if call.operation is Operation.AGENT and (tools := turns.tools_of(call)):
            recorder.capture(call, {sc.TOOL_DEFINITIONS: tools})


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record what the module returned."""
    if recorder.captures(call):
        recorder.capture(call, {sc.MODULE_OUTPUTS: outputs})


def release(recorder: Recorder, call: Call, error: BaseException | None) -> None:
    """End the last turn of an agent; and note what a turn's predictor has chosen."""
    if error is None:
        turns.chosen(call)
    turns.end_turn(recorder, call, error)


def _operation(kind: type, instance: Any) -> Operation:
    if not kind.__module__.startswith("dspy.") and is_outermost() and any(submodules(instance, base())):
        return Operation.WORKFLOW
    return Operation.MODULE


MODULE: Final = Hook(begin, describe, finish, release=release)
