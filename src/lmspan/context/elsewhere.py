"""The figures of tasks that run in other processes: they come back with the results of the tasks.

    parent   depart()     counts a task as uncounted in the totals of the current call, and returns a ticket
    child    Gathered     takes the sums of the outermost calls of the task
    child    Returned     stands for the result until it is pickled, and is pickled together with the figures
    parent   unpickling it yields the result alone; the figures are added where the ticket says

A task whose figures do not come back stays uncounted: its process has died, does not record, or is not a pool's. The
figures of a task that raises come back with the next result of the same process.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.lifecycle import GATHERED, Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lmspan.lifecycle import LiveCall

_MOST: Final = 1_000
_FEW: Final = 64

_numbers = itertools.count()


class Gathered:
    """Takes the sums of the outermost calls of one task, in the process that runs it."""

    __slots__ = ("call_id", "done", "figures")

    def __init__(self) -> None:
        self.call_id: str = f"task-{os.getpid()}-{next(_numbers)}"
        self.figures: list[Figures] = []
        self.done: bool = False

    def add_figures(self, figures: Figures) -> None:
        """Add the sums of an outermost call, or of a task that has run in a further process."""
        self.figures.append(figures)

    def total(self) -> Figures:
        """Return the sums of the whole task."""
        numbers: Counter[str] = Counter()
        costs: Counter[str] = Counter()
        sources: dict[str, None] = {}
        for each in self.figures:
            numbers.update(each.numbers)
            costs.update(each.costs)
            sources.update(dict.fromkeys(each.sources))
        return Figures(dict(numbers), dict(costs), tuple(sources))


class Returned:
    """The result of a task, until it is pickled: it takes along the figures that wait in this process."""

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        waiting = []
        while _outbox:
            waiting.append(_outbox.popleft())
        return _receive, (self.result, waiting)

    def __repr__(self) -> str:
        """Return the program's own text: a pool shows it where a result cannot be pickled."""
        return repr(self.result)


_away: dict[str, LiveCall | Gathered] = {}
"""Where the figures of departed tasks are added, by ticket."""
_outbox: deque[tuple[str, Figures]] = deque(maxlen=_MOST)
"""The tickets and figures of this process's ended tasks, until a result takes them along."""
_purge_at = _FEW


def _not_recording() -> bool:
    return False


_is_recording: Callable[[], bool] = _not_recording


def ask(is_recording: Callable[[], bool]) -> None:
    """Set the function that tells whether this process records: the figures of one that does not are unknown."""
    global _is_recording  # noqa: PLW0603 - one recorder for the process
    _is_recording = is_recording


def _receiver() -> Any:
    return current_call() or otel_context.get_current().get(GATHERED)


@guarded
def depart(count: int = 1) -> str:
    """Count tasks that leave this process, and return the ticket to send with them; empty where nothing counts them."""
    return _depart(_receiver(), count)


def _depart(receiver: Any, count: int) -> str:
    if receiver is None:
        return ""
    _forget_ended()
    _away[receiver.call_id] = receiver
    _add(receiver, Figures({sc.TOTAL_UNCOUNTED: count}))
    return str(receiver.call_id)


@guarded
def departing(items: Any) -> tuple[str, Any]:
    """Count the items of which a pool makes tasks, and return the ticket and the items, which are counted once.

    A pool takes the items of an iterator later, and on a thread of its own.
    """
    receiver = _receiver()
    if receiver is None or type(items) in (list, tuple, range):
        return _depart(receiver, len(items) if receiver is not None else 0), items
    return _depart(receiver, 0), _counted(receiver, items)


def _counted(receiver: Any, items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        guarded(_depart)(receiver, 1)
        yield item


def ended(ticket: str, gathered: Gathered) -> None:
    """Keep the figures of an ended task until a result takes them along. Called in the process that has run it."""
    gathered.done = True
    if _is_recording():
        _outbox.append((ticket, gathered.total()))


def _receive(result: Any, waiting: list[tuple[str, Figures]]) -> Any:
    """Return a result that is unpickled, and add the figures that have come with it. Called on a thread of the pool."""
    for ticket, figures in waiting:
        _arrive(ticket, figures)
    return result


@guarded
def _arrive(ticket: str, figures: Figures) -> None:
    receiver = _away.get(ticket)
    if receiver is not None:
        numbers = Counter(figures.numbers)
        numbers[sc.TOTAL_UNCOUNTED] -= 1
        _add(receiver, figures._replace(numbers=dict(numbers)))


def _add(receiver: Any, figures: Figures) -> None:
    if isinstance(receiver, Gathered):
        receiver.add_figures(figures)
        return
    receiver.totals.add_figures(figures)
    if receiver.result is not None:
        receiver.result.add_figures(figures)


def _forget_ended() -> None:
    """Forget the runs that have ended, whenever their number has doubled."""
    global _purge_at  # noqa: PLW0603 - one for the process
    if len(_away) < _purge_at:
        return
    for ticket, receiver in list(_away.items()):
        if receiver.done if isinstance(receiver, Gathered) else receiver.root.ended:
            _away.pop(ticket, None)
    _purge_at = max(_FEW, 2 * len(_away))


def _start_anew() -> None:
    """In a forked child: its figures are its own."""
    _away.clear()
    _outbox.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
