"""How many bytes a span takes, encoded and in memory, and how a span that has to wait takes fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from lmspan.lifecycle import with_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lmspan.lifecycle import LiveCall

_SPAN_BYTES: Final = 1_024  # an encoded span without its texts: ids, times, names, small attributes
_SHORT: Final = 64

# In memory, beyond the encoded bytes; measured with spans of 10 to 16 attributes.
OBJECT_BYTES: Final = 2_700
SLIM_BYTES: Final = 700


_MOST_NAMES: Final = 1_024

_names: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The names of the attributes of spans: most spans have the names of another one, and share them while they wait."""


class _SlimSpan(ReadableSpan):
    """A span without a dict of its own, neither for its fields nor for its attributes. Others read it on any thread."""

    __slots__ = (
        "_context", "_end_time", "_events", "_instrumentation_info", "_instrumentation_scope", "_kind", "_links",
        "_name", "_names", "_parent", "_resource", "_start_time", "_status", "_values",
    )  # fmt: skip

    dropped_attributes = dropped_events = dropped_links = 0

    def __init__(self, *, attributes: dict[str, Any], **others: Any) -> None:
        super().__init__(**others)
        names = tuple(attributes)
        if len(_names) > _MOST_NAMES:
            _names.clear()
        self._names = _names.setdefault(names, names)
        self._values = tuple(attributes.values())

    @property
    def attributes(self) -> Any:
        return self._attributes

    @property
    def _attributes(self) -> dict[str, Any]:
        return with_texts(dict(zip(self._names, self._values, strict=True)))

    @_attributes.setter
    def _attributes(self, _: Any) -> None:
        """Ignore the value that the SDK's constructor sets."""


def slim(span: ReadableSpan) -> ReadableSpan:
    """Return a copy that takes less memory: the SDK's collections have locks and room to grow.

    A span with dropped attributes, events or links stays as it is, because only the SDK's collections count them.
    """
    if span.dropped_attributes or span.dropped_events or span.dropped_links:
        return span
    attributes: Any = getattr(span, "deferred", None) or span.attributes
    return _SlimSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
    )


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
