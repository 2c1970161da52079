"""The rows of a trace's tree, as columns: 20,000 spans are a few lists, and a name is sent once."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from lmspan.lifecycle import Operation
from lmspan.traces.content import first_words
from lmspan.traces.evaluations import metric_of
from lmspan.traces.places import place_of
from lmspan.traces.spans import State
from lmspan.traces.trace import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmspan.traces.rows import Row
    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.trace import Trace

_PHASES: Final = (
    Operation.ADAPTER_FORMAT,
    Operation.ADAPTER_PARSE,
    Operation.INTERPRETER_STARTUP,
    Operation.INTERPRETER_SHUTDOWN,
)
_FLAGS: Final = {"failed": 1, "recovered": 2, "running": 4, "not_ended": 8, "phase": 16, "cache_hit": 32}
_MOST_WITH_WORDS: Final = 2000  # spans of a trace whose rows show the first words of their inputs
_MOST_FAILURES: Final = 50
_MOST_EVALUATIONS: Final = 50
_WORDS: Final = 80


class _Texts:
    """Texts, each with a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def document(trace: Trace) -> dict[str, Any]:
    """Return a trace for the page. Times of rows are microseconds, `start` from the start of the trace."""
    texts = _Texts()
    has_words = len(trace) <= _MOST_WITH_WORDS
    failing = {failure.span.span_id: failure.recovered for failure in trace.failures}
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for span, depth in _depth_first(trace):
        row = trace.rows[span.span_id]
        sums = trace.figures[span.span_id]
        words = first_words(span)[:_WORDS] if has_words else ""
        values = (
            span.span_id, depth, texts.number(row.name), texts.number(row.operation), texts.number(_label(row)),
            texts.number(words), (row.start - trace.start_unix_nano) // 1000, row.duration // 1000,
            trace.self_times[span.span_id] // 1000, _flags(span, row, failing), sums.input_tokens, sums.output_tokens,
            sums.cost, row.score, sums.lm_calls, row.retries,
        )  # fmt: skip
        for name, value in zip(_COLUMNS, values, strict=True):
            columns[name].append(value)
    return {
        "columns": columns,
        "texts": texts.all(),
        "flags": _FLAGS,
        "length": max(trace.end_unix_nano - trace.start_unix_nano, 0) // 1000,
        "total": {name: getattr(trace.total, name) for name in trace.total.__slots__},
        "state": trace.state,
        "failures": list(_failures(trace)),
        "runs": [{"span": each.span.span_id, "name": each.name, "first": each.first_score, "best": each.best_score,
                  "candidates": len(each.candidates), "state": each.state} for each in trace.optimizer_runs],
        "evaluations": list(islice(_evaluations(trace), _MOST_EVALUATIONS)),
    }  # fmt: skip


_COLUMNS: Final = (
    "id", "depth", "name", "operation", "label", "words", "start", "duration", "self", "flags", "input_tokens",
    "output_tokens", "cost", "score", "lm_calls", "retries",
)  # fmt: skip


def _depth_first(trace: Trace) -> Iterator[tuple[StoredSpan, int]]:
    """Yield the spans, parents before their children, with their depths; a stack allows traces of any depth."""
    waiting = [(span, 0) for span in reversed(trace.roots)]
    seen: set[str] = set()
    while waiting:
        span, depth = waiting.pop()
        if span.span_id not in seen:
            seen.add(span.span_id)
            yield span, depth
            waiting += ((child, depth + 1) for child in reversed(trace.children.get(span.span_id, ())))


def _label(row: Row) -> str:
    """Return what the name of a span does not say: the module's path in the program, or the model."""
    label = row.module or row.model
    return "" if label in row.name else label


def _flags(span: StoredSpan, row: Row, failing: dict[str, bool]) -> int:
    states = {State.RUNNING: _FLAGS["running"], State.NOT_ENDED: _FLAGS["not_ended"], State.ENDED: 0}
    recovered = failing.get(row.span_id)
    return (
        states[span.state]
        | (_FLAGS["failed"] if row.failed else 0)
        | (_FLAGS["recovered"] if recovered else 0)
        | (_FLAGS["phase"] if row.operation in _PHASES else 0)
        | (_FLAGS["cache_hit"] if row.cache_hit else 0)
    )


def _failures(trace: Trace) -> Iterator[dict[str, Any]]:
    """Yield the failures, equal ones once."""
    for failure, times in grouped(trace.failures)[:_MOST_FAILURES]:
        yield {
            "span": failure.span.span_id,
            "name": failure.span.name,
            "type": failure.type,
            "message": failure.message[:500],
            "recovered": failure.recovered,
            "times": times,
            "place": place_of(failure.span),
        }


def _evaluations(trace: Trace) -> Iterator[dict[str, Any]]:
    """Yield the evaluations without reading their examples, which takes longer than all the rest of a large trace."""
    for span in trace.spans:
        if span.operation is Operation.EVALUATE:
            children = trace.children.get(span.span_id, ())
            yield {
                "span": span.span_id,
                "metric": metric_of(span),
                "score": trace.rows[span.span_id].score,
                "examples": sum(each.operation is Operation.EXAMPLE for each in children),
            }
