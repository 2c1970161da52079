"""Generators and async generators as one operation each, over all their steps.

The span begins when the generator is first advanced and ends when it is exhausted, closed or dropped. While the
consumer holds the generator, its span is not current: what the consumer does in between is not under it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from lmspan import recorder as recording
from lmspan import semconv as sc
from lmspan.errors import AbandonedStream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from lmspan.lifecycle import Call

    Begin = Callable[[recording.Recorder, tuple[Any, ...], dict[str, Any]], Call | None]


_NOTHING: tuple[Any, ...] = ()


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
                try:
                    step, sent = generator.send, ((yield item),)
                except GeneratorExit:
                    stream.close(generator.close)
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer, and passed on
                    step, sent = generator.throw, (error,)
        except BaseException as error:
            stream.fail(error)
            raise

    return wrapper


def wrap_async(begin: Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    """Record an async generator function."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        stream = _Stream(begin, args, kwargs)
        generator = function(*args, **kwargs)
        try:
            step, sent = generator.__anext__, _NOTHING
            while True:
                try:
                    item = await stream.arun(step, *sent)
                except StopAsyncIteration:
                    stream.finish()
                    return
                try:
                    step, sent = generator.asend, ((yield item),)
                except GeneratorExit:
                    await stream.aclose(generator.aclose)
                    raise
                except BaseException as error:  # noqa: BLE001
                    step, sent = generator.athrow, (error,)
        except BaseException as error:
            stream.fail(error)
            raise

    return wrapper


class _Stream:
    """The call of a generator: begun at its first step, current only while it runs, ended once."""

    def __init__(self, begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._begin = begin
        self._arguments = args, kwargs
        self._recorder = recording.active
        self._call: Call | None = None
        self._begun = False
        self._items = 0

    def _enter(self) -> Any:
        before = otel_context.get_current()
        if not self._begun:
            self._begun = True
            if self._recorder.awake:
                self._call = self._begin(self._recorder, *self._arguments)
            self._arguments = (), {}
        elif self._call is not None and not self._call.ended:
            otel_context.attach(self._call.context)
        return before

    def _leave(self, before: Any) -> None:
        self._items += 1
        otel_context.attach(before)

    def run(self, step: Callable[..., Any], *args: Any) -> Any:
        before = self._enter()
        try:
            return step(*args)
        finally:
            self._leave(before)

    async def arun(self, step: Callable[..., Any], *args: Any) -> Any:
        before = self._enter()
        try:
            return await step(*args)
        finally:
            self._leave(before)

    def finish(self) -> None:
        if self._call is not None:
            self._call.found[sc.STREAM_CHUNK_COUNT] = self._items - 1
            self._recorder.end(self._call)

    def close(self, close: Callable[[], Any]) -> None:
        self.run(close)
        self.fail(AbandonedStream())

    async def aclose(self, close: Callable[[], Any]) -> None:
        await self.arun(close)
        self.fail(AbandonedStream())

    def fail(self, error: BaseException) -> None:
        if self._call is not None:
            self._recorder.end(self._call, error=error)
