"""The totals of an operation and of everything below it: calls, tokens, cost, errors.

A call that keeps totals (the outermost of a trace, and those in `_KEEPERS`) has a `Totals`, which every call under it
shares until one of them keeps its own; that one adds its sums when it ends. So an ended call costs one append, however
deep it is, and a trace that never ends takes no more memory than one that does.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import GATHERED, Figures, Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

_KEEPERS: Final = frozenset(
    (Operation.WORKFLOW, Operation.AGENT, Operation.EVALUATE, Operation.OPTIMIZE, Operation.CANDIDATE)
)

_COUNTS: Final = {
    Operation.LM: sc.TOTAL_LLM_CALLS,
    Operation.EMBEDDING: sc.TOTAL_EMBEDDING_CALLS,
    Operation.TOOL: sc.TOTAL_TOOL_CALLS,
}
_TOKENS: Final = (
    (sc.USAGE_INPUT_TOKENS, sc.TOTAL_INPUT_TOKENS),
    (sc.USAGE_OUTPUT_TOKENS, sc.TOTAL_OUTPUT_TOKENS),
    (sc.USAGE_CACHE_READ_TOKENS, sc.TOTAL_CACHE_READ_TOKENS),
    (sc.USAGE_CACHE_WRITE_TOKENS, sc.TOTAL_CACHE_WRITE_TOKENS),
    (sc.USAGE_REASONING_TOKENS, sc.TOTAL_REASONING_TOKENS),
    (sc.CACHE_SAVED_TOKENS, sc.TOTAL_CACHE_SAVED_TOKENS),
)
_ALWAYS: Final = (sc.TOTAL_LLM_CALLS, sc.TOTAL_TOOL_CALLS, sc.TOTAL_ERRORS, sc.TOTAL_ORPHANS)
_NAMES: Final = (
    sc.TOTAL_NODES, *_COUNTS.values(), *(total for _, total in _TOKENS), sc.TOTAL_CACHE_HITS, sc.TOTAL_COST_UNKNOWN,
    sc.TOTAL_ERRORS, sc.TOTAL_ORPHANS, sc.TOTAL_UNCOUNTED,
)  # fmt: skip
_ORDER: Final = {name: place for place, name in enumerate(_NAMES)}
_WAITING: Final = 256
_PATIENCE_S: Final = 0.05
_COST_DIGITS: Final = 12  # further digits come from binary fractions


def totals_of(call: LiveCall) -> Totals:
    """Return the totals to which a starting call adds: its own if it keeps totals, else those of its parent."""
    outer: Totals | None = call.parent.totals if call.parent is not None else None
    return Totals(outer) if outer is None or call.operation in _KEEPERS else outer


def count(call: LiveCall) -> dict[str, Any]:
    """Count an ended call; if it keeps totals, add them to its facts and return them."""
    call.facts.update(call.late_facts)
    call.totals.add(call)
    if call.parent is not None and call.operation not in _KEEPERS:
        return {}
    total: dict[str, Any] = call.totals.close(whole=call.parent is None)
    if call.parent is None and (gathered := call.previous.get(GATHERED)) is not None:
        gathered.add_figures(call.totals.figures())
    call.late_facts.update(total)
    call.facts.update(total)
    return total


class Totals:
    """The sums of one keeper. Any thread adds a call without a lock; if many calls wait, the thread sums them.

    A thread waits for the lock at the end of the keeper only, and not long. If a process forks while a thread holds the
    lock, the sums of that run are too small in the child.
    """

    __slots__ = ("_adding", "_costs", "_nodes", "_numbers", "_sources", "_waiting", "closed", "outer")

    def __init__(self, outer: Totals | None = None) -> None:
        """`outer` are the totals around these, which include them."""
        self.outer: Totals | None = outer
        self.closed: bool = False
        self._nodes = itertools.count()
        self._waiting: deque[LiveCall | Totals | Figures] = deque()
        self._numbers: Counter[str] = Counter()
        self._costs: Counter[str] = Counter()
        self._sources: dict[str, None] = {}
        self._adding = threading.Lock()

    def add(self, call: LiveCall) -> None:
        """Count an ended call. The totals keep only its `facts`, until they are summed."""
        totals = self._open()
        next(totals._nodes)  # noqa: SLF001 - another of this class
        if call.failed or call.orphan or call.operation in _COUNTS:
            totals._wait(call)  # noqa: SLF001 - the same

    def add_figures(self, figures: Figures) -> None:
        """Add the sums of calls that have run in another process."""
        self._open()._wait(figures)  # noqa: SLF001 - another of this class

    def figures(self) -> Figures:
        """Return the sums, once they are closed."""
        numbers = {name: number for name, number in self._numbers.items() if number}
        return Figures(numbers, dict(self._costs), tuple(self._sources))

    def close(self, *, whole: bool) -> dict[str, Any]:
        """Add these totals to the outer ones and return them as attributes; a part has no zeros and no nodes."""
        self.closed = True
        self._add_up(_PATIENCE_S)
        self._numbers[sc.TOTAL_NODES] += next(self._nodes)
        if self.outer is not None:
            self.outer._open()._wait(self)  # noqa: SLF001 - another of this class
        return self._attributes(whole=whole)

    def _open(self) -> Totals:
        """Return these totals, or the first around them that still count: a call may end later than its keeper."""
        totals = self
        while totals.closed and totals.outer is not None:
            totals = totals.outer
        return totals

    def _wait(self, ended: LiveCall | Totals | Figures) -> None:
        self._waiting.append(ended)
        if len(self._waiting) > _WAITING:
            self._add_up(0)

    def _add_up(self, patience_s: float) -> None:
        if not self._adding.acquire(timeout=patience_s) if patience_s else not self._adding.acquire(blocking=False):
            return
        try:
            while self._waiting:
                ended = self._waiting.popleft()
                if isinstance(ended, Totals):
                    ended = ended.figures()
                self._add_sums(ended) if isinstance(ended, Figures) else self._add_call(ended)
        finally:
            self._adding.release()

    def _add_sums(self, figures: Figures) -> None:
        self._numbers.update(figures.numbers)
        self._costs.update(figures.costs)
        self._sources.update(dict.fromkeys(figures.sources))

    def _add_call(self, call: LiveCall) -> None:
        numbers, facts = self._numbers, call.facts
        if call.failed:
            numbers[sc.TOTAL_ERRORS] += 1
        if call.orphan:
            numbers[sc.TOTAL_ORPHANS] += 1
        if call.operation not in _COUNTS:
            return
        numbers[_COUNTS[call.operation]] += 1
        for name, total in _TOKENS:
            if name in facts:
                numbers[total] += facts[name]
        if facts.get(sc.CACHE_HIT):
            numbers[sc.TOTAL_CACHE_HITS] += 1
        elif sc.COST_AMOUNT in facts:
            self._costs[facts.get(sc.COST_UNIT, "USD")] += facts[sc.COST_AMOUNT]
            self._sources[facts.get(sc.COST_SOURCE, "program")] = None
        elif call.operation is Operation.LM:
            numbers[sc.TOTAL_COST_UNKNOWN] += 1

    def _attributes(self, *, whole: bool) -> dict[str, Any]:
        numbers = self._numbers
        facts: dict[str, Any] = dict.fromkeys(_ALWAYS, 0) if whole else {}
        names = sorted(numbers.keys() & _ORDER.keys(), key=_ORDER.__getitem__)
        facts.update({name: numbers[name] for name in names if numbers[name]})
        if not whole:
            facts.pop(sc.TOTAL_NODES, None)
        if len(self._costs) == 1:  # amounts in several units have no sum
            ((facts[sc.TOTAL_COST_UNIT], amount),) = self._costs.items()
            facts[sc.TOTAL_COST_AMOUNT] = round(amount, _COST_DIGITS)
            facts[sc.TOTAL_COST_SOURCES] = tuple(self._sources)
        return facts
