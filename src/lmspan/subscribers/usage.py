"""The usage of the LM calls below each module, while a callback is subscribed that takes it.

The recorder sums up whole traces and agents only. A module's list lives as long as its call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.lifecycle import LiveCall, Operation
from lmspan.subscribers.per_call import PerCall

if TYPE_CHECKING:
    from collections.abc import Mapping


class Usage(NamedTuple):
    """Tokens and cost of one or more LM calls."""

    input_tokens: int
    output_tokens: int
    cost: float
    unit: str | None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Usage:
        """Return the usage of one LM call from its facts."""
        return cls(
            facts.get(sc.USAGE_INPUT_TOKENS, 0),
            facts.get(sc.USAGE_OUTPUT_TOKENS, 0),
            facts.get(sc.COST_AMOUNT, 0),
            facts.get(sc.COST_UNIT, "USD") if sc.COST_AMOUNT in facts else None,
        )


_MODULES: Final = frozenset((Operation.MODULE, Operation.WORKFLOW, Operation.AGENT))
_below: Final[PerCall[list[Usage]]] = PerCall()


def add(call: LiveCall) -> None:
    """Add an LM call that has ended to all modules around it."""
    usage, around = Usage.of(call.facts), call.parent
    while around is not None:
        if around.operation in _MODULES:
            _below.setdefault(around, []).append(usage)
        around = around.parent


def below(call: LiveCall) -> Usage:
    """Return the usage of all LM calls that have ended below a module. Costs in several units have no sum."""
    every = _below.get(call, [])
    units = {each.unit for each in every} - {None}
    return Usage(
        sum(each.input_tokens for each in every),
        sum(each.output_tokens for each in every),
        sum(each.cost for each in every) if len(units) == 1 else 0,
        units.pop() if len(units) == 1 else None,
    )
