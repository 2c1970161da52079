"""What each tier of scale-out costs: CPU and memory for 1,000 spans a second, with and without content.

    .ci/backends distributed
    LMSPAN_E2E_BIN=$(.ci/backends distributed) python benchmarks/scale_out.py [SPANS]

Starts the tiers, sends spans as fast as one sender can, waits until all are stored, and divides the CPU seconds that
each tier has used by the spans, less what it uses without spans. How many spans a second are accepted, and when all are
stored, depends on what else the machine does; CPU time much less.
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


def cpu_s(program: Any) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(program: Any) -> int:
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measured(count: int, content: str) -> None:
    requests, _ = recorded(count, content)
    spans, size = len(ids(requests)), sum(request.ByteSize() for request in requests)
    with tempfile.TemporaryDirectory() as directory, Tiers(Path(directory), OTHERS_PERCENT="100") as tiers:
        parts = {"gateway": tiers.gateways, "Kafka": [tiers.kafka], "sampler": tiers.samplers, "store": tiers.store}
        idle = {name: -sum(map(cpu_s, programs)) for name, programs in parts.items()}
        time.sleep(IDLE_S)
        before = {name: sum(map(cpu_s, programs)) for name, programs in parts.items()}
        started = time.monotonic()
        tiers.send(requests)
        sent_s = time.monotonic() - started
        while tiers.store[0].count() < spans and time.monotonic() - started < 900:
            time.sleep(2)
        stored_s = time.monotonic() - started
        used = {
            name: sum(map(cpu_s, programs)) - before[name] - (before[name] + idle[name]) / IDLE_S * stored_s
            for name, programs in parts.items()
        }
        memory = {name: max(map(peak_mib, programs)) for name, programs in parts.items()}
        disk = tiers.store[0].bytes_of_spans() / tiers.store[0].count()
    print(f"\ncontent: {content}; {spans} spans of {size / spans:.0f} bytes; {disk:.0f} bytes a span on disk")
    print(f"accepted at {spans / sent_s:.0f} spans a second; all stored after {stored_s:.0f} s, of which 60 s wait")
    print("tier     cores per 1,000 spans/s  peak MiB of a process")
    for name in parts:
        print(f"{name:8} {used[name] / spans * 1000:23.2f}  {memory[name]:21}")


if __name__ == "__main__":
    total = int(sys.argv[1]) if sys.argv[1:] else 20_000
    print(f"load before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    for content in ("none", "span"):
        measured(-(-total // SPANS_A_TRACE), content)
    print(f"load after: {os.getloadavg()[0]:.1f}")
