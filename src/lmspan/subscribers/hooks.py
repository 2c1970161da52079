"""The nouns of the engine: what a hook is, what it is given, and what a dialect is."""

from __future__ import annotations

import inspect
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmspan.lifecycle import Call, Operation, Phase

    Getter = Callable[["Heard"], Any]

ANY_EVENT: Final = "*"
"""Stands for every event that has no name in the vocabulary: the program's own."""


class Heard:
    """What hooks hear: a call, and of its events the name and what was told. All hooks of one event are given one."""

    __slots__ = ("_made", "attributes", "call", "event")

    def __init__(self, call: Call, event: str, attributes: Mapping[str, Any]) -> None:
        self.call = call
        self.event = event
        self.attributes = attributes
        self._made: dict[Any, Any] | None = None

    def once(self, make: Getter) -> Any:
        """Return what is made from this, made once for all who want it."""
        if self._made is None:
            self._made = {}
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]


class Argument(NamedTuple):
    """One thing that a hook may be given, under any of its names."""

    name: str
    get: Getter
    aliases: tuple[str, ...] = ()
    by_name_only: bool = False
    """Given to who asks for it by name; no position of the documents is its own."""

    def is_called(self, name: str) -> bool:
        """Tell whether a parameter of this name means it."""
        return name == self.name or name in self.aliases


class Found(NamedTuple):
    """A hook of a callback, bound."""

    name: str
    hook: Hook
    call: Callable[[Heard], Any]


def name_of(callback: Any) -> str:
    """Return what a callback is called: a function by its own name, an object by its class."""
    own = getattr(callback, "__name__", None) if inspect.isroutine(callback) else None
    return own if isinstance(own, str) else type(callback).__name__


class Hook(NamedTuple):
    """One hook of a dialect: of which operations it hears, when, and what it may be given, in the order documented.

    `event` is the event that an EVENT hook hears; `when` keeps a hook to some of its calls.
    """

    operations: frozenset[Operation]
    phase: Phase
    arguments: tuple[Argument, ...]
    event: str = ""
    when: Callable[[Call], bool] | None = None


class Dialect(NamedTuple):
    """One callback system's way: its hooks by name, and the classes that its callbacks derive from.

    `function` is how a bare function is called, if the system has that: the first argument says what happened.
    """

    name: str
    hooks: Mapping[str, tuple[Hook, ...]]
    bases: tuple[str, ...] = ()
    function: Mapping[Any, tuple[Hook, ...]] | None = None


class Priority(IntEnum):
    """Who hears first: the highest. A subscription's own number may be any other too."""

    LOWEST = 1
    LOW = 2
    NORMAL = 3
    HIGH = 4
    HIGHEST = 5
