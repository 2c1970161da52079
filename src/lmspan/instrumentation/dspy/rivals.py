"""Another instrumentation of DSPy beside ours: every call would be told twice, so it is said, once."""

from __future__ import annotations

import logging
import sys
from typing import Final

from lmspan.guard import guarded

logger: Final = logging.getLogger("lmspan")

_RIVALS: Final = ("openinference.instrumentation.dspy", "opentelemetry.instrumentation.genai.dspy")

waiting: bool = True
"""Whether nobody has looked since DSPy was patched. The other may be turned on later, so the first call looks."""


@guarded
def check() -> None:
    """Warn of another instrumentor that is on. Called when the first module of a program runs."""
    global waiting  # noqa: PLW0603 - once per process and patch
    waiting = False
    for name in _RIVALS:
        instrumentor = getattr(getattr(sys.modules.get(name), "DSPyInstrumentor", None), "_instance", None)
        if getattr(instrumentor, "_is_instrumented_by_opentelemetry", False):
            logger.warning(
                "lmspan: %s instruments DSPy as well, so every module and LM call is recorded twice; "
                "turn one of the two off",
                name,
            )


def reset() -> None:
    """Look again at the next call."""
    global waiting  # noqa: PLW0603
    waiting = True
