"""Measure how long the program waits for the hooks of a subscription, and report slow hooks once."""

from __future__ import annotations

import logging
from typing import Final

logger: Final = logging.getLogger("lmspan")

SLOW_S: Final = 0.005
"""A hook that takes longer counts as slow."""

_TOO_LONG_S: Final = 0.25


class Patience:
    """The time that the program has waited for the slow hooks of one subscription. Used on the program's thread."""

    __slots__ = ("_count", "_name", "_spent_s")

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._spent_s = 0.0

    def wear(self, seconds: float) -> None:
        """Add the duration of a slow hook; log one line, once, when the sum reaches a quarter of a second."""
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
