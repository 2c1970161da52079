"""Warn once if another instrumentation of DSPy is active: every call would be recorded twice."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

from lmspan.guard import guarded

if TYPE_CHECKING:
    from lmspan.patching import Patches

logger: Final = logging.getLogger("lmspan")

_RIVALS: Final = ("openinference.instrumentation.dspy", "opentelemetry.instrumentation.genai.dspy")

waiting: bool = True
"""Whether the check is still to be made. The other one may be turned on later than ours, so the first call checks."""


@guarded
def check() -> None:
    """Warn of another instrumentor that is active. Called when the first module of a program runs."""
    global waiting  # noqa: PLW0603 - one check for each time that DSPy is patched
    waiting = False
    for name in _RIVALS:
        instrumentor = getattr(getattr(sys.modules.get(name), "DSPyInstrumentor", None), "_instance", None)
        if getattr(instrumentor, "_is_instrumented_by_opentelemetry", False):
            logger.warning(
                "lmspan: %s instruments DSPy as well, so every module and LM call is recorded twice; "
                "turn one of the two off",
                name,
            )


def patch(_: Patches) -> None:
    """Check again at the next call."""
    global waiting  # noqa: PLW0603 - one check for each time that DSPy is patched
    waiting = True
