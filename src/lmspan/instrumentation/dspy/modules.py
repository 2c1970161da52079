"""Modules: predictors and programs, agents, and the workflow that the outermost program is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.calls import Hook, put
from lmspan.instrumentation.dspy import agents
from lmspan.instrumentation.dspy.describe import signature_facts
from lmspan.instrumentation.dspy.lm import learn_secrets
from lmspan.lifecycle import Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_MODULES: Final = (Operation.MODULE, Operation.WORKFLOW, Operation.AGENT)

_get = object.__getattribute__


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start a module call; the inputs are taken as they are, before DSPy looks at them."""
    agents.advance(recorder, instance)
    kind = type(instance)
    operation = _operation(kind, instance)
    facts: dict[str, Any] = {sc.MODULE_NAME: kind.__name__}
    if operation is Operation.AGENT:
        facts[sc.AGENT_NAME] = kind.__name__
    elif operation is Operation.WORKFLOW:
        facts[sc.WORKFLOW_NAME] = kind.__name__
    inputs = {**kwargs, "args": args} if args else kwargs
    return recorder.start(operation, kind.__name__, "dspy", facts, instance=instance, inputs=inputs)


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, where the module sits in its program, and its inputs."""
    del args, kwargs
    call.found.update(signature_facts(_get(call.instance, "__dict__").get("signature")))
    parent = agents.agent_of(call.parent) or call.parent
    path = _path(call.instance, parent) if parent is not None and parent.operation in _MODULES else ""
    if path:
        call.notes["path"] = call.found[sc.MODULE_PATH] = path
    if recorder.captures(call):
        for lm in (
            call.inputs.get("lm"),
            _get(call.instance, "__dict__").get("lm"),
            sys.modules["dspy"].settings.get("lm"),
        ):
            learn_secrets(recorder, lm)
        inputs = {name: value for name, value in call.inputs.items() if name != "lm"}
        recorder.capture(call, {sc.MODULE_INPUTS: inputs})
        if call.operation is Operation.AGENT and (tools := agents.tools_of(call)):
            recorder.capture(call, {sc.TOOL_DEFINITIONS: tools})


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record what the module returned."""
    agents.chosen(call)
    agents.end_turn(recorder, call)
    if recorder.captures(call):
        recorder.capture(call, {sc.MODULE_OUTPUTS: outputs})


def fail(recorder: Recorder, call: Call, error: BaseException) -> None:
    """End the turn that failed with its agent."""
    agents.end_turn(recorder, call, error)


def _operation(kind: type, instance: Any) -> Operation:
    if agents.loop_of(kind) is not None:
        return Operation.AGENT
    if not kind.__module__.startswith("dspy.") and _is_outermost() and _has_modules(instance):
        return Operation.WORKFLOW
    return Operation.MODULE


def _is_outermost() -> bool:
    """Tell whether no module encloses what starts now; an evaluation or an optimizer run may."""
    call = current_call()
    while call is not None and call.operation not in _MODULES:
        call = call.parent
    return call is None


def _has_modules(instance: Any) -> bool:
    module = sys.modules["dspy.primitives.module"].Module
    for value in _get(instance, "__dict__").values():
        values = value if type(value) in (list, tuple) else value.values() if type(value) is dict else (value,)
        if any(issubclass(type(each), module) for each in values):
            return True
    return False


def _path(instance: Any, parent: Call) -> str:
    """Return where the module sits: the attribute, under the parent's own path, that holds this very object."""
    if parent.source != "dspy":
        return ""
    for name, value in _get(parent.instance, "__dict__").items():
        found = ""
        if value is instance:
            found = name
        elif type(value) in (list, tuple):
            found = next((f"{name}[{index}]" for index, each in enumerate(value) if each is instance), "")
        elif type(value) is dict:
            found = next(
                (f"{name}[{key!r}]" for key, each in value.items() if each is instance and type(key) is str), ""
            )
        if found:
            return f"{parent.notes['path']}.{found}" if "path" in parent.notes else found
    return ""


def begin_retrieve(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start a retrieval by `dspy.Retrieve`, which DSPy itself announces as a module."""
    del args, kwargs
    source = type(sys.modules["dspy"].settings.get("rm")).__name__
    return recorder.start(Operation.RETRIEVAL, source, "dspy", {sc.DATA_SOURCE_ID: source}, instance=instance)


def describe_retrieve(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add how many documents are wanted, and the query."""
    put(call.found, sc.RETRIEVAL_TOP_K, kwargs.get("k", _get(call.instance, "__dict__").get("k")), int)
    if recorder.captures(call):
        recorder.capture(call, {sc.RETRIEVAL_QUERY: kwargs.get("query", args[0] if args else "")})


def finish_retrieve(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the passages."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})


MODULE: Final = Hook(begin, describe, finish, fail)
RETRIEVE: Final = Hook(begin_retrieve, describe_retrieve, finish_retrieve)
