"""Which object of a program was made from which: a subscription for one object includes those made from it.

No object is kept alive or touched, so its copies and its pickles stay as they are.
"""

from __future__ import annotations

import weakref
from typing import Any, Final


class ByIdentity:
    """Values by object, for as long as the object lives; by identity, because the hash of an object is user code."""

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def set(self, key: Any, value: Any) -> None:
        """Keep a value for an object. Raises TypeError for an object that has no weak references."""
        number = id(key)
        self._values[number] = weakref.ref(key, lambda _: self._values.pop(number, None)), value

    def get(self, key: Any) -> Any:
        """Return the value of this very object, else None."""
        reference, value = self._values.get(id(key), (None, None))
        return value if reference is not None and reference() is key else None


_origins: Final = ByIdentity()


def note(made: Any, origin: Any) -> None:
    """Note that an object was made from another. Raises TypeError for an object that has no weak references."""
    _origins.set(made, weakref.ref(origin))


def comes_from(value: Any, origin: Any) -> bool:
    """Tell whether an object is the other, or was made from it in any number of steps."""
    while value is not origin:
        before = _origins.get(value)
        value = before() if before is not None else None
        if value is None:
            return False
    return True
