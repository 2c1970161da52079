"""The `optimize` of optimizers: one run, with its data sets, its choices and its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.candidates import capture_result, capture_start, direction, sum_up
from lmspan.instrumentation.kit.examples import number
from lmspan.instrumentation.kit.facts import is_inside, put, stored, text
from lmspan.instrumentation.kit.kept import OptimizeKept
from lmspan.instrumentation.kit.search import Expected, search_of
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.instrumentation.kit.search import Search
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_SCALARS: Final = (str, int, float, bool)
# field of an `OptimizationResult`, attribute, type
_RESULT: Final = (
    ("best_score", sc.OPTIMIZER_BEST_SCORE, float),
    ("improvement", sc.OPTIMIZER_IMPROVEMENT, float),
    ("iterations", sc.OPTIMIZER_ITERATIONS, int),
)


def optimize(search: Callable[[Any, Any], Search]) -> Steps:
    """Return the steps around `optimize(module, dataset, validation_set)`; `search` starts a search from a program."""

    def describe_one(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        describe(recorder, call, args, kwargs)
        tried = search(recorder.content, call.inputs["student"])
        tried.minimizes = sc.OPTIMIZER_MINIMIZES in call.facts
        call.kept = OptimizeKept(tried, call.late_facts.get(sc.OPTIMIZER_DATASET_SIZE))
        capture_start(recorder, call, call.inputs["student"])

    return Steps(start, describe_one, succeed, sum_up, cause=root_cause)


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start a run; a `super().optimize()` inside is the same run."""
    if is_inside(instance, Operation.OPTIMIZE):
        return None
    inputs = {
        "student": argument(args, kwargs, 0, "module"),
        "trainset": argument(args, kwargs, 1, "dataset", "trainset"),
        "valset": argument(args, kwargs, 2, "validation_set", "valset"),
    }
    name = type(instance).__name__
    facts = {sc.OPTIMIZER_NAME: name, **direction(instance)}
    return recorder.start(Operation.OPTIMIZE, name, "logillm", facts, instance=instance, inputs=inputs)


def describe(_: Recorder, call: LiveCall, *__: Any) -> None:
    """Add the sizes of the data sets and the strategy."""
    for name, fact in (("trainset", sc.OPTIMIZER_DATASET_SIZE), ("valset", sc.OPTIMIZER_VALSET_SIZE)):
        if type(call.inputs[name]) is list:
            call.late_facts[fact] = len(call.inputs[name])
    strategy = stored(call.instance).get("strategy")
    if strategy := text(strategy) or text(stored(strategy).get("_value_")):
        call.late_facts[sc.OPTIMIZER_STRATEGY] = strategy


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the results of the search; those that LogiLLM reports take the place of ours."""
    sum_up(recorder, call, outputs)
    reported = stored(outputs) if type(outputs).__name__ == "OptimizationResult" else {}
    for name, attribute, kind in _RESULT:
        value = reported.get(name)
        put(call.late_facts, attribute, number(value) if kind is float else value, kind)
    capture_result(recorder, call, reported.get("optimized_module", outputs))


def suggest_next(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record the choice of a search strategy: LogiLLM has an event for it, but never sends that."""
    suggested = wrapped(*args, **kwargs)
    choose(recording.active, suggested)
    return suggested


@guarded
def choose(recorder: Recorder, chosen: Any) -> None:
    """Record the choice for the next candidate; a strategy that calls another strategy chooses once."""
    optimizer = current_call()
    search = search_of(optimizer)
    if type(chosen) is not dict or optimizer is None or search is None:
        return
    facts = {f"{sc.HYPERPARAMETER}{name}": value for name, value in chosen.items() if type(value) in _SCALARS}
    if facts and facts not in [each.facts for each in search.expected]:
        recorder.add_event(optimizer, Event.HYPERPARAMETER_UPDATE, facts)
        search.expected.clear()
        search.expected.append(Expected(facts))
