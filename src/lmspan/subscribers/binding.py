"""A hook and what it wants to be called with, matched once, when it is subscribed.

    a parameter gets the argument of its name, else the one that has its name as an alias, else, when it must be given,
    the one at its position; `*args` gets what is left in order, `**kwargs` by name

At an event nothing is inspected: `bind` returns a function of what was heard.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from lmspan.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmspan.subscribers.hooks import Argument, Getter, Heard


def bind(function: Callable[..., Any], arguments: Sequence[Argument], hook: str) -> Callable[[Heard], Any]:
    """Return what calls a hook. Raises `CallbackError` for a parameter that must be given and that nothing fits."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # implemented in C: all there is, by position
        return _caller(function, [each.get for each in arguments if not each.by_name_only], {})
    plan = _Plan(arguments, hook)
    for parameter in parameters:  # by name first, wherever it stands: a later one must not lose its own to a position
        plan.take_by_name(parameter)
    for index, parameter in enumerate(parameters):
        plan.add(index, parameter)
    return _caller(function, plan.positional, plan.named)


def fits_by_name(function: Callable[..., Any], arguments: Sequence[Argument]) -> int:
    """Count the parameters of a hook that an argument fits by name: what tells dialects apart."""
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return 0
    return sum(any(argument.is_called(name) for argument in arguments) for name in names)


class _Plan:
    """Which argument goes to which parameter, as far as it has been made."""

    def __init__(self, arguments: Sequence[Argument], hook: str) -> None:
        self.arguments = arguments
        self.left = list(arguments)
        self.hook = hook
        self.by_name: dict[str, Argument] = {}
        self.positional: list[Getter] = []
        self.named: dict[str, Getter] = {}

    def take_by_name(self, parameter: inspect.Parameter) -> None:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return
        found = next((each for each in self.left if each.is_called(parameter.name)), None)
        if found is not None:
            self.by_name[parameter.name] = found
            self.left.remove(found)

    def add(self, index: int, parameter: inspect.Parameter) -> None:
        if parameter.kind is parameter.VAR_POSITIONAL:
            self.positional += [each.get for each in self.left if not each.by_name_only]
            self.left = [each for each in self.left if each.by_name_only]
        elif parameter.kind is parameter.VAR_KEYWORD:
            self.named.update((each.name, each.get) for each in self.left)
            self.left = []
        else:
            self.give(parameter, self.by_name.get(parameter.name) or self.at_position(index, parameter))

    def at_position(self, index: int, parameter: inspect.Parameter) -> Argument | None:
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            return None
        found = self.arguments[index] if index < len(self.arguments) else None
        if found is None or found.by_name_only or found not in self.left:
            return None
        self.left.remove(found)
        return found

    def give(self, parameter: inspect.Parameter, argument: Argument | None) -> None:
        if argument is None and parameter.default is parameter.empty:
            offered = ", ".join(each.name for each in self.arguments) or "nothing"
            raise CallbackError(
                f"{self.hook}: parameter {parameter.name!r} must be given and nothing fits it; on offer are: {offered}"
            )
        if parameter.kind is not parameter.KEYWORD_ONLY:
            default = parameter.default
            self.positional.append(argument.get if argument is not None else lambda _: default)
        elif argument is not None:
            self.named[parameter.name] = argument.get


def _caller(
    function: Callable[..., Any], positional: Sequence[Getter], named: Mapping[str, Getter]
) -> Callable[[Heard], Any]:
    """Return the shortest function that calls a hook so."""
    if named:
        pairs = tuple(named.items())
        return lambda heard: function(*[get(heard) for get in positional], **{name: get(heard) for name, get in pairs})
    match positional:
        case []:
            return lambda _: function()
        case [first]:
            return lambda heard: function(first(heard))
        case [first, second]:
            return lambda heard: function(first(heard), second(heard))
        case [first, second, third]:
            return lambda heard: function(first(heard), second(heard), third(heard))
    return lambda heard: function(*[get(heard) for get in positional])
