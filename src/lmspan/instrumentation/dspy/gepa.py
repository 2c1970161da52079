"""GEPA: what its own callbacks tell of candidates: which was made from which, which it kept, and why not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lmspan import recorder as recording
from lmspan import semconv as sc
from lmspan.guard import guarded
from lmspan.instrumentation.calls import put
from lmspan.instrumentation.dspy.candidates import Candidate, search_of
from lmspan.lifecycle import Event
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.patching import Patches


def patch(patches: Patches) -> None:
    """Patch `gepa.optimize`: now if gepa is imported, else when DSPy does."""

    @guarded
    def patch_now(gepa: Any) -> None:
        if "callbacks" in inspect.signature(gepa.optimize).parameters:
            patches.wrap(gepa, "optimize", _optimize)

    patches.when_imported("gepa", patch_now)


def _optimize(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    optimizer = current_call()
    if search_of(optimizer) is None or optimizer is None:
        return wrapped(*args, **kwargs)
    optimizer.notes["decides"] = True
    return wrapped(*args, **{**kwargs, "callbacks": [*(kwargs.get("callbacks") or ()), Listener(optimizer)]})


class Listener:
    """A callback of GEPA's; called on the thread of the run, with one event each. GEPA itself logs what it raises."""

    def __init__(self, optimizer: Call) -> None:
        self.optimizer = optimizer
        self.pool: dict[int, Candidate] = {}
        self.selected: tuple[int, ...] = ()

    @guarded
    def on_evaluation_start(self, event: dict[str, Any]) -> None:
        """Note whose evaluation comes next: on a minibatch; that of a new candidate tells its parents."""
        notes = self.optimizer.notes
        notes["scope"] = "minibatch"
        notes["next"] = {sc.CANDIDATE_STEP: event["iteration"]}
        if event.get("candidate_idx") is None:
            notes["parents"] = tuple(self.pool[index] for index in event["parent_ids"] if index in self.pool)

    @guarded
    def on_valset_evaluated(self, event: dict[str, Any]) -> None:
        """Learn the number that GEPA gave a candidate; the first is the program that it was given."""
        search = search_of(self.optimizer)
        candidate = search.with_instructions(event["candidate"]) if search is not None else None
        if candidate is None:
            return
        self.pool[event["candidate_idx"]] = candidate
        if len(self.pool) == 1:
            self._tell(candidate, accepted=True)

    @guarded
    def on_candidate_accepted(self, event: dict[str, Any]) -> None:
        """Tell of a candidate that joined the pool."""
        candidate = self.pool.get(event["new_candidate_idx"])
        if candidate is not None:
            self._tell(candidate, accepted=True)

    @guarded
    def on_candidate_rejected(self, event: dict[str, Any]) -> None:
        """Tell of the newest candidate that is not in the pool."""
        self._reject(event)

    @guarded
    def on_merge_rejected(self, event: dict[str, Any]) -> None:
        """Tell of a merge that was not kept."""
        self._reject(event)

    def _reject(self, event: dict[str, Any]) -> None:
        search = search_of(self.optimizer)
        told, kept = self.optimizer.notes.get("told", {}), {each.id for each in self.pool.values()}
        newest = search.newest() if search is not None else ()
        candidate = next((each for each in newest if each.id in told and each.id not in kept), None)
        if candidate is not None:
            self._tell(candidate, accepted=False, reason=str(event.get("reason", "")))

    def _tell(self, candidate: Candidate, *, accepted: bool, reason: str = "") -> None:
        facts = dict(self.optimizer.notes.get("told", {}).get(candidate.id, candidate.facts()))
        facts[sc.CANDIDATE_ACCEPTED] = accepted
        if reason:
            put(facts, sc.CANDIDATE_REASON, reason, str)
        recording.active.add_event(self.optimizer, Event.OPTIMIZER_CANDIDATE, facts)
