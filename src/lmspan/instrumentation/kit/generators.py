"""Generators and async generators as one operation each, over all their steps.

The span begins when the generator is first advanced and ends when it is exhausted, closed or dropped. While the
consumer holds the generator, its span is not current: what the consumer does in between is not under it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.errors import AbandonedStream
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from lmspan.lifecycle import Call

    Begin = Callable[[recording.Recorder, tuple[Any, ...], dict[str, Any]], Call | None]


_NOTHING: tuple[Any, ...] = ()


class Listener(NamedTuple):
    """Who adds to the call of a generator, guarded by whoever made it: what ends it, and hears what it gives."""

    end: Callable[[recording.Recorder, Call, Any, BaseException | None], None]
    item: Callable[[recording.Recorder, Call, Any], None] | None = None


def wrap(begin: Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    """Record a generator function."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        stream = _Stream(begin, args, kwargs)
        generator = function(*args, **kwargs)
        try:
            step, sent = generator.__next__, _NOTHING
            while True:
                try:
                    item = stream.run(step, *sent)
                except StopIteration as stop:
                    stream.finish()
                    return stop.value
                stream.take(item)
                try:
                    step, sent = generator.send, ((yield item),)
                except GeneratorExit:
                    stream.close(generator.close)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, and passed on
                    step, sent = generator.throw, (error,)
        except BaseException as error:
            try:
                stream.fail(error)
            except BaseException:  # an interrupt
                stream.fail(error)
                raise
            raise

    return wrapper


def wrap_async(begin: Begin, function: Callable[..., Any], listener: Listener | None = None) -> Callable[..., Any]:
    """Record an async generator function."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream = _Stream(begin, args, kwargs, listener)
        generator = function(*args, **kwargs)
        try:
            step, sent = generator.__anext__, _NOTHING
            while True:
                try:
                    item = await stream.arun(step, *sent)
                except StopAsyncIteration:
                    stream.finish()
                    return
                stream.take(item)
                try:
                    step, sent = generator.asend, ((yield item),)
                except GeneratorExit:
                    await stream.aclose(generator.aclose)
                    raise
                except BaseException as error:  # noqa: BLE001
                    step, sent = generator.athrow, (error,)
        except BaseException as error:
            try:
                stream.fail(error)
            except BaseException:  # an interrupt
                stream.fail(error)
                raise
            raise

    return wrapper


class _Stream:
    """The call of a generator: begun at its first step, current only while it runs, ended once."""

    def __init__(
        self, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any], listener: Listener | None = None
    ) -> None:
        self._begin = begin
        self._listener = listener
        self._arguments = args, kwargs
        self._recorder = recording.active
        self._call: Call | None = None
        self._begun = False
        self._items = 0

    def _enter(self) -> None:
        if not self._begun:
            self._begun = True
            self._call = self._recorder.announce(self._begin, *self._arguments)
            self._arguments = (), {}
        elif self._call is not None and not self._call.ended:
            otel_context.attach(self._call.context)

    def take(self, item: Any) -> None:
        """Count an item that goes to the consumer; of a model's answer, tell when the first one came."""
        self._items += 1
        call = self._call
        if call is None or not call.observed:
            return
        if self._items == 1 and call.operation is Operation.LM:
            first = (self._recorder.clock() - call.start_time_unix_nano) / 1e9
            call.found[sc.RESPONSE_TIME_TO_FIRST_CHUNK] = first
        if self._listener is not None and self._listener.item is not None:
            self._listener.item(self._recorder, call, item)

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        before = otel_context.get_current()
        try:
            self._enter()
            return step(*args)
        finally:
            otel_context.attach(before)

    async def arun(self, step: Callable[..., Any], *args: Any) -> Any:
        before = otel_context.get_current()
        try:
            self._enter()
            return await step(*args)
        finally:
            otel_context.attach(before)

    def finish(self) -> None:
        self._end(None)

    def close(self, close: Callable[[], Any]) -> None:
        self.run(close)
        self.fail(AbandonedStream())

    async def aclose(self, close: Callable[[], Any]) -> None:
        await self.arun(close)
        self.fail(AbandonedStream())

    def fail(self, error: BaseException) -> None:
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        call = self._call
        if call is None or call.ended:
            return
        call.found[sc.STREAM_CHUNK_COUNT] = self._items
        if self._listener is not None:
            self._listener.end(self._recorder, call, None, error)
        else:
            self._recorder.end(call, error=error)
