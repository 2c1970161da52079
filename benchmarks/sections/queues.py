"""What a span holds until it is exported, and whether any is lost."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.contenders import OFFICIAL
from benchmarks.measuring import ENDPOINT, once
from benchmarks.sink import received, sink
from benchmarks.tables import Table, Target, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort

FEWEST = 2_000
MILLION = 1_000_000


def memory(effort: Effort) -> Iterator[Table | Target]:
    note = (
        "Bytes by which the process grows for each span of 16 attributes, 12 of them with values of their own, while "
        "the exporter hangs."
    )
    table = Table("Memory of a queued span", note, ("queue", "minimum", "median"))
    found: dict[str, list[float]] = {"lmspan": [], "SDK": []}
    for _ in range(effort.repeats):
        for queue, sizes in found.items():
            sizes.append(once("queued", kind=queue, spans=max(effort.spans // 6, FEWEST))["bytes"])
    table.rows += [(queue, number(min(sizes)), number(statistics.median(sizes))) for queue, sizes in found.items()]
    yield table
    meaning = "What a span holds while its endpoint is away."
    yield Target("a queued span of 16 attributes", min(found["lmspan"]), 2200, "bytes", meaning, "memory")


def loop(effort: Effort) -> Iterator[Table | Target]:
    yield from _lost(effort.spans, ("file", "OTLP/HTTP", OFFICIAL), "A loop that never waits", "loop")


def million(effort: Effort) -> Iterator[Table | Target]:
    """Measure a million calls, in a long run only."""
    if effort.is_long:
        yield from _lost(MILLION, ("OTLP/HTTP",), "A million calls", "million")


def _lost(calls: int, exporters: tuple[str, ...], title: str, section: str) -> Iterator[Table | Target]:
    note = (
        f"{calls:,} calls of a recorded function, one after the other, as in a program whose answers come from a "
        "cache. Memory is that of the process."
    )
    table = Table(title, note, ("way out", "lost", "us a call", "MB after a tenth", "MB at the end", "growth"))
    for name in exporters:
        with sink() as address:
            found = once("loop", exporter=name, calls=calls, environ={ENDPOINT: address})
            lost = calls - (found["written"] if name == "file" else received(address))
        first, last = found["resident_mb"][0], found["resident_mb"][-1]
        figures = number(found["us"]), number(first), number(last), f"{last / first - 1:+.1%}"
        table.rows.append((name, f"{lost:,}", *figures))
        if name != OFFICIAL:
            meaning = "No span is dropped while the program is busy."
            yield Target(f"{title.lower()}, {name}", lost, 0, "spans lost", meaning, section)
    yield table
