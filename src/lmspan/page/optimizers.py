"""An optimizer run for the page: its candidates, and the difference between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import TraceFileError
from lmspan.traces.content import as_text
from lmspan.traces.optimizers import Candidate, Change, OptimizerRun, word_diff

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.trace import Trace

_LONGEST_TO_COMPARE: Final = 20_000  # characters: the time of a comparison is quadratic


def document(trace: Trace, span: StoredSpan) -> dict[str, Any]:
    """Return a run. Raises TraceFileError if the span is no optimizer run."""
    run = _run(trace, span)
    best = run.best
    sums = trace.figures[span.span_id]
    return {
        "trace_id": trace.trace_id,
        "span": span.span_id,
        "name": run.name,
        "state": run.state,
        "duration_s": span.duration_s,
        "first_score": run.first_score,
        "best_score": run.best_score,
        "best": next((place for place, each in enumerate(run.candidates) if each is best), None),
        "figures": {name: getattr(sums, name) for name in sums.__slots__},
        "candidates": [_candidate(run, each) for each in run.candidates],
    }


def _candidate(run: OptimizerRun, candidate: Candidate) -> dict[str, Any]:
    span, figures, evaluation = candidate.span, candidate.figures, candidate.evaluation
    parent = run.parent(candidate)
    return {
        "span": span.span_id if span is not None else None,
        "evaluation": evaluation.span.span_id if evaluation is not None else None,
        "index": candidate.index,
        "step": candidate.step,
        "score": candidate.score,
        "scope": candidate.scope,
        "accepted": candidate.accepted,
        "reason": candidate.reason[:500],
        "changed": list(candidate.changed),
        "parent": next((place for place, each in enumerate(run.candidates) if each is parent), None),
        "state": span.state if span is not None else None,
        "after_s": (candidate.time_unix_nano - run.span.start_unix_nano) / 1e9,
        "duration_s": span.duration_s if span is not None else None,
        "cost": figures.cost if figures is not None else None,
        "lm_calls": figures.lm_calls if figures is not None else None,
    }


def difference(trace: Trace, span: StoredSpan, before: int, after: int) -> dict[str, Any]:
    """Return the texts of a candidate, each with its changes from those of another one. Places are from 0.

    Raises:
        TraceFileError: the span is no optimizer run, or `after` is no place.
    """
    candidates = _run(trace, span).candidates
    if not 0 <= after < len(candidates):
        raise TraceFileError(f"there is no candidate at place {after}")
    new = candidates[after]
    old = candidates[before] if 0 <= before < len(candidates) else None
    return {
        "before": before if old is not None else None,
        "after": after,
        "instructions": _changed(old.instructions if old is not None else {}, new.instructions),
        "demos": _changed(_demos(old) if old is not None else {}, _demos(new)),
        "diff": new.diff,
    }


def _run(trace: Trace, span: StoredSpan) -> OptimizerRun:
    run = next((each for each in trace.optimizer_runs if each.span is span), None)
    if run is None:
        raise TraceFileError(f"span {span.span_id} is no optimizer run")
    return run


def _demos(candidate: Candidate) -> dict[str, str]:
    return {name: as_text(each, indent=2) for name, each in candidate.demos.items()}


def _changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return for each predictor of both candidates the changes of its text."""
    return [
        {"name": name, "changes": _changes(before.get(name, ""), after.get(name, ""))} for name in {**before, **after}
    ]


def _changes(before: str, after: str) -> list[Change]:
    if before == after:
        return [Change(" ", after)]
    if max(len(before), len(after)) > _LONGEST_TO_COMPARE:
        return [Change("-", before), Change("+", after)]
    return word_diff(before, after)
