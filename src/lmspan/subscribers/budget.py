"""A callback that stops a run at a limit of cost, tokens, LM calls or time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.errors import CallbackError, StopRun
from lmspan.locks import Lock

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.hooks import Moment
    from lmspan.subscribers.result import RunResult


class Budget:
    """Stop a run at its next LM call once the run has reached a limit; subscribe it like any callback.

        with lmspan.subscribed(lmspan.Budget(max_cost_usd=0.5)):
            program(...)

    A run is an outermost operation with all operations below it, on any thread. LM calls that run at the same time may
    exceed the limit together. The calls of a process pool count when the result of their task is back, and a call in
    another process is not stopped. Cache hits are free. Raises `CallbackError` without any limit.
    """

    def __init__(
        self,
        *,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        max_lm_calls: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        """Take at least one limit: US dollars, input and output tokens, LM calls, seconds since the run's start."""
        limits = {
            "cost": max_cost_usd,
            "tokens": max_tokens,
            "LM calls": max_lm_calls,
            "seconds": max_seconds,
        }
        self.limits: dict[str, float] = {name: limit for name, limit in limits.items() if limit is not None}
        if not self.limits:
            raise CallbackError("Budget: say at least one of max_cost_usd, max_tokens, max_lm_calls, max_seconds")
        self._lock = Lock()
        self._lm_calls: dict[LiveCall, int] = {}  # by the outermost call of the run

    def on_budget_start(self, moment: Moment) -> None:
        """Count an LM call before it is sent; raise `StopRun` if the run has reached a limit."""
        root = moment.live.root
        with self._lock:
            spent = self._spent(root, moment.call.result)
            over = next((name for name, limit in self.limits.items() if spent[name] >= limit), None)
            if root not in self._lm_calls:
                self._forget_ended_runs()
            self._lm_calls[root] = self._lm_calls.get(root, 0) + 1
        if over is not None:
            raise StopRun(f"the budget of {self.limits[over]:g} {over} is spent")

    def on_budget_end(self, moment: Moment) -> None:
        """Take an LM call that the cache answered out of the count."""
        if moment.call.facts.get(sc.CACHE_HIT):
            with self._lock:
                self._lm_calls[moment.live.root] = self._lm_calls.get(moment.live.root, 1) - 1

    def _forget_ended_runs(self) -> None:
        # A weak dictionary runs Python code inside the garbage collector, where a nested signal crashes CPython 3.11.
        self._lm_calls = {root: count for root, count in self._lm_calls.items() if not root.ended}

    def _spent(self, root: LiveCall, result: RunResult) -> dict[str, Any]:
        return {
            "cost": result.usd_cost,
            "tokens": result.total_tokens,
            "LM calls": self._lm_calls.get(root, 0) + result.api_calls_elsewhere,
            "seconds": time.time() - root.start_time_unix_nano / 1e9,
        }

    def __repr__(self) -> str:
        return f"<Budget {', '.join(f'{limit:g} {name}' for name, limit in self.limits.items())}>"
