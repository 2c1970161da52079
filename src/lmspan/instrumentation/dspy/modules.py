"""DSPy's modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan.context import lineage
from lmspan.guard import guarded
from lmspan.instrumentation.dspy import rivals
from lmspan.instrumentation.dspy.describe import base, signature_facts
from lmspan.instrumentation.dspy.lm import is_lm, learn_secrets
from lmspan.instrumentation.kit import modules
from lmspan.instrumentation.kit.arguments import keywords
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.turns import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

LOOPS: Final[dict[str, Loop]] = {
    "ReAct": Loop(("react",), ("extract",)),
    "ReActV2": Loop(("react",)),
    "CodeAct": Loop(("codeact",), ("extractor",)),
    "ProgramOfThought": Loop(("code_generate", "code_regenerate"), ("generate_output",)),
    "RLM": Loop(("generate_action",), ("extract",)),
    "Avatar": Loop(("actor",)),
}


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `module(**inputs)`, before DSPy looks at the inputs."""
    if rivals.waiting:
        rivals.check()
    inputs = keywords(args, kwargs)
    return modules.start(recorder, "dspy", instance, inputs, (args, kwargs), loops=LOOPS, base=base())


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the signature, the path of the module in its program, and its inputs."""
    fields = stored(call.instance)
    call.late_facts.update(signature_facts(fields.get("signature")))
    modules.place(recorder, call, base())
    if recorder.captures(call):
        for lm in (call.inputs.get("lm"), fields.get("lm"), sys.modules["dspy"].settings.get("lm")):
            learn_secrets(recorder, lm)
        inputs = {name: value for name, value in call.inputs.items() if name != "lm" or not is_lm(value)}
        modules.capture(recorder, call, inputs)


def deepcopy(wrapped: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Note which module a copy is made from: optimizers return a copy, and a subscription for the module hears it."""
    made = wrapped(*args, **kwargs)
    _note(made, module)
    return made


@guarded
def _note(made: Any, module: Any) -> None:
    lineage.note(made, module)


MODULE: Final = Steps(start, describe, modules.succeed, release=modules.release)
