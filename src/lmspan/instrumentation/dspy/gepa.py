"""GEPA, whose own callbacks announce the parents of a candidate, whether GEPA accepts it, and why not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import put
from lmspan.instrumentation.kit.search import Expected, search_of
from lmspan.lifecycle import Event
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.instrumentation.kit.search import Candidate, Search
    from lmspan.lifecycle import LiveCall
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
    search = search_of(optimizer)
    if optimizer is None or search is None:
        return wrapped(*args, **kwargs)
    search.decides = True
    return wrapped(*args, **{**kwargs, "callbacks": [*(kwargs.get("callbacks") or ()), Listener(optimizer, search)]})


class Listener:
    """A callback for GEPA, which calls each method with one event on the thread of the run and logs its exceptions.

    An iteration may make several proposals: GEPA announces all their evaluations, then runs them in the same order.
    """

    def __init__(self, optimizer: LiveCall, search: Search) -> None:
        self.optimizer = optimizer
        self.search = search
        self.pool: dict[int, Candidate] = {}
        self.proposed: list[Expected] = []
        """The proposals of this iteration that GEPA has not decided on yet, in order."""
        self.sums: list[float] = []
        """The sum of the scores of each proposal."""

    @guarded
    def on_iteration_start(self, event: dict[str, Any]) -> None:
        """Drop the proposals of the iteration before."""
        del event
        for _, _, call in self.search.undecided:
            recording.active.release(call, {})
        self.search.undecided.clear()
        self.search.expected.clear()
        self.proposed = []
        self.sums = []

    @guarded
    def on_evaluation_start(self, event: dict[str, Any]) -> None:
        """Expect an evaluation on a minibatch; for a proposal, the event has its parents."""
        proposed = event.get("candidate_idx") is None
        parents = tuple(self.pool[index] for index in event["parent_ids"] if index in self.pool) if proposed else ()
        expected = Expected({sc.CANDIDATE_STEP: event["iteration"]}, "minibatch", parents)
        self.search.expected.append(expected)
        if proposed:
            self.proposed.append(expected)

    @guarded
    def on_evaluation_end(self, event: dict[str, Any]) -> None:
        """Drop the expected evaluations: GEPA evaluates a parent once for several proposals on the same examples."""
        self.search.expected.clear()
        if event.get("candidate_idx") is None:
            self.sums.append(sum(event["scores"]))

    @guarded
    def on_valset_evaluated(self, event: dict[str, Any]) -> None:
        """Keep the number that GEPA gives a candidate; the first candidate is the student."""
        candidate = self.search.with_instructions(event["candidate"])
        if candidate is None:
            return
        self.pool[event["candidate_idx"]] = candidate
        if len(self.pool) == 1:
            self._decide(candidate, "full", {sc.CANDIDATE_ACCEPTED: True})

    @guarded
    def on_candidate_accepted(self, event: dict[str, Any]) -> None:
        """Record a candidate that GEPA adds to its pool."""
        candidate = self.pool.get(event["new_candidate_idx"])
        if candidate is not None:
            self._decide(candidate, "full", {sc.CANDIDATE_ACCEPTED: True})

    @guarded
    def on_candidate_rejected(self, event: dict[str, Any]) -> None:
        """Record a proposal that GEPA rejects: the first with this score."""
        score = event.get("new_score", self.sums[0] if self.sums else None)
        index = self.sums.index(score) if score in self.sums else -1
        if index < 0 or index >= len(self.proposed):
            return
        candidate = self.proposed.pop(index).candidate
        del self.sums[index]
        if candidate is not None:
            decision: dict[str, Any] = {sc.CANDIDATE_ACCEPTED: False}
            put(decision, sc.CANDIDATE_REASON, str(event.get("reason", "")) or None, str)
            self._decide(candidate, "minibatch", decision)

    on_merge_rejected = on_candidate_rejected

    def _decide(self, candidate: Candidate, scope: str, decision: dict[str, Any]) -> None:
        """Record a decision on the span of the evaluation that it follows from, and as an event of the optimizer."""
        call = self.search.decided(candidate, scope)
        if call is not None:
            recording.active.release(call, decision)
        facts = {**self.search.reported.get(candidate.id, candidate.facts()), **decision}
        recording.active.add_event(self.optimizer, Event.OPTIMIZER_CANDIDATE, facts)
