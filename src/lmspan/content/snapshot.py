"""Copy a payload that is encoded later: the program may change its lists and dicts meanwhile.

Only a plain value is copied: strings, numbers and bytes, in lists, tuples and dicts with text as keys. A value that has
anything else in it, and one that is larger than the budget of its attribute, must be encoded at once. So a copy needs
no code of the program, and keeps no more than the text of its attribute would.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from lmspan.content.clipping import text_bytes

_ATOMS: Final = frozenset((int, float, bool, type(None)))
_DEEPEST: Final = 24
# Bytes in memory, beyond the characters; more than the same takes as JSON.
_TEXT: Final = 49
_NUMBER: Final = 32
_LIST, _ITEM = 64, 8
_DICT, _ENTRY = 160, 48


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
    copying = _Copying(max_bytes, max_nodes)
    try:
        copy = copying.copy(value, 0)
    except (_NotPlainError, RuntimeError):  # of a dict that another thread changes now
        return None
    return Snapshot(copy, max_bytes - copying.bytes_left)


class _Copying:
    """One copy, with the rest of its budget."""

    __slots__ = ("bytes_left", "nodes_left")

    def __init__(self, max_bytes: int, max_nodes: int) -> None:
        self.bytes_left = max_bytes
        self.nodes_left = max_nodes

    def copy(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str or kind is Recorded:
            return self.within(value, text_bytes(value) + _TEXT)
        if kind in _ATOMS:
            return self.within(value, _NUMBER)
        if kind is bytes:
            return self.within(value, len(value) + _TEXT)
        if depth == _DEEPEST or not (kind is dict or kind is list or kind is tuple):
            raise _NotPlainError
        self.nodes_left -= len(value)
        if self.nodes_left < 0:
            raise _NotPlainError
        if kind is dict:
            self.bytes_left -= _DICT + _ENTRY * len(value)
            return {self.key(key): self.copy(each, depth + 1) for key, each in value.items()}
        self.bytes_left -= _LIST + _ITEM * len(value)
        return kind([self.copy(each, depth + 1) for each in value])

    def key(self, key: Any) -> Any:
        if type(key) is not str:
            raise _NotPlainError
        return self.within(key, text_bytes(key))  # a literal of the program, mostly

    def within(self, value: Any, size: int) -> Any:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise _NotPlainError
        return value
