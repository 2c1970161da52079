"""Hooks of one object of the program: they hear its calls and those below, and the same of what was made from it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from lmspan.context import lineage
from lmspan.errors import CallbackError

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.subscribers.hooks import Found, Hook


def within(scope: Any, found: tuple[Found, ...]) -> tuple[Found, ...]:
    """Keep hooks to the calls of an object. Raises `CallbackError` for one that cannot be referred to weakly."""
    try:
        reference = weakref.ref(scope)
    except TypeError:
        raise CallbackError(f"scope: a {type(scope).__qualname__} cannot be referred to weakly") from None

    def is_within(call: Call | None) -> bool:
        origin = reference()
        while call is not None and origin is not None:
            if lineage.comes_from(call.instance, origin):
                return True
            call = call.parent
        return False

    def kept(hook: Hook) -> Hook:
        when = hook.when
        return hook._replace(when=lambda call: is_within(call) and (when is None or when(call)))

    return tuple(each._replace(hook=kept(each.hook)) for each in found)
