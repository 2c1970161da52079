"""Ended spans as a queue keeps them: with content that is not encoded yet, and with as little memory as can be.

Others read these spans, and set `_attributes` where they hide texts: exporters of the program, and the processors of
other packages. Therefore both classes have that name of the SDK's; they do not need it of the SDK.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from lmspan.lifecycle import with_texts

_MOST_NAMES: Final = 1_024

_names: dict[tuple[str, ...], tuple[str, ...]] = {}
"""The names of the attributes of spans: most spans have the names of another one, and share them while they wait."""


class _Span(ReadableSpan):
    """A span that keeps its attributes in its own way, whatever name the SDK has for them."""

    __slots__ = ()

    def __init__(self, *, attributes: Any, **others: Any) -> None:
        super().__init__(**others)
        self._attributes: Any = attributes

    @property
    def attributes(self) -> Any:
        """The attributes, with their texts."""
        return MappingProxyType(self._attributes)


class DeferringSpan(_Span):
    """An ended span whose content is encoded when its attributes are first read, on any thread."""

    _own: Any
    _defers: bool
    dropped_attributes = 0

    @property
    def deferred(self) -> Any:
        """The attributes as they are, with content that is not encoded."""
        return self._own

    @property
    def _attributes(self) -> Any:
        if self._defers:
            self._own = with_texts(self._own)
            self._defers = False
        return self._own

    @_attributes.setter
    def _attributes(self, attributes: Any) -> None:
        self._own = attributes
        self._defers = True


class SlimSpan(_Span):
    """A span without a dict of its own, neither for its fields nor, until they are read, for its attributes."""

    __slots__ = (
        "_context", "_end_time", "_events", "_instrumentation_info", "_instrumentation_scope", "_kind", "_links",
        "_name", "_names", "_own", "_parent", "_resource", "_start_time", "_status", "_values",
    )  # fmt: skip

    _own: Any
    dropped_attributes = dropped_events = dropped_links = 0

    @property
    def deferred(self) -> Any:
        """The attributes as they are, with content that is not encoded."""
        return dict(zip(self._names, self._values, strict=True)) if self._own is None else self._own

    @property
    def _attributes(self) -> Any:
        if self._own is None:
            self._own = with_texts(self.deferred)
        return self._own

    @_attributes.setter
    def _attributes(self, attributes: Any) -> None:
        attributes = attributes or {}  # the SDK's constructor sets none
        self._own = None
        names = tuple(attributes)
        if len(_names) > _MOST_NAMES:
            _names.clear()
        self._names = _names.setdefault(names, names)
        self._values = tuple(attributes.values())


def slim(span: ReadableSpan) -> ReadableSpan:
    """Return a copy that takes less memory: the SDK's collections have locks and room to grow.

    A span with dropped attributes, events or links stays as it is, because only the SDK's collections count them.
    """
    if span.dropped_attributes or span.dropped_events or span.dropped_links:
        return span
    return SlimSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.deferred if isinstance(span, DeferringSpan) else span.attributes,
        events=span.events,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
    )
