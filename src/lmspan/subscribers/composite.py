"""Several callbacks as one: each hears what it would hear by itself, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lmspan.subscribers.hooks import BoundHook, Moment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from lmspan.subscribers.hooks import Dialect, Hook

    Parts = Callable[[Any], tuple[BoundHook, ...]]


class Composite:
    """The base of a callback that consists of others. One may be added at any time, also a composite."""

    callbacks: list[Any]


class _Parts:
    """The bound hooks of the parts of a composite, which are bound when they are first seen."""

    def __init__(self, composite: Composite, bound: Parts) -> None:
        self._composite = composite
        self._bound = bound
        self._known: dict[int, tuple[Any, tuple[BoundHook, ...]]] = {}
        for part in composite.callbacks:
            self._hooks(part)

    def _hooks(self, part: Any) -> tuple[BoundHook, ...]:
        if id(part) not in self._known:
            self._known[id(part)] = part, self._bound(part)
        return self._known[id(part)][1]

    def call(self, hook: Hook, moment: Moment) -> Any:
        """Call the hooks of all parts that hear the same as a hook; then raise the first exception of them."""
        first: Exception | None = None
        waiting: list[Any] = []
        for part in tuple(self._composite.callbacks):
            try:
                results = [each.call(moment) for each in self._hooks(part) if each.hook is hook]
            except Exception as error:  # noqa: BLE001 - raised below, after the other parts
                first = first or error
            else:
                waiting += [each for each in results if hasattr(type(each), "__await__")]
        if waiting:
            return _await_all(waiting, first)
        if first is not None:
            raise first
        return None


async def _await_all(waiting: list[Awaitable[Any]], first: Exception | None) -> None:
    for each in waiting:
        try:
            await each
        except Exception as error:  # noqa: BLE001 - raised below
            first = first or error
    if first is not None:
        raise first


def forwarding(composite: Composite, dialect: Dialect, overridden: frozenset[str], bound: Parts) -> Iterator[BoundHook]:
    """Yield the hooks of a composite that hear for its parts; it has no part in those that it overrides."""
    parts = _Parts(composite, bound)
    for name, hooks in dialect.hooks.items():
        for hook in hooks:
            if name not in overridden and hook.unless not in overridden:
                # mypy has no type for a lambda with a default
                yield BoundHook(name, hook, lambda moment, hook=hook: parts.call(hook, moment))  # type: ignore[misc]
