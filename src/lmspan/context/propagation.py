"""The context of a call goes into thread pools, so that the calls there are under it.

asyncio, `asyncio.to_thread` and anyio (and with it DSPy's `asyncify`) carry the context by themselves;
`concurrent.futures.ThreadPoolExecutor` does not. Its `submit` is wrapped while a library is instrumented, and changes
nothing unless a span, a session or a subscription is current, or a hook submits. A thread that a hook starts belongs to
the hook.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context

from lmspan.context import hearing, processes, silence
from lmspan.context.current import is_carried
from lmspan.context.hearing import inside
from lmspan.context.processes import Carried
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable


def _submit(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    if not args or not (is_carried(context) or inside.get()):
        return wrapped(*args, **kwargs)
    function, *rest = args
    return wrapped(Carried(function, context), *rest, **kwargs)


_patches = Patches()
_users = 0


def install() -> None:
    """Start to carry the context into pools and processes. Each call needs an `uninstall()`."""
    global _users  # noqa: PLW0603 - one count for the process
    _users += 1
    if _users == 1:
        _patches.wrap(ThreadPoolExecutor, "submit", _submit)
        _patches.wrap(threading.Thread, "start", hearing.start_thread)
        processes.patch(_patches)
        silence.patch(_patches)


def uninstall() -> None:
    """Undo one `install()`; the last one removes the patches."""
    global _users  # noqa: PLW0603 - as above
    _users = max(_users - 1, 0)
    if _users == 0:
        _patches.restore()
