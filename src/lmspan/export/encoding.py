"""What the encoders of spans share: the order of a batch, and attributes.

An encoder runs on the thread of an exporter, under the same interpreter lock as the program: in slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from lmspan.threads import in_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

Encoded = TypeVar("Encoded")  # one span, or one attribute
Text = TypeVar("Text", str, bytes)

_SHORT: Final = 128
_MOST_KEPT: Final = 4_096

PARENT_IS_KNOWN: Final = 0x100
PARENT_IS_REMOTE: Final = 0x200
"""The two flags of OTLP that state whether a parent, or the span of a link, is of another process."""


def grouped(
    spans: Iterable[ReadableSpan], encode: Callable[[ReadableSpan], Encoded]
) -> dict[Resource, dict[InstrumentationScope | None, list[Encoded]]]:
    """Return encoded spans by resource and scope. The hash of a resource is slow: it is taken once for each object."""
    resources: dict[Resource, dict[InstrumentationScope | None, list[Encoded]]] = {}
    known: dict[tuple[int, int], list[Encoded]] = {}
    for span in in_slices(spans):
        resource, scope = span.resource, span.instrumentation_scope
        group = known.get((id(resource), id(scope)))
        if group is None:
            group = resources.setdefault(resource, {}).setdefault(scope or None, [])
            known[id(resource), id(scope)] = group
        group.append(encode(span))
    return resources


class Attributes(Generic[Text]):
    """Encodes attributes. Most short values come again with the next span: each is encoded once."""

    def __init__(self, encode: Callable[[str, Any], Text]) -> None:
        self._encode: Callable[[str, Any], Text] = encode
        # One table for each type, because 1 equals True.
        self._kept: dict[type, dict[tuple[str, Any], Text]] = {str: {}, int: {}, bool: {}}

    def __call__(self, attributes: Mapping[str, Any] | None) -> list[Text]:
        """Return the encoded attributes, in their order."""
        if not attributes:
            return []
        copy: Any = attributes.copy  # type: ignore[attr-defined] # the SDK's mapping is slow to walk; its copy is a dict
        encoded = []
        for pair in copy().items():
            known = self._kept.get(type(pair[1]))
            each = known.get(pair) if known is not None else None
            encoded.append(each if each is not None else self._new(known, pair))
        return encoded

    def _new(self, known: dict[tuple[str, Any], Text] | None, pair: tuple[str, Any]) -> Text:
        encoded = self._encode(*pair)
        if known is not None and len(encoded) <= _SHORT:
            if len(known) >= _MOST_KEPT:
                known.clear()
            known[pair] = encoded
        return encoded


def flags(context: Any) -> int:
    """Return the flags for a parent, or for the span of a link."""
    return PARENT_IS_KNOWN | (PARENT_IS_REMOTE if context is not None and context.is_remote else 0)
