"""Optimizer runs: their candidates with scores, parents, texts and evaluations."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.traces.content import value_of
from lmspan.traces.evaluations import Evaluation, evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmspan.traces.figures import Figures
    from lmspan.traces.spans import State, StoredSpan
    from lmspan.traces.trace import Trace

_WORD: Final = re.compile(r"\s+|\w+|[^\w\s]")
_FULL: Final = "full"


@dataclass(frozen=True, repr=False)
class Candidate:
    """One evaluation of a program that an optimizer tries. `span` is None where only an event reports it."""

    facts: Mapping[str, Any]
    time_unix_nano: int
    span: StoredSpan | None
    trace: Trace

    def __repr__(self) -> str:
        return f"<Candidate {self.index} score {self.score}>"

    @property
    def figures(self) -> Figures | None:
        """The sums over its evaluation."""
        return self.trace.figures[self.span.span_id] if self.span is not None else None

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """Its evaluation, None if it has no span of its own."""
        children = self.trace.children.get(self.span.span_id, ()) if self.span is not None else ()
        inner = next((each for each in children if each.operation is Operation.EVALUATE), None)
        return evaluation(self.trace, inner) if inner is not None else None

    @property
    def id(self) -> str:
        """The digest of the program's parts; two evaluations of the same program have the same."""
        return str(self.facts.get(sc.CANDIDATE_ID, ""))

    @property
    def index(self) -> int | None:
        """The number in the run."""
        return self.facts.get(sc.CANDIDATE_INDEX)

    @property
    def score(self) -> float | None:
        """The score, None if the evaluation failed or has not ended."""
        return self.facts.get(sc.CANDIDATE_SCORE)

    @property
    def scope(self) -> str:
        """On which data it was evaluated: `full` or `minibatch`."""
        return str(self.facts.get(sc.CANDIDATE_SCOPE, ""))

    @property
    def whole_score(self) -> float | None:
        """The score if it is one on the whole data set."""
        return self.score if self.scope in ("", _FULL) else None

    @property
    def accepted(self) -> bool | None:
        """Whether the optimizer keeps it, None where that is not decided."""
        return self.facts.get(sc.CANDIDATE_ACCEPTED)

    @property
    def reason(self) -> str:
        """The reason for not keeping it."""
        return str(self.facts.get(sc.CANDIDATE_REASON, ""))

    @property
    def step(self) -> int | None:
        """The optimizer's step or iteration."""
        return self.facts.get(sc.CANDIDATE_STEP)

    @property
    def parent_ids(self) -> Sequence[str]:
        """The ids of the candidates that it derives from."""
        parents: Sequence[str] = self.facts.get(sc.CANDIDATE_PARENT_IDS, ())
        return parents

    @property
    def changed(self) -> Sequence[str]:
        """The differences from its parent, or from the student, as "predictor.property"."""
        changed: Sequence[str] = self.facts.get(sc.CANDIDATE_CHANGED, ())
        return changed

    @property
    def diff(self) -> str:
        """The unified diff from its parent's instructions."""
        return str(self.facts.get(sc.CANDIDATE_DIFF, ""))

    @cached_property
    def instructions(self) -> dict[str, str]:
        """The instructions by predictor."""
        return _texts(self.facts.get(sc.CANDIDATE_INSTRUCTIONS))

    @cached_property
    def demos(self) -> dict[str, Any]:
        """The demonstrations by predictor."""
        value = value_of(self.facts.get(sc.CANDIDATE_DEMOS))
        return value if type(value) is dict else {}


class Change(NamedTuple):
    """A piece of a text that is in both texts, or only in one. `sign` is " ", "-" or "+"."""

    sign: str
    text: str


@dataclass(frozen=True, repr=False)
class OptimizerRun:
    """One run of an optimizer."""

    span: StoredSpan
    candidates: Sequence[Candidate]
    """In order of time."""

    def __repr__(self) -> str:
        return f"<OptimizerRun {self.name!r} {len(self.candidates)} candidates, best {self.best_score}>"

    @property
    def name(self) -> str:
        """The optimizer's class."""
        return str(self.span.facts.get(sc.OPTIMIZER_NAME) or self.span.name.partition(" ")[2] or self.span.name)

    @property
    def state(self) -> State:
        """Whether it has ended."""
        return self.span.state

    @property
    def first_score(self) -> float | None:
        """The student's score, otherwise the first one on the whole data set."""
        scores = (each.whole_score for each in self.candidates if each.whole_score is not None)
        return self.span.facts.get(sc.OPTIMIZER_FIRST_SCORE, next(scores, None))

    @property
    def evaluation_count(self) -> int | None:
        """The number of its evaluations, None if it has not ended; `candidates` has those that are stored."""
        return self.span.facts.get(sc.OPTIMIZER_EVALUATION_COUNT)

    @property
    def best_score(self) -> float | None:
        """The best score on the whole data set, as the optimizer's span has it, otherwise the best one so far."""
        return self.span.facts.get(sc.OPTIMIZER_BEST_SCORE, next(reversed(self.best_scores), None))

    @cached_property
    def best_scores(self) -> Sequence[float | None]:
        """The best score so far on the whole data set after each candidate, None before the first one."""
        better = min if self.span.facts.get(sc.OPTIMIZER_MINIMIZES) else max
        best: list[float | None] = []
        for each in self.candidates:
            scores = [score for score in (*best[-1:], each.whole_score) if score is not None]
            best.append(better(scores, default=None))
        return best

    @property
    def best(self) -> Candidate | None:
        """The first candidate with the best score."""
        scores = (each for each in self.candidates if each.whole_score is not None)
        return next((each for each in scores if each.score == self.best_score), None)

    def candidate(self, number: int) -> Candidate | None:
        """Return the last evaluation of the candidate with this number."""
        return next((each for each in reversed(self.candidates) if each.index == number), None)

    def parent(self, candidate: Candidate) -> Candidate | None:
        """Return the first parent of a candidate, if it was evaluated."""
        wanted = next(iter(candidate.parent_ids), None)
        return next((each for each in self.candidates if each.id == wanted), None)

    def _repr_html_(self) -> str:
        from lmspan.traces.html import optimizer_run

        return optimizer_run(self)


def optimizer_runs(trace: Trace) -> list[OptimizerRun]:
    """Return the optimizer runs of a trace in order of time."""
    runs = [span for span in trace.spans if span.operation is Operation.OPTIMIZE]
    candidates: defaultdict[str, list[StoredSpan]] = defaultdict(list)
    for span in trace.spans:
        if span.operation is Operation.CANDIDATE:
            candidates[_optimizer_above(trace, span)].append(span)
    return [OptimizerRun(span, list(_candidates(trace, span, candidates[span.span_id]))) for span in runs]


def _optimizer_above(trace: Trace, span: StoredSpan) -> str:
    seen: set[str] = set()
    above = trace.parent(span)
    while above is not None and above.span_id not in seen:
        if above.operation is Operation.OPTIMIZE:
            return above.span_id
        seen.add(above.span_id)
        above = trace.parent(above)
    return ""


def _candidates(trace: Trace, run: StoredSpan, spans: Sequence[StoredSpan]) -> Iterator[Candidate]:
    """Yield the candidates: those that have spans, and those that only an event of the run reports.

    A span has all facts of its candidate. The SDK keeps the last events of a span only, so they complete nothing.
    """
    listed = [Candidate(span.facts, span.start_unix_nano, span, trace) for span in spans]
    known = {each.id for each in listed}
    reported = (each for each in run.events if each.name == sc.EVENT_OPTIMIZER_CANDIDATE)
    alone = (each for each in reported if str(each.facts.get(sc.CANDIDATE_ID)) not in known)
    listed += [Candidate(each.facts, each.time_unix_nano, None, trace) for each in alone]
    yield from sorted(listed, key=lambda each: each.time_unix_nano)


def word_diff(before: str, after: str) -> list[Change]:
    """Return the difference between two texts, word by word."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    changes: list[Change] = []
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            changes.append(Change(" ", "".join(old[i1:i2])))
            continue
        changes += [
            Change(sign, text) for sign, text in (("-", "".join(old[i1:i2])), ("+", "".join(new[j1:j2]))) if text
        ]
    return changes


def _texts(value: Any) -> dict[str, str]:
    parsed = value_of(value)
    return {name: each for name, each in parsed.items() if type(each) is str} if type(parsed) is dict else {}
