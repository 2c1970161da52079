"""Candidates: the programs that an optimizer tries, each told by what it is made of and by its score.

One seam serves nearly all optimizers of DSPy: they score a candidate by `Evaluate`, called right under their
`compile`. So such a call is wrapped in a `candidate` span, and its result is an event on the optimizer's span.
GEPA and SIMBA know more, or work otherwise: see `gepa` and `simba`.
"""

from __future__ import annotations

import difflib
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.content import digest
from lmspan.instrumentation.calls import Hook, put, text
from lmspan.instrumentation.dspy.describe import predictors
from lmspan.instrumentation.dspy.examples import number
from lmspan.instrumentation.dspy.lm import is_lm
from lmspan.lifecycle import Event, Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.content import Content
    from lmspan.lifecycle import Call
    from lmspan.recorder import Recorder

_LONGEST_DIFF: Final = 20_000
_MOST: Final = 10_000
# Optimizers that evaluate in order to collect data, not to compare programs.
_COLLECTORS: Final = ("BootstrapFinetune", "GRPO")

_get = object.__getattribute__


class Part(NamedTuple):
    """What makes one predictor of a program different from another's."""

    instructions: str
    fields: str
    demos: str
    demo_count: int
    model: str


class Candidate:
    """A program that an optimizer tries. Two of the same parts are the same candidate."""

    def __init__(self, parts: dict[str, Part], index: int = 0) -> None:
        self.parts = parts
        self.id = digest(repr(parts))
        self.index = index
        self.parents: tuple[Candidate, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what is told of it always."""
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

    def changes(self, base: Candidate) -> list[str]:
        """Return what differs from another, as "predictor.what"."""
        return [
            f"{name}.{field}"
            for name, part in self.parts.items()
            for field in ("instructions", "fields", "demos", "model")
            if name not in base.parts or getattr(part, field) != getattr(base.parts[name], field)
        ]

    def diff(self, base: Candidate) -> str:
        """Return a unified diff of the instructions."""
        lines: list[str] = []
        for name, part in self.parts.items():
            before, after = base.parts[name].instructions if name in base.parts else "", part.instructions
            if before != after and len(before) + len(after) < _LONGEST_DIFF:
                lines += difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="", n=1)
        return "\n".join(lines)


class Search:
    """What one optimizer run has tried so far; kept on its call while it lasts."""

    def __init__(self, content: Content, student: Any) -> None:
        self._content = content
        self._known: dict[str, Candidate] = {}
        self.student = Candidate(self._parts(student))
        self.first: float | None = None
        self.best: float | None = None
        self._best_id = ""
        self._first_is_students = False

    def __len__(self) -> int:
        return len(self._known)

    def candidate(self, program: Any) -> Candidate:
        """Return the candidate that a program is: one seen before, or a new one."""
        found = Candidate(self._parts(program), len(self._known))
        if len(self._known) < _MOST:
            return self._known.setdefault(found.id, found)
        return found

    def newest(self) -> list[Candidate]:
        """Return the known candidates, the newest first."""
        return list(self._known.values())[::-1]

    def with_instructions(self, instructions: dict[str, str]) -> Candidate | None:
        """Return the known candidate whose predictors have these instructions, the newest first."""
        for candidate in self.newest():
            parts = candidate.parts
            if all(name in parts and parts[name].instructions == said for name, said in instructions.items()):
                return candidate
        return None

    def score(self, candidate: Candidate, score: float) -> bool:
        """Take the score of a whole evaluation; tell whether this candidate is the best so far.

        The first score is the student's own, or where that is never evaluated, of whatever came first.
        """
        students = candidate.id == self.student.id
        if self.first is None or (students and not self._first_is_students):
            self.first, self._first_is_students = score, students
        if self.best is None or score > self.best:
            self.best, self._best_id = score, candidate.id
        return candidate.id == self._best_id

    def _parts(self, program: Any) -> dict[str, Part]:
        if not issubclass(type(program), sys.modules["dspy.primitives.module"].Module):
            return {}
        return {name: self._part(_get(each, "__dict__")) for name, each in predictors(program).items()}

    def _part(self, stored: dict[str, Any]) -> Part:
        signature, demos, lm = stored.get("signature"), stored.get("demos"), stored.get("lm")
        fields = getattr(signature, "fields", {}) if issubclass(type(signature), type) else {}
        said = {name: getattr(field, "json_schema_extra", None) or {} for name, field in fields.items()}
        return Part(
            instructions=text(getattr(signature, "instructions", "")),
            fields=self._content.json({name: [extra.get("prefix"), extra.get("desc")] for name, extra in said.items()}),
            demos=self._content.json(demos) if demos else "[]",
            demo_count=len(demos) if type(demos) is list else 0,
            model=text(_get(lm, "__dict__").get("model")) if is_lm(lm) else "",
        )


def search_of(call: Call | None) -> Search | None:
    """Return the search of an optimizer's call, if that is what the call is."""
    return call.notes.get("search") if call is not None and call.operation is Operation.OPTIMIZE else None


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start a candidate around `Evaluate(...)(program, ...)`, where an optimizer makes the call."""
    del instance
    optimizer = current_call()
    if optimizer is not None and optimizer.notes.get("seeds"):
        optimizer.notes["next"] = {sc.CANDIDATE_SEED: optimizer.notes["seeds"].pop(0)}
    call = start(recorder, args[0] if args else kwargs.get("program"))
    if call is not None:
        metadata = kwargs.get("callback_metadata")
        if type(metadata) is dict and metadata.get("metric_key") == "eval_minibatch":
            call.notes["scope"] = "minibatch"
    return call


def start(recorder: Recorder, program: Any) -> Call | None:
    """Start a candidate, if the current call is an optimizer that searches."""
    optimizer = current_call()
    search = search_of(optimizer)
    if optimizer is None or search is None or optimizer.name in _COLLECTORS:
        return None
    candidate = search.candidate(program)
    parents = optimizer.notes.pop("parents", ())
    if not candidate.parents:
        candidate.parents = tuple(parent for parent in parents if parent.id != candidate.id)
    facts = {**optimizer.notes.pop("next", {}), sc.CANDIDATE_ID: candidate.id, sc.CANDIDATE_INDEX: candidate.index}
    call = recorder.start(Operation.CANDIDATE, "", "dspy", facts)
    call.notes.update(candidate=candidate, scope=optimizer.notes.pop("scope", "full"), program=program)
    return call


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add what the candidate is made of, and how it differs from what it was made from."""
    del args, kwargs
    candidate, search = call.notes["candidate"], search_of(call.parent)
    if search is None:
        return
    base = candidate.parents[0] if candidate.parents else search.student
    call.found.update(candidate.facts())
    call.found[sc.CANDIDATE_CHANGED] = candidate.changes(base)
    if candidate.parents:
        call.found[sc.CANDIDATE_PARENT_IDS] = [parent.id for parent in candidate.parents]
    if recorder.captures(call):
        found = predictors(call.notes["program"])
        demos = {name: _get(each, "__dict__").get("demos") for name, each in found.items()}
        instructions = {name: part.instructions for name, part in candidate.parts.items()}
        recorder.capture(call, {sc.CANDIDATE_INSTRUCTIONS: instructions, sc.CANDIDATE_DEMOS: demos})
        if diff := candidate.diff(base):
            recorder.capture(call, {sc.CANDIDATE_DIFF: diff})


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the score, and tell the optimizer's span of it."""
    conclude(recorder, call, number(outputs), call.notes.get("scores", ()))


def conclude(
    recorder: Recorder,
    call: Call,
    score: float | None,
    scores: Iterable[tuple[float | None, dict[str, float]]] = (),
) -> None:
    """Put the score on the candidate, and the event on the optimizer's span; `scores` are those of its examples."""
    found, scope = call.found, call.notes["scope"]
    found[sc.CANDIDATE_SCOPE] = scope
    put(found, sc.CANDIDATE_SCORE, score, float)
    for name, value in _means(scores).items():
        found[f"{sc.CANDIDATE_METRICS}{name}"] = value
    search = search_of(call.parent)
    if call.parent is None or search is None:
        return
    if score is not None and scope == "full":
        accepted = search.score(call.notes["candidate"], score)
        if not call.parent.notes.get("decides"):
            found[sc.CANDIDATE_ACCEPTED] = accepted
    told = {name: value for name, value in {**call.facts, **found}.items() if name.startswith("lmspan.optimizer.")}
    call.parent.notes.setdefault("told", {})[call.notes["candidate"].id] = told
    if not call.parent.notes.get("decides"):
        recorder.add_event(call.parent, Event.OPTIMIZER_CANDIDATE, told)


def begin_avatar(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start a candidate around `AvatarOptimizer._get_pos_neg_results(actor, trainset)`, its own evaluation."""
    del instance
    return start(recorder, args[0] if args else kwargs.get("actor"))


def finish_avatar(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the mean score, the first of `(score, positive, negative)`."""
    conclude(recorder, call, number(outputs[0]))


def fail(recorder: Recorder, call: Call, error: BaseException) -> None:
    """Tell the optimizer's span of a candidate that could not be evaluated."""
    del error
    conclude(recorder, call, None)


def _means(scores: Iterable[tuple[float | None, dict[str, float]]]) -> dict[str, float]:
    by_name: defaultdict[str, list[float]] = defaultdict(list)
    for _, further in list(scores):
        for name, value in further.items():
            by_name[name].append(value)
    return {name: sum(values) / len(values) for name, values in by_name.items()}


CANDIDATE: Final = Hook(begin, describe, finish, fail)
AVATAR: Final = Hook(begin_avatar, describe, finish_avatar, fail)
