"""Wrappers that record a function, one for each kind of function, and the coroutine or generator that it returns.

A wrapper can be pickled by value, as cloudpickle does with a program's functions: it reaches what it needs through
functions and modules, which are pickled by name.
"""

from __future__ import annotations

import functools
import inspect
import types
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan.context import awaiting, current
from lmspan.errors import AbandonedStream
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit import generators
from lmspan.instrumentation.python.operations import begin, finish
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call, Operation

    Wrapper = Callable[[generators.Begin, Callable[..., Any]], Callable[..., Any]]


def wrap(kind: Operation, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that records each call of another, by the first row that fits it."""
    inputs_of = _binder(function)

    def start_call(recorder: recording.Recorder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        return begin(recorder, kind, name, inputs_of(args, kwargs))

    return next(wrapper for fits, wrapper in _WRAPPERS if fits(function))(start_call, function)


def _binder(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Return a function that names the arguments of a call; the signature is read once, when decorating."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return lambda args, kwargs: {**kwargs, "args": args} if args else kwargs
    parameters = signature.parameters.values()
    positional = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    own = bool(positional) and positional[0] in ("self", "cls")

    def inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        named = dict(zip(positional, args, strict=False))
        if own:
            named.pop(positional[0], None)
        if len(args) > len(positional):
            named["args"] = args[len(positional) :]
        return {**named, **kwargs}

    return inputs


def _wrap_function(start_call: generators.Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = recording.active
        call = recorder.announce(start_call, args, kwargs)
        if call is None:
            return function(*args, **kwargs)
        try:
            outputs = function(*args, **kwargs)
            return _given(recorder, call, outputs)
        except BaseException as error:  # of the function, or an interrupt while the call ends: ending it twice is safe
            try:
                recorder.end(call, error=error)
            except BaseException:  # an interrupt
                recorder.end(call, error=error)
                raise
            leave_no_trace(error)
            raise

    return wrapper


def _wrap_coroutine(start_call: generators.Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = recording.active
        before = awaiting.awaited.get()
        awaiting.awaited.set(True)
        try:
            call = recorder.announce(start_call, args, kwargs)
            if call is None:
                return await function(*args, **kwargs)
            try:
                outputs = _given(recorder, call, await function(*args, **kwargs))
            except BaseException as error:
                try:
                    recorder.end(call, error=error)
                except BaseException:  # an interrupt
                    recorder.end(call, error=error)
                    raise
                await awaiting.settle(call)
                leave_no_trace(error)
                raise
            await awaiting.settle(call)
            return outputs
        finally:
            awaiting.awaited.set(before)

    return wrapper


def _wrap_generator_coroutine(start_call: generators.Begin, function: Callable[..., Any]) -> Callable[..., Any]:
    return types.coroutine(generators.wrap(start_call, function))


def _is_generator_coroutine(thing: Any) -> bool:
    code = getattr(thing, "__code__", None) or getattr(thing, "gi_code", None)
    return isinstance(code, types.CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


_WRAPPERS: Final[tuple[tuple[Callable[[Any], bool], Wrapper], ...]] = (
    (inspect.isasyncgenfunction, generators.wrap_async),
    (_is_generator_coroutine, _wrap_generator_coroutine),
    (inspect.isgeneratorfunction, generators.wrap),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (callable, _wrap_function),
)
# type of an output that has still to run -> prefix of its attributes, wrapper that records it
_LASTING: Final[tuple[tuple[type, str, Wrapper], ...]] = (
    (types.CoroutineType, "cr", _wrap_coroutine),
    (types.GeneratorType, "gi", generators.wrap),
    (types.AsyncGeneratorType, "ag", generators.wrap_async),
)


def _given(recorder: recording.Recorder, call: Call, outputs: Any) -> Any:
    """End the call with its outputs and return them; outputs that have still to run are returned recorded."""
    for kind, prefix, wrapper in _LASTING:
        if type(outputs) is kind and _is_fresh(outputs, prefix):
            lasting = _lasting(recorder, call, outputs, wrapper)
            if lasting is not None:
                return lasting
    finish(recorder, call, outputs)
    return outputs


def _is_fresh(outputs: Any, prefix: str) -> bool:
    """Report whether the outputs have not begun to run: those that have are shared, and outlive this caller."""
    begun = any(getattr(outputs, f"{prefix}_{state}", False) for state in ("running", "suspended"))
    ended = getattr(outputs, f"{prefix}_frame") is None
    return not (begun or ended or _is_generator_coroutine(outputs))


@guarded
def _lasting(recorder: recording.Recorder, call: Call, outputs: Any, wrapper: Wrapper) -> Any:
    """Return outputs that resume the call when they are first advanced; the call is not current until then."""

    def resume(*_: Any) -> Call:
        call.previous = otel_context.get_current()
        otel_context.attach(call.context)
        return call

    lasting = wrapper(resume, lambda: outputs)()
    lasting.__name__, lasting.__qualname__ = outputs.__name__, outputs.__qualname__
    weakref.finalize(lasting, _abandon, recorder, call).atexit = False
    current.restore(call)
    return lasting


def _abandon(recorder: recording.Recorder, call: Call) -> None:
    if not call.ended:
        recorder.end(call, error=AbandonedStream())
