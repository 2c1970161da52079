"""LogiLLM's modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.instrumentation import modules
from lmspan.instrumentation.calls import Hook
from lmspan.instrumentation.logillm import examples
from lmspan.instrumentation.logillm.agents import LOOPS
from lmspan.instrumentation.logillm.causes import root_cause
from lmspan.instrumentation.logillm.describe import base, signature_facts, signature_of, stored
from lmspan.instrumentation.logillm.requests import learn_providers

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `module(**inputs)`, before LogiLLM validates the inputs."""
    del args
    examples.advance(recorder, instance)
    return modules.start(recorder, "logillm", instance, kwargs, loops=LOOPS, base=base())


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature, where the module sits in its program, and its inputs."""
    del args, kwargs
    call.found.update(signature_facts(signature_of(call.instance)))
    modules.place(call, base())
    if recorder.captures(call):
        learn_providers(recorder, stored(call.instance).get("provider"))
        modules.capture(recorder, call, call.inputs)


MODULE: Final = Hook(begin, describe, modules.finish, release=modules.release, cause=root_cause)
