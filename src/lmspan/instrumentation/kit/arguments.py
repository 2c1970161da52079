"""The arguments of a call that a wrapper sees as `args` and `kwargs`."""

from __future__ import annotations

from typing import Any


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], place: int, *names: str) -> Any:
    """Return the argument at a place or under one of its names, else None."""
    if len(args) > place:
        return args[place]
    for name in names:
        if name in kwargs:
            return kwargs[name]
    return None


def by_name(args: tuple[Any, ...], kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return all arguments by name, with the names of the first parameters in order."""
    return {**dict(zip(names, args, strict=False)), **kwargs}


def keywords(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments, with the positional ones, whose names are unknown, under `args`."""
    return {**kwargs, "args": args} if args else kwargs
