"""Modules: predictors and programs, agents, and the workflow that the outermost program is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content import qualified_name
from lmspan.instrumentation import turns
from lmspan.instrumentation.calls import Hook
from lmspan.instrumentation.logillm import examples
from lmspan.instrumentation.logillm.agents import LOOPS
from lmspan.instrumentation.logillm.causes import root_cause
from lmspan.instrumentation.logillm.describe import base, signature_facts, signature_of, stored
from lmspan.instrumentation.logillm.requests import learn_providers
from lmspan.instrumentation.structure import MODULES, is_outermost, path_in, submodules
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `module(**inputs)`; the inputs are taken as they are, before LogiLLM validates them."""
    del args
    turns.advance(recorder, instance)
    examples.advance(recorder, instance)
    kind = type(instance)
    loop = turns.loop_of(kind, LOOPS, "logillm.")
    operation = Operation.AGENT if loop is not None else _operation(kind, instance)
    facts: dict[str, Any] = {sc.MODULE_NAME: kind.__name__}
    if operation is Operation.AGENT:
        facts[sc.AGENT_NAME] = kind.__name__
    elif operation is Operation.WORKFLOW:
        facts[sc.WORKFLOW_NAME] = kind.__name__
    call = recorder.start(operation, kind.__name__, "logillm", facts, instance=instance, inputs=kwargs)
    call.notes["loop"] = loop
    examples.adopt(recorder, call)
    return call


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, where the module sits in its program, and its inputs."""
    del args, kwargs
    call.found.update(signature_facts(signature_of(call.instance)))
    parent = turns.agent_of(call.parent) or call.parent
    path = path_in(call.instance, parent, base()) if parent is not None and parent.operation in MODULES else ""
    if path:
        call.notes["path"] = call.found[sc.MODULE_PATH] = path
    if recorder.captures(call):
        learn_providers(recorder, stored(call.instance).get("provider"))
        recorder.capture(call, {sc.MODULE_INPUTS: call.inputs})
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
    own = not qualified_name(kind).startswith("logillm.")
    return Operation.WORKFLOW if own and is_outermost() and any(submodules(instance, base())) else Operation.MODULE


MODULE: Final[Hook] = Hook(begin, describe, finish, release=release, cause=root_cause)
