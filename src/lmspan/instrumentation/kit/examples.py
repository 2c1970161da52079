"""Examples: one run of a program on one example of a data set, and the score of the metric.

The result is an event on the program's span. The program has ended before the metric runs, so its span is held open
until the example ends. Calls of the metric itself (a model that judges) are under the example, beside the program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.numbers import finite
from lmspan.content.payload import qualified_name, stored_fields
from lmspan.instrumentation.kit.facts import cells, put, text
from lmspan.instrumentation.kit.kept import CandidateKept, EvaluationKept, ExampleKept, kept
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_LIBRARIES: Final = ("dspy.", "logillm.")


def metric_name(metric: Any) -> str:
    """Return the name of a metric or a program; if a function of the library wraps a metric, of the wrapped one."""
    if type(metric).__name__ not in ("function", "method", "type"):
        return type(metric).__name__
    if type(metric).__name__ == "function" and text(metric.__module__).startswith(_LIBRARIES):
        inner = cells(metric).get("metric")
        if inner is not None and inner.cell_contents is not None:
            return metric_name(inner.cell_contents)
    return text(metric.__name__)


def number(score: Any) -> float | None:
    """Return a score as a number: the number itself, or the `score` of a Prediction or a dict, else None.

    Runs no code of an unknown type.
    """
    value = finite(score)
    if value is not None:
        return value
    kind = type(score)
    fields = score if kind is dict else stored_fields(score, kind)
    return number(fields.get("score")) if type(fields) is dict and "score" in fields else None


def further_scores(score: Any) -> dict[str, float]:
    """Return the numbers that a metric returns beside its score, by name."""
    fields = score if type(score) is dict else stored_fields(score, type(score))
    if type(fields) is not dict:
        return {}
    objectives = fields.get("objective_scores")
    named = {**fields, **(objectives if type(objectives) is dict else {})}
    numbers = {name: number(value) for name, value in named.items() if type(name) is str and name != "score"}
    return {name: value for name, value in numbers.items() if value is not None}


class Indexes:
    """The index of each example in a data set; an object that is there several times gets the next index each time."""

    def __init__(self, data: Any) -> None:
        """Read the data if it is a list: reading an iterator would consume it."""
        indexes: dict[int, list[int]] = {}
        for index, example in enumerate(data if type(data) is list else ()):
            indexes.setdefault(id(example), []).append(index)
        self._indexes = {key: (iter(each), each[-1]) for key, each in indexes.items()}

    def of(self, example: Any) -> int | None:
        """Return the index of an example, or None if it is not in the data."""
        indexes, last = self._indexes.get(id(example), (iter(()), None))
        return next(indexes, last)


def adopt(recorder: Recorder, call: LiveCall) -> None:
    """Hold the span of an example's program. A module that judges for a metric is not the program."""
    own = kept(call.parent, ExampleKept)
    if own is not None and own.call is None and (own.program is call.instance or own.program is ...):
        own.call = call
        recorder.hold(call)


def start(
    recorder: Recorder, source: str, index: int | None, example: Any, own: ExampleKept, *, owned: bool = True
) -> LiveCall:
    """Start an example; `own` says which program and which metric run on it."""
    facts = {} if index is None else {sc.EXAMPLE_INDEX: index}
    call = recorder.start(Operation.EXAMPLE, "", source, facts, inputs=example, owned=owned)
    call.kept = own
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the example, which has the labels beside the inputs of the program."""
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result: `(..., score)`, `{"score": ...}` or the score alone, as the library returns it."""
    own = kept(call, ExampleKept)
    if own is None:
        return
    result = outputs[-1] if type(outputs) is tuple and outputs else outputs
    error = own.call.error if own.call is not None else None
    facts: dict[str, Any] = {}
    put(facts, sc.EVALUATION_SCORE, number(result), float)
    if error is not None or own.failed:
        kind = qualified_name(type(error)) if error is not None else own.error_type
        facts.update({sc.EVALUATION_LABEL: "failed", sc.ERROR_TYPE: kind})
    metadata = outputs.get("output_metadata") if type(outputs) is dict else None
    if recorder.captures(call):
        feedback = (metadata or stored_fields(result, type(result)) or {}).get("feedback")
        if type(feedback) is str:
            facts[sc.EVALUATION_EXPLANATION] = recorder.content.text(feedback)
    if own.scores is not None:
        own.scores.append((facts.get(sc.EVALUATION_SCORE), further_scores(metadata or result)))
    _add_result(recorder, call, own, facts)


def fail(recorder: Recorder, call: LiveCall, error: BaseException) -> None:
    """Record that the program or the metric has raised, with the score that the evaluation counts for that."""
    own = kept(call, ExampleKept)
    if own is not None:
        facts = {sc.EVALUATION_LABEL: "failed", sc.ERROR_TYPE: qualified_name(type(error))}
        put(facts, sc.EVALUATION_SCORE, number(own.failure_score), float)
        _add_result(recorder, call, own, facts)


def _add_result(recorder: Recorder, call: LiveCall, own: ExampleKept, facts: dict[str, Any]) -> None:
    """Add the event with the result to the span of the example's program, or to the example's if no program ran."""
    if sc.EVALUATION_SCORE in facts:
        call.late_facts[sc.SPAN_SCORE] = facts[sc.EVALUATION_SCORE]
    index = {sc.EXAMPLE_INDEX: call.facts[sc.EXAMPLE_INDEX]} if sc.EXAMPLE_INDEX in call.facts else {}
    name = own.metric if type(own.metric) is str else metric_name(own.metric)
    named = {sc.EVALUATION_NAME: name, sc.EVALUATION_SCOPE: "example", **index, **facts}
    recorder.add_event(own.call or call, Event.EVALUATION_RESULT, named)


def capture_start(recorder: Recorder, evaluation: LiveCall) -> None:
    """Record what is evaluated: the program, the metric, and the number of examples, which have spans of their own."""
    if recorder.captures(evaluation):
        program = evaluation.inputs.get("program")
        count = evaluation.late_facts.get(sc.EVALUATION_EXAMPLE_COUNT)
        inputs = {"program": metric_name(program), "metric": evaluation.name, "examples": count}
        recorder.capture(evaluation, {sc.OPERATION_INPUTS: inputs})


def conclude(recorder: Recorder, evaluation: LiveCall, score: Any) -> None:
    """Record the score of a data set, and the number of examples that have failed without an exception here."""
    count_failures(evaluation)
    put(evaluation.late_facts, sc.SPAN_SCORE, score, float)
    if recorder.captures(evaluation):
        facts = evaluation.late_facts
        outputs = {"score": facts.get(sc.SPAN_SCORE), "failed": facts.get(sc.EVALUATION_FAILURE_COUNT)}
        recorder.capture(evaluation, {sc.OPERATION_OUTPUTS: outputs})
    if sc.SPAN_SCORE in evaluation.late_facts:
        facts = {
            sc.EVALUATION_NAME: evaluation.name,
            sc.EVALUATION_SCORE: evaluation.late_facts[sc.SPAN_SCORE],
            sc.EVALUATION_SCOPE: evaluation.late_facts[sc.EVALUATION_SCOPE],
        }
        recorder.add_event(evaluation, Event.EVALUATION_RESULT, facts)
    own = kept(evaluation, EvaluationKept)
    candidate = kept(evaluation.parent, CandidateKept)
    if own is not None and candidate is not None:
        candidate.scores = own.scores


def count_failures(evaluation: LiveCall) -> None:
    """Record how many examples have failed so far."""
    own = kept(evaluation, EvaluationKept)
    if own is not None and own.failures is not None:
        evaluation.late_facts[sc.EVALUATION_FAILURE_COUNT] = len(own.failures)
