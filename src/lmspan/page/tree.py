"""The tree of a trace as columns, where 20,000 spans are a few lists and a name is sent once; and what it resulted in.

The tree of a large trace comes from the index, without its content, because reading that takes most of the time.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.lifecycle import Operation
from lmspan.traces.content import first_words
from lmspan.traces.evaluations import metric_of
from lmspan.traces.figures import below, each_call_once, failures, total
from lmspan.traces.places import place_of
from lmspan.traces.rows import row_of
from lmspan.traces.spans import State
from lmspan.traces.trace import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lmspan.traces.figures import Figures
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
MOST_WITH_WORDS: Final = 2000
"""The spans of a trace whose rows show the first words of their inputs."""
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


class Outline(NamedTuple):
    """What the rows of a tree show: the facts of the spans, by id, of which each model call counts once."""

    rows: Mapping[str, Row]
    open: Mapping[str, State]
    """The states of the spans that have not ended."""
    words: Mapping[str, str]
    """The first words of the spans' inputs, where they have been read."""


def outline(trace: Trace) -> Outline:
    """Return the outline of a trace that has been read."""
    has_words = len(trace) <= MOST_WITH_WORDS
    return Outline(
        trace.rows,
        {span.span_id: span.state for span in trace.spans if span.state is not State.ENDED},
        {span.span_id: _cut(first_words(span)) for span in trace.spans} if has_words else {},
    )


def stored_outline(rows: Iterable[Row], opened: Iterable[StoredSpan]) -> Outline:
    """Return the outline of a trace from its rows in the index and its spans that have not ended."""
    found = {row.span_id: row for row in rows}
    states = {span.span_id: span.state for span in opened}
    found.update((span.span_id, row_of(span)) for span in opened)
    return Outline(each_call_once(found), states, {})


def document(outline: Outline) -> dict[str, Any]:
    """Return a tree for the page, parents before their children. Times are microseconds from the start of the trace."""
    placed = list(_depth_first(outline.rows.values()))
    rows = [row for row, _ in placed]
    sums = below(rows)
    failing = failures(outline.rows)
    texts = _Texts()
    start = min((row.start for row in rows), default=0)
    return {
        "columns": {
            "id": [row.span_id for row in rows],
            "depth": [depth for _, depth in placed],
            "name": [texts.number(row.name) for row in rows],
            "operation": [texts.number(row.operation) for row in rows],
            "label": [texts.number(_label(row)) for row in rows],
            "words": [texts.number(outline.words.get(row.span_id, "")) for row in rows],
            "start": [(row.start - start) // 1000 for row in rows],
            "duration": [row.duration // 1000 for row in rows],
            "flags": [_flags(row, outline.open.get(row.span_id), failing.get(row.span_id)) for row in rows],
            "input_tokens": [sums[row.span_id].input_tokens for row in rows],
            "output_tokens": [sums[row.span_id].output_tokens for row in rows],
            "cost": [sums[row.span_id].cost for row in rows],
            "score": [row.score for row in rows],
            "retries": [row.retries for row in rows],
        },
        "texts": texts.all(),
        "flags": _FLAGS,
        "length": max((row.start + row.duration for row in rows), default=0) // 1000 - start // 1000,
        "total": _attributes(total(rows)),
    }


def results(trace: Trace) -> dict[str, Any]:
    """Return what the content of a trace says: its failures, optimizer runs and evaluations."""
    return {
        "spans": len(trace),
        "failures": list(_failures(trace)),
        "runs": [{"span": each.span.span_id, "name": each.name, "first": each.first_score, "best": each.best_score,
                  "candidates": len(each.candidates), "state": each.state} for each in trace.optimizer_runs],
        "evaluations": list(islice(_evaluations(trace), _MOST_EVALUATIONS)),
    }  # fmt: skip


def _attributes(figures: Figures) -> dict[str, Any]:
    return {name: getattr(figures, name) for name in figures.__slots__}


def _depth_first(rows: Iterable[Row]) -> Iterator[tuple[Row, int]]:
    """Yield the rows with their depths, parents before their children, siblings in order of time.

    A row whose parent is not there is a root, and so is the first of rows that are parents of each other.
    """
    ordered = sorted(rows, key=lambda row: (row.start, -row.duration))
    known = {row.span_id for row in ordered}
    under: defaultdict[str, list[Row]] = defaultdict(list)
    for row in ordered:
        under[row.parent_id if row.parent_id in known else ""].append(row)
    seen: set[str] = set()
    for root in (*under.pop("", ()), *ordered):
        waiting = [(root, 0)]  # a stack allows traces of any depth
        while waiting:
            row, depth = waiting.pop()
            if row.span_id not in seen:
                seen.add(row.span_id)
                yield row, depth
                waiting += ((child, depth + 1) for child in reversed(under.get(row.span_id, ())))


def _cut(words: str) -> str:
    return words if len(words) < _WORDS else f"{words[: _WORDS - 1]}…"


def _label(row: Row) -> str:
    """Return what the name of a span does not say: the module's path in the program, or the model."""
    label = row.module or row.model
    return "" if label in row.name else label


def _flags(row: Row, state: State | None, recovered: bool | None) -> int:
    """Return the flags of a row: its state if it has not ended, and whether a failure in it was recovered."""
    return (
        (0 if state is None else _FLAGS["running" if state is State.RUNNING else "not_ended"])
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
