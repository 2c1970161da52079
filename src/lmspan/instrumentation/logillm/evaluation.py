"""Evaluations: `Evaluate`, `Optimizer.evaluate`, and the own ones of some optimizers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import Indexes, capture_start, conclude, count_failures, metric_name, number
from lmspan.instrumentation.kit.facts import is_inside, put, stored, text
from lmspan.instrumentation.kit.kept import CandidateKept, kept
from lmspan.instrumentation.logillm import examples
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `Evaluate(...)(module, dataset)` or `AvatarOptimizer._evaluate_avatar(avatar, dataset)`."""
    return _start(recorder, instance, args, kwargs, _metric_of(instance, args, kwargs))


def _metric_of(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the metric that is passed, else the one that the evaluator or optimizer stores."""
    metric = argument(args, kwargs, 2, "metric")
    return metric if callable(metric) else stored(instance).get("metric")


def _start(
    recorder: Recorder,
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    metric: Any,
    *,
    loops: bool = False,
) -> LiveCall | None:
    if is_inside(instance, Operation.EVALUATE):
        return None
    data = argument(args, kwargs, 1, "dataset")
    if data is None or (type(data) is list and not data):
        data = stored(instance).get("dataset")
    inputs = {"program": argument(args, kwargs, 0, "module"), "metric": metric, "devset": data}
    name = name_of(metric)
    facts = {sc.SPAN_METRIC: name}
    call = recorder.start(Operation.EVALUATE, name, "logillm", facts, instance=instance, inputs=inputs)
    indexes = Indexes(data) if type(data) is list else None
    call.kept = examples.DataKept(metric, deque(), indexes=indexes, loops=loops)
    return call


def start_loop(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start an evaluation that runs its examples in a loop, such as `Optimizer.evaluate(module, dataset)`."""
    return _start(recorder, instance, args, kwargs, _metric_of(instance, args, kwargs), loops=True)


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the size of the data set and the number of threads."""
    call.late_facts[sc.EVALUATION_SCOPE] = "dataset"
    if type(call.inputs["devset"]) is list:
        size = call.late_facts[sc.EVALUATION_EXAMPLE_COUNT] = len(call.inputs["devset"])
        candidate = kept(call.parent, CandidateKept)
        if candidate is not None:
            candidate.example_count += size
    put(call.late_facts, sc.EVALUATION_NUM_THREADS, stored(call.instance).get("num_threads"), int)
    capture_start(recorder, call)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the score: that of an `EvaluationResult`, the first of `(score, traces)`, or the result itself."""
    examples.end_last(recorder, call)
    if type(outputs).__name__ == "EvaluationResult":
        outputs = stored(outputs).get("score")
    conclude(recorder, call, number(outputs[0] if type(outputs) is tuple and outputs else outputs))


def fail(recorder: Recorder, call: LiveCall, error: BaseException) -> None:
    """Record how many examples have failed before the evaluation raised."""
    example = examples.take_open(call)
    if example is not None:
        recorder.end(example, error=error)
    count_failures(call)


def objective(name: str) -> Steps:
    """Return the steps around an objective that a multi-objective optimizer measures without a metric."""

    def start_one(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
        return _start(recorder, instance, args, kwargs, name, loops=True)

    return Steps(start_one, describe, succeed, fail, cause=root_cause)


def name_of(metric: Any) -> str:
    """Return the name of a metric; LogiLLM's metric around a function may have a name, or has the function's."""
    if type(metric) is str:
        return metric
    fields = stored(metric) if type(metric).__name__ == "CustomMetric" else {}
    name = text(fields.get("metric_name"))
    if fields.get("eval_fn") is not None and name in ("", "custom"):
        return metric_name(fields["eval_fn"])
    return name or metric_name(metric)


EVALUATE: Final = Steps(start, describe, succeed, fail, cause=root_cause)
LOOP: Final = Steps(start_loop, describe, succeed, fail, cause=root_cause)
