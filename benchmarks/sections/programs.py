"""Every contender on every program."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import callgrind
from benchmarks.contenders import CONTENDERS
from benchmarks.measuring import Figure, Workers
from benchmarks.peers import missing, release
from benchmarks.programs import PROGRAMS
from benchmarks.recorders import SPANS
from benchmarks.sink import sink
from benchmarks.tables import Table, Target, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.effort import Effort

PLAIN, RAW, OWN, LMSPAN, PEER = "un-instrumented", "raw spans", "own callback", "lmspan", "OpenInference"
COUNTED_CALLS = 10
FEWEST_ROUNDS = 2
NOTE = (
    "Ratios of what is added to the program, by the minimum of the rounds; then the microseconds of CPU that a run "
    "takes more, minimum and median, those of all threads, and the instructions. The program itself has its whole "
    "time. R is the cost of a raw span, measured on `Predict`. Instructions: "
)
HEAD = (
    "program", "contender", "x own callback", "R a span", "x OpenInference", "minimum", "median", "all threads",
    "instructions", "x own callback", "spans",
)  # fmt: skip


@dataclass
class Measured:
    """The figures of one program."""

    program: str
    figures: dict[str, Figure]
    raw: float | None = field(default=None)
    """R, in microseconds."""

    def added(self, name: str) -> float | None:
        """Return the microseconds that a contender adds, or None if it did not run."""
        if name not in self.figures or self.figures[name].error:
            return None
        return self.figures[name].minimum - self.figures[PLAIN].minimum

    def over(self, name: str, other: str) -> float | None:
        """Return what one contender adds, of what another adds."""
        mine, others = self.added(name), self.added(other)
        return mine / others if mine is not None and others is not None and others > 0 else None

    def per_span(self, name: str, spans: float | None = None) -> float | None:
        added, spans = self.added(name), spans or (self.figures[name].spans if name in self.figures else None)
        return added / spans / self.raw if added is not None and spans and self.raw else None

    def instructions(self, name: str) -> float | None:
        """Return the instructions that a contender adds, or None if they were not counted."""
        if name not in self.figures:
            return None
        mine, plain = self.figures[name].instructions, self.figures[PLAIN].instructions
        return mine - plain if mine is not None and plain is not None else None

    def instructions_over(self, name: str, other: str) -> float | None:
        mine, others = self.instructions(name), self.instructions(other)
        return mine / others if mine is not None and others else None


def programs(effort: Effort) -> Iterator[Table | Target]:
    counting = callgrind.missing() or "by callgrind, of the calling thread."
    table = Table("What each contender adds to a program", NOTE + counting, HEAD, texts=2)
    names = dict.fromkeys(name for program in effort.programs for name in effort.contenders(program))
    raw = None
    with sink() as address, Workers(names, {"BENCHMARK_SINK": address}) as workers:
        for program in effort.programs:
            print(f"  {program}", file=sys.stderr)
            measured = Measured(program, _figures(workers, program, effort))
            raw = raw or _raw(measured)
            measured.raw = raw
            table.rows += [_row(measured, name) for name in measured.figures]
            table.is_whole &= not any(figure.error for name, figure in measured.figures.items() if _is_here(name))
            yield from _targets(measured)
    yield table
    yield legend()


def legend() -> Table:
    """Return what the contenders are, with the versions of the other packages, or why they did not run."""
    note = "A row without spans exports by a way of its own."
    table = Table("The contenders", note, ("contender", "what it is", "version"), texts=3)
    for each in CONTENDERS.values():
        table.rows.append((each.name, each.meaning, missing(each.peer) or release(each.peer) or "-"))
    return table


def _is_here(name: str) -> bool:
    return not CONTENDERS[name].peer


def _raw(measured: Measured) -> float | None:
    added = measured.added(RAW)
    return added / SPANS if added is not None else None


def _figures(workers: Workers, program: str, effort: Effort) -> dict[str, Figure]:
    weight, chosen = PROGRAMS[program].weight, effort.contenders(program)
    rounds = max(min(effort.rounds, effort.rounds * effort.calls // weight), FEWEST_ROUNDS)
    figures = workers.measure(program, rounds=rounds, calls=max(effort.calls // weight, 1), only=chosen)
    if program != "Predict" or effort.is_brief or callgrind.missing():
        return figures
    counts = _counts(program, [name for name in chosen if _is_here(name) or name == PEER])
    return {name: replace(figure, instructions=counts.get(name)) for name, figure in figures.items()}


def _counts(program: str, names: list[str]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        callgrind.client(Path(directory))
        with Workers(names, counting=Path(directory)) as workers:
            return workers.count(program, calls=COUNTED_CALLS)


def _row(measured: Measured, name: str) -> tuple[str, ...]:
    figure, plain = measured.figures[name], measured.figures[PLAIN]
    if figure.error:
        return measured.program, f"{name}: {figure.error}", *["-"] * (len(HEAD) - 2)
    if name == PLAIN:
        whole = (*map(number, (figure.minimum, figure.median, figure.process)), _thousand(figure.instructions))
        return measured.program, name, "-", "-", "-", *whole, "-", "-"
    ratios = measured.over(name, OWN), measured.per_span(name), measured.over(name, PEER)
    added = measured.added(name), figure.median - plain.median, figure.process - plain.process
    return (
        measured.program, name, *map(number, ratios),
        *(number(each, signed=True) for each in added), _thousand(measured.instructions(name)),
        number(measured.instructions_over(name, OWN)), number(figure.spans or None),
    )  # fmt: skip


def _thousand(count: float | None) -> str:
    return "-" if count is None else f"{count / 1000:,.0f} k"


# What is wanted -------------------------------------------------------------------------------------------------------


def _targets(measured: Measured) -> Iterator[Target]:
    for name, value, most, unit, meaning in _wanted(measured):
        if value is not None:
            yield Target(name, value, most, unit, meaning, "programs")


def _wanted(measured: Measured) -> list[tuple[str, float | None, float, str, str]]:
    against, defaults = "against OpenInference", "What lmspan adds, of what OpenInference adds, each in its default."
    if measured.program == "Predict":
        return [*_of_predict(measured), (f"Predict, {against}", measured.over(LMSPAN, PEER), 0.36, "x", defaults)]
    if measured.program.startswith(("ReAct", "Evaluate")):
        return [(f"{measured.program}, {against}", measured.over(LMSPAN, PEER), 0.3, "x", defaults)]
    if measured.program == "decorated function":
        added = measured.added("lmspan, no metrics")
        above = added - measured.raw if added is not None and measured.raw else None
        meaning = "A decorated function costs so much more than a span by hand."
        return [("decorated function, on top of a raw span", above, 3, "us", meaning)]
    return []


def _of_predict(measured: Measured) -> list[tuple[str, Any, float, str, str]]:
    def hook(name: str) -> float | None:
        count = measured.instructions(name)
        return None if count is None else count / SPANS / 1000

    own = "Predict, against DSPy's own callback"
    return [
        (f"{own}: time", measured.over(LMSPAN, OWN), 0.85, "x",
         "Whole traces with metrics, against a callback that does nothing."),
        (f"{own}: instructions", measured.instructions_over(LMSPAN, OWN), 0.5, "x",
         "The same by what the processor executes, free of the noise of a clock."),
        ("a span, no content", measured.per_span(LMSPAN), 1.3, "R",
         "A span with all facts costs so many bare spans of the SDK."),
        ("a span, short content", measured.per_span("lmspan, content"), 1.8, "R", "The same with prompts and answers."),
        ("a span, unsampled", measured.per_span("lmspan, unsampled", SPANS), 0.5, "R",
         "What is left of it in a trace that the sampler drops."),
        ("a hook, disabled", hook("lmspan, disabled"), 4.6, "k instructions", "What `lmspan.disable()` leaves."),
        ("a hook, no SDK", hook("lmspan, no SDK"), 15.5, "k instructions",
         "What a program pays that is instrumented and has no provider."),
    ]  # fmt: skip
