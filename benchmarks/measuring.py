"""Start the workers, ask them in turn, keep the figures of every round."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from benchmarks import callgrind, peers
from benchmarks.contenders import CONTENDERS, EXPORTING
from benchmarks.programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Answers = dict[str, list[dict[str, Any]]]

ROOT = Path(__file__).parent.parent
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
LAST_LINES = 3
PATIENCE_S = 1800.0
NOT_PASSED = "OTEL_", "LMSPAN_", "PYTHONDONTWRITEBYTECODE"
"""The last: without its compiled files the start of a package is three times as long."""
ALL = CONTENDERS | EXPORTING


@dataclass(frozen=True)
class Figure:
    """What one contender's rounds of one program came to, in microseconds of CPU for each call."""

    minimum: float
    median: float
    process: float = 0.0
    """All threads until everything is exported, the least of the rounds."""
    spans: float = 0.0
    instructions: float | None = None
    error: str = ""


class Failed(Exception):  # noqa: N818 - a fact about a row, as often as an error
    """A worker cannot run; the message is the reason."""


@dataclass
class Worker:
    """A process that answers requests, one at a time."""

    command: list[str]
    environ: Mapping[str, str]
    process: subprocess.Popen[str] = field(init=False)
    error: str = ""

    def __post_init__(self) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=self.environ,
            cwd=ROOT,
        )  # fmt: skip

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer states the reason
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Return the answer; raises `Failed` with the reason where there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_lines()}
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(**request)
        return self.receive()

    def _last_lines(self) -> str:
        self._log.seek(0)
        return " ".join(self._log.read().splitlines()[-LAST_LINES:]) or "the process ended without a word"

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self._log.close()


def environ(**more: str) -> dict[str, str]:
    """Return the environment of a worker: nothing of the user's OpenTelemetry, no network."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED)}
    return {
        **kept, "LITELLM_LOCAL_MODEL_COST_MAP": "true", "ANTHROPIC_API_KEY": "none", "PYTHONHASHSEED": "0",
        "PYTHONPATH": str(ROOT), "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", **more,
    }  # fmt: skip


def once(experiment: str, **arguments: Any) -> dict[str, Any]:
    """Run one experiment in a fresh process; return its figures."""
    more = arguments.pop("environ", {})
    command = [sys.executable, "-m", "benchmarks.worker", "once", experiment, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environ(**more), cwd=ROOT, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as late:
        raise Failed(f"it takes more than {late.timeout:.0f} s") from None
    if done.returncode or not done.stdout:
        raise Failed(" ".join(done.stderr.splitlines()[-LAST_LINES:]))
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Workers:
    """A worker for each contender, all alive at the same time. A context manager."""

    def __init__(
        self, names: Iterable[str], more: Mapping[str, str] | None = None, *, counting: Path | None = None
    ) -> None:
        self.failures: dict[str, str] = {}
        self._counting = counting
        self._workers: dict[str, Worker] = {}
        for name in names:
            if reason := peers.missing(ALL[name].peer):
                self.failures[name] = reason
            else:
                self._workers[name] = self._start(name, more or {})

    def _start(self, name: str, more: Mapping[str, str]) -> Worker:
        serving = [peers.python(ALL[name].peer), "-m", "benchmarks.worker", "serve", name]
        if self._counting is None:
            return Worker(serving, environ(**more))
        place = self._place(name)
        place.mkdir()
        return Worker(
            [*callgrind.command(place), *serving], environ(BENCHMARK_CLIENT=str(self._counting / "client.so"), **more)
        )

    def _place(self, name: str) -> Path:
        assert self._counting is not None
        return self._counting / name.replace(" ", "-").replace(",", "").replace("'", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def measure(
        self, program: str, *, rounds: int, calls: int, size: int = 0, only: Iterable[str] = ()
    ) -> dict[str, Figure]:
        """Measure the contenders of a program in turn, again and again."""
        clock = "process_us" if PROGRAMS[program].is_threaded else "thread_us"
        answers, failures = self.rounds(program, rounds=rounds, size=size, only=only, calls=calls)
        figures = {name: _figure(found, clock) for name, found in answers.items() if found}
        return figures | {name: Figure(0, 0, error=reason) for name, reason in failures.items()}

    def rounds(
        self, program: str, *, rounds: int, size: int = 0, only: Iterable[str] = (), **request: Any
    ) -> tuple[Answers, dict[str, str]]:
        """Ask the contenders of a program in turn, again and again; return their answers, and why some cannot."""
        chosen = set(only) or ALL.keys()
        found: Answers = {name: [] for name in self._of(program) if name in chosen}
        failures = {name: reason for name, reason in self.failures.items() if _runs(name, program) and name in chosen}
        failures |= self._warm_up(found, program, size)
        for _ in range(rounds):
            for name in [name for name in found if name not in failures]:
                try:
                    found[name].append(self._workers[name].ask(program=program, size=size, **request))
                except Failed as failed:
                    failures[name] = str(failed)
        return found, failures

    def _warm_up(self, names: Iterable[str], program: str, size: int) -> dict[str, str]:
        """Have every worker make the program, at the same time; return the failures."""
        for name in names:
            self._workers[name].send(program=program, size=size, calls=1)
        failures = {}
        for name in names:
            try:
                self._workers[name].receive()
            except Failed as failed:
                failures[name] = str(failed)
        return failures

    def count(self, program: str, *, calls: int, size: int = 0) -> dict[str, float]:
        """Return the instructions of each contender for one call."""
        names = list(self._of(program))
        failures = self._warm_up(names, program, size)
        counts = {}
        for name in names:
            if name not in failures:
                with contextlib.suppress(Failed):
                    self._workers[name].ask(program=program, size=size, calls=calls, way="counted")
                    counts[name] = callgrind.instructions(self._place(name)) / calls
        return counts

    def _of(self, program: str) -> Iterator[str]:
        return (name for name in self._workers if _runs(name, program))


def _runs(name: str, program: str) -> bool:
    return PROGRAMS[program].library in ALL[name].libraries


def _figure(answers: list[dict[str, Any]], clock: str) -> Figure:
    times = [answer[clock] for answer in answers]
    process = min(answer["thread_us"] + answer["others_us"] for answer in answers)
    return Figure(min(times), statistics.median(times), process, max(answer["spans"] for answer in answers))
