"""Keep sampling out of callbacks: while a callback is subscribed, a dropped span is recorded but not exported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


_FOLLOWS: Final = "localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}"


def children_follow(sampler: Any) -> bool:
    """Return whether a sampler decides about every child of its own span as it has decided about that span.

    That holds for the samplers of `OTEL_TRACES_SAMPLER` that ask the parent, and for the default.
    """
    if isinstance(sampler, ListeningSampler):
        return children_follow(sampler.sampler)
    if sampler is ALWAYS_ON or sampler is ALWAYS_OFF:
        return True
    asks_parent = type(sampler) in (ParentBased, ParentBasedTraceIdRatio)
    return asks_parent and sampler.get_description().endswith(_FOLLOWS)


class ListeningSampler(Sampler):
    """Ask another sampler, and turn its DROP into RECORD_ONLY while `listening()` is true.

    A RECORD_ONLY span reaches span processors and no exporter. Called for every span, on the program's thread.
    """

    def __init__(self, sampler: Sampler, listening: Callable[[], bool]) -> None:
        self.sampler = sampler
        self._listening = listening

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the other sampler's decision, raised to RECORD_ONLY while `listening()` is true."""
        result = self.sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is not Decision.DROP or not self._listening():
            return result
        return SamplingResult(Decision.RECORD_ONLY, dict(result.attributes or {}), result.trace_state)

    def get_description(self) -> str:
        """Return a description that contains the other sampler's."""
        return f"ListeningSampler{{{self.sampler.get_description()}}}"
