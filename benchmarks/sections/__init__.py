"""One function for each section: it measures, and yields its table and its targets.

All figures of one section are of one run, in turn. A ratio compares what two contenders add to the program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.sections.exports import export, tail
from benchmarks.sections.programs import programs
from benchmarks.sections.queues import loop, memory, million
from benchmarks.sections.sizes import content, traces
from benchmarks.sections.starts import dispatch, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.effort import Effort
    from benchmarks.tables import Table, Target

    Section = Callable[[Effort], Iterable[Table | Target]]

SECTIONS: dict[str, Section] = {
    section.__name__: section
    for section in (programs, content, traces, export, tail, memory, loop, million, start, dispatch)
}
