"""Find the system that each hook of a callback is written for, and bind the hooks.

    explicit dialect     all hooks are of that system
    base class           the hooks that the system's base class has are of that system
    names, parameters    the system that most hooks fit, and among equals most parameters by name

A hook that this system does not know, or that fits it only by position where another system has its parameters by
name, is of the other system. A callback that two systems fit equally well is refused, and so is a hook that fits none.
"""

from __future__ import annotations

import difflib
import functools
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import CallbackError
from lmspan.subscribers.binding import bind, fits_by_name, required, returns_nothing
from lmspan.subscribers.composite import Composite, forwarding
from lmspan.subscribers.dialects import ALL
from lmspan.subscribers.dialects.dspy_ex import State
from lmspan.subscribers.hooks import Argument, BoundHook, Moment, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmspan.subscribers.hooks import Dialect

logger: Final = logging.getLogger("lmspan")

_DIALECTS: Final = {each.name: each for each in ALL}
_OWN: Final = "lmspan"
_SYSTEMS: Final = tuple(each for each in ALL if each.name != _OWN)
_NAMES: Final = sorted({name for each in _SYSTEMS for name in each.hooks})
_ALIKE: Final = 0.8
_MAY_CHANGE: Final = "hook_"
"""The names of LLMProc's plugin methods that may return another value start with it."""


class _Choice(NamedTuple):
    """The system of a callback, and how it was found."""

    dialect: Dialect
    explicit: bool = False
    by_base: bool = False


def bound_hooks(callback: Any, dialect: str | None, wanted: frozenset[str] | None) -> tuple[BoundHook, ...]:
    """Return the bound hooks of a callback, all or the wanted ones.

    Raises `CallbackError` if there is no hook, or a hook that could never be called. An object of a system's base class
    that overrides no hook is accepted; it hears nothing.
    """
    if type(callback) is tuple and len(callback) == 2:  # noqa: PLR2004 - (handler, state)
        handler, initial = callback
        state = State(initial)
        stateless = bound_hooks(handler, dialect or "dspy_ex", wanted)
        return tuple(each._replace(call=state.around(handler, each)) for each in stateless)
    choice = _choose(callback, dialect)
    hooks = [*_methods(callback, choice, wanted), *_as_function(callback, choice, wanted)]
    missing = (wanted or frozenset()) - {each.name for each in hooks}
    if missing and not (choice.by_base and missing <= choice.dialect.hooks.keys()):
        raise CallbackError(f"{name_of(callback)}: it has no hook {', '.join(sorted(missing))}")
    _check_names(callback, choice)
    if not hooks and not choice.by_base:
        raise CallbackError(_no_hook(callback, choice.dialect if choice.explicit else None))
    return tuple(hooks)


# The system -------------------------------------------------------------------------------------------------------


def _choose(callback: Any, explicit: str | None) -> _Choice:
    if explicit is not None and explicit not in _DIALECTS:
        raise CallbackError(f"dialect: {explicit!r} is not known; use {', '.join(each.name for each in _SYSTEMS)}")
    bases = {f"{base.__module__}.{base.__qualname__}" for base in type(callback).__mro__}
    derived = [each for each in ALL if bases & set(each.bases)]
    if explicit is not None:
        return _Choice(_DIALECTS[explicit], explicit=True, by_base=_DIALECTS[explicit] in derived)
    if derived:
        return _Choice(derived[0], by_base=True)
    if isinstance(callback, dict):
        return _Choice(_DIALECTS["llmproc"])
    return _Choice(_fitting(callback))


def _fitting(callback: Any) -> Dialect:
    """Return the system that the hooks of a callback fit best."""
    named = {each.name: dict(_functions(callback, each)) for each in ALL}
    fitting = {name: _fit(callback, _DIALECTS[name], functions) for name, functions in named.items()}
    best = max(fitting.values())
    if best == (0, 0):  # none that can be bound: binding them raises, and names the hook and the parameter
        most = max(named, key=lambda name: len(named[name]))
        return _DIALECTS[most if named[most] else "llmproc"]
    several = [name for name, fit in fitting.items() if fit == best]
    if len(several) > 1 and frozenset.intersection(*(frozenset(named[name]) for name in several)):
        raise CallbackError(
            f"{name_of(callback)}: its hooks could be those of {' or '.join(several)}; pass dialect= to choose one"
        )
    return _DIALECTS[several[0]]


def _fit(callback: Any, dialect: Dialect, functions: dict[str, Callable[..., Any]]) -> tuple[int, int]:
    """Count the hooks of a callback that a dialect can bind, and their parameters that fit by name."""
    bindable = [each for each in functions.items() if _can_bind(callback, dialect, *each)]
    return len(bindable), sum(_by_name(dialect, *each) for each in bindable)


def _can_bind(callback: Any, dialect: Dialect, name: str, function: Callable[..., Any]) -> bool:
    try:
        list(_bound(callback, dialect, name, function))
    except CallbackError:
        return False
    return True


def _by_name(dialect: Dialect, name: str, function: Callable[..., Any]) -> int:
    return max(fits_by_name(function, hook.arguments) for hook in dialect.hooks[name])


# The hooks --------------------------------------------------------------------------------------------------------


def _methods(callback: Any, choice: _Choice, wanted: frozenset[str] | None) -> Iterator[BoundHook]:
    """Yield the bound hooks that are functions of their own."""
    functions = {name: (choice.dialect, function) for name, function in _functions(callback, choice.dialect)}
    if not choice.explicit:
        functions = {name: _better(callback, choice, name, *each) for name, each in functions.items()}
        functions |= dict(_others(callback, choice))
    overridden = frozenset(functions)
    if isinstance(callback, Composite):
        yield from forwarding(callback, choice.dialect, overridden, lambda part: bound_hooks(part, "dsrs", None))
    for name, (dialect, function) in functions.items():
        if wanted is None or name in wanted:
            yield from _bound(callback, dialect, name, function, overridden)


def _better(
    callback: Any, choice: _Choice, name: str, dialect: Dialect, function: Callable[..., Any]
) -> tuple[Dialect, Callable[..., Any]]:
    """Return the system of a hook: another one if only that has its parameters by name."""
    if choice.by_base or _by_name(dialect, name, function):
        return dialect, function
    others = [each for each in _SYSTEMS if each is not dialect and _has_by_name(callback, each, name, function)]
    return (others[0] if len(others) == 1 else dialect), function


def _others(callback: Any, choice: _Choice) -> Iterator[tuple[str, tuple[Dialect, Callable[..., Any]]]]:
    """Yield the hooks that only other systems know, by name, with their system."""
    for name in _NAMES:
        if name in choice.dialect.hooks:
            continue
        knowing = [each for each in _SYSTEMS if name in each.hooks]
        function = dict(_functions(callback, knowing[0])).get(name)
        if function is None:
            continue
        named = [each for each in knowing if _has_by_name(callback, each, name, function)]
        if named:
            yield name, (named[0], function)
        elif name.startswith("on_"):  # other names are words that a method of the program's own may have
            yield name, (_only(callback, name, function, knowing), function)


def _only(callback: Any, name: str, function: Callable[..., Any], knowing: list[Dialect]) -> Dialect:
    fitting = [each for each in knowing if _can_bind(callback, each, name, function)] or knowing
    if len(fitting) > 1:
        systems = " or ".join(each.name for each in fitting)
        raise CallbackError(
            f"{name_of(callback)}.{name} could be a hook of {systems}; name its parameters as the system does, "
            "or pass dialect="
        )
    return fitting[0]


def _has_by_name(callback: Any, dialect: Dialect, name: str, function: Callable[..., Any]) -> bool:
    if name not in dialect.hooks or not _can_bind(callback, dialect, name, function):
        return False
    return 0 < _by_name(dialect, name, function) >= required(function)


def _functions(callback: Any, dialect: Dialect) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions of a callback by the name of their hook, without the empty hooks of a base class."""
    for name in dialect.hooks:
        function = callback.get(name) if isinstance(callback, dict) else _method(callback, name, dialect)
        if callable(function):
            yield name, function


def _method(callback: Any, name: str, dialect: Dialect) -> Any:
    own = vars(callback).get(name) if hasattr(callback, "__dict__") else None
    if own is not None:
        return own
    for base in type(callback).__mro__:
        if name in vars(base):
            inherited = f"{base.__module__}.{base.__qualname__}" in dialect.bases and dialect.name != _OWN
            return None if inherited else getattr(callback, name, None)
    return getattr(callback, name, None) if hasattr(type(callback), "__getattr__") else None  # a proxy


def _bound(
    callback: Any,
    dialect: Dialect,
    name: str,
    function: Callable[..., Any],
    overridden: frozenset[str] = frozenset(),
) -> Iterator[BoundHook]:
    if name.startswith(_MAY_CHANGE) and not returns_nothing(function):
        raise CallbackError(
            f"{name_of(callback)}.{name} returns a value, which would change the program, and lmspan only listens; "
            "add it to LLMProc's process as a plugin"
        )
    for hook in dialect.hooks[name]:
        if hook.unless not in overridden:
            yield BoundHook(name, hook, bind(function, hook.arguments, f"{name_of(callback)}.{name}"))


def _as_function(callback: Any, choice: _Choice, wanted: frozenset[str] | None) -> Iterator[BoundHook]:
    """Yield a callable, bound to each event of its dialect that it has no method for.

    It takes the event, then the arguments in order. Of a callable object with methods, the call may take no event.
    """
    if choice.dialect.function is None or not callable(callback) or isinstance(callback, type):
        return
    methods = {name for name, _ in _functions(callback, choice.dialect)}
    for event, hooks in choice.dialect.function.items():
        if event.value in methods or (wanted is not None and event.value not in wanted):
            continue
        for hook in hooks:
            first = Argument("event", functools.partial(_constant, event))
            yield BoundHook(event.value, hook, bind(callback, (first, *hook.arguments), name_of(callback)))


def _constant(value: Any, _: Moment) -> Any:
    return value


# Messages ---------------------------------------------------------------------------------------------------------


def _check_names(callback: Any, choice: _Choice) -> None:
    """Refuse a key of a dict that is no hook; warn of a method whose name is almost that of a hook."""
    if isinstance(callback, dict):
        for name in callback:
            if name not in _NAMES:
                near = _near(str(name), [*choice.dialect.hooks])
                raise CallbackError(f"{name!r} is no hook{near}; hooks are: {', '.join(sorted(choice.dialect.hooks))}")
            if not callable(callback[name]):
                raise CallbackError(f"{name!r}: a {type(callback[name]).__name__} is no function")
        return
    for name in _public(callback):
        known = name in _NAMES or name in choice.dialect.hooks
        if name.startswith("on_") and not known and (near := _near(name, list(choice.dialect.hooks))):
            logger.warning("lmspan: %s.%s is no hook%s", name_of(callback), name, near)


def _no_hook(callback: Any, dialect: Dialect | None) -> str:
    if dialect is not None:
        return f"{name_of(callback)} has no hook; hooks of {dialect.name} are: {', '.join(sorted(dialect.hooks))}"
    near = next((f": {name}{_near(name, _NAMES)}" for name in _public(callback) if _near(name, _NAMES)), "")
    return f"{name_of(callback)} has no hook of {', '.join(each.name for each in _SYSTEMS)}{near}"


def _public(callback: Any) -> list[str]:
    names = {name for base in type(callback).__mro__ for name in vars(base)}
    names |= set(vars(callback)) if hasattr(callback, "__dict__") else set()
    return sorted(name for name in names if not name.startswith("_"))


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1, _ALIKE)
    return f"; did you mean {near[0]}?" if near else ""
