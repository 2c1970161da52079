"""Generators and async generators as one operation each, over all their steps.

The span starts when the generator is first advanced and ends when it is exhausted, closed or dropped. While the
consumer holds the generator, its span is not current: what the consumer does in between is not under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.context.awaiting import NO_CALL, Place, here
from lmspan.errors import AbandonedStream
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from lmspan.lifecycle import LiveCall

    Start = Callable[[recording.Recorder], LiveCall | None]
    End = Callable[[recording.Recorder, LiveCall, Any, BaseException | None], None]
    Item = Callable[[recording.Recorder, LiveCall, Any], Any]

_NOTHING: tuple[Any, ...] = ()


def wrap(open_stream: Callable[..., tuple[Generator[Any, Any, Any], Stream]]) -> Callable[..., Any]:
    """Return a generator function that yields what a generator yields, recorded as one call.

    `open_stream(*args, **kwargs)` makes both when the first item is taken.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator, call = open_stream(*args, **kwargs)
        try:
            step: Callable[..., Any] = generator.__next__
            sent = _NOTHING
            while True:
                try:
                    item = call.run(step, *sent)
                except StopIteration as stop:
                    call.end(None)
                    return stop.value
                call.take(item)
                try:
                    sent = ((yield item),)
                    step = generator.send
                except GeneratorExit:
                    call.run(generator.close)
                    call.end(AbandonedStream())
                    raise
                except BaseException as error:  # noqa: BLE001 - the consumer threw it in, and it goes on to the generator
                    step = generator.throw
                    sent = (error,)
        except BaseException as error:
            try:  # here and not in a function of both wrappers: an interrupt may come as soon as a function starts
                call.end(error)
            except BaseException:  # an interrupt
                call.end(error)
                raise
            raise

    return wrapper


def wrap_async(open_stream: Callable[..., tuple[AsyncGenerator[Any, Any], Stream]]) -> Callable[..., Any]:
    """Return an async generator function that yields what an async generator yields, recorded as one call.

    `open_stream(*args, **kwargs)` makes both when the first item is taken.
    """

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator, call = open_stream(*args, **kwargs)
        try:
            step: Callable[..., Any] = generator.__anext__
            sent = _NOTHING
            while True:
                try:
                    item = await call.arun(step, *sent)
                except StopAsyncIteration:
                    await call.aend(None)
                    return
                call.take(item)
                try:
                    sent = ((yield item),)
                    step = generator.asend
                except GeneratorExit:
                    await call.arun(generator.aclose)
                    await call.aend(AbandonedStream())
                    raise
                except BaseException as error:  # noqa: BLE001 - as above
                    step = generator.athrow
                    sent = (error,)
        except BaseException as error:
            try:  # as above
                await call.aend(error)
            except BaseException:  # an interrupt
                call.end(error)
                raise
            raise

    return wrapper


class Stream:
    """The call of a generator: it starts at the first step, is current only while the generator runs, and ends once."""

    def __init__(self, start: Start, end: End, item: Item | None = None) -> None:
        """`start` starts the call, `end` ends it, and `item` sees each item; all three are guarded."""
        self._start = start
        self._end = end
        self._item = item
        self._recorder = recording.active
        self._call: LiveCall | None = None
        self._place: Place | None = None  # of an async generator
        self._started = False
        self._items = 0
        self._texts: list[str] = []  # for subscribers

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        """Run one step of a generator under the call."""
        before = otel_context.get_current()
        try:
            self._enter()
            return step(*args)
        finally:
            otel_context.attach(before)

    async def arun(self, step: Callable[..., Any], *args: Any) -> Any:
        """Run one step of an async generator under the call."""
        before, outer = otel_context.get_current(), here.get()
        place = self._place = self._place or Place(outer)
        here.set(place)
        try:
            self._enter()
            place.call = self._call or NO_CALL
            if self._call is None:
                here.set(outer)
            elif place.steps:
                await place.settle_start()
            return await step(*args)
        finally:
            here.set(outer)
            otel_context.attach(before)

    async def aend(self, error: BaseException | None) -> None:
        """End the call, and await the hooks of its end."""
        self.end(error)
        if self._place is not None:
            await self._place.settle()
            self._place.loop = None

    def _enter(self) -> None:
        if not self._started:
            self._started = True
            self._call = self._recorder.announce(self._start)
        elif self._call is not None and not self._call.ended:
            otel_context.attach(self._call.context)

    def take(self, item: Any) -> None:
        """Count an item that goes to the consumer; of a model's answer, record when the first one came."""
        self._items += 1
        call = self._call
        if call is None or not call.observed:
            return
        if self._items == 1 and call.operation is Operation.LM:
            first = (self._recorder.clock() - call.start_time_unix_nano) / 1e9
            call.late_facts.setdefault(sc.RESPONSE_TIME_TO_FIRST_CHUNK, first)
        if call.operation is Operation.LM and call.watchers:
            self._recorder.add_chunk(call, item, first=self._items == 1)
            self._texts += [item] if type(item) is str else []
        if self._item is not None:
            self._item(self._recorder, call, item)

    def end(self, error: BaseException | None) -> None:
        """End the call, if it has started and has not ended."""
        call = self._call
        if call is None or call.ended:
            return
        call.late_facts[sc.STREAM_CHUNK_COUNT] = self._items
        if self._items and call.operation is Operation.LM:
            call.response = "".join(self._texts) or None
            self._recorder.end_chunks(call)
        self._end(self._recorder, call, None, error)
