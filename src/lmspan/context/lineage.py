"""Which object of a program was made from which: what is subscribed for one is heard of those made from it, too.

No object is kept alive, and none is touched: its copies and its pickles are what they were.
"""

from __future__ import annotations

import weakref
from typing import Any, Final


class ByIdentity:
    """Values by object, as long as the object lives. By identity: the hash of an object is the user's code."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def set(self, key: Any, value: Any) -> None:
        """Keep a value for an object. Raises TypeError for one that cannot be referred to weakly."""
        number = id(key)
        self._values[number] = weakref.ref(key, lambda _: self._values.pop(number, None)), value

    def get(self, key: Any) -> Any:
        """Return what is kept for this very object, else None."""
        reference, value = self._values.get(id(key), (None, None))
        return value if reference is not None and reference() is key else None


_origins: Final = ByIdentity()


def note(made: Any, origin: Any) -> None:
    """Note that an object was made from another. Raises TypeError for what cannot be referred to weakly."""
    _origins.set(made, weakref.ref(origin))


def comes_from(value: Any, origin: Any) -> bool:
    """Tell whether an object is the other, or was made from it, however many steps between."""
    while value is not origin:
        before = _origins.get(value)
        value = before() if before is not None else None
        if value is None:
            return False
    return True
