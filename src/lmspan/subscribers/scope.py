"""Restrict hooks to one object of the program: its calls and the calls below them, and those of its copies."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from lmspan.context import lineage
from lmspan.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.hooks import BoundHook, Hook


def within(scope: Any, hooks: tuple[BoundHook, ...], ended: Callable[[], None]) -> tuple[BoundHook, ...]:
    """Return the hooks, restricted to the calls of an object; `ended` is called when the object is collected.

    Raises `CallbackError` for an object that cannot be referred to weakly.
    """
    try:
        reference = weakref.ref(scope, lambda _: ended())
    except TypeError:
        raise CallbackError(f"scope: a {type(scope).__qualname__} cannot be referred to weakly") from None

    def is_within(call: LiveCall | None) -> bool:
        origin = reference()
        while call is not None and origin is not None:
            if lineage.comes_from(call.instance, origin):
                return True
            call = call.parent
        return False

    def restricted(hook: Hook) -> Hook:
        when = hook.when
        return hook._replace(when=lambda call: is_within(call) and (when is None or when(call)))

    return tuple(each._replace(hook=restricted(each.hook)) for each in hooks)
