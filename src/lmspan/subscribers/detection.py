"""Detect the dialect of a callback and bind its hooks.

An explicit dialect wins, then a base class of a known system, then the names of the hooks. If several systems have
those names, the names of the parameters decide. A callback that still fits two systems is refused.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lmspan.errors import CallbackError
from lmspan.subscribers.binding import bind, fits_by_name
from lmspan.subscribers.dialects import ALL
from lmspan.subscribers.dialects.dspy_ex import State
from lmspan.subscribers.hooks import Argument, BoundHook, Moment, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lmspan.subscribers.hooks import Dialect


def bound_hooks(callback: Any, dialect: str | None, wanted: frozenset[str] | None) -> tuple[BoundHook, ...]:
    """Return the bound hooks of a callback, all or the wanted ones.

    Raises `CallbackError` if there is no hook, or a hook that could never be called.
    """
    if type(callback) is tuple and len(callback) == 2:  # noqa: PLR2004 - (handler, state)
        handler, initial = callback
        state = State(initial)
        stateless = bound_hooks(handler, dialect or "dspy_ex", wanted)
        return tuple(each._replace(call=state.around(handler, each)) for each in stateless)
    chosen = _chosen(callback, dialect)
    functions = {name: function for name, function in _functions(callback, chosen) if wanted is None or name in wanted}
    if wanted is not None and (missing := wanted - functions.keys()):
        raise CallbackError(f"{name_of(callback)}: it has no hook {', '.join(sorted(missing))}")
    hooks = [each for name, function in functions.items() for each in _bound(callback, chosen, name, function)]
    if not hooks and callable(callback) and chosen.function is not None:
        hooks = list(_as_function(callback, chosen))
    if not hooks:
        raise CallbackError(
            f"{name_of(callback)} has no hook; hooks of {chosen.name} are: {', '.join(sorted(chosen.hooks))}"
        )
    return tuple(hooks)


def _chosen(callback: Any, explicit: str | None) -> Dialect:
    dialects = {each.name: each for each in ALL}
    if explicit is not None:
        if explicit not in dialects:
            known = ", ".join(name for name in dialects if name != "lmspan")
            raise CallbackError(f"dialect: {explicit!r} is not known; use {known}")
        return dialects[explicit]
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
            f"{name_of(callback)}: its hooks could be those of {' or '.join(several)}; pass dialect= to choose one"
        )
    return dialects[several[0]]


def _fit(callback: Any, dialect: Dialect) -> tuple[int, int]:
    """Count the hooks of a callback that a dialect can bind, and their parameters that fit by name."""
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
    """Yield the functions of a callback by the name of their hook, without the empty hooks of a base class."""
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


def _bound(callback: Any, dialect: Dialect, name: str, function: Callable[..., Any]) -> Iterator[BoundHook]:
    for hook in dialect.hooks[name]:
        yield BoundHook(name, hook, bind(function, hook.arguments, f"{name_of(callback)}.{name}"))


def _as_function(callback: Callable[..., Any], dialect: Dialect) -> Iterator[BoundHook]:
    """Yield a bare function, bound to each event of its dialect; it takes the event, then the arguments in order."""
    for event, hooks in (dialect.function or {}).items():
        for hook in hooks:
            first = Argument("event", functools.partial(_constant, event))
            yield BoundHook(str(event), hook, bind(callback, (first, *hook.arguments), name_of(callback)))


def _constant(value: Any, _: Moment) -> Any:
    return value
