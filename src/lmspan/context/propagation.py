"""Calls in the OpenTelemetry context: which is current, and that what a thread pool runs for a call is under it.

asyncio, `asyncio.to_thread`, anyio (and with it DSPy's `asyncify`) carry context by themselves; only
`concurrent.futures.ThreadPoolExecutor` does not. Its `submit` is wrapped while anything is instrumented, and does
something only when a call of ours is current: other programs' pools are left as they are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from lmspan.context import processes, silence
from lmspan.context.processes import Carried
from lmspan.lifecycle import CURRENT, LISTENING
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    if not args or (CURRENT not in context and LISTENING not in context):
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(Carried(function, context), *rest, **kwargs)


_patches = Patches()
_users = 0


def install() -> None:
    """Start carrying context into pools and processes; calls nest."""
    global _users  # noqa: PLW0603 - a count of who needs it
    _users += 1
    if _users == 1:
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)
        processes.patch(_patches)
        silence.patch(_patches)


def uninstall() -> None:
    """Undo one `install()`; the last one restores `submit`."""
    global _users  # noqa: PLW0603
    _users = max(_users - 1, 0)
    if _users == 0:
        _patches.restore()
