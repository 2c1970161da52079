"""How long the program waits for a subscription's hooks: a slow one is reported once, with its cost."""

from __future__ import annotations

import logging
from typing import Final

logger = logging.getLogger("lmspan")

SLOW_S: Final = 0.005
"""A hook that takes longer is added up."""

_TOO_LONG_S: Final = 0.25


class Patience:
    """Adds up the slow hooks of one subscription. Called on the program's thread."""

    __slots__ = ("_count", "_name", "_spent_s")

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._spent_s = 0.0

    def wear(self, seconds: float) -> None:
        """Add a slow hook; log a line when they have come to a quarter of a second together, and never again."""
        before, self._spent_s = self._spent_s, self._spent_s + seconds
        self._count += 1
        if before < _TOO_LONG_S <= self._spent_s:
            logger.warning(
                "lmspan: the program has waited %.2f s for hooks of %s (%d slow calls); "
                'subscribe(..., delivery="queued") runs them on another thread',
                self._spent_s,
                self._name,
                self._count,
            )
