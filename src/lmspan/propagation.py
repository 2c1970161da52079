"""Context across thread pools: what a pool runs for a call has that call as its parent.

asyncio, `asyncio.to_thread`, anyio (and with it DSPy's `asyncify`) carry context by themselves; only
`concurrent.futures.ThreadPoolExecutor` does not. Its `submit` is wrapped while anything is instrumented, and does
something only when a call of ours is current: other programs' pools are left as they are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from lmspan.lifecycle import CURRENT
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context


class Carried:
    """A function that runs in the OpenTelemetry context in which it was submitted."""

    __slots__ = ("context", "function")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self.function = function
        self.context = context

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        before = otel_context.get_current()
        otel_context.attach(self.context)
        try:
            return self.function(*args, **kwargs)
        finally:
            otel_context.attach(before)  # by value: a token could not be reset if the function changed threads


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    if CURRENT not in context or not args:
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(Carried(function, context), *rest, **kwargs)


_patches = Patches()
_users = 0


def install() -> None:
    """Start carrying context into thread pools; calls nest."""
    global _users  # noqa: PLW0603 - a count of who needs it
    _users += 1
    if _users == 1:
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)


def uninstall() -> None:
    """Undo one `install()`; the last one restores `submit`."""
    global _users  # noqa: PLW0603
    _users = max(_users - 1, 0)
    if _users == 0:
        _patches.restore()
