"""The nouns of the engine: a hook, the moment that it hears, the arguments that it takes, and a dialect."""

from __future__ import annotations

import copy
import inspect
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmspan.lifecycle import LiveCall, Operation, Phase

    Getter = Callable[["Moment"], Any]

ANY_EVENT: Final = "*"
"""Stands for every event that the vocabulary does not name: the program's own events."""


_NO_ATTRIBUTES: Final[Mapping[str, Any]] = MappingProxyType({})


class _Done:
    """Awaiting it returns at once."""

    def __await__(self) -> Iterator[Any]:
        return iter(())


DONE: Final = _Done()
"""What a sync hook returns that the program may also call and await."""


class Moment:
    """A point in the life of a call, as hooks hear it: its start, one of its events, or its end.

    All hooks that run inline at one moment share this object. A queued hook runs later: it reads a copy of the call, as
    the call was at that moment, and `live` is the call itself.
    """

    __slots__ = ("_results", "attributes", "call", "event", "live")

    def __init__(
        self,
        call: LiveCall,
        event: str = "",
        attributes: Mapping[str, Any] = _NO_ATTRIBUTES,
        live: LiveCall | None = None,
    ) -> None:
        self.call: LiveCall = call
        self.event: str = event
        self.attributes: Mapping[str, Any] = attributes
        self.live: LiveCall = call if live is None else live
        self._results: dict[Getter, Any] | None = None

    def for_later(self) -> Moment:
        """Return the same moment for later: the call goes on, and releases its inputs and outputs at its end."""
        call = copy.copy(self.call)
        call.facts = dict(call.facts)
        later = Moment(call, self.event, dict(self.attributes), self.live)
        self._results = later._results = {} if self._results is None else self._results
        return later

    def once(self, make: Getter) -> Any:
        """Return `make(self)`, computed once for all hooks that share this moment."""
        if self._results is None:
            self._results = {}
        if make not in self._results:
            self._results[make] = make(self)
        return self._results[make]


class Argument(NamedTuple):
    """One argument that a hook may take, under any of its names."""

    name: str
    get: Getter
    aliases: tuple[str, ...] = ()
    by_name_only: bool = False
    """Passed only to a parameter of that name; the documents give it no position."""
    wants_result: bool = False
    """Computed from the run's result, which is filled only while a hook with such an argument is subscribed."""
    wants_usage: bool = False
    """Computed from the usage below a module, which is summed up only while such a hook is subscribed."""

    def is_called(self, name: str) -> bool:
        """Tell whether a parameter of this name takes this argument."""
        return name == self.name or name in self.aliases


class Hook(NamedTuple):
    """One hook of a dialect: the operations and the phase that it hears, and its arguments in the documented order.

    `event` is the event that an EVENT hook hears; `when` restricts a hook to some of its calls. `unless` names the hook
    that hears the same: a callback that has it hears the moment there only.
    """

    operations: frozenset[Operation]
    phase: Phase
    arguments: tuple[Argument, ...]
    event: str = ""
    when: Callable[[LiveCall], bool] | None = None
    unless: str = ""


class BoundHook(NamedTuple):
    """A hook of a dialect, and the function of a callback that is bound to its arguments."""

    name: str
    hook: Hook
    call: Callable[[Moment], Any]


class Dialect(NamedTuple):
    """How one callback system spells its hooks: hooks by name, and the classes that its callbacks derive from.

    `function` holds the hooks by event for a system that calls bare functions; their first argument is the event.
    """

    name: str
    hooks: Mapping[str, tuple[Hook, ...]]
    bases: tuple[str, ...] = ()
    function: Mapping[Any, tuple[Hook, ...]] | None = None


class Priority(IntEnum):
    """The order of subscriptions: the highest hears first. Any other integer is a priority too."""

    LOWEST = 1
    LOW = 2
    NORMAL = 3
    HIGH = 4
    HIGHEST = 5


def name_of(callback: Any) -> str:
    """Return the name of a callback in messages: a function's own name, an object's class."""
    own = getattr(callback, "__name__", None) if inspect.isroutine(callback) else None
    return own if isinstance(own, str) else type(callback).__name__
