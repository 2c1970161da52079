"""Match the parameters of a hook with the arguments of its dialect, once, at subscription.

    a parameter takes the argument of its name, else the argument that has its name as an alias, else, if it has no
    default, the argument at its position; `*args` takes the remaining arguments in order, `**kwargs` takes them by name

`bind` returns a function of one moment, so that an event needs no inspection.
"""

from __future__ import annotations

import dis
import inspect
from typing import TYPE_CHECKING, Any, Final

from lmspan.errors import CallbackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lmspan.subscribers.hooks import Argument, Getter, Moment


_OPEN_ENDED: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def bind(function: Callable[..., Any], arguments: Sequence[Argument], hook: str) -> Callable[[Moment], Any]:
    """Return a function that calls a hook. Raises `CallbackError` for a required parameter that no argument fits."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # implemented in C: it takes all arguments, by position
        return _caller(function, [each.get for each in arguments if not each.by_name_only], {})
    assignment = _Assignment(arguments, hook)
    for parameter in parameters:  # names first, so that no argument goes by position past its name
        assignment.take_by_name(parameter)
    for index, parameter in enumerate(parameters):
        assignment.add(index, parameter)
    return _caller(function, assignment.positional, assignment.named)


def fits_by_name(function: Callable[..., Any], arguments: Sequence[Argument]) -> int:
    """Count the parameters of a hook that an argument fits by name; detection compares dialects by it."""
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return 0
    return sum(any(argument.is_called(name) for argument in arguments) for name in names)


def required(function: Callable[..., Any]) -> int:
    """Count the parameters of a hook that have no default; 0 for a function that cannot be inspected."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(each.default is each.empty and each.kind not in _OPEN_ENDED for each in parameters)


def returns_nothing(function: Callable[..., Any]) -> bool:
    """Tell whether a hook returns None wherever it returns; False for a function that is not written in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return False
    before, nothing = None, True
    for instruction in dis.get_instructions(code):
        if instruction.opname == "RETURN_VALUE":
            nothing &= before is not None and before.opname == "LOAD_CONST" and before.argval is None
        elif instruction.opname == "RETURN_CONST":  # from Python 3.12 on
            nothing &= instruction.argval is None
        before = instruction
    return nothing


class _Assignment:
    """The assignment of arguments to parameters, built one parameter at a time."""

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
        argument = next((each for each in self.left if each.is_called(parameter.name)), None)
        if argument is not None:
            self.by_name[parameter.name] = argument
            self.left.remove(argument)

    def add(self, index: int, parameter: inspect.Parameter) -> None:
        if parameter.kind is parameter.VAR_POSITIONAL:
            self.positional += [each.get for each in self.left if not each.by_name_only]
            self.left = [each for each in self.left if each.by_name_only]
        elif parameter.kind is parameter.VAR_KEYWORD:
            self.named.update((each.name, each.get) for each in self.left)
            self.left = []
        else:
            self.assign(parameter, self.by_name.get(parameter.name) or self.at_position(index, parameter))

    def at_position(self, index: int, parameter: inspect.Parameter) -> Argument | None:
        if parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            return None
        argument = self.arguments[index] if index < len(self.arguments) else None
        if argument is None or argument.by_name_only or argument not in self.left:
            return None
        self.left.remove(argument)
        return argument

    def assign(self, parameter: inspect.Parameter, argument: Argument | None) -> None:
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
) -> Callable[[Moment], Any]:
    """Return the shortest function that calls a hook with these arguments."""
    if named:
        pairs = tuple(named.items())
        return lambda moment: function(
            *[get(moment) for get in positional], **{name: get(moment) for name, get in pairs}
        )
    match positional:
        case []:
            return lambda _: function()
        case [first]:
            return lambda moment: function(first(moment))
        case [first, second]:
            return lambda moment: function(first(moment), second(moment))
        case [first, second, third]:
            return lambda moment: function(first(moment), second(moment), third(moment))
    return lambda moment: function(*[get(moment) for get in positional])
