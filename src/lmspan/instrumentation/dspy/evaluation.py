"""`dspy.Evaluate`: a data set, a metric, a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.arguments import by_name
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import capture_start, conclude, count_failures, metric_name, number
from lmspan.instrumentation.kit.facts import put, stored
from lmspan.instrumentation.kit.kept import EvaluationKept
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_PARAMETERS: Final = (
    "program", "metric", "devset", "num_threads", "display_progress", "display_table", "callback_metadata",
)  # fmt: skip
_DSPYS_SCALE: Final = 100
_DIGITS: Final = 6  # more than DSPy has, and none that only the division has made


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `Evaluate(...)(program, metric, devset, num_threads, ...)`."""
    inputs = _inputs(instance, args, kwargs)
    metric = inputs.get("metric")
    name = metric_name(metric)
    facts = {sc.SPAN_METRIC: name}
    passed = (args, kwargs)
    call = recorder.start(Operation.EVALUATE, name, "dspy", facts, instance=instance, inputs=inputs, arguments=passed)
    call.kept = EvaluationKept(metric, failure_score=inputs.get("failure_score"))
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the size of the data set, the number of threads, and the caller's metadata."""
    inputs = call.inputs
    call.late_facts[sc.EVALUATION_SCOPE] = "dataset"
    if type(inputs.get("devset")) is list:
        call.late_facts[sc.EVALUATION_EXAMPLE_COUNT] = len(inputs["devset"])
    put(call.late_facts, sc.EVALUATION_NUM_THREADS, inputs.get("num_threads"), int)
    capture_start(recorder, call)
    if recorder.captures(call) and inputs.get("callback_metadata") is not None:
        recorder.capture(call, {sc.EVALUATION_METADATA: inputs["callback_metadata"]})


def _inputs(instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of the call; those that it does not pass are the attributes of the instance."""
    passed = by_name(args, kwargs, *_PARAMETERS)
    return {**stored(instance), **{name: value for name, value in passed.items() if value is not None}}


def mean_score(result: Any) -> float | None:
    """Return the mean of the metric's values: DSPy reports 100 times that, rounded to two digits."""
    score = number(result)
    return None if score is None else round(score / _DSPYS_SCALE, _DIGITS)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the score of the data set."""
    conclude(recorder, call, mean_score(outputs))


def fail(_: Recorder, call: LiveCall, __: BaseException) -> None:
    """Record how many examples have failed before the evaluation raised."""
    count_failures(call)


EVALUATE: Final = Steps(start, describe, succeed, fail)
