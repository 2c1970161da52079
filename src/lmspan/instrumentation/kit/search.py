"""The search of an optimizer run: its candidates by their parts, their scores, and the expected evaluations."""

from __future__ import annotations

import difflib
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.content.clipping import digest
from lmspan.instrumentation.kit.kept import OptimizeKept, kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall

_LONGEST_DIFF: Final = 20_000
_MOST: Final = 10_000


class Part(NamedTuple):
    """The properties in which a predictor differs between two candidates."""

    instructions: str
    fields: str
    demos: str
    demo_count: int
    model: str
    config: str = ""


class Candidate:
    """A program that an optimizer tries. Two programs with the same parts are the same candidate."""

    def __init__(self, parts: dict[str, Part], index: int = 0) -> None:
        self.parts = parts
        self.id: str = digest(repr(parts))
        self.index = index
        self.parents: tuple[Candidate, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the attributes of the candidate that need no comparison and no content."""
        parts = self.parts.values()
        return {
            sc.CANDIDATE_ID: self.id,
            sc.CANDIDATE_INDEX: self.index,
            sc.CANDIDATE_PREDICTORS: list(self.parts),
            sc.CANDIDATE_INSTRUCTIONS_HASHES: [digest(part.instructions) for part in parts],
            sc.CANDIDATE_INSTRUCTIONS_LENGTHS: [len(part.instructions) for part in parts],
            sc.CANDIDATE_DEMOS_HASHES: [digest(part.demos) for part in parts],
            sc.CANDIDATE_DEMOS_COUNTS: [part.demo_count for part in parts],
        }

    def brief(self) -> dict[str, Any]:
        """Return the instructions and the number of demonstrations of each predictor."""
        return {
            name: {"instructions": part.instructions, "demos": part.demo_count} for name, part in self.parts.items()
        }

    def changes(self, base: Candidate) -> list[str]:
        """Return the properties that differ from another candidate, as "predictor.property"."""
        return [
            f"{name}.{field}"
            for name, part in self.parts.items()
            for field in ("instructions", "fields", "demos", "model", "config")
            if name not in base.parts or getattr(part, field) != getattr(base.parts[name], field)
        ]

    def diff(self, base: Candidate) -> str:
        """Return a unified diff of the instructions."""
        lines: list[str] = []
        for name, part in self.parts.items():
            before = base.parts[name].instructions if name in base.parts else ""
            after = part.instructions
            if before != after and len(before) + len(after) < _LONGEST_DIFF:
                lines += difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=1)
        return "\n".join(lines)


class Expected:
    """An evaluation that an optimizer has announced; `candidate` is known when the evaluation starts."""

    def __init__(
        self, facts: dict[str, Any] | None = None, scope: str = "full", parents: tuple[Candidate, ...] = ()
    ) -> None:
        self.facts: dict[str, Any] = facts or {}
        self.scope = scope
        self.parents = parents
        self.candidate: Candidate | None = None


class Search:
    """The candidates and scores of one optimizer run so far."""

    def __init__(self, parts: Callable[[Any], dict[str, Part]], student: Any) -> None:
        """Start with the student. `parts` returns the parts of a program, as the source reads them."""
        self._parts = parts
        self._known: dict[str, Candidate] = {}
        self.student: Candidate = Candidate(parts(student))
        self.minimizes = False
        """Whether the optimizer looks for the lowest score."""
        self.first: float | None = None
        self.best: float | None = None
        self._best_id = ""
        self._first_is_students = False
        self.expected: deque[Expected] = deque()
        """The evaluations that the optimizer has announced, in order."""
        self.evaluation_count = 0
        """The number of evaluations of candidates that have ended."""
        self.decides = False
        """Whether the optimizer announces itself which candidates it accepts."""
        self.undecided: list[tuple[Candidate, str, LiveCall]] = []
        """The evaluations that it has not decided on: the candidate, the scope, and the held call."""
        self.reported: dict[str, dict[str, Any]] = {}
        """The facts of each candidate's last evaluation, by its id."""

    def __len__(self) -> int:
        return len(self._known)

    def candidate(self, program: Any) -> Candidate:
        """Return the candidate of a program: a known one with the same parts, else a new one."""
        candidate = Candidate(self._parts(program), len(self._known))
        if len(self._known) < _MOST:
            return self._known.setdefault(candidate.id, candidate)
        return candidate

    def brief(self, program: Any) -> dict[str, Any]:
        """Return the instructions and the number of demonstrations of each predictor of a program."""
        return Candidate(self._parts(program)).brief()

    def next(self) -> Expected:
        """Return what the optimizer has announced of the evaluation that starts now."""
        return self.expected.popleft() if self.expected else Expected()

    def newest(self) -> list[Candidate]:
        """Return the known candidates, the newest first."""
        return list(self._known.values())[::-1]

    def with_instructions(self, instructions: dict[str, str]) -> Candidate | None:
        """Return the newest known candidate whose predictors have these instructions."""
        for candidate in self.newest():
            parts = candidate.parts
            if all(name in parts and parts[name].instructions == wanted for name, wanted in instructions.items()):
                return candidate
        return None

    def score(self, candidate: Candidate, score: float) -> bool:
        """Add the score of an evaluation on the whole data set; return whether this candidate is the best so far.

        The first score is the student's, or if the student is never evaluated, that of the first candidate.
        """
        students = candidate.id == self.student.id
        if self.first is None or (students and not self._first_is_students):
            self.first = score
            self._first_is_students = students
        if self.best is None or (score < self.best if self.minimizes else score > self.best):
            self.best = score
            self._best_id = candidate.id
        return candidate.id == self._best_id

    def decided(self, candidate: Candidate, scope: str) -> LiveCall | None:
        """Return the call of the newest undecided evaluation of a candidate, and take it off the list."""
        for index in reversed(range(len(self.undecided))):
            known, evaluated, call = self.undecided[index]
            if known is candidate and evaluated == scope:
                del self.undecided[index]
                return call
        return None

    def improvement(self) -> float | None:
        """Return by how much the best score is better than the first."""
        if self.first is None or self.best is None:
            return None
        return self.first - self.best if self.minimizes else self.best - self.first


def search_of(call: LiveCall | None) -> Search | None:
    """Return the search of an optimizer's call, None for any other call."""
    own = kept(call, OptimizeKept)
    return own.search if own is not None else None
