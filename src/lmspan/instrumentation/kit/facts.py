"""Read facts from the program's own values without running its code."""

from __future__ import annotations

from typing import Any, Final

from lmspan.content.numbers import finite, plain_number
from lmspan.context.current import current_call

_get = object.__getattribute__


def stored(value: Any) -> dict[str, Any]:
    """Return the attributes that an object stores, as its own dict; an empty dict if it has none."""
    try:
        fields = _get(value, "__dict__")
    except AttributeError:
        return {}
    return fields if type(fields) is dict else {}


def cells(function: Any) -> dict[str, Any]:
    """Return the cells of the closure of a plain function, by the name of the variable."""
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))


def is_inside(instance: Any, *operations: Any) -> bool:
    """Return whether the innermost call is one of these operations on this very object: then another one is nested."""
    call = current_call()
    return call is not None and call.instance is instance and call.operation in operations


def text(value: Any) -> str:
    """Return a string as a plain `str`, also from a subclass, whose code does not run; "" for another type."""
    return str.__str__(value) if issubclass(type(value), str) else ""


def put(facts: dict[str, Any], name: str, value: Any, kind: type) -> None:
    """Set a fact if the value fits the type of the attribute: a number of any type that is one, else exactly `kind`."""
    if value is None:
        return
    fit = _FITS.get(kind)
    fitting = fit(value) if fit is not None else value
    if type(fitting) is kind:
        facts[name] = fitting


def _whole(value: Any) -> int | None:
    """Return a number without a fraction as an int that an attribute can hold."""
    kind = type(value)
    number = value if kind is int else plain_number(value) if kind is not bool else None
    if type(number) is float and number.is_integer():
        number = int(number)
    return number if type(number) is int and -(2**63) <= number < 2**63 else None


def _real(value: Any) -> float | None:
    number = plain_number(value) if type(value) is not bool else None
    return finite(number) if type(number) is int else number if type(number) is float else None


_FITS: Final = {int: _whole, float: _real}


def at(value: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of fields, else None."""
    for name in path:
        value = field(value, name)
    return value


def text_of(value: Any) -> str:
    """Return a value if it is a `str`, else ""."""
    return value if type(value) is str else ""


def field(value: Any, name: str) -> Any:
    """Return a field of a mapping or an attribute of a response object, else None."""
    if value is None:
        return None
    if isinstance(value, dict):
        return value.get(name)
    return getattr(value, name, None)
