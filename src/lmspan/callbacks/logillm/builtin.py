"""LogiLLM's ready-made callbacks: logging, metrics, progress. Their lines and figures are those of the release."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from lmspan.locks import Lock
from lmspan.subscribers.dialects.logillm_events import AbstractCallback
from lmspan.subscribers.hooks import Priority

if TYPE_CHECKING:
    from lmspan.subscribers.dialects import logillm_events


def kind_of(value: Any) -> str:
    """Return the name of an object's class, as the object itself gives it: a stand-in may name another."""
    return str(getattr(getattr(value, "__class__", type(value)), "__name__", "Unknown"))


def named(provider: Any) -> str:
    """Return the name of a provider."""
    return str(getattr(provider, "name", "Unknown"))


def _seconds(duration: float | None) -> str:
    return f" in {duration:.3f}s" if duration else ""


class LoggingCallback(AbstractCallback):
    """Logs modules, optimizer runs, requests and failures, with the values as `extra`."""

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.INFO) -> None:
        self.logger: logging.Logger = logger or logging.getLogger("lmspan.callbacks.logillm")
        self.level = level

    @property
    def priority(self) -> Priority:
        """Low, after callbacks that change something."""
        return Priority.LOW

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> None:
        name = kind_of(event.module)
        self._log(event, f"Module {name} starting execution", module_name=name, inputs=event.inputs)

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        name, status = kind_of(event.module), "success" if event.success else "failure"
        self._log(
            event, f"Module {name} finished {status}{_seconds(event.duration)}", module_name=name,
            success=event.success, duration=event.duration, outputs=event.outputs,
        )  # fmt: skip

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        name, size = kind_of(event.optimizer), len(event.dataset)
        self._log(
            event, f"Optimization starting with {name} on {size} examples", optimizer_name=name, dataset_size=size,
            config=event.config,
        )  # fmt: skip

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        name, status = kind_of(event.optimizer), "success" if event.success else "failure"
        self._log(
            event, f"Optimization finished {status}{_seconds(event.duration)} with {name}", optimizer_name=name,
            success=event.success, duration=event.duration,
        )  # fmt: skip

    def on_provider_request(self, event: logillm_events.ProviderRequestEvent) -> None:
        name, model = named(event.provider), getattr(event.provider, "model", "Unknown")
        self._log(
            event, f"Provider request to {name}:{model}", provider_name=name, model=model,
            message_count=len(event.messages), parameters=event.parameters,
        )  # fmt: skip

    def on_provider_response(self, event: logillm_events.ProviderResponseEvent) -> None:
        name = named(event.provider)
        tokens = f" ({event.usage.tokens.total_tokens} tokens)" if event.usage is not None else ""
        self._log(
            event, f"Provider response from {name}{_seconds(event.duration)}{tokens}", provider_name=name,
            duration=event.duration, usage=str(event.usage),
        )  # fmt: skip

    def on_error(self, event: logillm_events.ErrorEvent) -> None:
        name = kind_of(event.module) if event.module is not None else None
        text = f"Error in {event.stage}{f' of {name}' if name else ''}: {event.error}"
        self.logger.error(
            text,
            extra={
                "call_id": event.context.call_id,
                "module_name": name,
                "stage": event.stage,
                "error": str(event.error),
                "error_type": type(event.error).__name__,
                "recoverable": event.recoverable,
            },
            exc_info=event.error,
        )

    def _log(self, event: logillm_events.CallbackEvent, text: str, **values: Any) -> None:
        call_id = event.context.call_id
        whole = f"{text} (call_id: {call_id})"
        self.logger.log(self.level, whole, extra={"call_id": call_id, **values})


_ALWAYS: Final = (
    "module_starts", "module_ends", "module_successes", "module_failures", "optimization_starts", "optimization_ends",
    "optimization_successes", "optimization_failures", "provider_requests", "provider_responses", "provider_errors",
    "evaluations", "errors",
)  # fmt: skip


class MetricsCallback(AbstractCallback):
    """Counts calls, failures, seconds, tokens and cost, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counters: Counter[str] = Counter()
        self.metrics: defaultdict[str, list[float]] = defaultdict(list)

    def reset_metrics(self) -> None:
        """Remove all figures."""
        with self._lock:
            self.counters.clear()
            self.metrics.clear()

    def get_metrics(self) -> dict[str, Any]:
        """Return the counts, the average, sum, least and greatest of each series, and the rates of success."""
        with self._lock:
            counters = self.counters.copy()
            metrics = {name: list(values) for name, values in self.metrics.items() if values}
        summary: dict[str, Any] = {**dict.fromkeys(_ALWAYS, 0), **counters}
        for name, values in metrics.items():
            summary[f"{name}_avg"] = sum(values) / len(values)
            summary[f"{name}_total"] = sum(values)
            summary[f"{name}_count"] = len(values)
            if len(values) > 1:
                summary[f"{name}_min"], summary[f"{name}_max"] = min(values), max(values)
        for kind in ("module", "optimization"):
            if ends := summary[f"{kind}_ends"]:
                summary[f"{kind}_success_rate"] = summary[f"{kind}_successes"] / ends
        return summary

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> None:
        del event
        self._count("module_starts")

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        result = "module_successes" if event.success else "module_failures"
        self._count("module_ends", result, f"module_{kind_of(event.module)}", module_durations=event.duration)

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        del event
        self._count("optimization_starts")

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        result = "optimization_successes" if event.success else "optimization_failures"
        self._count("optimization_ends", result, optimization_durations=event.duration)

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> None:
        del event
        self._count("evaluations")

    def on_provider_request(self, event: logillm_events.ProviderRequestEvent) -> None:
        self._count("provider_requests", f"provider_{named(event.provider)}_requests")

    def on_provider_response(self, event: logillm_events.ProviderResponseEvent) -> None:
        usage = event.usage
        tokens = usage.tokens.total_tokens if usage is not None else None
        cost = usage.cost if usage is not None else None
        self._count("provider_responses", provider_durations=event.duration, token_usage=tokens, costs=cost)

    def on_provider_error(self, event: logillm_events.ProviderErrorEvent) -> None:
        del event
        self._count("provider_errors")

    def on_error(self, event: logillm_events.ErrorEvent) -> None:
        self._count("errors", f"error_{type(event.error).__name__}", f"error_in_{event.stage}")

    def _count(self, *counters: str, **metrics: float | None) -> None:
        with self._lock:
            self.counters.update(counters)
            for name, value in metrics.items():
                if value is not None:
                    self.metrics[name].append(value)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = Lock()


class ProgressCallback(AbstractCallback):
    """Prints a line for each step of modules and optimizer runs, and the best score so far."""

    def __init__(self, show_details: bool = True, update_interval: float = 1.0) -> None:
        """`show_details` prints modules, too. `update_interval` is taken and has no effect, as in the release."""
        self.show_details = show_details
        self.update_interval = update_interval
        self.best_score: float | None = None
        self.evaluations: int = 0

    @property
    def priority(self) -> Priority:
        """Low, after callbacks that change something."""
        return Priority.LOW

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> None:
        if self.show_details:
            self._print(f"🔄 Starting {kind_of(event.module)}...")

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        if self.show_details:
            seconds = f" ({event.duration:.2f}s)" if event.duration else ""
            self._print(f"{'✅' if event.success else '❌'} Finished {kind_of(event.module)}{seconds}")

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        self.best_score = None
        self.evaluations = 0
        name, size = kind_of(event.optimizer), len(event.dataset)
        self._print(f"🚀 Starting optimization with {name} on {size} examples...")

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> None:
        self.evaluations += 1
        self.best_score = event.score if self.best_score is None else max(self.best_score, event.score)
        self._print(f"   evaluation {self.evaluations}: score {event.score:.3f}, best {self.best_score:.3f}")

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        seconds = f" ({event.duration:.1f}s)" if event.duration else ""
        self._print(f"{'🎉' if event.success else '💥'} Optimization finished{seconds}")

    def on_error(self, event: logillm_events.ErrorEvent) -> None:
        if self.show_details:
            where = f" in {kind_of(event.module)}" if event.module is not None else ""
            self._print(f"❌ Error{where}: {event.error}")

    def _print(self, text: str) -> None:
        print(text)  # noqa: T201 - the document's callback prints
