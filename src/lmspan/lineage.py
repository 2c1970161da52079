"""Which object of a program was made from which: what is subscribed for one is heard of those made from it, too.

Neither is kept alive, and neither is touched: its copies and its pickles are what they were.
"""

from __future__ import annotations

import weakref
from typing import Any

_origins: dict[int, tuple[weakref.ref[Any], weakref.ref[Any]]] = {}  # by id: the hash of an object is the user's code


def note(made: Any, origin: Any) -> None:
    """Note that an object was made from another. Raises TypeError for what cannot be referred to weakly."""
    key = id(made)
    _origins[key] = weakref.ref(made, lambda _: _origins.pop(key, None)), weakref.ref(origin)


def comes_from(value: Any, origin: Any) -> bool:
    """Tell whether an object is the other, or was made from it, however many steps between."""
    while value is not origin:
        made, before = _origins.get(id(value), (None, None))
        if made is None or before is None or made() is not value:
            return False
        value = before()
    return True
