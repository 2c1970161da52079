"""The id of the current call, and a `with` that sets it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from lmspan.context.current import current_call
from lmspan.subscribers.dialects.logillm_events import CallbackContext

if TYPE_CHECKING:
    from types import TracebackType

_active: Final[ContextVar[str | None]] = ContextVar("lmspan-logillm-call-id", default=None)


def get_current_call_id() -> str | None:
    """Return the id that a `CallbackContextManager` has set here, else that of the innermost call; None outside."""
    call = current_call()
    return _active.get() or (call.call_id if call is not None else None)


class CallbackContextManager:
    """Make the id of a context the current one under the `with`."""

    def __init__(self, context: CallbackContext | None = None) -> None:
        self.context: CallbackContext = context or CallbackContext()
        self._before: str | None = None

    def __enter__(self) -> CallbackContext:
        self._before = _active.get()
        _active.set(self.context.call_id)
        return self.context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        _active.set(self._before)
