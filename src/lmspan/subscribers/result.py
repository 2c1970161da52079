"""`RunResult`: the sums of one run, filled from its calls."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call

_MOST_NODES: Final = 10_000
_KINDS: Final = (
    ("input_tokens", sc.USAGE_INPUT_TOKENS),
    ("output_tokens", sc.USAGE_OUTPUT_TOKENS),
    ("cache_read_tokens", sc.USAGE_CACHE_READ_TOKENS),
    ("cache_write_tokens", sc.USAGE_CACHE_WRITE_TOKENS),
    ("reasoning_tokens", sc.USAGE_REASONING_TOKENS),
)


class RunResult:
    """What a run has come to so far: filled from its spans, whichever library it is written with.

    Fields and meaning are those of LLMProc's `RunResult`; `api_calls` are LM calls that were sent, cache hits are not.
    Read it at any time, on any thread.
    """

    def __init__(self, owner: str = "", start_time_unix_nano: int = 0, outer: RunResult | None = None) -> None:
        """Of the run whose outermost call is `owner`; `outer` is the result of a run that this is a part of."""
        self._owner = owner
        self._outer = outer
        self.api_call_infos: list[dict[str, Any]] = []
        self.tool_calls: list[dict[str, Any]] = []
        self.start_time = (start_time_unix_nano or time.time_ns()) / 1e9
        self.end_time: float | None = None
        self.stop_reason: str | None = None
        self.node_count = 0
        self.nodes: list[tuple[str, str, str]] = []
        self.cache_hits = 0
        self.errors = 0
        self._cost: Counter[str] = Counter()

    def add(self, call: Call) -> None:
        """Take in an ended call; the last is the run's own."""
        facts = call.facts
        if self._outer is not None:
            self._outer.add(call)
        if call.call_id == self._owner:
            self.end_time = call.end_time_unix_nano / 1e9
        self.node_count += 1
        if self.node_count <= _MOST_NODES:
            self.nodes.append((call.call_id, call.operation.value, call.name))
        self.errors += call.failed
        if call.operation is Operation.TOOL:
            self.tool_calls.append({"type": "tool_call", "tool_name": call.name, "error": facts.get(sc.ERROR_TYPE)})
        elif call.operation is Operation.LM and facts.get(sc.CACHE_HIT):
            self.cache_hits += 1
        elif call.operation is Operation.LM and call.raises is None:  # else it was stopped before it was sent
            self.api_call_infos.append(_api_call_info(call))
            self.stop_reason = next(iter(facts.get(sc.RESPONSE_FINISH_REASONS, ())), self.stop_reason)
            if sc.COST_AMOUNT in facts:
                self._cost[facts.get(sc.COST_UNIT, "USD")] += facts[sc.COST_AMOUNT]

    @property
    def api_calls(self) -> int:
        """How many LM calls were sent."""
        return len(self.api_call_infos)

    @property
    def total_tool_calls(self) -> int:
        """How many tools were called."""
        return len(self.tool_calls)

    @property
    def duration_ms(self) -> int:
        """How long the run has taken, in milliseconds."""
        return int(((self.end_time or time.time()) - self.start_time) * 1000)

    @property
    def usd_cost(self) -> float:
        """Known cost in US dollars."""
        return self._cost["USD"]

    cost = usd_cost

    def tokens(self, kind: str) -> int:
        """Return the tokens of a kind: input, output, cache_read, cache_write or reasoning."""
        return sum(info["usage"].get(f"{kind}_tokens", 0) for info in self.api_call_infos)

    input_tokens = property(lambda self: self.tokens("input"))
    output_tokens = property(lambda self: self.tokens("output"))
    cached_tokens = property(lambda self: self.tokens("cache_read"))
    cache_write_tokens = property(lambda self: self.tokens("cache_write"))
    reasoning_tokens = property(lambda self: self.tokens("reasoning"))
    total_tokens = property(lambda self: self.input_tokens + self.output_tokens)

    def __repr__(self) -> str:
        return f"<RunResult {self.api_calls} API calls, {self.total_tokens} tokens, ${self.usd_cost:.4f}>"


def _api_call_info(call: Call) -> dict[str, Any]:
    """Return what is told of one LM call: model, usage by kind, cost, why it stopped, the provider's id."""
    facts = call.facts
    info = {
        "type": "api_call",
        "model": facts.get(sc.RESPONSE_MODEL, facts.get(sc.REQUEST_MODEL)),
        "provider": facts.get(sc.PROVIDER_NAME),
        "usage": {kind: facts[name] for kind, name in _KINDS if name in facts},
        "cost": facts.get(sc.COST_AMOUNT),
        "stop_reason": next(iter(facts.get(sc.RESPONSE_FINISH_REASONS, ())), None),
        "id": facts.get(sc.RESPONSE_ID),
        "error": facts.get(sc.ERROR_TYPE),
    }
    return {name: value for name, value in info.items() if value is not None}
