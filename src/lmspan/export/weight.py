"""How many bytes a span takes, encoded and in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

    from lmspan.lifecycle import LiveCall

_SPAN_BYTES: Final = 1_024  # an encoded span without its texts: ids, times, names, small attributes
_SHORT: Final = 64

# In memory, beyond the encoded bytes; measured with spans of 10 to 16 attributes.
OBJECT_BYTES: Final = 2_700
SLIM_BYTES: Final = 700


def weigh(span: ReadableSpan) -> int:
    """Estimate the bytes of an encoded span: its long texts, and a constant for the rest."""
    total = _SPAN_BYTES
    for value in (span.attributes or {}).values():
        if type(value) is str and len(value) > _SHORT:
            total += len(value) if value.isascii() else 3 * len(value)
        elif type(value) is tuple:
            total += sum(len(each) for each in value if type(each) is str)
    return total + _weigh_events(event.attributes or {} for event in span.events)


def weigh_call(span: ReadableSpan, call: LiveCall) -> int:
    """Estimate the bytes of the span of a call: the call counts its content, but not that of its events."""
    total = _SPAN_BYTES + call.content_size
    if events := span.events:  # most spans have none
        total += _weigh_events(event.attributes or {} for event in events)
    if call.local is not None and call.local.events:
        total += _weigh_events(content for *_, content in call.local.events)
    return total


def _weigh_events(events: Iterable[Mapping[str, Any]]) -> int:
    return sum(_SHORT + sum(3 * len(each) for each in event.values() if type(each) is str) for event in events)
