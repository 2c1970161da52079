"""Dialects: how a callback system spells its hooks. A table each: hook, what it hears, what it may be given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmspan.callbacks.binding import Argument
    from lmspan.lifecycle import Call, Operation, Phase

ANY_EVENT: Final = "*"
"""Stands for every event that has no name in the vocabulary: the program's own."""


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


def all_dialects() -> tuple[Dialect, ...]:
    """Return every dialect."""
    from lmspan.callbacks.dialects import (  # noqa: PLC0415 - they import this module
        dspy,
        dspy_ex,
        dsrs,
        llmproc,
        logillm,
        own,
    )

    return (dspy.DIALECT, logillm.DIALECT, llmproc.DIALECT, dsrs.DIALECT, dspy_ex.DIALECT, own.DIALECT)
