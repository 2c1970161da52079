"""Dialects: how each callback system spells its hooks, as one table for each system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmspan.subscribers.dialects import dspy, dspy_ex, dsrs, llmproc, logillm, own

if TYPE_CHECKING:
    from lmspan.subscribers.hooks import Dialect

ALL: Final[tuple[Dialect, ...]] = (
    dspy.DIALECT, logillm.DIALECT, llmproc.DIALECT, dsrs.DIALECT, dspy_ex.DIALECT, own.DIALECT,
)  # fmt: skip
