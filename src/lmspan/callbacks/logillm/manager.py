"""LogiLLM's manager of callbacks, and the functions that call it."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from lmspan import guard
from lmspan.context.hearing import inside
from lmspan.subscribers import subscriptions
from lmspan.subscribers.dialects.logillm_events import CallbackType, handler_of
from lmspan.subscribers.hooks import Priority, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmspan.subscribers.dialects.logillm_events import CallbackEvent
    from lmspan.subscribers.subscriptions import Subscription

_SWITCH: Final = "LOGILLM_CALLBACKS_ENABLED"


@dataclass
class RegisteredCallback:
    """A callback as the manager keeps it."""

    callback: Any
    priority: int
    name: str
    enabled: bool = True
    callback_types: tuple[CallbackType, ...] = tuple(CallbackType)
    is_global: bool = False
    subscription: Subscription | None = None


class CallbackManager:
    """The manager of the process: `CallbackManager()` always returns the same object, and so does a copy of it."""

    _instance: CallbackManager | None = None

    def __new__(cls) -> Self:
        """Return the manager of the process."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
        return cls._instance  # type: ignore[return-value]  # a subclass shares the manager, as in LogiLLM

    def __init__(self) -> None:
        if not hasattr(self, "_registered"):
            self._registered: dict[str, RegisteredCallback] = {}
            self._enabled = True

    def register(
        self,
        callback: Any,
        callback_types: Iterable[CallbackType | str] | None = None,
        priority: int | None = None,
        name: str | None = None,
    ) -> str:
        """Subscribe a callback to all events or to some; return an id for `unregister`."""
        types = None if callback_types is None else tuple(map(CallbackType, callback_types))
        return self._add(callback, types, priority, name)

    def register_global(self, callback: Any, priority: int | None = None, name: str | None = None) -> str:
        """Subscribe a callback to all events."""
        return self._add(callback, None, priority, name, is_global=True)

    def _add(
        self,
        callback: Any,
        types: tuple[CallbackType, ...] | None,
        priority: int | None,
        name: str | None,
        *,
        is_global: bool = False,
    ) -> str:
        own = getattr(callback, "name", None)
        named = name or (own if isinstance(own, str) else name_of(callback))
        hooks = None
        if types is not None:
            hooks = {f"on_{each}" for each in types if callable(getattr(callback, f"on_{each}", None))}
        subscription = subscriptions.subscribe(callback, hooks=hooks, priority=priority, dialect="logillm", name=named)
        subscription.gate = self.is_enabled
        callback_id = f"{'global_' if is_global else ''}{named}_{subscription.number}"
        heard = tuple(CallbackType) if types is None else types
        self._registered[callback_id] = RegisteredCallback(
            callback, subscription.priority, named, True, heard, is_global, subscription
        )
        return callback_id

    def unregister(self, callback_id: str) -> bool:
        """Cancel the subscription of this id; return whether there was one."""
        registered = self._registered.pop(callback_id, None)
        if registered is not None and registered.subscription is not None:
            registered.subscription.cancel()
        return registered is not None

    def unregister_by_name(self, name: str) -> int:
        """Cancel the subscriptions of all callbacks of this name; return how many there were."""
        ids = [callback_id for callback_id, each in self._registered.items() if each.name == name]
        return sum(map(self.unregister, ids))

    def clear(self) -> None:
        """Cancel all subscriptions of this manager."""
        for callback_id in tuple(self._registered):
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
        """Return the names of the callbacks, those for all events by `register_global`, and the others by event."""
        registered = list(self._registered.values())
        names = {"global": [each.name for each in registered if each.is_global]}
        for kind in CallbackType:
            names[kind.value] = [each.name for each in registered if not each.is_global and kind in each.callback_types]
        return names

    async def emit_async(self, event: CallbackEvent) -> None:
        """Call the handlers of an event that the program has made, in order, and await the async ones."""
        for subscription, handler in self._handlers(event):
            with _isolated(subscription):
                result = handler(event)
                if hasattr(type(result), "__await__"):
                    await result

    def emit_sync(self, event: CallbackEvent) -> None:
        """Call the handlers of an event that the program has made, in order; async ones run to their end.

        Inside a running event loop they run there, when the program next awaits.
        """
        for subscription, handler in self._handlers(event):
            with _isolated(subscription):
                result = handler(event)
                if hasattr(type(result), "__await__"):
                    _run(subscription, result)

    def _handlers(self, event: CallbackEvent) -> Iterator[tuple[Subscription, Any]]:
        """Yield the handlers of an event in order, without those that emit it themselves."""
        if not self.is_enabled():
            return
        kind, within = handler_of(event), inside.get()
        for each in sorted(self._registered.values(), key=lambda each: (-each.priority, not each.is_global)):
            handler, subscription = getattr(each.callback, f"on_{kind}", None), each.subscription
            if subscription is None or subscription.number in within or not callable(handler):
                continue
            if each.enabled and kind in each.callback_types:
                yield subscription, handler

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return CallbackManager, ()


@contextmanager
def _isolated(subscription: Subscription) -> Iterator[None]:
    """Keep the exception of a handler from the program, and the handler's own calls from its callback."""
    token = inside.set(inside.get() | subscription.alone)
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a handler does not reach the program
        _report(subscription, error)
    finally:
        inside.reset(token)


def _report(subscription: Subscription, error: Exception) -> None:
    """Count a failure of a handler; log the first one of its callback."""
    subscription.failures += 1
    guard.failures["lmspan.callbacks"] += 1
    if subscription.failures == 1:
        logging.getLogger("lmspan").warning(
            "lmspan: a handler of %s failed; further failures are only counted", subscription.name, exc_info=error
        )


_tasks: set[asyncio.Task[Any]] = set()


def _run(subscription: Subscription, result: Any) -> None:
    async def waiting() -> None:
        with _isolated(subscription):
            await result

    try:
        task = asyncio.get_running_loop().create_task(waiting())
    except RuntimeError:
        asyncio.run(waiting())
        return
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


callback_manager: Final = CallbackManager()
"""The manager of the process."""


def register_callback(
    callback: Any,
    callback_types: Iterable[CallbackType | str] | None = None,
    priority: Priority | None = None,
    name: str | None = None,
) -> str:
    """Call `register` of the manager."""
    return callback_manager.register(callback, callback_types, priority, name)


def register_global_callback(callback: Any, priority: Priority | None = None, name: str | None = None) -> str:
    """Call `register_global` of the manager."""
    return callback_manager.register_global(callback, priority, name)


def unregister_callback(callback_id: str) -> bool:
    """Call `unregister` of the manager."""
    return callback_manager.unregister(callback_id)


def clear_callbacks() -> None:
    """Call `clear` of the manager."""
    callback_manager.clear()


def enable_callbacks() -> None:
    """Call `enable` of the manager."""
    callback_manager.enable()


def disable_callbacks() -> None:
    """Call `disable` of the manager."""
    callback_manager.disable()


async def emit_callback_async(event: CallbackEvent) -> None:
    """Call `emit_async` of the manager."""
    await callback_manager.emit_async(event)


def emit_callback_sync(event: CallbackEvent) -> None:
    """Call `emit_sync` of the manager."""
    callback_manager.emit_sync(event)
