"""From a function to its wrapper, by the kind of the function; and outputs that have still to run.

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

from lmspan.context import current
from lmspan.errors import AbandonedStream
from lmspan.guard import leave_no_trace
from lmspan.instrumentation.kit import generators
from lmspan.instrumentation.kit.arguments import keywords
from lmspan.instrumentation.kit.around import Guarded, Steps, around, around_async
from lmspan.instrumentation.python import operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall, Operation
    from lmspan.recording.recorder import Recorder

    Wrapper = Callable[[Steps, Callable[..., Any]], Callable[..., Any]]


def wrap(kind: Operation, name: str, function: Callable[..., Any], model: operations.Model) -> Callable[..., Any]:
    """Return a function that records each call of another, by the first row that fits it."""
    steps = _steps(kind, name, _binder(function), model)
    return next(wrapper for fits, wrapper in _WRAPPERS if fits(function))(steps, function)


def _steps(
    kind: Operation,
    name: str,
    inputs_of: Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]],
    model: operations.Model,
) -> Steps:
    def start(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
        return operations.start(recorder, kind, name, inputs_of(args, kwargs), None, model)

    def lasting(recorder: Recorder, call: LiveCall, outputs: Any) -> Any:
        return _lasting(recorder, call, outputs, steps)

    steps = Steps(start, operations.describe, operations.succeed, item=operations.take_item, lasting=lasting)
    return steps


def _binder(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Return a function that names the arguments of a call; the signature is read once, when decorating."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return keywords
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


def _wrap_function(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    run = around(steps)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(function, None, args, kwargs)
        except BaseException as error:
            leave_no_trace(error)
            raise

    return wrapper


def _wrap_coroutine(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    run = around_async(steps)

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await run(function, None, args, kwargs)
        except BaseException as error:
            leave_no_trace(error)
            raise

    return wrapper


def _wrap_generator(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(generators.wrap(_opens(steps, function)))


def _wrap_async_generator(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.wraps(function)(generators.wrap_async(_opens(steps, function)))


def _wrap_generator_coroutine(steps: Steps, function: Callable[..., Any]) -> Callable[..., Any]:
    return types.coroutine(_wrap_generator(steps, function))


def _opens(steps: Steps, function: Callable[..., Any]) -> Callable[..., tuple[Any, generators.Stream]]:
    """Return what makes a generator and its call, from the arguments of the generator function."""
    guard = Guarded(steps)

    def open_stream(*args: Any, **kwargs: Any) -> tuple[Any, generators.Stream]:
        return function(*args, **kwargs), guard.stream(None, args, kwargs)

    return open_stream


def _is_generator_coroutine(thing: Any) -> bool:
    code = getattr(thing, "__code__", None) or getattr(thing, "gi_code", None)
    return isinstance(code, types.CodeType) and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)


_WRAPPERS: Final[tuple[tuple[Callable[[Any], bool], Wrapper], ...]] = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (_is_generator_coroutine, _wrap_generator_coroutine),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
    (callable, _wrap_function),
)
# outputs that have still to run -> the prefix of their attributes, the wrapper that records the rest
_LASTING: Final[tuple[tuple[type, str, Wrapper], ...]] = (
    (types.CoroutineType, "cr", _wrap_coroutine),
    (types.GeneratorType, "gi", _wrap_generator),
    (types.AsyncGeneratorType, "ag", _wrap_async_generator),
)


def _lasting(recorder: Recorder, call: LiveCall, outputs: Any, steps: Steps) -> Any:
    """Return the outputs so that the call ends with them, if they have still to run; else None."""
    for kind, prefix, wrapper in _LASTING:
        if type(outputs) is kind and _is_fresh(outputs, prefix):
            return _resuming(recorder, call, outputs, wrapper, steps)
    return None


def _is_fresh(outputs: Any, prefix: str) -> bool:
    """Report whether the outputs have not begun to run: those that have are shared, and outlive this caller."""
    begun = any(getattr(outputs, f"{prefix}_{state}", False) for state in ("running", "suspended"))
    ended = getattr(outputs, f"{prefix}_frame") is None
    return not (begun or ended or _is_generator_coroutine(outputs))


def _resuming(recorder: Recorder, call: LiveCall, outputs: Any, wrapper: Wrapper, steps: Steps) -> Any:
    """Return what goes on with the call when it is first advanced; the call is not current until then."""

    def resume(*_: Any) -> LiveCall:
        call.previous = otel_context.get_current()
        otel_context.attach(call.context)
        return call

    lasting = wrapper(steps._replace(start=resume, describe=None), lambda: outputs)()
    lasting.__name__, lasting.__qualname__ = outputs.__name__, outputs.__qualname__
    weakref.finalize(lasting, _abandon, recorder, call).atexit = False
    current.restore(call)
    return lasting


def _abandon(recorder: Recorder, call: LiveCall) -> None:
    if not call.ended:
        recorder.end(call, error=AbandonedStream())
