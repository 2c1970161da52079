"""lmspan's own callbacks: hooks that take what was heard itself."""

from __future__ import annotations

from typing import Final

from lmspan.lifecycle import Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Hook

_HEARD: Final = Argument("heard", lambda heard: heard)
_RUN: Final = Argument("run_result", lambda heard: heard.call.result)
_LM: Final = frozenset((Operation.LM,))

DIALECT: Final = Dialect(
    "lmspan",
    {
        "on_budget_start": (Hook(_LM, Phase.START, (_HEARD, _RUN)),),
        "on_budget_end": (Hook(_LM, Phase.END, (_HEARD, _RUN)),),
    },
    bases=("lmspan.subscribers.budget.Budget",),
)
