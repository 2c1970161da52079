"""Keep the failures of another project's instrumentation from the program.

Each of its wrappers runs in a guard. If a wrapper raises what the wrapped function has not raised, the failure is
reported, and the program gets what the function itself returns or raises; the function is called once in any case.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import wrapt
from opentelemetry import context as otel_context

from lmspan.context.current import SPAN, CallSpan
from lmspan.guard import is_from_signal_handler, report
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from opentelemetry.context import Context

_WRAP: Final = "wrap_function_wrapper"
_WRAPPER: Final = 2  # the place of the wrapper among the arguments of that function


@contextmanager
def wrappers_of(package: str) -> Iterator[None]:
    """Put a guard around each wrapper that the imported modules of a package apply in the body."""

    def apply(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if len(args) > _WRAPPER:
            args = (*args[:_WRAPPER], _guard(args[_WRAPPER], package), *args[_WRAPPER + 1 :])
        elif "wrapper" in kwargs:
            kwargs = {**kwargs, "wrapper": _guard(kwargs["wrapper"], package)}
        return wrapped(*args, **kwargs)

    patches = Patches()
    for name, module in list(sys.modules.items()):
        if name == package or name.startswith(f"{package}."):
            patches.wrap(module, _WRAP, apply)
    try:
        yield
    finally:
        patches.restore()


def _guard(wrapper: Callable[..., Any], package: str) -> Callable[..., Any]:
    def guard(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        attempt = _Attempt(wrapped, package)
        try:
            result = wrapper(attempt.function, instance, args, kwargs)
        except Exception as error:
            if attempt.is_of_the_program(error):
                raise
            return attempt.outcome(args, kwargs)
        return _awaited(result, attempt, args, kwargs) if inspect.iscoroutine(result) else result

    return guard


async def _awaited(
    coroutine: Coroutine[Any, Any, Any], attempt: _Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    try:
        return await coroutine
    except Exception as error:
        if attempt.is_of_the_program(error):
            raise
        result = attempt.outcome(args, kwargs)
        return await result if inspect.isawaitable(result) and not attempt.called else result


class _Attempt:
    """One call of a wrapped function by a wrapper: whether it was made, and its end."""

    def __init__(self, wrapped: Callable[..., Any], package: str) -> None:
        self.called: bool = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.function = _Function(wrapped, self)
        self._wrapped = wrapped
        self._package = package
        self._context = otel_context.get_current()

    def is_of_the_program(self, error: Exception) -> bool:
        """Return whether an exception is the function's own; report any other one, and leave the wrapper's context."""
        if error is self.error or is_from_signal_handler(error):
            return True
        report(self._package, error)
        _leave(self._context)
        return False

    def outcome(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return or raise what the function did; call it if the wrapper has not."""
        if not self.called:
            return self._wrapped(*args, **kwargs)
        if self.error is not None:
            raise self.error
        return self.result


class _Function(wrapt.CallableObjectProxy):  # type: ignore[type-arg] # wrapt's stubs have no class for it
    """The wrapped function as a wrapper sees it; its call is noted."""

    def __init__(self, wrapped: Callable[..., Any], attempt: _Attempt) -> None:
        super().__init__(wrapped)
        self._self_attempt = attempt

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        attempt = self._self_attempt
        attempt.called = True
        try:
            attempt.result = self.__wrapped__(*args, **kwargs)
        except BaseException as error:
            attempt.error = error
            raise
        return _noted(attempt.result, attempt) if inspect.iscoroutine(attempt.result) else attempt.result


async def _noted(coroutine: Coroutine[Any, Any, Any], attempt: _Attempt) -> Any:
    try:
        attempt.result = await coroutine
    except BaseException as error:
        attempt.error = error
        raise
    return attempt.result


def _leave(before: Context) -> None:
    """End the span that a failed wrapper has left current, and make current what was so before."""
    current = otel_context.get_current()
    if current is before:
        return
    span = current.get(SPAN)
    if isinstance(span, CallSpan) and span is not before.get(SPAN):
        span.end()
    otel_context.attach(before)
