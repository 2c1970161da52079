"""LogiLLM's ready-made callbacks: logging, metrics, progress."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from lmspan.locks import Lock
from lmspan.subscribers.dialects.logillm_events import AbstractCallback
from lmspan.subscribers.hooks import Priority

if TYPE_CHECKING:
    from lmspan.subscribers.dialects import logillm_events


class LoggingCallback(AbstractCallback):
    """Logs the start and the end of modules and optimizer runs, and failures."""

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.INFO) -> None:
        self._logger = logger or logging.getLogger("lmspan.callbacks.logillm")
        self._level = level

    @property
    def priority(self) -> Priority:
        """Low, after callbacks that change something."""
        return Priority.LOW

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> None:
        self._logger.log(self._level, "module %s begins", type(event.module).__name__)

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        word = "completed" if event.success else "failed"
        self._logger.log(self._level, "module %s %s in %.2f s", type(event.module).__name__, word, event.duration or 0)

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        self._logger.log(
            self._level, "optimizer %s begins on %d examples", type(event.optimizer).__name__, len(event.dataset)
        )

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        score = getattr(event.result, "best_score", None)
        self._logger.log(self._level, "optimizer %s has ended, best score %s", type(event.optimizer).__name__, score)

    def on_error(self, event: logillm_events.ErrorEvent) -> None:
        self._logger.log(self._level, "%s failed: %s", event.stage, type(event.error).__name__)


class MetricsCallback(AbstractCallback):
    """Counts calls, failures, seconds, tokens and cost, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset_metrics()

    def reset_metrics(self) -> None:
        """Set all figures to zero."""
        with self._lock:
            self._metrics: dict[str, Any] = {
                "module_calls": 0, "module_failures": 0, "module_time": 0.0, "modules": {},
                "provider_calls": 0, "provider_errors": 0, "provider_time": 0.0, "total_tokens": 0, "total_cost": 0.0,
                "optimizations": 0, "evaluations": 0,
            }  # fmt: skip

    def get_metrics(self) -> dict[str, Any]:
        """Return a copy of the figures."""
        with self._lock:
            return {**self._metrics, "modules": dict(self._metrics["modules"])}

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        name = type(event.module).__name__
        self._add(module_calls=1, module_failures=int(not event.success), module_time=event.duration or 0.0)
        with self._lock:
            self._metrics["modules"][name] = self._metrics["modules"].get(name, 0) + 1

    def on_provider_response(self, event: logillm_events.ProviderResponseEvent) -> None:
        usage = event.usage
        tokens, cost = (usage.tokens.total_tokens, usage.cost or 0.0) if usage is not None else (0, 0.0)
        self._add(provider_calls=1, provider_time=event.duration or 0.0, total_tokens=tokens, total_cost=cost)

    def on_provider_error(self, event: logillm_events.ProviderErrorEvent) -> None:
        del event
        self._add(provider_calls=1, provider_errors=1)

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        del event
        self._add(optimizations=1)

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> None:
        del event
        self._add(evaluations=1)

    def _add(self, **figures: float) -> None:
        with self._lock:
            for name, figure in figures.items():
                self._metrics[name] += figure


class ProgressCallback(AbstractCallback):
    """Prints a line for each evaluation of an optimizer run, with the best score so far."""

    def __init__(self) -> None:
        self.best_score: float | None = None
        self.evaluations: int = 0

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        self.best_score = None
        self.evaluations = 0
        self._print(f"optimizing with {type(event.optimizer).__name__} on {len(event.dataset)} examples")

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> None:
        self.evaluations += 1
        self.best_score = event.score if self.best_score is None else max(self.best_score, event.score)
        self._print(f"evaluation {self.evaluations}: score {event.score:.3f}, best {self.best_score:.3f}")

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        self._print(f"done after {self.evaluations} evaluations in {event.duration or 0:.1f} s")

    def _print(self, text: str) -> None:
        print(text)  # noqa: T201 - the document's callback prints
