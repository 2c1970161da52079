"""What each tier of scale-out costs: CPU and memory for 1,000 spans a second, with and without content.

    .ci/backends distributed
    LMSPAN_E2E_BIN=$(.ci/backends distributed | tail -1) python benchmarks/scale_out.py [SPANS]

Starts the tiers, sends a tenth of the spans so that their programs are warm, and then the others as fast as one sender
can. The CPU seconds that each tier uses until all are stored, less what it uses without spans, are divided by the
spans. The store is saturated meanwhile: how many spans a second it takes is counted between a tenth and nine tenths.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
if "LMSPAN_E2E_BIN" in os.environ:
    os.environ["TEST_LMSPAN_E2E_BIN"] = os.environ.pop("LMSPAN_E2E_BIN")

from support.tiers import SPANS_A_TRACE, Tiers, ids, recorded

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_S = 30
BETWEEN_COUNTS_S = 5  # as often as the layout makes spans visible
PATIENCE_S = 900


def cpu_s(program: Any) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(program: Any) -> int:
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def stored(tiers: Any, spans: int) -> list[tuple[float, int]]:
    """Wait until so many spans are stored; return how many they were at which moment."""
    counts = [(time.monotonic(), tiers.store[0].count())]
    while counts[-1][1] < spans and counts[-1][0] - counts[0][0] < PATIENCE_S:
        time.sleep(BETWEEN_COUNTS_S)
        counts.append((time.monotonic(), tiers.store[0].count()))
    return counts


def rate(counts: list[tuple[float, int]], first: int, last: int) -> str:
    """Spans a second between the tenth and the nine tenths of the way from the first number to the last."""
    tenth = (last - first) / 10
    between = [each for each in counts if first + tenth <= each[1] <= last - tenth]
    if len(between) < 3:
        return "too few spans to say at how many"
    (began, few), (ended, many) = between[0], between[-1]
    return f"{(many - few) / (ended - began):.0f}"


def measured(count: int, content: str) -> None:
    warming, spans = (recorded(each, content)[0] for each in (-(-count // 10), count))
    first, more = len(ids(warming)), len(ids(spans))
    size = sum(request.ByteSize() for request in spans) / more
    with tempfile.TemporaryDirectory() as directory, Tiers(Path(directory), OTHERS_PERCENT="100") as tiers:
        parts = {"gateway": tiers.gateways, "Kafka": [tiers.kafka], "sampler": tiers.samplers, "store": tiers.store}

        def used() -> dict[str, float]:
            return {name: sum(map(cpu_s, programs)) for name, programs in parts.items()}

        tiers.send(warming)
        stored(tiers, first)
        before = used()
        started = time.monotonic()
        tiers.send(spans)
        sent_s = time.monotonic() - started
        counts = stored(tiers, first + more)
        stored_s = time.monotonic() - started
        after = used()
        time.sleep(IDLE_S)
        idle = {name: (seconds - after[name]) / IDLE_S for name, seconds in used().items()}
        cores = {name: (after[name] - before[name] - idle[name] * stored_s) / more * 1000 for name in parts}
        memory = {name: max(map(peak_mib, programs)) for name, programs in parts.items()}
        disk = tiers.store[0].bytes_of_spans() / counts[-1][1]
    print(f"\ncontent: {content}; {more} spans of {size:.0f} bytes; {disk:.0f} bytes a span on disk")
    print(f"accepted at {more / sent_s:.0f} spans a second")
    print(f"{counts[-1][1] - first} stored after {stored_s:.0f} s, of which 60 s are DECISION_WAIT")
    print(f"saturated at {rate(counts, first, first + more)} spans a second")
    print("tier     cores per 1,000 spans/s  cores without spans  peak MiB of a process")
    for name in parts:
        print(f"{name:8} {cores[name]:23.2f}  {idle[name]:19.2f}  {memory[name]:21}")


if __name__ == "__main__":
    total = int(sys.argv[1]) if sys.argv[1:] else 100_000
    print(f"load before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for content in ("none", "span"):
        measured(-(-total // SPANS_A_TRACE), content)
    print(f"load after: {os.getloadavg()[0]:.1f}")
