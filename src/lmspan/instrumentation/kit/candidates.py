"""Candidates: the programs that an optimizer tries, each told by what it is made of and by its score.

A candidate is a span around its evaluation, and an event with the result on the optimizer's span.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit.examples import number
from lmspan.instrumentation.kit.facts import put
from lmspan.instrumentation.kit.search import search_of
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder


def start(recorder: Recorder, program: Any) -> Call | None:
    """Start a candidate, if the current call is an optimizer that searches."""
    optimizer = current_call()
    search = search_of(optimizer)
    if optimizer is None or search is None:
        return None
    expected, candidate = search.next(), search.candidate(program)
    expected.candidate = candidate
    if not candidate.parents:
        candidate.parents = tuple(parent for parent in expected.parents if parent.id != candidate.id)
    facts = {**expected.facts, sc.CANDIDATE_ID: candidate.id, sc.CANDIDATE_INDEX: candidate.index}
    call = recorder.start(Operation.CANDIDATE, "", optimizer.source, facts)
    call.notes.update(candidate=candidate, scope=expected.scope)
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
        demos = {name: json.loads(part.demos) for name, part in candidate.parts.items()}
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
        if not search.decides:
            found[sc.CANDIDATE_ACCEPTED] = accepted
    told = {name: value for name, value in {**call.facts, **found}.items() if name.startswith("lmspan.optimizer.")}
    search.told[call.notes["candidate"].id] = told
    if not search.decides:
        recorder.add_event(call.parent, Event.OPTIMIZER_CANDIDATE, told)


def fail(recorder: Recorder, call: Call, error: BaseException) -> None:
    """Tell the optimizer's span of a candidate that could not be evaluated."""
    del error
    conclude(recorder, call, None)


def sum_up(recorder: Recorder, call: Call, ended: Any) -> None:
    """Record on the optimizer's call what its search has come to, or had when it was given up."""
    del recorder, ended
    search = search_of(call)
    if search is None or not len(search):
        return
    call.found[sc.OPTIMIZER_CANDIDATE_COUNT] = len(search)
    put(call.found, sc.OPTIMIZER_FIRST_SCORE, search.first, float)
    put(call.found, sc.OPTIMIZER_BEST_SCORE, search.best, float)
    if search.first is not None and search.best is not None:
        call.found[sc.OPTIMIZER_IMPROVEMENT] = search.best - search.first


def _means(scores: Iterable[tuple[float | None, dict[str, float]]]) -> dict[str, float]:
    by_name: defaultdict[str, list[float]] = defaultdict(list)
    for _, further in list(scores):
        for name, value in further.items():
            by_name[name].append(value)
    return {name: sum(values) / len(values) for name, values in by_name.items()}
