"""LogiLLM's manager of callbacks, and the functions that stand for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from lmspan.subscribers import subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.subscribers.dialects.logillm_events import CallbackType
    from lmspan.subscribers.subscriptions import Subscription

_SWITCH = "LOGILLM_CALLBACKS_ENABLED"


class CallbackManager:
    """The one manager of the process: `CallbackManager()` is always the same."""

    _instance: CallbackManager | None = None

    def __new__(cls) -> Self:
        """Return the one manager."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
        return cls._instance  # type: ignore[return-value]

    def __init__(self) -> None:
        if not hasattr(self, "_subscriptions"):
            self._subscriptions: dict[str, Subscription] = {}
            self._enabled = True

    def register(
        self,
        callback: Any,
        callback_types: Iterable[CallbackType | str] | None = None,
        priority: int | None = None,
        name: str | None = None,
    ) -> str:
        """Have a callback hear, all events or only some; return an id for `unregister`."""
        wanted = None
        if callback_types is not None:
            names = {f"on_{getattr(each, 'value', each)}" for each in callback_types}
            wanted = {each for each in names if callable(getattr(callback, each, None))}
        subscription = subscriptions.subscribe(callback, hooks=wanted, priority=priority, dialect="logillm", name=name)
        subscription.gate = self.is_enabled
        identity = f"{subscription.name}_{subscription.number}"
        self._subscriptions[identity] = subscription
        return identity

    def register_global(self, callback: Any, priority: int | None = None, name: str | None = None) -> str:
        """Have a callback hear all events."""
        return self.register(callback, None, priority, name)

    def unregister(self, callback_id: str) -> bool:
        """Have a callback hear nothing more; tell whether there was one of this id."""
        subscription = self._subscriptions.pop(callback_id, None)
        if subscription is not None:
            subscription.cancel()
        return subscription is not None

    def clear(self) -> None:
        """Remove all callbacks that were registered here."""
        for identity in tuple(self._subscriptions):
            self.unregister(identity)

    def enable(self) -> None:
        """Let callbacks hear again."""
        self._enabled = True

    def disable(self) -> None:
        """Let none of the callbacks that are registered here hear, until `enable()`."""
        self._enabled = False

    def is_enabled(self) -> bool:
        """Tell whether they hear: not disabled, and `LOGILLM_CALLBACKS_ENABLED` is not 0 or false."""
        return self._enabled and os.environ.get(_SWITCH, "1").lower() not in ("0", "false", "no", "off")

    def get_registered_callbacks(self) -> dict[str, list[str]]:
        """Return the names of the callbacks by what they hear."""
        heard: dict[str, list[str]] = {}
        for subscription in self._subscriptions.values():
            for hook in sorted({each.name for each in subscription.hooks}):
                heard.setdefault(hook.removeprefix("on_"), []).append(subscription.name)
        return heard


def register_callback(callback: Any, callback_types: Iterable[CallbackType | str] | None = None, **options: Any) -> str:
    """Register with the one manager."""
    return CallbackManager().register(callback, callback_types, **options)


def register_global_callback(callback: Any, **options: Any) -> str:
    """Register with the one manager, for all events."""
    return CallbackManager().register_global(callback, **options)


def unregister_callback(callback_id: str) -> bool:
    """Remove from the one manager."""
    return CallbackManager().unregister(callback_id)


def clear_callbacks() -> None:
    """Remove all from the one manager."""
    CallbackManager().clear()


def enable_callbacks() -> None:
    """Enable the one manager."""
    CallbackManager().enable()


def disable_callbacks() -> None:
    """Disable the one manager."""
    CallbackManager().disable()
