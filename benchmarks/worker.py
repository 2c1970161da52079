"""The process of one contender.

    python -m benchmarks.worker serve CONTENDER          reads requests, one JSON object a line, answers each with one
    python -m benchmarks.worker once EXPERIMENT JSON     runs one experiment, prints its figures as one JSON object

A request names a program, the size of its input and how often to run it; the answer has microseconds of CPU for each
call, of the calling thread and of the process, and how many spans each call has exported. The first request for a
program makes it and warms it up. Standard output is the protocol's alone: what programs print goes to standard error.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.recorders import Wrap

    Answer = dict[str, Any]

WARM_UP = 100
PAUSE_S = 0.001


class Served:
    """The programs of this process under its contender."""

    def __init__(self, name: str) -> None:
        from benchmarks.contenders import CONTENDERS, EXPORTING

        self._contender = (CONTENDERS | EXPORTING)[name]
        self._wrap: Wrap | None = None
        self._is_prepared = False
        self._calls: dict[tuple[str, int], Callable[[], object]] = {}

    def answer(self, program: str, *, size: int = 0, calls: int = 1, way: str = "timed") -> Answer:
        return WAYS[way](self._call(program, size), calls)

    def _call(self, name: str, size: int) -> Callable[[], object]:
        from benchmarks.programs import PROGRAMS

        if (name, size) in self._calls:
            return self._calls[name, size]
        program = PROGRAMS[name]
        if program.library == "dspy":
            import dspy

            dspy.configure(disable_history=True)
        if not self._is_prepared:
            self._is_prepared = True
            self._wrap = self._contender.prepare()
        call = program.make(size)
        call = self._wrap(call) if self._wrap is not None else call
        for _ in range(max(WARM_UP // program.weight, 2) if size < 10**6 else 1):
            call()
        return self._calls.setdefault((name, size), call)


def timed(call: Callable[[], object], calls: int) -> Answer:
    """Measure the CPU of the calls, and that of the other threads until everything is exported."""
    from benchmarks.recorders import EXPORTED

    flush()
    spans, start = EXPORTED[0], cpu_us()
    for _ in range(calls):
        call()
    end = cpu_us()
    flush()
    flushed = cpu_us()
    return {
        "thread_us": (end.thread - start.thread) / calls,
        "process_us": (end.process - start.process) / calls,
        "others_us": (flushed.process - flushed.thread - start.process + start.thread) / calls,
        "spans": (EXPORTED[0] - spans) / calls,
    }


class Cpu(NamedTuple):
    thread: float
    process: float


def cpu_us() -> Cpu:
    return Cpu(time.thread_time_ns() / 1000, time.process_time_ns() / 1000)


def paced(call: Callable[[], object], calls: int) -> Answer:
    """Measure how long each call takes in a program that waits for a millisecond after each, as for a network."""
    times = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start) / 1000)
        time.sleep(PAUSE_S)
    return {"times_us": times}


def flush() -> None:
    """Empty the queue of the process's provider, so that each span counts where it was recorded."""
    if "opentelemetry.trace" not in sys.modules:
        return
    provider: Any = sys.modules["opentelemetry.trace"].get_tracer_provider()
    getattr(provider, "force_flush", lambda _: None)(5000)


def counted(call: Callable[[], object], calls: int) -> Answer:
    """Run the calls under callgrind, which has started this process and counts between the two requests."""
    client = ctypes.CDLL(os.environ["BENCHMARK_CLIENT"])
    gc.collect()
    gc.disable()
    client.start()
    for _ in range(calls):
        call()
    client.stop()
    gc.enable()
    return {}


WAYS: dict[str, Callable[[Callable[[], object], int], Answer]] = {"timed": timed, "paced": paced, "counted": counted}


def serve(name: str) -> None:
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    served = Served(name)
    for line in sys.stdin:
        try:
            answer = served.answer(**json.loads(line))
        except BaseException as error:  # noqa: BLE001 - the row states the reason
            answer = {"error": f"{type(error).__name__}: {error}"}
        output.write(json.dumps(answer) + "\n")
        output.flush()


def once(experiment: str, arguments: str) -> None:
    from benchmarks.experiments import EXPERIMENTS

    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    output.write(json.dumps(EXPERIMENTS[experiment](**json.loads(arguments))) + "\n")
    output.flush()


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.environ["DSPY_CACHEDIR"] = f"{directory}/dspy"
        os.environ["LMSPAN_DIR"] = f"{directory}/traces"
        os.environ["TMPDIR"] = tempfile.tempdir = directory
        os.chdir(directory)  # MLflow writes where it runs
        command, *arguments = sys.argv[1:]
        serve(*arguments) if command == "serve" else once(*arguments)
    os._exit(0)  # without what the packages do at exit


if __name__ == "__main__":
    main()
