"""What lmspan adds to the start of a program, and callbacks to each event."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.dispatch import ROWS
from benchmarks.measuring import ENDPOINT, once
from benchmarks.tables import Table, Target, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort

NOBODY = "http://127.0.0.1:9"
EVENTS = 300


def start(effort: Effort) -> Iterator[Table | Target]:
    note = "Milliseconds of CPU on top of `import dspy`, in fresh processes: the minimum, and the median of the whole."
    table = Table("Start", note, ("exporter", "import and init()", "median", "import", "init()"))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("none", "file", "otlp")}
    for _ in range(effort.repeats):
        for name, times in found.items():
            times.append(once("start", exporter=name, environ={ENDPOINT: NOBODY}))
    for name, times in found.items():
        whole, imported, init = (min(each[key] for each in times) for key in ("whole_ms", "import_ms", "init_ms"))
        median = statistics.median(each["whole_ms"] for each in times)
        table.rows.append((name, *map(number, (whole, median, imported, init))))
        if name == "none":
            meaning = "What two lines add to the start of a program."
            yield Target("import and init(), no exporter", whole, 25, "ms", meaning, "start")
    yield table


def dispatch(effort: Effort) -> Iterator[Table | Target]:
    note = (
        "Microseconds of CPU for each event: what the first callback adds, and each of ten further ones, by the "
        "library's own dispatch and by lmspan."
    )
    head = "callback", "further: lmspan / own", "own: first", "further", "lmspan: first", "further"
    table = Table("Callbacks", note, head)
    found = once("dispatch", rounds=effort.rounds, events=EVENTS)
    for row in ROWS:
        own, ours = found.get(f"{row.name}|own", (None, None)), found[f"{row.name}|lmspan"]
        table.rows.append((row.name, *map(number, (ours[1] / own[1] if own[1] else None, *own, *ours))))
    yield table
    slowest = max(found[f"{row.name}|lmspan"][1] for row in ROWS)
    meaning = "One callback more, of the slowest kind."
    yield Target("each further subscriber", slowest, 0.5, "us an event", meaning, "dispatch")
