"""From a hook to a wrapper: before (guarded), the original exactly once, after (guarded).

    begin(recorder, instance, args, kwargs)   starts a call with its sampling facts, or returns None to stay out
    describe(recorder, call, args, kwargs)    adds what else is known; only when somebody will see it
    finish(recorder, call, outputs)           adds what became known; only when somebody will see it
    fail(recorder, call, error)               the same when the original raised, which passes as the same object
    release(recorder, call, error)            lets go of what the source keeps, whether anybody sees the call or not
    cause(error)                              what a library's own exception only wraps: that is recorded in its place
    chunk(recorder, call, item)               what an async generator gives, one by one; its `finish` gets None

Each step is guarded by itself: a call that was begun is ended whatever happens to its description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lmspan.context.awaiting import awaited, settle
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit import generators
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder


class Hook(NamedTuple):
    """What to do around one kind of operation. Every function runs on the thread of the program's call."""

    begin: Callable[[Recorder, Any, tuple[Any, ...], dict[str, Any]], Call | None]
    describe: Callable[[Recorder, Call, tuple[Any, ...], dict[str, Any]], None]
    finish: Callable[[Recorder, Call, Any], None]
    fail: Callable[[Recorder, Call, BaseException], None] | None = None
    release: Callable[[Recorder, Call, BaseException | None], None] | None = None
    cause: Callable[[BaseException], BaseException] | None = None
    chunk: Callable[[Recorder, Call, Any], None] | None = None


def around(hook: Hook) -> Callable[..., Any]:
    """Return a wrapt wrapper for a plain method."""
    begin, end = _guard(hook)

    def wrapper(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        recorder = recording.active
        call = recorder.announce(begin, instance, args, kwargs)
        if call is None:
            return wrapped(*args, **kwargs)
        try:
            outputs = wrapped(*args, **kwargs)
            end(recorder, call, outputs, None)
        except BaseException as error:  # of the original, or an interrupt while the call ends: ending it twice is safe
            try:
                end(recorder, call, None, error)
            except BaseException:  # an interrupt
                recorder.end(call, error=error)
                raise
            leave_no_trace(error)
            raise
        return outputs

    return wrapper


def around_async(hook: Hook) -> Callable[..., Awaitable[Any]]:
    """Return a wrapt wrapper for a coroutine method."""
    begin, end = _guard(hook)

    async def wrapper(
        wrapped: Callable[..., Awaitable[Any]], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        recorder = recording.active
        before = awaited.get()
        awaited.set(True)
        try:
            call = recorder.announce(begin, instance, args, kwargs)
            if call is None:
                return await wrapped(*args, **kwargs)
            try:
                outputs = await wrapped(*args, **kwargs)
                end(recorder, call, outputs, None)
            except BaseException as error:
                try:
                    end(recorder, call, None, error)
                except BaseException:  # an interrupt
                    recorder.end(call, error=error)
                    raise
                await settle(call)
                leave_no_trace(error)
                raise
            await settle(call)
            return outputs
        finally:
            awaited.set(before)

    return wrapper


def around_stream(hook: Hook) -> Callable[..., AsyncGenerator[Any, Any]]:
    """Return a wrapt wrapper for an async generator method."""
    begin, end = _guard(hook)
    listener = generators.Listener(end, guarded(hook.chunk) if hook.chunk is not None else None)

    def wrapper(
        wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AsyncGenerator[Any, Any]:
        def begin_one(recorder: Recorder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
            return begin(recorder, instance, args, kwargs)  # type: ignore[no-any-return]

        stream: AsyncGenerator[Any, Any] = generators.wrap_async(begin_one, wrapped, listener)(*args, **kwargs)
        return stream

    return wrapper


def _guard(hook: Hook) -> tuple[Any, Any]:
    """Return how a call starts and how it ends, each step guarded by itself."""
    begin, describe, finish = guarded(hook.begin), guarded(hook.describe), guarded(hook.finish)
    fail, release = guarded(hook.fail or _ignore), guarded(hook.release or _ignore)
    cause = guarded(hook.cause or _itself)

    def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = begin(recorder, instance, args, kwargs)
        if call is not None and call.observed:
            describe(recorder, call, args, kwargs)
        return call

    def end(recorder: Recorder, call: Call, outputs: Any, error: BaseException | None) -> None:
        try:
            if error is not None:
                error = cause(error) or error
            if call.observed and error is None:
                finish(recorder, call, outputs)
            elif call.observed and error is not None:
                fail(recorder, call, error)
            release(recorder, call, error)
        finally:
            recorder.end(call, outputs, error)

    return start, end


def _ignore(recorder: Recorder, call: Call, error: BaseException | None) -> None:
    del recorder, call, error


def _itself(error: BaseException) -> BaseException:
    return error
