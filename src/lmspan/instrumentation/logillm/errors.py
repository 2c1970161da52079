"""The first cause of an error: LogiLLM wraps an error once for every module and attempt around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.content.payload import qualified_name
from lmspan.errors import StopRun

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST: Final = 100

_cause = BaseException.__dict__["__cause__"]


def root_cause(error: BaseException) -> BaseException:
    """Return the outermost cause of an error that is not LogiLLM's own, else the innermost one.

    Every span around it gets the same object, so the exception is recorded once, where it was raised.
    """
    for _ in range(_DEEPEST):
        inner: BaseException | None = _cause.__get__(error)
        if inner is None or not qualified_name(type(error)).startswith("logillm."):
            break
        error = inner
    return error


async def gathering(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Raise a `StopRun` that a method has gathered among its results."""
    results = await wrapped(*args, **kwargs)
    if type(results) is list:
        for each in results:
            if type(each) is StopRun:
                raise each
    return results
