"""LogiLLM's modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit import modules
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import ModuleKept, kept
from lmspan.instrumentation.kit.turns import Loop, agent_of
from lmspan.instrumentation.logillm import examples
from lmspan.instrumentation.logillm.describe import base, signature_facts, signature_of
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.instrumentation.logillm.requests import learn_providers

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

LOOPS: Final[dict[str, Loop]] = {
    "ReAct": Loop(("react",), ("extract",)),
    "Avatar": Loop(("actor",)),
}


def update_signature(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End Avatar's loop when it asks its actor for the answer: `_update_actor_signature(n, omit_action)`."""
    _end_loop(argument(args, kwargs, 1, "omit_action"))
    return wrapped(*args, **kwargs)


@guarded
def _end_loop(omit_action: Any) -> None:
    own = kept(agent_of(current_call()), ModuleKept)
    if own is not None and omit_action is True:
        own.loop = Loop((), ("actor",))


def start(recorder: Recorder, instance: Any, _: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `module(**inputs)`, before LogiLLM validates the inputs."""
    examples.advance(recorder, instance)
    return modules.start(recorder, "logillm", instance, kwargs, loops=LOOPS, base=base())


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the signature, the path of the module in its program, and its inputs."""
    call.late_facts.update(signature_facts(signature_of(call.instance)))
    modules.place(recorder, call, base())
    if recorder.captures(call):
        learn_providers(recorder, stored(call.instance).get("provider"))
        modules.capture(recorder, call, call.inputs)


MODULE: Final = Steps(start, describe, modules.succeed, release=modules.release, cause=root_cause)
