"""lmspan's own span, over the sampler, ids, limits, resource and processors of an SDK tracer.

    OwnTracer.start_span()   asks the tracer's sampler, or knows its answer, and runs the processors' `on_start`
    OwnSpan                  keeps plain values in a dict; it has the methods of an API span and the properties of a
                             `ReadableSpan`, so programs and processors use it as they use the SDK's
    OwnSpan.end()            runs the processors' `on_end` with a `ReadableSpan` that nobody changes any more

The SDK's span takes three times as long, most of it to clean values that the recorder has cleaned. What the recorder
does not do goes the SDK's way: a value that is not plain, a key that is no text, and a limit that is reached put the
attributes into the SDK's `BoundedAttributes`, which cleans, cuts, evicts and counts. A tracer that is not exactly the
SDK's keeps its own spans. This module loads the SDK, so only a session imports it.

`_NOT_PUBLIC` has every name of the SDK that is not public. Where a release has none of them, it keeps its own spans, or
the public way serves instead.
"""

# ruff: noqa: D102 - the properties are those of the SDK's `ReadableSpan`

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    get_current_span,
    use_span,
)

from lmspan.context.current import SPAN
from lmspan.export.spans import DeferringSpan
from lmspan.lifecycle import Deferred, with_texts
from lmspan.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from opentelemetry.context import Context

logger: Final = logging.getLogger("opentelemetry.sdk.trace")

_NOT_PUBLIC: Final = {
    "limits": "_span_limits",  # of a tracer
    "scope": "_instrumentation_scope",  # of a tracer
    "is_enabled": "_is_enabled",  # of a tracer
    "processors": "_span_processors",  # of the composite that a provider calls
    "on_ending": "_on_ending",  # of a processor
    "attributes": "_attributes",  # of a span: its `to_json` reads them, and processors that hide texts set them
}
_SELF_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
_TEXT: Final = frozenset((str,))
_SEQUENCES: Final = frozenset((list, tuple))
_PLAIN: Final = frozenset((str, int, float, bool))
_PLAIN_OR_SEQUENCE: Final = _PLAIN | _SEQUENCES
_UNSET: Final = Status()
_SAMPLED: Final = int(TraceFlags.SAMPLED)
_RANDOM: Final = int(TraceFlags.RANDOM_TRACE_ID)
_FLAGS: Final = {flags: TraceFlags(flags) for flags in (0, _SAMPLED, _RANDOM, _SAMPLED | _RANDOM)}
_ending: Final = Lock()


def own_tracer(tracer: Any, *, children_follow: bool) -> OwnTracer | None:
    """Return a tracer of own spans in place of an SDK tracer, or None where only the SDK's spans are right.

    `children_follow` states that the sampler decides about a local child as it has decided about the parent.
    """
    limits = getattr(tracer, _NOT_PUBLIC["limits"], None)
    known = type(tracer) is sdk.Tracer and type(limits) is sdk.SpanLimits
    if not known or os.environ.get(_SELF_METRICS, "").strip().lower() == "true":
        return None
    return OwnTracer(tracer, limits, children_follow=children_follow)


class OwnTracer(Tracer):
    """Starts own spans as the SDK's tracer would start its spans. On any thread."""

    def __init__(self, tracer: Any, limits: Any, *, children_follow: bool) -> None:
        self.sdk = tracer
        self.limits = limits
        is_unlimited = limits.max_span_attributes is None
        self.most_attributes: int = sys.maxsize if is_unlimited else limits.max_span_attributes
        if limits.max_span_attribute_length is not None:
            self.most_attributes = -1
        self.scope: Any = getattr(tracer, _NOT_PUBLIC["scope"], None)
        self.children_follow = children_follow
        self._is_enabled: Callable[[], bool] = getattr(tracer, _NOT_PUBLIC["is_enabled"], lambda: True)
        self._known = _reader_of(tracer.span_processor)
        self._processors = _Processors.of(())

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span, or return one that records nothing where the sampler drops it."""
        del record_exception, set_status_on_exception  # of a span as a context manager, which the recorder's never is
        links = links or ()
        if context is None:
            context = otel_context.get_current()
        around = context.get(SPAN)
        parent: Any = around.context if type(around) is OwnSpan else get_current_span(context).get_span_context()
        if not self._is_enabled():
            return NonRecordingSpan(parent)
        if self._follows(around):
            own = SpanContext(
                parent.trace_id,
                self.sdk.id_generator.generate_span_id(),
                is_remote=False,
                trace_flags=parent.trace_flags,
                trace_state=parent.trace_state,
            )
        else:
            parent = parent if parent.is_valid else None
            own, attributes, is_recorded = self._sample(context, parent, name, kind, attributes, links)
            if not is_recorded:
                return NonRecordingSpan(own)
        span = OwnSpan(self, name, own, parent, kind, start_time or time_ns(), attributes or {}, links)
        for on_start in self.processors().starts:
            on_start(span, parent_context=context)
        return span

    def _follows(self, around: Any) -> bool:
        """Return whether the sampler samples every child of a span."""
        return (
            self.children_follow
            and type(around) is OwnSpan
            and around._tracer is self  # noqa: SLF001 - of this module
            and around.context.trace_flags & _SAMPLED > 0
        )

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # the API states a type that is not public
        self, name: str, *args: Any, end_on_exit: bool = True, **kwargs: Any
    ) -> Iterator[Span]:
        """Start a span and make it current for the `with`."""
        with use_span(self.start_span(name, *args, **kwargs), end_on_exit=end_on_exit) as span:
            yield span

    def _sample(
        self,
        context: Context,
        parent: SpanContext | None,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None,
        links: Sequence[Link],
    ) -> tuple[SpanContext, Mapping[str, Any] | None, bool]:
        """Ask the sampler; return the span's context, its first attributes, and whether it is recorded."""
        ids = self.sdk.id_generator
        trace_id = ids.generate_trace_id() if parent is None else parent.trace_id
        random = _RANDOM * bool(ids.is_trace_id_random()) if parent is None else parent.trace_flags & _RANDOM
        result = self.sdk.sampler.should_sample(context, trace_id, name, kind, attributes, links)
        own = SpanContext(
            trace_id,
            ids.generate_span_id(),
            is_remote=False,
            trace_flags=_FLAGS[_SAMPLED * result.decision.is_sampled() | random],
            trace_state=result.trace_state,
        )
        return own, result.attributes, result.decision.is_recording()

    def processors(self) -> _Processors:
        """Return the methods of the processors that the provider has now."""
        known = self._known()
        if known is not self._processors.known:
            self._processors = _Processors.of(known)
        return self._processors


def _reader_of(composite: Any) -> Callable[[], tuple[Any, ...]]:
    """Return a function that returns the processors of the SDK's composite, or the composite as the only one."""
    name = _NOT_PUBLIC["processors"]
    if type(composite) is sdk.SynchronousMultiSpanProcessor and type(getattr(composite, name, None)) is tuple:
        return partial(attrgetter(name), composite)
    only = (composite,)
    return lambda: only


class _Processors(NamedTuple):
    """The methods of a provider's span processors: the SDK calls each, also where a processor has none of its own."""

    known: tuple[Any, ...]
    starts: tuple[Callable[..., None], ...]
    endings: tuple[Callable[..., None], ...]
    ends: tuple[Callable[..., None], ...]

    @classmethod
    def of(cls, known: tuple[Any, ...]) -> _Processors:
        names = ("on_start", _NOT_PUBLIC["on_ending"], "on_end")
        return cls(known, *(tuple(_own_methods(known, name)) for name in names))


def _own_methods(processors: tuple[Any, ...], name: str) -> Iterator[Callable[..., None]]:
    """Yield the method of this name of each processor that does not inherit the SDK's, which does nothing."""
    nothing = getattr(sdk.SpanProcessor, name, None)
    for each in processors:
        method = getattr(each, name, None)
        if method is not None and getattr(method, "__func__", None) is not nothing:
            yield method


class OwnSpan(Span, sdk.ReadableSpan):
    """A recorded span. Every method may be called on any thread, and inside a signal handler."""

    __slots__ = (
        "_defers", "_dropped_events", "_dropped_links", "_events", "_links", "_name", "_own", "_status", "_tracer",
        "context", "end_time", "kind", "parent", "start_time",
    )  # fmt: skip

    if TYPE_CHECKING:  # where the SDK's class has properties
        context: SpanContext
        parent: SpanContext | None
        kind: SpanKind
        start_time: int
        end_time: int | None

    def __init__(
        self,
        tracer: OwnTracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        start_time: int,
        attributes: Mapping[str, Any],
        links: Sequence[Link],
    ) -> None:
        self._tracer = tracer
        self._name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.start_time = start_time
        self.end_time = None
        self._status = _UNSET
        self._events: list[sdk.Event] = []
        self._dropped_events = 0
        self._links: list[Link] = []
        self._dropped_links = 0
        for link in links:
            self._add_link(link)
        self._own: Any = {}
        self._defers = False
        self._put(attributes)

    # what a program and a processor may change ------------------------------------------------------------------------

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        if self._may_change("Setting attribute on ended span."):
            if type(key) is str and key:
                self._put({key: value})
            else:  # the SDK drops it, or takes it
                clean = self._clean({})
                clean[key] = value
                self._add_clean(clean)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes; those that are set again come last."""
        if self.end_time is None or self._may_change("Setting attribute on ended span."):
            self._put(attributes)

    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Add an event; the oldest one makes room for it where the limit is reached."""
        limits = self._tracer.limits
        most = limits.max_event_attributes, limits.max_attribute_length
        event = sdk.Event(name, _limited(attributes or {}, *most), timestamp)
        if self._may_change("Tried calling _add_event on an ended span."):
            self._dropped_events += _append(self._events, event, limits.max_events)

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Add a link to another span."""
        if self._may_change("Tried calling _add_link on an ended span."):
            self._add_link(Link(context, attributes))

    def update_name(self, name: str) -> None:
        """Set the name."""
        if self._may_change("Tried calling update_name on an ended span."):
            self._name = name

    def set_kind(self, kind: SpanKind) -> None:
        """Set the kind, for an operation whose kind is known late. The API has no such method."""
        self.kind = kind

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status, unless it is OK already or the new one is UNSET."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        elif description is not None:
            logger.warning("Description %s ignored. Use either `Status` or `(StatusCode, Description)`", description)
        if not isinstance(status, Status):
            return
        final = self._status.status_code is StatusCode.OK or status.status_code is StatusCode.UNSET
        if self._may_change("Tried calling set_status on an ended span.") and not final:
            self._status = status

    record_exception: Any = sdk.Span.record_exception

    def end(self, end_time: int | None = None) -> None:
        """End the span and run the processors' `on_end`; a second end has no effect."""
        with _ending:
            is_first = self._may_change("Calling end() on an ended span.")
            if is_first:
                self.end_time = end_time if end_time is not None else time_ns()
        if is_first:
            processors = self._tracer.processors()
            for on_ending in processors.endings:
                on_ending(self)
            if processors.ends:
                ended = self._readable_span()
                for on_end in processors.ends:
                    on_end(ended)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and self.is_recording():
            self.record_exception(error, escaped=True)
            self.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self.end()

    def _may_change(self, complaint: str) -> bool:
        if self.end_time is not None:
            logger.warning(complaint)
            return False
        return True

    def _put(self, attributes: Mapping[str, Any]) -> None:
        plain = _plain(attributes)
        if plain is None:
            self._put_bounded(attributes)
        else:
            self.put(plain)

    def put(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes that are as `Content` returns them: the names are text, the values are plain."""
        own = self._own
        if type(own) is not dict or len(own) + len(attributes) > self._tracer.most_attributes:
            self._put_bounded(attributes)
            return
        if not own.keys().isdisjoint(attributes):
            for name in attributes:
                own.pop(name, None)
        own.update(attributes)

    def defer(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes as `put` does, some of them `Deferred`: they are encoded when the attributes are read."""
        self._defers |= Deferred in map(type, attributes.values())
        self.put(attributes)

    def _put_bounded(self, attributes: Mapping[str, Any]) -> None:
        """Put attributes the SDK's way: cleaned, and cut."""
        self._add_clean(self._clean(with_texts(attributes)))

    def _clean(self, attributes: Mapping[str, Any]) -> BoundedAttributes:
        limits = self._tracer.limits
        most = 0 if limits.max_span_attributes == 0 else None
        return BoundedAttributes(most, attributes, immutable=False, max_value_len=limits.max_span_attribute_length)

    def _add_clean(self, clean: BoundedAttributes) -> None:
        """Put clean attributes in the place of the oldest ones, where the limit is reached."""
        with_texts(self._own)  # encode now: spans of other threads that end wait for the lock
        with _ending:
            before = self._own
            dropped = clean.dropped + getattr(before, "dropped", 0)
            bounded = BoundedAttributes(self._tracer.limits.max_span_attributes, with_texts(before), immutable=False)
            for name, value in clean.items():
                bounded[name] = value
            self._own = BoundedAttributes(None, bounded)  # no later change, and so no lock of a reader
            self._own.dropped = dropped + bounded.dropped

    def _add_link(self, link: Link) -> None:
        if link.context and (link.context.is_valid or link.attributes or link.context.trace_state):
            limits = self._tracer.limits
            attributes = _limited(link.attributes or {}, limits.max_link_attributes, limits.max_attribute_length)
            self._dropped_links += _append(self._links, Link(link.context, attributes), limits.max_links)

    # what a program and a processor may read --------------------------------------------------------------------------

    def get_span_context(self) -> SpanContext:
        """Return the ids of the span."""
        return self.context

    def is_recording(self) -> bool:
        """Return whether the span has not ended."""
        return self.end_time is None

    @property
    def limits(self) -> Any:
        return self._tracer.limits

    @property
    def name(self) -> str:
        return self._name

    @property
    def attributes(self) -> Any:
        own = self._own
        return MappingProxyType(with_texts(own) if self._defers else own)

    @property
    def _attributes(self) -> Any:
        """Return the attributes themselves: processors read and change them under this name of the SDK's."""
        own = self._own
        if self._defers and type(own) is dict:
            own.update({name: each.text() for name, each in own.copy().items() if type(each) is Deferred})
        return own

    @_attributes.setter
    def _attributes(self, attributes: Any) -> None:
        self._own = attributes

    @property
    def events(self) -> tuple[sdk.Event, ...]:
        return tuple(self._events)

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(self._links)

    @property
    def status(self) -> Status:
        return self._status

    @property
    def resource(self) -> Any:
        return self._tracer.sdk.resource

    @property
    def instrumentation_scope(self) -> Any:
        return self._tracer.scope

    @property
    def instrumentation_info(self) -> Any:
        return self._tracer.sdk.instrumentation_info

    @property
    def dropped_attributes(self) -> int:
        return getattr(self._own, "dropped", 0)

    @property
    def dropped_events(self) -> int:
        return self._dropped_events

    @property
    def dropped_links(self) -> int:
        return self._dropped_links

    def to_json(self, indent: int | None = 4) -> str:
        """Return the span as it is now as JSON."""
        return str(self._readable_span().to_json(indent))

    def _readable_span(self) -> sdk.ReadableSpan:
        """Return a copy that no later change reaches; the SDK's span has a method of this name."""
        attributes = self._own
        kind = DeferringSpan if self._defers and type(attributes) is dict else sdk.ReadableSpan
        return kind(
            name=self._name,
            context=self.context,
            parent=self.parent,
            resource=self._tracer.sdk.resource,
            attributes=attributes.copy() if type(attributes) is dict else attributes,
            events=_sequence(self._events, self._dropped_events),
            links=_sequence(self._links, self._dropped_links),
            kind=self.kind,
            instrumentation_info=self._tracer.sdk.instrumentation_info,
            status=self._status,
            start_time=self.start_time,
            end_time=self.end_time,
            instrumentation_scope=self._tracer.scope,
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(name="{self._name}", context={self.context})'


sdk.Span.register(OwnSpan)  # for `isinstance`


def _append(items: list[Any], item: Any, most: int | None) -> int:
    """Append an item, and return how many items have made room for it."""
    items.append(item)
    if most is None or len(items) <= most:
        return 0
    del items[0]
    return 1


def _sequence(items: list[Any], dropped: int) -> Any:
    """Return a copy, as the sequence of the SDK's that counts what was dropped, where anything was."""
    if not dropped:
        return tuple(items)
    bounded = BoundedList.from_seq(None, items)
    bounded.dropped = dropped
    return bounded


def _plain(attributes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return attributes with plain values only, as the SDK would clean them, or None where it has more to do."""
    if not _TEXT.issuperset(map(type, attributes)) or "" in attributes:
        return None
    if _PLAIN.issuperset(map(type, attributes.values())):
        return attributes
    if not _PLAIN_OR_SEQUENCE.issuperset(map(type, attributes.values())):
        return None
    sequences = {name: tuple(value) for name, value in attributes.items() if type(value) in _SEQUENCES}
    if not all(len(kinds := set(map(type, value))) <= 1 and kinds <= _PLAIN for value in sequences.values()):
        return None
    return {**attributes, **sequences}


def _limited(attributes: Mapping[str, Any], most: int | None, longest: int | None) -> Any:
    """Return the attributes of an event or of a link within the limits."""
    plain = _plain(attributes) if longest is None and (most is None or len(attributes) <= most) else None
    return dict(plain) if plain is not None else BoundedAttributes(most, attributes, max_value_len=longest)
