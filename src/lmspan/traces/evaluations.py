"""Evaluations: their examples with gold, prediction, feedback and score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.content import inputs_of, outputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.traces.spans import State, StoredEvent, StoredSpan
    from lmspan.traces.trace import Trace

_PROGRAMS: Final = (Operation.MODULE, Operation.AGENT, Operation.WORKFLOW)


@dataclass(frozen=True, repr=False)
class Example:
    """One example of an evaluation. `program` is the span of the program's run on it."""

    span: StoredSpan
    program: StoredSpan | None
    index: int | None
    inputs: Any
    gold: Any
    prediction: Any
    score: float | None
    feedback: str
    error: str

    def __repr__(self) -> str:
        return f"<Example {self.index} {self.error or f'score {self.score}'}>"

    @property
    def failed(self) -> bool:
        """Whether the program or the metric has raised."""
        return bool(self.error)


@dataclass(frozen=True, repr=False)
class Evaluation:
    """One evaluation of a program on a data set."""

    span: StoredSpan
    metric: str
    score: float | None
    size: int | None
    """The number of examples that were to be evaluated."""
    examples: Sequence[Example]
    """In the order of the data set."""

    def __repr__(self) -> str:
        return f"<Evaluation {self.metric!r} {len(self.examples)} examples, score {self.score}>"

    @property
    def state(self) -> State:
        """Whether it has ended."""
        return self.span.state

    def _repr_html_(self) -> str:
        from lmspan.traces.html import evaluation

        return evaluation(self)


def evaluations(trace: Trace) -> list[Evaluation]:
    """Return the evaluations of a trace in order of time."""
    return [evaluation(trace, span) for span in trace.spans if span.operation is Operation.EVALUATE]


def evaluation(trace: Trace, span: StoredSpan) -> Evaluation:
    """Return the evaluation of a span."""
    examples = [
        example_of(trace, each) for each in trace.children.get(span.span_id, ()) if each.operation is Operation.EXAMPLE
    ]
    return Evaluation(
        span=span,
        metric=metric_of(span),
        score=span.facts.get(sc.SPAN_SCORE, span.facts.get(sc.EVALUATION_SCORE)),
        size=span.facts.get(sc.EVALUATION_EXAMPLE_COUNT),
        examples=sorted(examples, key=lambda each: (each.index is None, each.index or 0)),
    )


def metric_of(span: StoredSpan) -> str:
    """Return the name of the metric of an evaluation."""
    return str(span.facts.get(sc.SPAN_METRIC, span.facts.get(sc.EVALUATION_NAME, span.name)))


def example_of(trace: Trace, span: StoredSpan) -> Example:
    """Return the example of a span."""
    children = trace.children.get(span.span_id, ())
    program = next((each for each in children if each.operation in _PROGRAMS), None)
    result = _result(span) or (_result(program) if program is not None else None)
    facts = result.facts if result is not None else {}
    known = {**facts, **span.facts}
    fields = inputs_of(span)
    asked = inputs_of(program) if program is not None else None
    return Example(
        span=span,
        program=program,
        index=span.facts.get(sc.EXAMPLE_INDEX),
        inputs=asked if asked is not None else fields,
        gold=_without(fields, asked),
        prediction=outputs_of(program if program is not None else span),
        score=known.get(sc.SPAN_SCORE, known.get(sc.EVALUATION_SCORE)),
        feedback=facts.get(sc.EVALUATION_EXPLANATION, ""),
        error=_error(span, program, facts),
    )


def _result(span: StoredSpan) -> StoredEvent | None:
    return next((event for event in reversed(span.events) if event.name == sc.EVENT_EVALUATION_RESULT), None)


def _error(span: StoredSpan, program: StoredSpan | None, result: dict[str, Any]) -> str:
    for facts in (span.facts, result, program.facts if program is not None else {}):
        if sc.ERROR_TYPE in facts:
            return str(facts[sc.ERROR_TYPE])
    return "error" if span.failed else ""


def _without(fields: Any, asked: Any) -> Any:
    """Return the fields of an example that the program did not receive: its labels."""
    if type(fields) is not dict or type(asked) is not dict:
        return None
    return {name: value for name, value in fields.items() if name not in asked} or None
