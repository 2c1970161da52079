"""A budget for each run: a callback that stops a run which spends more."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.errors import CallbackError, StopRun

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.subscribers.hooks import Heard
    from lmspan.subscribers.result import RunResult


class Budget:
    """Stop a run at its next LM call when it has spent more than it may; subscribe it like any callback.

        with lmspan.subscribed(lmspan.Budget(max_cost_usd=0.5)):
            program(...)

    A run is an outermost operation with all below it, on whichever threads. LM calls that run at the same time may go
    over the limit together, by what they then cost. Cache hits are free. Raises `CallbackError` without any limit.
    """

    def __init__(
        self,
        *,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        max_lm_calls: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        """At least one limit: US dollars, input and output tokens, LM calls, seconds since the run began."""
        limits = {
            "cost": max_cost_usd,
            "tokens": max_tokens,
            "LM calls": max_lm_calls,
            "seconds": max_seconds,
        }
        self.limits = {name: limit for name, limit in limits.items() if limit is not None}
        if not self.limits:
            raise CallbackError("Budget: say at least one of max_cost_usd, max_tokens, max_lm_calls, max_seconds")
        self._lock = threading.Lock()

    def on_budget_start(self, heard: Heard) -> None:
        """Count an LM call before it is sent; raise `StopRun` when the run has nothing left."""
        root = heard.call.root
        with self._lock:
            spent = self._spent(root, heard.call.result)
            over = next((name for name, limit in self.limits.items() if spent[name] >= limit), None)
            root.notes["budget calls"] = root.notes.get("budget calls", 0) + 1
        if over is not None:
            raise StopRun(f"the budget of {self.limits[over]:g} {over} is spent")

    def on_budget_end(self, heard: Heard) -> None:
        """Give back the LM call that the cache answered."""
        if heard.call.facts.get(sc.CACHE_HIT):
            with self._lock:
                heard.call.root.notes["budget calls"] -= 1

    def _spent(self, root: Call, result: RunResult) -> dict[str, Any]:
        return {
            "cost": result.usd_cost,
            "tokens": result.total_tokens,
            "LM calls": root.notes.get("budget calls", 0),
            "seconds": time.time() - root.start_time_unix_nano / 1e9,
        }

    def __repr__(self) -> str:
        return f"<Budget {', '.join(f'{limit:g} {name}' for name, limit in self.limits.items())}>"
