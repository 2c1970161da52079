"""From a callback to its hooks: which system it is written for, which of its methods are hooks, each bound.

An explicit dialect wins; else a base class says it; else the hooks' names, and where those are several systems', the
names of their parameters. What could still be two systems is refused.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lmspan.errors import CallbackError
from lmspan.subscribers.binding import bind, fits_by_name
from lmspan.subscribers.dialects import ALL
from lmspan.subscribers.dialects.dspy_ex import State
from lmspan.subscribers.hooks import Argument, Found, Heard, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmspan.subscribers.hooks import Dialect


def find(callback: Any, dialect: str | None, wanted: frozenset[str] | None) -> tuple[Found, ...]:
    """Return the hooks of a callback. Raises `CallbackError` when there is none, or one that could not be called."""
    if type(callback) is tuple and len(callback) == 2:  # noqa: PLR2004 - (handler, state)
        handler, initial = callback
        state = State(initial)
        named = find(handler, dialect or "dspy_ex", wanted)
        return tuple(each._replace(call=state.around(handler, each)) for each in named)
    chosen = _chosen(callback, dialect)
    functions = {name: function for name, function in _functions(callback, chosen) if wanted is None or name in wanted}
    if wanted is not None and (missing := wanted - functions.keys()):
        raise CallbackError(f"{name_of(callback)}: it has no hook {', '.join(sorted(missing))}")
    found = [each for name, function in functions.items() for each in _bound(callback, chosen, name, function)]
    if not found and callable(callback) and chosen.function is not None:
        found = list(_as_function(callback, chosen))
    if not found:
        raise CallbackError(
            f"{name_of(callback)} has no hook; hooks of {chosen.name} are: {', '.join(sorted(chosen.hooks))}"
        )
    return tuple(found)


def _chosen(callback: Any, asked: str | None) -> Dialect:
    dialects = {each.name: each for each in ALL}
    if asked is not None:
        if asked not in dialects:
            known = ", ".join(name for name in dialects if name != "lmspan")
            raise CallbackError(f"dialect: {asked!r} is not known; use {known}")
        return dialects[asked]
    if isinstance(callback, dict):
        return dialects["llmproc"]
    bases = {f"{base.__module__}.{base.__qualname__}" for base in type(callback).__mro__}
    derived = [each for each in dialects.values() if bases & set(each.bases)]
    if derived:
        return derived[0]
    fitting = {each.name: _fit(callback, each) for each in dialects.values()}
    best = max(fitting.values())
    if best == (0, 0):
        return next(each for each in dialects.values() if each.function is not None)
    several = [name for name, fit in fitting.items() if fit == best]
    if len(several) > 1:
        raise CallbackError(
            f"{name_of(callback)}: its hooks could be those of {' or '.join(several)}; say which, with dialect="
        )
    return dialects[several[0]]


def _fit(callback: Any, dialect: Dialect) -> tuple[int, int]:
    """Return how well a callback fits a dialect: hooks that can be bound, and parameters that fit by name."""
    hooks = parameters = 0
    for name, function in _functions(callback, dialect):
        try:
            list(_bound(callback, dialect, name, function))
        except CallbackError:
            continue
        hooks += 1
        parameters += max(fits_by_name(function, hook.arguments) for hook in dialect.hooks[name])
    return hooks, parameters


def _functions(callback: Any, dialect: Dialect) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the hooks that a callback has, by name: a base class's, which does nothing, is none."""
    for name in dialect.hooks:
        function = callback.get(name) if isinstance(callback, dict) else _method(callback, name, dialect)
        if callable(function):
            yield name, function


def _method(callback: Any, name: str, dialect: Dialect) -> Any:
    for base in type(callback).__mro__:
        if name in vars(base):
            inherited = f"{base.__module__}.{base.__qualname__}" in dialect.bases and dialect.name != "lmspan"
            return None if inherited else getattr(callback, name, None)
    return vars(callback).get(name) if hasattr(callback, "__dict__") else None


def _bound(callback: Any, dialect: Dialect, name: str, function: Callable[..., Any]) -> Iterator[Found]:
    for hook in dialect.hooks[name]:
        yield Found(name, hook, bind(function, hook.arguments, f"{name_of(callback)}.{name}"))


def _as_function(callback: Callable[..., Any], dialect: Dialect) -> Iterator[Found]:
    """Yield a bare function, bound to each event of its dialect: it gets the event, then the arguments in order."""
    for event, hooks in (dialect.function or {}).items():
        for hook in hooks:
            first = Argument("event", functools.partial(_constant, event))
            yield Found(str(event), hook, bind(callback, (first, *hook.arguments), name_of(callback)))


def _constant(value: Any, _: Heard) -> Any:
    return value
