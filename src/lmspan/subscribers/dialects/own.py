"""lmspan's own callbacks: hooks that take the moment itself, and the result of the run."""

from __future__ import annotations

from typing import Final

from lmspan.lifecycle import Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Hook

_MOMENT: Final = Argument("moment", lambda moment: moment)
_RUN: Final = Argument("run_result", lambda moment: moment.call.result, wants_result=True)
_LM: Final = frozenset((Operation.LM,))

DIALECT: Final = Dialect(
    "lmspan",
    {
        "on_budget_start": (Hook(_LM, Phase.START, (_MOMENT, _RUN)),),
        "on_budget_end": (Hook(_LM, Phase.END, (_MOMENT, _RUN)),),
    },
    bases=("lmspan.subscribers.budget.Budget",),
)
