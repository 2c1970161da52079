"""Dialects: one table for each callback system, of the hooks as that system spells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmspan.subscribers.dialects import dspy, dspy_ex, dsrs, llmproc, logillm, own

if TYPE_CHECKING:
    from lmspan.subscribers.hooks import Dialect

ALL: Final[tuple[Dialect, ...]] = (
    dspy.DIALECT, logillm.DIALECT, llmproc.DIALECT, dsrs.DIALECT, dspy_ex.DIALECT, own.DIALECT,
)  # fmt: skip
