"""Numbers of any type as plain ones: of numpy, torch, `decimal` and `fractions`, and of subclasses of int and float.

No code of the program runs: only the types of these libraries are asked for their value.
"""

from __future__ import annotations

import decimal
import fractions
from typing import Any, Final

_LARGEST: Final = 2**1000  # a float holds it
_BY_FLOAT: Final = (decimal.Decimal, fractions.Fraction)
_BY_ITEM: Final = ("numpy", "torch")
_PLAIN: Final = (bool, int, float)


def plain_number(value: Any) -> bool | int | float | None:
    """Return a number as a bool, an int or a float; None for a value that is no number. Never raises."""
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return] # it is one of the three
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        return float.__float__(value)
    if kind in _BY_FLOAT:
        return _as_float(value)
    return _item(value, kind) if kind.__module__ in _BY_ITEM else None


def finite(value: Any) -> float | None:
    """Return a number of any type as a float; None for NaN, the infinities and values that are no numbers."""
    number = plain_number(value)
    if number is None or (type(number) is int and not -_LARGEST < number < _LARGEST):
        return None
    return float(number) if number - number == 0 else None


def _as_float(value: Any) -> float | None:
    """Return a Decimal or a Fraction as a float; an int where it is one."""
    try:
        return int(value) if value == int(value) else float(value)
    except (ArithmeticError, ValueError):  # Decimal("NaN"), Fraction(10**400)
        return None


def _item(value: Any, kind: type) -> bool | int | float | None:
    """Return the number that a scalar, or an array without dimensions, of numpy or torch holds."""
    if not hasattr(kind, "item") or getattr(value, "ndim", 1) != 0:
        return None
    try:
        item = value.item()
        item = item if type(item) in _PLAIN else kind.__float__(value)  # type: ignore[attr-defined] # a long double
    except Exception:  # noqa: BLE001 - a complex number, a date, a tensor without data
        return None
    return item if type(item) in _PLAIN else None
