"""What is measured once for each process: loss, memory, long traces, start, dispatch. Each returns its figures."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import EXPORTING
from benchmarks.dispatch import dispatch

if TYPE_CHECKING:
    from collections.abc import Callable

    Figures = dict[str, Any]

PAGE_KB = os.sysconf("SC_PAGE_SIZE") / 1024
PATIENCE_S = 120.0
ATTRIBUTES, UNIQUE = 16, 12
CHECKS = 10


def resident_kb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_KB


def plain(text: str) -> int:
    return len(text)


# Loss -----------------------------------------------------------------------------------------------------------------


def loop(exporter: str, calls: int) -> Figures:
    """Call a recorded tool so often, without a pause; return the time a call, what arrived in files, and the memory."""
    import lmspan

    EXPORTING[exporter].prepare()
    tool = lmspan.tool(plain)
    resident, start = [], time.perf_counter()
    for _ in range(CHECKS):
        for _ in range(calls // CHECKS):
            tool("text")
        resident.append(resident_kb() / 1024)
    took = time.perf_counter() - start
    _flush()
    return {"us": took / calls * 1e6, "written": _written(), "resident_mb": resident}


def _flush() -> None:
    from opentelemetry import trace

    provider: Any = trace.get_tracer_provider()
    provider.force_flush(int(PATIENCE_S * 1000))


def _written() -> int:
    """Count the spans in the files of this process."""
    directory = Path(os.environ["LMSPAN_DIR"])
    return sum(path.read_bytes().count(b'"spanId":') - path.read_bytes().count(b'"links":')
               for path in directory.glob("traces*.jsonl"))  # fmt: skip


# Memory ---------------------------------------------------------------------------------------------------------------


def queued(kind: str, spans: int) -> Figures:
    """Keep so many spans of 16 attributes in the queue of an exporter that hangs; return the bytes of each."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    provider.add_span_processor(_hung(kind))
    tracer = provider.get_tracer("bench")
    _record(tracer, 2000)
    before = resident_kb()
    _record(tracer, spans)
    return {"bytes": (resident_kb() - before) * 1024 / spans}


def _hung(kind: str) -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

    from lmspan.export.queue import ExportQueue

    class Hung(SpanExporter):
        def export(self, spans: Any) -> Any:
            threading.Event().wait()

    if kind == "lmspan":
        return ExportQueue(Hung(), "bench", queue_bytes=10**9)
    return BatchSpanProcessor(Hung(), max_queue_size=10**6)


def _record(tracer: Any, spans: int) -> None:
    constant = {f"constant.{index}": "the same" for index in range(ATTRIBUTES - UNIQUE)}
    for number in range(spans):
        unique = {f"unique.{index}": f"value {number} {index}" for index in range(UNIQUE)}
        tracer.start_span("span", attributes=constant | unique).end()


# Long traces ----------------------------------------------------------------------------------------------------------


def trace(spans: int, traces: int) -> Figures:
    """Record traces of one root and so many tools; return the CPU of the calling thread for each span."""
    import lmspan

    EXPORTING["no exporter"].prepare()
    tool = lmspan.tool(plain)
    _trace(tool, 1000)
    start = time.thread_time_ns()
    for _ in range(traces):
        _trace(tool, spans)
    return {"us": (time.thread_time_ns() - start) / (spans + 1) / traces / 1000}


def _trace(tool: Callable[[str], int], spans: int) -> None:
    import lmspan

    with lmspan.operation("workflow", "root"):
        for _ in range(spans):
            tool("text")


# Start ----------------------------------------------------------------------------------------------------------------


def start(exporter: str) -> Figures:
    """Return the milliseconds of CPU of `import lmspan` and of `init()`, after `import dspy`."""
    import dspy

    assert dspy.__version__
    begin = time.process_time_ns()
    import lmspan

    imported = time.process_time_ns()
    lmspan.init(exporters=exporter)  # type: ignore[arg-type]  # one of the names
    done = time.process_time_ns()
    assert "lmspan" in sys.modules
    return {"import_ms": (imported - begin) / 1e6, "init_ms": (done - imported) / 1e6, "whole_ms": (done - begin) / 1e6}


EXPERIMENTS: dict[str, Callable[..., Figures]] = {
    "loop": loop, "queued": queued, "trace": trace, "start": start, "dispatch": dispatch,
}  # fmt: skip
