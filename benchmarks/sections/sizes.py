"""How the cost grows with the content and with the length of a trace."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.measuring import Workers, once
from benchmarks.sections.programs import PLAIN, Measured
from benchmarks.tables import Table, Target, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort

OFF, ON = "lmspan, no metrics", "lmspan, content"
SPANS_OF_A_PROCESS = 20_000
CHARACTERS_OF_A_ROUND = 10**6
MEANT_SIZE = 100 << 10


def content(effort: Effort) -> Iterator[Table | Target]:
    note = (
        "`Predict` on a question of so many characters; the microseconds of CPU that lmspan adds to the thread of the "
        "program, and to all threads."
    )
    head = (
        "size", "with / without content", "added, no content", "added, content", "content, all threads",
        "the program itself",
    )  # fmt: skip
    table = Table("Size of the content", note, head)
    with Workers((PLAIN, OFF, ON)) as workers:
        for size in effort.sizes:
            calls = max(min(effort.calls, CHARACTERS_OF_A_ROUND // size), 1)
            figures = workers.measure("Predict", rounds=effort.rounds, calls=calls, size=size)
            measured = Measured("Predict", figures)
            table.rows.append((
                _bytes(size), number(_ratio(measured)),
                number(measured.added(OFF), signed=True), number(measured.added(ON), signed=True),
                number(figures[ON].process - figures[PLAIN].process, signed=True), number(figures[PLAIN].minimum),
            ))  # fmt: skip
            ratio = _ratio(measured)
            if size == MEANT_SIZE and ratio is not None:
                meaning = "A long prompt costs the program hardly more than none."
                yield Target("100 KB of content, against none", ratio, 2, "x", meaning, "content")
    yield table


def _ratio(measured: Measured) -> float | None:
    return measured.over(ON, OFF)


def _bytes(size: int) -> str:
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} KB"


def traces(effort: Effort) -> Iterator[Table | Target]:
    note = "A root and so many recorded tools under it; the microseconds of CPU for each span, content off."
    table = Table("Length of a trace", note, ("spans a trace", "x of the shortest", "minimum", "median"))
    times: dict[int, list[float]] = {spans: [] for spans in effort.traces}
    for _ in range(effort.repeats):
        for spans, found in times.items():
            found.append(once("trace", spans=spans, traces=max(SPANS_OF_A_PROCESS // spans, 1))["us"])
    first = min(times[effort.traces[0]])
    for spans, found in times.items():
        ratio = number(min(found) / first)
        table.rows.append((f"{spans:,}", ratio, number(min(found)), number(statistics.median(found))))
    yield table
    slowest = max(min(found) for found in times.values()) / first
    meaning = "A long run does not slow down as its trace grows."
    yield Target("a span in a long trace, against a short one", slowest, 1.1, "x", meaning, "traces")
