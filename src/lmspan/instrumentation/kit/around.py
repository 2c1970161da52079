"""The engine: before (guarded), the original exactly once, after (guarded).

    start(recorder, instance, args, kwargs)      starts a call with its sampling facts, or returns None to stay out
    describe(recorder, call, args, kwargs)       adds what else is known at the start, if the span or a metric uses it
    succeed(recorder, call, outputs)             adds what the outputs tell, under the same condition
    fail(recorder, call, error)                  the same where the original raised `error`
    release(recorder, call, error)               drops what the source keeps, also of a call that is not observed
    cause(error)                                 the exception to record, where a library's own exception only wraps it
    item(recorder, call, item)                   one item of a generator; the `succeed` of a generator receives None
    lasting(recorder, call, outputs)             outputs that have still to run, wrapped so that the call ends with them

The program's exception passes as the same object. Each step is guarded by itself: a call that has started ends whatever
happens to its description. The same steps serve plain functions, coroutines (here), generators and async generators
(`generators`), for instrumentors, which patch methods, and for decorators, which wrap functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lmspan.context import awaiting  # as a module: a decorated function can be pickled by value, a variable cannot
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit import generators, turns
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]
    Wrapper = Callable[[Callable[..., Any], Any, Arguments, Keywords], Any]


_STEPS_OF_A_TURN = frozenset((Operation.LM, Operation.TOOL))


class Steps(NamedTuple):
    """What a source does around one kind of operation. Every step runs on the thread of the program's call."""

    start: Callable[[Recorder, Any, Arguments, Keywords], LiveCall | None]
    describe: Callable[[Recorder, LiveCall, Arguments, Keywords], None] | None = None
    succeed: Callable[[Recorder, LiveCall, Any], None] | None = None
    fail: Callable[[Recorder, LiveCall, BaseException], None] | None = None
    release: Callable[[Recorder, LiveCall, BaseException | None], None] | None = None
    cause: Callable[[BaseException], BaseException] | None = None
    item: Callable[[Recorder, LiveCall, Any], None] | None = None
    lasting: Callable[[Recorder, LiveCall, Any], Any] | None = None
    awaits_hooks: bool = True
    """Whether async hooks hold an awaited call back. Where the library's own do not, they run beside it."""


class Guarded:
    """Steps, each guarded by itself."""

    __slots__ = ("_cause", "_describe", "_fail", "_lasting", "_release", "_start", "_succeed", "item")

    def __init__(self, steps: Steps) -> None:
        self._start = guarded(steps.start)
        self._describe = _guarded(steps.describe)
        self._succeed = _guarded(steps.succeed)
        self._fail = _guarded(steps.fail)
        self._release = _guarded(steps.release)
        self._cause = _guarded(steps.cause)
        self._lasting = _guarded(steps.lasting)
        self.item: Any = _guarded(steps.item)

    def start(self, recorder: Recorder, instance: Any, args: Arguments, kwargs: Keywords) -> LiveCall | None:
        """Start a call and describe it. `Recorder.announce` calls it, and ends the call if an interrupt arrives."""
        call = self._start(recorder, instance, args, kwargs)
        if call is not None and call.observed and self._describe is not None:
            self._describe(recorder, call, args, kwargs)
        return call

    def end(self, recorder: Recorder, call: LiveCall, outputs: Any, error: BaseException | None) -> None:
        """End a call with its outputs or its error. Ending it twice has no effect."""
        try:
            if error is not None and self._cause is not None:
                error = self._cause(error) or error
            if call.observed and error is None and self._succeed is not None:
                self._succeed(recorder, call, outputs)
            elif call.observed and error is not None and self._fail is not None:
                self._fail(recorder, call, error)
            if self._release is not None:
                self._release(recorder, call, error)
            if call.operation in _STEPS_OF_A_TURN:
                turns.note_step(call, outputs, error)
        finally:
            recorder.end(call, outputs, error)

    def end_or_last(self, recorder: Recorder, call: LiveCall, outputs: Any) -> Any:
        """Return the outputs, and end the call, unless they have still to run: then the call ends with them."""
        if self._lasting is not None:
            lasting = self._lasting(recorder, call, outputs)
            if lasting is not None:
                return lasting
        self.end(recorder, call, outputs, None)
        return outputs

    def stream(self, instance: Any, args: Arguments, kwargs: Keywords) -> generators.Stream:
        """Return the call of a generator that is called with these arguments."""
        return generators.Stream(lambda recorder: self.start(recorder, instance, args, kwargs), self.end, self.item)


def _guarded(step: Any) -> Any:
    return guarded(step) if step is not None else None


def around(steps: Steps) -> Wrapper:
    """Return what runs a plain function, recorded: `(function, instance, args, kwargs)`, as wrapt calls a wrapper."""
    guard = Guarded(steps)

    def run(function: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords) -> Any:
        recorder = recording.active
        call = recorder.announce(guard.start, instance, args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        try:
            return guard.end_or_last(recorder, call, function(*args, **kwargs))
        except BaseException as error:  # of the function, or an interrupt while the call ends
            try:
                guard.end(recorder, call, None, error)
            except BaseException:  # another interrupt
                recorder.end(call, error=error)
                raise
            leave_no_trace(error)
            raise

    return run


def around_async(steps: Steps) -> Callable[[Callable[..., Any], Any, Arguments, Keywords], Awaitable[Any]]:
    """Return what runs a coroutine function, recorded; it awaits the async hooks of its start and of its end."""
    guard = Guarded(steps)
    holds = steps.awaits_hooks

    async def run(function: Callable[..., Awaitable[Any]], instance: Any, args: Arguments, kwargs: Keywords) -> Any:
        recorder = recording.active
        outer = awaiting.here.get()
        if not holds and outer is not None:
            return await _beside(recorder, guard, function, instance, args, kwargs)
        place = awaiting.Place(outer, holds=holds)
        awaiting.here.set(place)
        try:
            call = recorder.announce(guard.start, instance, args, kwargs)
            place.call = call or awaiting.NO_CALL
            if call is None:
                awaiting.here.set(outer)
                return await function(*args, **kwargs)
            try:
                if place.steps:
                    await place.settle_start()
                return guard.end_or_last(recorder, call, await function(*args, **kwargs))
            except BaseException as error:
                try:
                    guard.end(recorder, call, None, error)
                except BaseException:  # another interrupt
                    recorder.end(call, error=error)
                    raise
                leave_no_trace(error)
                raise
        finally:
            try:
                if place.tasks or place.steps:
                    await place.settle()
            finally:
                place.loop = None
                awaiting.here.set(outer)

    return run


async def _beside(
    recorder: Recorder, guard: Guarded, function: Callable[..., Awaitable[Any]], instance: Any,
    args: Arguments, kwargs: Keywords,
) -> Any:  # fmt: skip
    """Run a coroutine function, recorded; its async hooks run beside the awaited call around it."""
    call = recorder.announce(guard.start, instance, args, kwargs)
    if call is None:
        return await function(*args, **kwargs)
    try:
        return guard.end_or_last(recorder, call, await function(*args, **kwargs))
    except BaseException as error:
        try:
            guard.end(recorder, call, None, error)
        except BaseException:  # another interrupt
            recorder.end(call, error=error)
            raise
        leave_no_trace(error)
        raise


def around_stream(steps: Steps) -> Wrapper:
    """Return what makes a recorded async generator of an async generator function."""
    guard = Guarded(steps)

    def run(function: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords) -> Any:
        return generators.wrap_async(lambda: (function(*args, **kwargs), guard.stream(instance, args, kwargs)))()

    return run
