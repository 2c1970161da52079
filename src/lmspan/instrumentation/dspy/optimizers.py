"""The optimizers' `compile`: one run, with what it came to and what it was given to choose from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.dspy import gepa, simba
from lmspan.instrumentation.dspy.candidates import search
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.candidates import sum_up
from lmspan.instrumentation.kit.facts import is_inside
from lmspan.instrumentation.kit.kept import OptimizeKept
from lmspan.instrumentation.kit.search import Expected, search_of
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder

_get = object.__getattribute__


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `compile(student, trainset=..., valset=...)`; a `super().compile()` inside is the same run."""
    if is_inside(instance, Operation.OPTIMIZE):
        return None
    inputs = {"student": args[0], **kwargs} if args else kwargs
    name = type(instance).__name__
    facts = {sc.OPTIMIZER_NAME: name}
    return recorder.start(Operation.OPTIMIZE, name, "dspy", facts, instance=instance, inputs=inputs)


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the sizes of the data sets, and begin a search with the student that candidates are compared with."""
    for argument, fact in (("trainset", sc.OPTIMIZER_DATASET_SIZE), ("valset", sc.OPTIMIZER_VALSET_SIZE)):
        if type(kwargs.get(argument)) is list:
            call.found[fact] = len(kwargs[argument])
    tried = search(recorder.content, args[0] if args else kwargs.get("student"))
    call.kept = OptimizeKept(tried, call.found.get(sc.OPTIMIZER_DATASET_SIZE))
    if type(call.instance).__name__ == "BootstrapFewShotWithRandomSearch":
        seeds = _seeds(call.instance, kwargs.get("restrict"))
        tried.expected.extend(Expected({sc.CANDIDATE_SEED: seed}) for seed in seeds)


def _seeds(instance: Any, restrict: Any) -> list[int]:
    """Return the seeds of a random search in its order: three fixed programs, then the shuffled ones."""
    count = _get(instance, "__dict__").get("num_candidate_sets", 0)
    wanted = set(restrict) if type(restrict) in (list, tuple, set) else None
    return [seed for seed in range(-3, count) if wanted is None or seed in wanted]


def patch(patches: Patches) -> None:
    """Patch what optimizers say of their candidates, where this DSPy has it."""
    from lmspan.recording import recorder as recording  # noqa: PLC0415

    def select(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chosen = wrapped(*args, **kwargs)
        _tell_parameters(recording.active, chosen)
        return chosen

    mipro = getattr(sys.modules.get("dspy.teleprompt.mipro_optimizer_v2"), "MIPROv2", None)
    if mipro is not None:
        patches.wrap(mipro, "_select_and_insert_instructions_and_demos", select)
    simba.patch(patches)
    gepa.patch(patches)


@guarded
def _tell_parameters(recorder: Recorder, chosen: Any) -> None:
    """Tell what MIPROv2 chose for its next candidate: `(sentences, {"0_predictor_instruction": 2, ...})`."""
    optimizer = current_call()
    tried = search_of(optimizer)
    if optimizer is None or tried is None:
        return
    parameters = {f"{sc.HYPERPARAMETER}{name}": value for name, value in chosen[1].items() if type(value) is int}
    recorder.add_event(optimizer, Event.HYPERPARAMETER_UPDATE, parameters)
    tried.expected.clear()
    tried.expected.append(Expected(parameters))


OPTIMIZE: Final = Hook(begin, describe, sum_up, sum_up)
