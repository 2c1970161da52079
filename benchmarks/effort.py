"""How much is measured, and on what."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.contenders import CONTENDERS
from benchmarks.programs import PROGRAMS

DETAILED = "Predict", "decorated function"
PACKAGES = "lmspan", "dspy", "logillm", "llmproc", "opentelemetry-sdk"


@dataclass(frozen=True)
class Effort:
    rounds: int = 30
    calls: int = 48
    """Of `Predict` in one round; heavier programs run less often."""
    programs: tuple[str, ...] = tuple(PROGRAMS)
    sizes: tuple[int, ...] = (1 << 10, 100 << 10, 10 << 20)
    """Characters of the question."""
    traces: tuple[int, ...] = (10, 1_000, 100_000)
    """Spans of a trace."""
    repeats: int = 5
    """Fresh processes for what is measured once a process."""
    spans: int = 60_000
    paced: int = 1_000
    is_brief: bool = False
    is_long: bool = False

    def contenders(self, program: str) -> list[str]:
        """Return the contenders of a program: all of them for the simplest, for the others one of each kind."""
        found = [each for each in CONTENDERS.values() if not each.is_detail or program in DETAILED]
        return [each.name for each in found if each.is_brief or not self.is_brief]


QUICK = Effort(
    rounds=2, calls=8, programs=("Predict", "decorated function"), sizes=(1 << 10, 100 << 10), traces=(10, 1_000),
    repeats=1, spans=2_000, paced=50, is_brief=True,
)  # fmt: skip


def machine() -> str:
    """Describe what the figures depend on, without names."""
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}; "
        f"{', '.join(f'{name} {version(name)}' for name in PACKAGES)}; "
        f"load average {os.getloadavg()[0]:.1f} at the start."
    )
