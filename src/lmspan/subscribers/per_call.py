"""A value that a subscriber keeps for each call, for as long as the call lives.

The call itself has the values. A dictionary with weak keys would run Python code inside the garbage collector, where a
signal handler that runs instrumented code crashes CPython 3.11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

Value = TypeVar("Value")
Other = TypeVar("Other")


class PerCall(Generic[Value]):
    """Values by call. Each method is atomic, because a queued hook may run on another thread."""

    def get(self, call: LiveCall, default: Other) -> Value | Other:
        """Return the value for a call, or a default."""
        value: Value | Other = (call.per_call or {}).get(self, default)
        return value

    def set(self, call: LiveCall, value: Value) -> None:
        """Keep a value for a call."""
        _values(call)[self] = value

    def setdefault(self, call: LiveCall, value: Value) -> Value:
        """Keep a value for a call that has none; return the value that it has then."""
        kept: Value = _values(call).setdefault(self, value)
        return kept


def _values(call: LiveCall) -> dict[Any, Any]:
    values: dict[Any, Any] = call.per_call or vars(call).setdefault("per_call", {})
    return values
