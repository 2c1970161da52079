"""Copy a payload that is encoded later: the program may change its lists and dicts meanwhile.

Only a plain value is copied: strings, numbers and bytes, in lists, tuples and dicts with text as keys. A value that has
anything else in it, and one that is larger than the budget of its attribute, must be encoded at once. So a copy needs
no code of the program, and keeps no more than that budget.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from lmspan.content.clipping import text_bytes

_DEEPEST: Final = 24

# Bytes in memory, beyond the characters; the JSON of a value takes fewer, except of a text that is full of quotes.
_TEXT: Final = 49
_NUMBER: Final = 32
_LIST, _ITEM = 64, 8
_DICT, _ENTRY = 160, 48

_KEYS: Final = frozenset((str,))
_NUMBERS: Final = frozenset((int, float, bool, type(None)))


class Recorded(str):
    """Text that is already redacted and within a budget: a second redaction could only damage it."""

    __slots__ = ()


class Snapshot(NamedTuple):
    """A copy, and about how many bytes it takes in memory, with the program's own strings that it refers to."""

    value: Any
    size: int


class _NotPlainError(Exception):
    pass


def snapshot(value: Any, max_bytes: int, max_nodes: int) -> Snapshot | None:
    """Return a copy of a plain value within the limits, or None. Runs none of the program's code. Never raises."""
    copying = _Copying(max_nodes)
    try:
        copy = copying.copy(value, 0)
    except (_NotPlainError, RuntimeError):  # of a dict that another thread changes now
        return None
    return Snapshot(copy, copying.size) if copying.size <= max_bytes else None


class _Copying:
    """One copy, its size so far, and how many values it may still have: strings are not copied, so these bound it."""

    __slots__ = ("nodes_left", "size")

    def __init__(self, max_nodes: int) -> None:
        self.nodes_left = max_nodes
        self.size = 0

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is Recorded:
            self.size += _TEXT + text_bytes(value)
            return value
        if kind in _NUMBERS:
            self.size += _NUMBER + (value.bit_length() // 8 if kind is int else 0)
            return value
        if kind is bytes:
            self.size += _TEXT + len(value)
            return value
        if kind is dict and _KEYS.issuperset(map(type, value)):
            self.size += _DICT + _ENTRY * len(value) + sum(map(len, value))
            self._count(value, depth)
            return {key: self.copy(each, depth + 1) for key, each in value.items()}
        if kind is list or kind is tuple:
            self.size += _LIST + _ITEM * len(value)
            self._count(value, depth)
            return kind([self.copy(each, depth + 1) for each in value])
        raise _NotPlainError

    def _count(self, container: Any, depth: int) -> None:
        self.nodes_left -= len(container)
        if self.nodes_left < 0 or depth == _DEEPEST:
            raise _NotPlainError
