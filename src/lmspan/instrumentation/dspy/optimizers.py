"""The `compile` of optimizers: one run, with its data sets, its choices and its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.dspy.candidates import search
from lmspan.instrumentation.kit.arguments import argument, by_name
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.candidates import capture_result, capture_start, direction, sum_up
from lmspan.instrumentation.kit.facts import is_inside, stored
from lmspan.instrumentation.kit.kept import OptimizeKept
from lmspan.instrumentation.kit.search import Expected, search_of
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `compile(student, trainset=..., valset=...)`; a `super().compile()` inside is the same run."""
    if is_inside(instance, Operation.OPTIMIZE):
        return None
    inputs = by_name(args, kwargs, "student")
    name = type(instance).__name__
    facts = {sc.OPTIMIZER_NAME: name, **direction(instance)}
    passed = (args, kwargs)
    return recorder.start(Operation.OPTIMIZE, name, "dspy", facts, instance=instance, inputs=inputs, arguments=passed)


def describe(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the sizes of the data sets, and start a search with the student, which candidates are compared with."""
    for name, fact in (("trainset", sc.OPTIMIZER_DATASET_SIZE), ("valset", sc.OPTIMIZER_VALSET_SIZE)):
        if type(kwargs.get(name)) is list:
            call.late_facts[fact] = len(kwargs[name])
    tried = search(recorder.content, argument(args, kwargs, 0, "student"))
    tried.minimizes = sc.OPTIMIZER_MINIMIZES in call.facts
    call.kept = OptimizeKept(tried, call.late_facts.get(sc.OPTIMIZER_DATASET_SIZE))
    capture_start(recorder, call, argument(args, kwargs, 0, "student"))
    if type(call.instance).__name__ == "BootstrapFewShotWithRandomSearch":
        seeds = _seeds(call.instance, kwargs.get("restrict"))
        tried.expected.extend(Expected({sc.CANDIDATE_SEED: seed}) for seed in seeds)


def _seeds(instance: Any, restrict: Any) -> list[int]:
    """Return the seeds of a random search in its order: three fixed programs, then shuffled ones."""
    count = stored(instance).get("num_candidate_sets", 0)
    wanted = set(restrict) if type(restrict) in (list, tuple, set) else None
    return [seed for seed in range(-3, count) if wanted is None or seed in wanted]


def select(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record what MIPROv2 chooses for its next candidate."""
    chosen = wrapped(*args, **kwargs)
    _add_choice(recording.active, chosen)
    return chosen


@guarded
def _add_choice(recorder: Recorder, chosen: Any) -> None:
    """Add the event of a choice: `(sentences, {"0_predictor_instruction": 2, ...})`."""
    optimizer = current_call()
    tried = search_of(optimizer)
    if optimizer is None or tried is None:
        return
    parameters = {f"{sc.HYPERPARAMETER}{name}": value for name, value in chosen[1].items() if type(value) is int}
    recorder.add_event(optimizer, Event.HYPERPARAMETER_UPDATE, parameters)
    tried.expected.clear()
    tried.expected.append(Expected(parameters))


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the results of the search, and the program that it returns."""
    sum_up(recorder, call, outputs)
    capture_result(recorder, call, outputs)


OPTIMIZE: Final = Steps(start, describe, succeed, sum_up)
