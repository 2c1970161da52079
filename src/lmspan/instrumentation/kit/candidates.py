"""Candidates: the programs that an optimizer tries, each with its parts and its score.

A candidate is a span around its evaluation and an event with the result on the optimizer's span.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit.facts import put, stored
from lmspan.instrumentation.kit.kept import CandidateKept, kept
from lmspan.instrumentation.kit.search import search_of
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from lmspan.instrumentation.kit.kept import Scores
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_SCORES: Final = (("first_score", sc.OPTIMIZER_FIRST_SCORE), ("best_score", sc.OPTIMIZER_BEST_SCORE))


def start(recorder: Recorder, program: Any) -> LiveCall | None:
    """Start a candidate, if the current call is an optimizer that searches."""
    optimizer = current_call()
    search = search_of(optimizer)
    if optimizer is None or search is None:
        return None
    expected = search.next()
    candidate = search.candidate(program)
    expected.candidate = candidate
    if not candidate.parents:
        candidate.parents = tuple(parent for parent in expected.parents if parent.id != candidate.id)
    facts = {**expected.facts, sc.CANDIDATE_ID: candidate.id, sc.CANDIDATE_INDEX: candidate.index}
    call = recorder.start(Operation.CANDIDATE, "", optimizer.source, facts)
    call.kept = CandidateKept(candidate, expected.scope)
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the parts of the candidate, and how they differ from those of its parent."""
    own = kept(call, CandidateKept)
    search = search_of(call.parent)
    if own is None or search is None:
        return
    candidate = own.candidate
    base = candidate.parents[0] if candidate.parents else search.student
    call.late_facts.update(candidate.facts())
    call.late_facts[sc.CANDIDATE_CHANGED] = candidate.changes(base)
    if candidate.parents:
        call.late_facts[sc.CANDIDATE_PARENT_IDS] = [parent.id for parent in candidate.parents]
    if recorder.captures(call):
        demos = {name: json.loads(part.demos) for name, part in candidate.parts.items()}
        instructions = {name: part.instructions for name, part in candidate.parts.items()}
        recorder.capture(call, {sc.CANDIDATE_INSTRUCTIONS: instructions, sc.CANDIDATE_DEMOS: demos})
        if diff := candidate.diff(base):
            recorder.capture(call, {sc.CANDIDATE_DIFF: diff})


def conclude(recorder: Recorder, call: LiveCall, score: float | None) -> None:
    """Put the score on the candidate, and the event on the optimizer's span."""
    own = kept(call, CandidateKept)
    if own is None:
        return
    call.late_facts[sc.CANDIDATE_SCOPE] = own.scope
    put(call.late_facts, sc.CANDIDATE_SCORE, score, float)
    for name, value in _means(own.scores).items():
        call.late_facts[f"{sc.CANDIDATE_METRICS}{name}"] = value
    search = search_of(call.parent)
    if call.parent is None or search is None:
        return
    search.evaluation_count += 1
    if score is not None and own.scope == "full":
        accepted = search.score(own.candidate, score)
        if not search.decides:
            call.late_facts[sc.CANDIDATE_ACCEPTED] = accepted
    facts = {**call.facts, **call.late_facts}
    reported = {name: value for name, value in facts.items() if name.startswith("lmspan.optimizer.")}
    search.reported[own.candidate.id] = reported
    if search.decides:
        search.undecided.append((own.candidate, own.scope, call))
        recorder.hold(call)
    else:
        recorder.add_event(call.parent, Event.OPTIMIZER_CANDIDATE, reported)


def fail(recorder: Recorder, call: LiveCall, _: BaseException) -> None:
    """Record on the optimizer's span a candidate whose evaluation raised."""
    own = kept(call, CandidateKept)
    if own is not None:
        own.scores = ()
    conclude(recorder, call, None)


def direction(optimizer: Any) -> dict[str, Any]:
    """Return the fact that an optimizer looks for the lowest score, which is known before it starts."""
    return {sc.OPTIMIZER_MINIMIZES: True} if stored(optimizer).get("optimize_for") == "min" else {}


def capture_start(recorder: Recorder, call: LiveCall, student: Any) -> None:
    """Record what an optimizer starts from: the program, and the sizes of the data sets."""
    search = search_of(call)
    if search is not None and recorder.captures(call):
        facts = call.late_facts
        sizes = {"trainset": facts.get(sc.OPTIMIZER_DATASET_SIZE), "valset": facts.get(sc.OPTIMIZER_VALSET_SIZE)}
        known = {name: size for name, size in sizes.items() if size is not None}
        inputs = {"program": type(student).__name__, "predictors": search.student.brief(), **known}
        recorder.capture(call, {sc.OPERATION_INPUTS: inputs})


def capture_result(recorder: Recorder, call: LiveCall, program: Any) -> None:
    """Record what an optimizer returns: the program, and the scores of the search."""
    search = search_of(call)
    if search is not None and recorder.captures(call):
        scores = {name: call.late_facts[fact] for name, fact in _SCORES if fact in call.late_facts}
        outputs = {**scores, "program": type(program).__name__, "predictors": search.brief(program)}
        recorder.capture(call, {sc.OPERATION_OUTPUTS: outputs})


def sum_up(_: Recorder, call: LiveCall, __: Any) -> None:
    """Record the results of a search on the optimizer's call, also when the search ends early."""
    search = search_of(call)
    if search is None or not len(search):
        return
    call.late_facts[sc.OPTIMIZER_CANDIDATE_COUNT] = len(search)
    call.late_facts[sc.OPTIMIZER_EVALUATION_COUNT] = search.evaluation_count
    put(call.late_facts, sc.OPTIMIZER_FIRST_SCORE, search.first, float)
    put(call.late_facts, sc.OPTIMIZER_BEST_SCORE, search.best, float)
    put(call.late_facts, sc.OPTIMIZER_IMPROVEMENT, search.improvement(), float)


def _means(scores: Scores) -> dict[str, float]:
    by_name: defaultdict[str, list[float]] = defaultdict(list)
    for _, further in list(scores):
        for name, value in further.items():
            by_name[name].append(value)
    return {name: sum(values) / len(values) for name, values in by_name.items()}
