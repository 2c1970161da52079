"""LogiLLM's manager of callbacks, and the functions that call it."""

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
    """The manager of the process: `CallbackManager()` always returns the same object."""

    _instance: CallbackManager | None = None

    def __new__(cls) -> Self:
        """Return the manager of the process."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
        return cls._instance  # type: ignore[return-value]  # a subclass shares the manager, as in LogiLLM

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
        """Subscribe a callback to all events or to some; return an id for `unregister`."""
        hooks = None
        if callback_types is not None:
            names = {f"on_{getattr(each, 'value', each)}" for each in callback_types}
            hooks = {each for each in names if callable(getattr(callback, each, None))}
        subscription = subscriptions.subscribe(callback, hooks=hooks, priority=priority, dialect="logillm", name=name)
        subscription.gate = self.is_enabled
        callback_id = f"{subscription.name}_{subscription.number}"
        self._subscriptions[callback_id] = subscription
        return callback_id

    def register_global(self, callback: Any, priority: int | None = None, name: str | None = None) -> str:
        """Subscribe a callback to all events."""
        return self.register(callback, None, priority, name)

    def unregister(self, callback_id: str) -> bool:
        """Cancel the subscription of this id; return whether there was one."""
        subscription = self._subscriptions.pop(callback_id, None)
        if subscription is not None:
            subscription.cancel()
        return subscription is not None

    def clear(self) -> None:
        """Cancel all subscriptions of this manager."""
        for callback_id in tuple(self._subscriptions):
            self.unregister(callback_id)

    def enable(self) -> None:
        """Run the hooks of this manager's callbacks again."""
        self._enabled = True

    def disable(self) -> None:
        """Run no hook of this manager's callbacks until `enable()`."""
        self._enabled = False

    def is_enabled(self) -> bool:
        """Tell whether hooks run: not after `disable()`, nor while `LOGILLM_CALLBACKS_ENABLED` is 0 or false."""
        return self._enabled and os.environ.get(_SWITCH, "1").lower() not in ("0", "false", "no", "off")

    def get_registered_callbacks(self) -> dict[str, list[str]]:
        """Return the names of the callbacks, by the event that they hear."""
        names: dict[str, list[str]] = {}
        for subscription in self._subscriptions.values():
            for hook in sorted({each.name for each in subscription.hooks}):
                names.setdefault(hook.removeprefix("on_"), []).append(subscription.name)
        return names


def register_callback(callback: Any, callback_types: Iterable[CallbackType | str] | None = None, **options: Any) -> str:
    """Call `register` of the manager."""
    return CallbackManager().register(callback, callback_types, **options)


def register_global_callback(callback: Any, **options: Any) -> str:
    """Call `register_global` of the manager."""
    return CallbackManager().register_global(callback, **options)


def unregister_callback(callback_id: str) -> bool:
    """Call `unregister` of the manager."""
    return CallbackManager().unregister(callback_id)


def clear_callbacks() -> None:
    """Call `clear` of the manager."""
    CallbackManager().clear()


def enable_callbacks() -> None:
    """Call `enable` of the manager."""
    CallbackManager().enable()


def disable_callbacks() -> None:
    """Call `disable` of the manager."""
    CallbackManager().disable()
