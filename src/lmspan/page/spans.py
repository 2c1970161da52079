"""One span in full, and the examples of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.content import as_text, conversation, fields, inputs_of, outputs_of
from lmspan.traces.evaluations import evaluation, example_of
from lmspan.traces.places import place_of
from lmspan.traces.trace import exception_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lmspan.traces.content import Message
    from lmspan.traces.evaluations import Example
    from lmspan.traces.spans import StoredEvent, StoredSpan
    from lmspan.traces.trace import Trace

T = TypeVar("T")

_LONGEST: Final = 200_000  # characters of one text
_LONGEST_CELL: Final = 2000
_MOST: Final = 500
_MOST_PARTS: Final = 100
_MOST_EXAMPLES: Final = 5000


def document(trace: Trace, span: StoredSpan) -> dict[str, Any]:
    """Return a span with its content as a person reads it, and as it is stored."""
    row = trace.rows[span.span_id]
    sums = trace.figures[span.span_id]
    omitted = Omitted()
    return {
        "trace_id": trace.trace_id,
        "span_id": span.span_id,
        "name": span.name,
        "operation": row.operation,
        "label": row.module or row.model,
        "state": span.state,
        "start": span.start_unix_nano / 1e6,
        "duration_s": span.duration_s,
        "self_s": trace.self_times[span.span_id] / 1e9,
        "first_chunk_s": row.first_chunk_s,
        "service": span.service,
        "above": [{"span": each.span_id, "name": each.name} for each in trace.above(span)],
        "figures": {name: getattr(sums, name) for name in sums.__slots__},
        "conversation": [_message(each, omitted) for each in omitted.middle(conversation(span), "messages")],
        "inputs": omitted.rest(cut_fields(inputs_of(span)), "inputs"),
        "outputs": omitted.rest(cut_fields(outputs_of(span)), "outputs"),
        "error": _error(span),
        "example": example_document(example_of(trace, span)) if span.operation is Operation.EXAMPLE else None,
        "run": _optimizer_above(trace, span),
        "attributes": _attributes(span.attributes, omitted),
        "events": [_event(span, each, omitted) for each in omitted.rest(span.events, "events")],
        "links": [{"trace_id": each.trace_id, "span_id": each.span_id,
                   "type": each.attributes.get(sc.LINK_TYPE, "link")} for each in omitted.rest(span.links, "links")],
        "omitted": omitted.sentences,
    }  # fmt: skip


def evaluation_document(trace: Trace, span: StoredSpan) -> dict[str, Any]:
    """Return an evaluation with its examples; the page sorts them."""
    found = evaluation(trace, span)
    omitted = Omitted()
    return {
        "trace_id": trace.trace_id,
        "span": span.span_id,
        "name": span.name,
        "metric": found.metric,
        "score": found.score,
        "size": found.size,
        "state": found.state,
        "above": [{"span": each.span_id, "name": each.name} for each in trace.above(span)],
        "run": _optimizer_above(trace, span),
        "examples": [example_document(each) for each in omitted.rest(found.examples, "examples", _MOST_EXAMPLES)],
        "omitted": omitted.sentences,
    }


def example_document(example: Example) -> dict[str, Any]:
    """Return an example."""
    program = example.program
    return {
        "span": example.span.span_id,
        "program": program.span_id if program is not None else None,
        "index": example.index,
        "inputs": cut_fields(example.inputs, _LONGEST_CELL),
        "gold": cut_fields(example.gold, _LONGEST_CELL),
        "prediction": cut_fields(example.prediction, _LONGEST_CELL),
        "score": example.score,
        "feedback": example.feedback[:_LONGEST_CELL],
        "error": example.error[:_LONGEST_CELL],
        "duration_s": example.span.duration_s,
    }


class Omitted:
    """Limit what one response holds; `sentences` say what it does not hold."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def rest(self, listed: Sequence[T], noun: str, most: int = _MOST) -> Sequence[T]:
        """Return the first elements."""
        if len(listed) > most:
            self.sentences.append(f"The first {most:,} of {len(listed):,} {noun} are shown.")
        return listed[:most]

    def middle(self, listed: Sequence[T], noun: str, most: int = _MOST) -> Sequence[T]:
        """Return the first and the last elements: those of a conversation are its instructions and its answer."""
        if len(listed) <= most:
            return listed
        self.sentences.append(f"The first and the last {most // 2:,} of {len(listed):,} {noun} are shown.")
        return [*listed[: most // 2], *listed[-(most // 2) :]]


def cut_fields(value: Any, longest: int = _LONGEST) -> list[tuple[str, str]]:
    """Return the fields of a value, with texts of a bounded length."""
    return [(name, _cut_text(text, longest)) for name, text in fields(value)]


def _attributes(attributes: Mapping[str, Any], omitted: Omitted) -> dict[str, Any]:
    return {name: _cut(attributes[name]) for name in omitted.rest(list(attributes), "attributes")}


def _cut(value: Any) -> Any:
    """Return a value whose JSON is of a bounded length."""
    if isinstance(value, str):
        return _cut_text(value)
    if isinstance(value, (list, tuple, dict)):
        text = as_text(value)
        return value if len(text) <= _LONGEST else _cut_text(text)
    return value


def _cut_text(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def _message(message: Message, omitted: Omitted) -> dict[str, Any]:
    parts = [
        {"kind": part.kind, "name": part.name, "text": _cut_text(part.text), "facts": part.facts}
        for part in omitted.middle(message.parts, "parts of a message", _MOST_PARTS)
    ]
    return {"role": message.role, "parts": parts}


def _event(span: StoredSpan, event: StoredEvent, omitted: Omitted) -> dict[str, Any]:
    return {
        "name": event.name,
        "after_s": (event.time_unix_nano - span.start_unix_nano) / 1e9,
        "attributes": _attributes(event.attributes, omitted),
    }


def _error(span: StoredSpan) -> dict[str, str] | None:
    event = exception_of(span)
    if event is None and not span.failed:
        return None
    facts = event.facts if event is not None else {}
    return {
        "type": str(facts.get(sc.EXCEPTION_TYPE) or span.facts.get(sc.ERROR_TYPE) or "error"),
        "message": _cut_text(facts.get(sc.EXCEPTION_MESSAGE) or span.message),
        "stack": _cut_text(facts.get(sc.EXCEPTION_STACKTRACE, "")),
        "place": place_of(span),
    }


def _optimizer_above(trace: Trace, span: StoredSpan) -> str | None:
    """Return the id of the optimizer run that a span is in, or is."""
    return next((each.span_id for each in (span, *trace.above(span)[::-1])
                 if each.operation is Operation.OPTIMIZE), None)  # fmt: skip
