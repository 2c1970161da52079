"""Measure ended calls: the GenAI client metrics, durations, and counters of lmspan itself.

Names, units and bucket boundaries are those of the GenAI conventions; attributes are few and of low cardinality. One
measurement costs more than half a span, so an ended call only waits here. A reader measures the waiting calls before it
collects, so no collection misses one; if many calls wait, a thread of lmspan measures them.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from opentelemetry import metrics

from lmspan import guard, threads
from lmspan import semconv as sc
from lmspan._version import __version__
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, MeterProvider, Observation
    from opentelemetry.trace import SpanContext

    from lmspan.lifecycle import LiveCall

_SECONDS: Final = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_AGENT_SECONDS: Final = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6]
_WORKFLOW_SECONDS: Final = [1.0, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200]
_TOKENS: Final = [4**power for power in range(14)]
_CALLS: Final = [float(2**power) for power in range(8)]

_AGENT_COUNTS: Final = (
    (sc.TOTAL_LLM_CALLS, sc.METRIC_AGENT_INFERENCE_CALLS),
    (sc.TOTAL_TOOL_CALLS, sc.METRIC_AGENT_TOOL_CALLS),
)

_CLIENT_FACTS: Final = (
    sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.REQUEST_MODEL, sc.RESPONSE_MODEL,
    sc.SERVER_ADDRESS, sc.SERVER_PORT, sc.ERROR_TYPE,
)  # fmt: skip

# operation -> the name of the duration, its buckets, and the facts of the call that are its attributes
_DURATIONS: Final[dict[Operation, tuple[str, list[float], tuple[str, ...]]]] = {
    Operation.LM: (sc.METRIC_OPERATION_DURATION, _SECONDS, _CLIENT_FACTS),
    Operation.EMBEDDING: (sc.METRIC_OPERATION_DURATION, _SECONDS, _CLIENT_FACTS),
    Operation.TOOL: (sc.METRIC_TOOL_DURATION, _SECONDS, (sc.TOOL_NAME, sc.TOOL_TYPE, sc.ERROR_TYPE)),
    Operation.AGENT: (sc.METRIC_AGENT_DURATION, _AGENT_SECONDS, (sc.AGENT_NAME, sc.ERROR_TYPE)),
    Operation.WORKFLOW: (sc.METRIC_WORKFLOW_DURATION, _WORKFLOW_SECONDS, (sc.WORKFLOW_NAME, sc.ERROR_TYPE)),
    Operation.MODULE: (sc.METRIC_MODULE_DURATION, _SECONDS, (sc.MODULE_NAME, sc.ERROR_TYPE)),
}
# operation -> the gauge of its score, the fact that is the score, and the fact that is its attribute
_SCORES: Final = {
    Operation.EVALUATE: (sc.METRIC_EVALUATION_SCORE, sc.SPAN_SCORE, sc.SPAN_METRIC),
    Operation.OPTIMIZE: (sc.METRIC_OPTIMIZER_SCORE, sc.OPTIMIZER_BEST_SCORE, sc.OPTIMIZER_NAME),
}
_WAITING: Final = 256

_all: WeakSet[Metrics] = WeakSet()


class Metrics:
    """The instruments of one meter provider (the global one when None). Called by the recorder, on its threads."""

    def __init__(self, meter_provider: MeterProvider | None = None) -> None:
        meter = metrics.get_meter("lmspan", __version__, meter_provider=meter_provider)

        def histogram(name: str, buckets: list[float]) -> Histogram:
            return meter.create_histogram(name, *sc.METRICS[name], explicit_bucket_boundaries_advisory=buckets)

        def counter(name: str) -> Counter:
            return meter.create_counter(name, *sc.METRICS[name])

        buckets_of = {name: buckets for name, buckets, _ in _DURATIONS.values()}
        durations = {name: histogram(name, buckets) for name, buckets in buckets_of.items()}
        self._durations = {operation: (durations[name], facts) for operation, (name, _, facts) in _DURATIONS.items()}
        self._tokens = histogram(sc.METRIC_TOKEN_USAGE, _TOKENS)
        self._first_chunk = histogram(sc.METRIC_TIME_TO_FIRST_CHUNK, _SECONDS)
        self._per_chunk = histogram(sc.METRIC_TIME_PER_CHUNK, _SECONDS)
        self._agent_counts = {total: histogram(name, _CALLS) for total, name in _AGENT_COUNTS}
        self._scores = {name: meter.create_gauge(name, *sc.METRICS[name]) for name, _, _ in _SCORES.values()}
        self._runs = counter(sc.METRIC_RUNS)
        self._cost = counter(sc.METRIC_COST)
        self._cache = counter(sc.METRIC_CACHE_REQUESTS)
        self._missing = counter(sc.METRIC_MISSING_ENDS)
        for name, observe in ((sc.METRIC_FAILURES, self._observe), (sc.METRIC_DROPPED, _observe_dropped)):
            meter.create_observable_counter(name, [observe], *sc.METRICS[name])
        self._waiting: deque[tuple[Operation, dict[str, Any], Context, float, bool, bool]] = deque()
        self._taking = threading.Lock()
        _all.add(self)

    def record(self, call: LiveCall, duration_s: float, *, missing: bool) -> None:
        """Keep an ended call, whose facts no longer change, until it is measured."""
        outermost = call.parent is None and not _is_remote(getattr(call.span, "parent", None))
        self._waiting.append((call.operation, call.facts, call.context, duration_s, missing, outermost))
        if len(self._waiting) < _WAITING or self._taking.locked():
            return
        if threads.start("metrics", self._take) is None:
            self._take()

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        """Measure the waiting calls before a reader collects, and report the failures of lmspan itself."""
        self._take(patience_s=1.0)
        failures = guard.failures.total()
        return [metrics.Observation(failures)] if failures else []

    def _take(self, patience_s: float = 0.0) -> None:
        if not self._taking.acquire(blocking=patience_s > 0, timeout=patience_s or -1):
            return
        try:
            for each in threads.in_slices(self._ended()):
                guard.guarded(self._measure)(*each)
        finally:
            self._taking.release()

    def _ended(self) -> Iterator[tuple[Operation, dict[str, Any], Context, float, bool, bool]]:
        while self._waiting:
            yield self._waiting.popleft()

    def forget(self) -> None:
        """Drop the waiting calls, in a forked child: its parent measures them."""
        self._taking = threading.Lock()
        self._waiting.clear()

    def _measure(
        self,
        operation: Operation,
        facts: dict[str, Any],
        context: Context,
        duration_s: float,
        missing: bool,
        outermost: bool,
    ) -> None:
        """Measure one ended call. A cache hit is no client operation: only its own counter counts it."""
        self._count(facts, context, missing, outermost)
        if operation in (Operation.LM, Operation.EMBEDDING):
            hit = facts.get(sc.CACHE_HIT, False)
            self._cache.add(1, {sc.CACHE_HIT: hit}, context)
            if hit:
                return
        if operation in _SCORES:
            name, score, apart = _SCORES[operation]
            if score in facts:
                self._scores[name].set(facts[score], {apart: facts[apart]}, context)
        instrument, names = self._durations.get(operation, (None, ()))
        if instrument is not None:
            attributes = _selected(facts, names)
            instrument.record(duration_s, attributes, context)
            if operation in (Operation.LM, Operation.EMBEDDING):
                self._measure_usage(facts, attributes, context, duration_s)
            elif operation is Operation.AGENT:
                for total, counts in self._agent_counts.items():
                    counts.record(facts.get(total, 0), attributes, context)

    def _count(self, facts: dict[str, Any], context: Context, missing: bool, outermost: bool) -> None:
        if missing:
            self._missing.add(1, context=context)
        if outermost:
            self._runs.add(1, _selected(facts, (sc.ERROR_TYPE,)), context)

    def _measure_usage(
        self, facts: dict[str, Any], attributes: dict[str, Any], context: Context, duration_s: float
    ) -> None:
        attributes.pop(sc.ERROR_TYPE, None)
        for kind, name in (("input", sc.USAGE_INPUT_TOKENS), ("output", sc.USAGE_OUTPUT_TOKENS)):
            if name in facts:
                self._tokens.record(facts[name], {**attributes, sc.TOKEN_TYPE: kind}, context)
        if sc.RESPONSE_TIME_TO_FIRST_CHUNK in facts:
            first, count = facts[sc.RESPONSE_TIME_TO_FIRST_CHUNK], facts.get(sc.STREAM_CHUNK_COUNT, 1)
            self._first_chunk.record(first, attributes, context)
            if count > 1:
                self._per_chunk.record((duration_s - first) / (count - 1), attributes, context)
        if sc.COST_AMOUNT in facts:
            self._cost.add(facts[sc.COST_AMOUNT], attributes, context)


def _is_remote(parent: SpanContext | None) -> bool:
    """Return whether the parent of a span is in another process: then the span is a part of that process's run."""
    return parent is not None and parent.is_remote


def _selected(facts: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: facts[name] for name in names if name in facts}


def _observe_dropped(_: CallbackOptions) -> Iterable[Observation]:
    return [metrics.Observation(count, {sc.REASON: reason}) for reason, count in tuple(guard.dropped.items())]


def _after_fork() -> None:
    """Give a child locks that no thread of its parent holds, and no calls of its parent."""
    for each in _all:
        each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def global_metrics() -> Metrics | None:
    """Return instruments of the global meter provider, or None, to measure nothing, if the process has none."""
    provider = metrics.get_meter_provider()
    return Metrics(provider) if type(provider).__name__ not in ("_ProxyMeterProvider", "NoOpMeterProvider") else None
