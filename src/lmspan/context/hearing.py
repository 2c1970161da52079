"""The subscriptions whose hooks run here: they do not hear the calls that their own hooks make, on any thread."""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

inside: Final[ContextVar[frozenset[int]]] = ContextVar("lmspan-inside", default=frozenset())
"""The numbers of the subscriptions whose hooks run in this context."""


def run_inside(numbers: frozenset[int], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a function as a part of the hooks of these subscriptions."""
    token = inside.set(numbers)
    try:
        return function(*args, **kwargs)
    finally:
        inside.reset(token)


def start_thread(wrapped: Callable[..., Any], thread: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Have a thread that a hook starts belong to the hook. Wraps `threading.Thread.start`."""
    if numbers := inside.get():
        thread.run = functools.partial(run_inside, numbers, thread.run)
    return wrapped(*args, **kwargs)
