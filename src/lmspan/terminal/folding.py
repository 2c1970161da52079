"""The rows of a trace's tree: adapter phases are hidden, repeated siblings are one row, optimizer runs are closed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.spans import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.trace import Trace

_HIDDEN: Final = (
    Operation.ADAPTER_FORMAT,
    Operation.ADAPTER_PARSE,
    Operation.INTERPRETER_STARTUP,
    Operation.INTERPRETER_SHUTDOWN,
)
_NOT_REPEATED: Final = (Operation.TURN, Operation.CANDIDATE)
_MOST_REPEATED: Final = 3
_DEEPEST: Final = 40  # deeper levels are not indented
_BELOW: Final = {"": "", "├─ ": "│  ", "└─ ": "   "}


@dataclass(frozen=True)
class View:
    """Which rows of a tree are shown. `only` are words of operations or beginnings of names."""

    full: bool = False
    depth: int | None = None
    only: Sequence[str] = ()
    errors: bool = False


@dataclass(frozen=True)
class TreeRow:
    """One row: a span, or several siblings of the same name."""

    guide: str
    spans: Sequence[StoredSpan]

    @property
    def span(self) -> StoredSpan:
        """The first span."""
        return self.spans[0]


def tree_rows(trace: Trace, view: View) -> Iterator[TreeRow]:
    """Yield the rows of a trace, depth first; a stack allows traces of any depth.

    From level 40 on the lines end in the number of the level.
    """
    if view.only:
        yield from (TreeRow("", [span]) for span in trace.spans if is_one_of(span, view.only))
        return
    failing = _with_failures(trace) if view.errors else None
    stack = [(0, "", "", group) for group in reversed(_groups(trace, "", view, failing))]
    seen: set[str] = set()
    while stack:
        depth, lead, corner, group = stack.pop()
        span = group[0]
        guide = lead + corner if depth < _DEEPEST else f"{lead}…{depth} "
        yield TreeRow(guide, group)
        if len(group) > 1 or span.span_id in seen or _is_closed(span, depth, view):
            continue
        seen.add(span.span_id)
        below = lead + _BELOW[corner] if depth < _DEEPEST else lead
        groups = _groups(trace, span.span_id, view, failing)
        corners = ["├─ "] * (len(groups) - 1) + ["└─ "]
        stack += [(depth + 1, below, corner, each) for corner, each in zip(corners, groups, strict=False)][::-1]


def _is_closed(span: StoredSpan, depth: int, view: View) -> bool:
    if view.depth is not None and depth >= view.depth:
        return True
    is_open = view.full or view.errors or view.depth is not None
    return span.operation is Operation.OPTIMIZE and not is_open


def _groups(trace: Trace, parent: str, view: View, failing: set[str] | None) -> list[Sequence[StoredSpan]]:
    """Return the children that are shown; those of the same name that follow each other are one group."""
    children = trace.children.get(parent, ())
    if failing is not None:
        return [[span] for span in children if span.span_id in failing]
    if view.full:
        return [[span] for span in children]
    shown = [span for span in children if not is_hidden(span)] or ([] if parent else children)
    groups: list[Sequence[StoredSpan]] = []
    for _, each in groupby(shown, key=_repetition):
        same = list(each)
        groups += [same] if len(same) > _MOST_REPEATED else [[span] for span in same]
    return groups


def _repetition(span: StoredSpan) -> object:
    """Return a key that repeated siblings share; a failed span or one that runs is always on its own."""
    is_single = span.failed or span.state is not State.ENDED or span.operation in _NOT_REPEATED
    return span.span_id if is_single else (span.name,)


def _with_failures(trace: Trace) -> set[str]:
    """Return the ids of the failed spans and of all spans above them."""
    ids: set[str] = set()
    for span in trace.spans:
        above: StoredSpan | None = span if span.failed or _has_error(span) else None
        while above is not None and above.span_id not in ids:
            ids.add(above.span_id)
            above = trace.parent(above)
    return ids


def _has_error(span: StoredSpan) -> bool:
    return any(sc.ERROR_TYPE in event.facts for event in span.events)


def is_hidden(span: StoredSpan) -> bool:
    """Return whether a span is left out unless everything is shown."""
    return span.operation in _HIDDEN and not span.failed


def is_one_of(span: StoredSpan, only: Sequence[str]) -> bool:
    """Return whether a span is of one of these operations, or its name begins with one of these words."""
    word = span.operation.value if span.operation is not None else ""
    return any(each in (word, span.name.partition(" ")[0]) or span.name.startswith(each) for each in only)
