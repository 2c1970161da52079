"""`dspy.Evaluate` and the optimizers' `compile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content import stored_fields
from lmspan.instrumentation.calls import Hook, is_inside, put
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_get = object.__getattribute__


def begin_evaluate(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `Evaluate(...)(program, metric, devset, num_threads, ...)`."""
    metric = _metric_name(_given(instance, args, kwargs).get("metric"))
    return recorder.start(Operation.EVALUATE, metric, "dspy", {sc.EVALUATION_NAME: metric}, instance=instance)


def describe_evaluate(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add how much is evaluated, and what the caller says of it."""
    given = _given(call.instance, args, kwargs)
    call.found[sc.EVALUATION_SCOPE] = "dataset"
    if type(given.get("devset")) is list:
        call.found[sc.EVALUATION_EXAMPLE_COUNT] = len(given["devset"])
    put(call.found, sc.EVALUATION_NUM_THREADS, given.get("num_threads"), int)
    if kwargs.get("callback_metadata") is not None:
        call.found[sc.EVALUATION_METADATA] = recorder.content.json(kwargs["callback_metadata"])


def _given(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what the call is made with: what it does not say is the instance's."""
    said = {**dict(zip(("program", "metric", "devset", "num_threads"), args, strict=False)), **kwargs}
    return {**_get(instance, "__dict__"), **{name: value for name, value in said.items() if value is not None}}


def finish_evaluate(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the score of the dataset, and how many examples failed although Evaluate swallows their exceptions."""
    stored = _get(outputs, "__dict__").get("_store", {})
    score, results = stored.get("score"), stored.get("results")
    put(call.found, sc.EVALUATION_SCORE, score, float)
    if type(results) is list:
        call.found[sc.EVALUATION_FAILURE_COUNT] = sum(_failed(prediction) for _, prediction, _ in results)
    if sc.EVALUATION_SCORE in call.found:
        names = (sc.EVALUATION_SCORE, sc.EVALUATION_SCOPE)
        facts = {sc.EVALUATION_NAME: call.name, **{name: call.found[name] for name in names}}
        recorder.add_event(call, Event.EVALUATION_RESULT, facts)


def _failed(prediction: Any) -> bool:
    """Tell an example that failed: Evaluate puts an empty Prediction in its place."""
    stored = stored_fields(prediction, type(prediction))
    return type(stored) is dict and not stored


def begin_optimize(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `compile(student, trainset=..., valset=...)`; a `super().compile()` inside is the same run."""
    if is_inside(instance, Operation.OPTIMIZE):
        return None
    del args, kwargs
    name = type(instance).__name__
    return recorder.start(Operation.OPTIMIZE, name, "dspy", {sc.OPTIMIZER_NAME: name}, instance=instance)


def describe_optimize(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the sizes of the data sets."""
    del recorder, args
    for argument, fact in (("trainset", sc.OPTIMIZER_DATASET_SIZE), ("valset", sc.OPTIMIZER_VALSET_SIZE)):
        if type(kwargs.get(argument)) is list:
            call.found[fact] = len(kwargs[argument])


def finish_optimize(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the score that the optimizer left on the program it returns, if it did."""
    del recorder
    put(call.found, sc.OPTIMIZER_BEST_SCORE, _get(outputs, "__dict__").get("score"), float)


def _metric_name(metric: Any) -> str:
    name = getattr(metric, "__name__", None) if type(metric).__name__ in ("function", "method", "type") else None
    return name if type(name) is str else type(metric).__name__


EVALUATE: Final = Hook(begin_evaluate, describe_evaluate, finish_evaluate)
OPTIMIZE: Final = Hook(begin_optimize, describe_optimize, finish_optimize)
