"""What export costs the program beside it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from benchmarks.contenders import EXPORTING, NO_EXPORTER, OFFICIAL
from benchmarks.measuring import ENDPOINT, Workers
from benchmarks.recorders import SPANS
from benchmarks.sink import sink
from benchmarks.tables import Table, Target, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.effort import Effort

OURS = "OTLP/HTTP", "file"


def export(effort: Effort) -> Iterator[Table | Target]:
    note = (
        "Microseconds of CPU of the export thread for each span of `Predict`, until a server in another process, or "
        "the file, has it. This thread is under the interpreter lock of the program."
    )
    table = Table("Export", note, ("way out", "x official", "minimum", "median"))
    with sink() as address, Workers(EXPORTING, {ENDPOINT: address}) as workers:
        answers, _ = workers.rounds("Predict", rounds=effort.rounds, calls=effort.calls * 4)
    times = {name: [each["others_us"] / SPANS for each in found] for name, found in answers.items()}
    for name, found in times.items():
        ratio = min(found) / min(times[OFFICIAL])
        table.rows.append((name, number(ratio), number(min(found)), number(statistics.median(found))))
        if name in OURS:
            meaning = "What the program gives to each span after its end."
            yield Target(f"export by {name}, against the official exporter", ratio, 0.26, "x", meaning, "export")
    yield table


def tail(effort: Effort) -> Iterator[Table | Target]:
    note = (
        "Milliseconds of one `Predict`, in a program that waits for 1 ms between two. Above: over the p99.9 of the "
        "same program whose spans go nowhere."
    )
    table = Table("The slowest calls beside the exporter", note, ("way out", "p99.9 above", "p50", "p99", "p99.9"))
    with sink() as address, Workers(EXPORTING, {ENDPOINT: address}) as workers:
        rounds = max(effort.rounds // 3, 2)
        answers, _ = workers.rounds("Predict", rounds=rounds, calls=effort.paced, way="paced")
    times = {
        name: sorted(time / 1000 for each in found for time in each["times_us"]) for name, found in answers.items()
    }
    own = quantile(times[NO_EXPORTER], 0.999)
    for name, found in times.items():
        median, slow, slowest = (quantile(found, share) for share in (0.5, 0.99, 0.999))
        table.rows.append((name, number(slowest - own, signed=True), *map(number, (median, slow, slowest))))
        if name in OURS:
            meaning = "One call in a thousand takes so much longer because spans are exported."
            yield Target(f"p99.9 beside {name}, above the program's own", slowest - own, 1, "ms", meaning, "tail")
    yield table


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
