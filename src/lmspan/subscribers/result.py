"""`RunResult`: the sums of one run, filled from its calls."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.locks import Lock
from lmspan.subscribers.answers import answer_texts

if TYPE_CHECKING:
    from lmspan.lifecycle import Figures, LiveCall

_MOST_KEPT: Final = 10_000
"""Of the nodes, the LM calls and the tool calls, each: a run may last for days. The sums are those of all."""
_counting: Final = Lock()  # one for all, so that a program can copy a result
_TOTAL: Final = "lmspan.total."
_KINDS: Final = (
    ("input_tokens", sc.USAGE_INPUT_TOKENS),
    ("output_tokens", sc.USAGE_OUTPUT_TOKENS),
    ("cache_read_tokens", sc.USAGE_CACHE_READ_TOKENS),
    ("cache_write_tokens", sc.USAGE_CACHE_WRITE_TOKENS),
    ("reasoning_tokens", sc.USAGE_REASONING_TOKENS),
)


class RunResult:
    """The sums of a run so far, filled from its calls, for a program of any library.

    The fields are those of LLMProc's `RunResult`; `api_calls` counts the LM calls that were sent, not the cache hits.
    `nodes`, `api_call_infos` and `tool_calls` have the first 10,000, the counts and sums are those of all.
    It may be read at any time, on any thread.
    """

    def __init__(self, owner: str = "", start_time_unix_nano: int = 0, parent: RunResult | None = None) -> None:
        """`owner` is the id of the run's outermost call; `parent` is the result of a run around this one, if any."""
        self._owner = owner
        self._parent = parent
        self.api_call_infos: list[dict[str, Any]] = []
        self.tool_calls: list[dict[str, Any]] = []
        self.start_time: float = (start_time_unix_nano or time.time_ns()) / 1e9
        self.end_time: float | None = None
        self.stop_reason: str | None = None
        self.last_message: str = ""
        """The text of the latest answer that has one."""
        self.node_count: int = 0
        self.nodes: list[tuple[str, str, str]] = []
        self.cache_hits: int = 0
        self.errors: int = 0
        self.uncounted_tasks: int = 0
        """The tasks and processes that the run has started and whose figures have not come back: they are not in here.

        A task of a process pool is counted when its result is back; its calls are not in `api_call_infos`,
        `tool_calls` and `nodes`.
        """
        self._elsewhere: Counter[str] = Counter()
        self._cost: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()

    def add(self, call: LiveCall) -> None:
        """Add an ended call. The run's outermost call is the last."""
        if self._parent is not None:
            self._parent.add(call)
        with _counting:  # calls of one run may end on several threads
            self._count(call)

    def _count(self, call: LiveCall) -> None:
        if call.call_id == self._owner:
            self.end_time = call.end_time_unix_nano / 1e9
        self.node_count += 1
        _keep(self.nodes, (call.call_id, call.operation.value, call.name))
        self.errors += call.failed
        if call.operation is Operation.TOOL:
            self._count_tool(call)
        elif call.operation is Operation.LM and call.facts.get(sc.CACHE_HIT):
            self.cache_hits += 1
        elif (
            call.operation is Operation.LM and call.raises is None
        ):  # a hook that raises stops the call before it is sent
            self._count_lm(call)

    def _count_tool(self, call: LiveCall) -> None:
        self._sums["tool_calls"] += 1
        args = call.inputs if type(call.inputs) is dict else {}
        error = call.facts.get(sc.ERROR_TYPE)
        _keep(self.tool_calls, {"type": "tool_call", "tool_name": call.name, "args": args, "error": error})

    def _count_lm(self, call: LiveCall) -> None:
        facts = call.facts
        info = _api_call_info(call)
        self._sums["api_calls"] += 1
        self._sums.update(info["usage"])
        _keep(self.api_call_infos, info)
        self.last_message = "\n".join(answer_texts(call)) or self.last_message
        self.stop_reason = next(iter(facts.get(sc.RESPONSE_FINISH_REASONS, ())), self.stop_reason)
        if sc.COST_AMOUNT in facts:
            self._cost[facts.get(sc.COST_UNIT, "USD")] += facts[sc.COST_AMOUNT]

    def add_figures(self, figures: Figures) -> None:
        """Add the sums of calls that have run in another process."""
        if self._parent is not None:
            self._parent.add_figures(figures)
        numbers = figures.numbers
        with _counting:
            self._elsewhere.update(numbers)
            self._cost.update(figures.costs)
            self.node_count += numbers.get(sc.TOTAL_NODES, 0)
            self.errors += numbers.get(sc.TOTAL_ERRORS, 0)
            self.cache_hits += numbers.get(sc.TOTAL_CACHE_HITS, 0)
            self.uncounted_tasks += numbers.get(sc.TOTAL_UNCOUNTED, 0)

    @property
    def api_calls_elsewhere(self) -> int:
        """The number of LM calls that were sent by other processes and are counted here."""
        return self._elsewhere[sc.TOTAL_LLM_CALLS] - self._elsewhere[sc.TOTAL_CACHE_HITS]

    @property
    def api_calls(self) -> int:
        """The number of LM calls that were sent."""
        return self._sums["api_calls"] + self.api_calls_elsewhere

    @property
    def total_tool_calls(self) -> int:
        """The number of tool calls."""
        return self._sums["tool_calls"] + self._elsewhere[sc.TOTAL_TOOL_CALLS]

    @property
    def duration_ms(self) -> int:
        """The duration of the run so far, in milliseconds."""
        return int(((self.end_time or time.time()) - self.start_time) * 1000)

    @property
    def usd_cost(self) -> float:
        """The known cost in US dollars."""
        return self._cost["USD"]

    @property
    def cost(self) -> float:
        """The same as `usd_cost`."""
        return self.usd_cost

    def tokens(self, kind: str) -> int:
        """Return the sum of one kind of tokens: input, output, cache_read, cache_write or reasoning."""
        return self._sums[f"{kind}_tokens"] + self._elsewhere[f"{_TOTAL}{kind}_tokens"]

    @property
    def input_tokens(self) -> int:
        """The tokens of all prompts."""
        return self.tokens("input")

    @property
    def output_tokens(self) -> int:
        """The tokens of all answers."""
        return self.tokens("output")

    @property
    def cached_tokens(self) -> int:
        """The input tokens that providers read from their prompt caches."""
        return self.tokens("cache_read")

    @property
    def cache_savings(self) -> float:
        """What providers' prompt caches have saved, in input tokens: LLMProc counts a read token as nine tenths."""
        return 0.9 * self.cached_tokens

    @property
    def total_interactions(self) -> int:
        """The number of LM calls that were sent, and of tool calls."""
        return self.api_calls + self.total_tool_calls

    @property
    def cache_write_tokens(self) -> int:
        """The input tokens that providers wrote to their prompt caches."""
        return self.tokens("cache_write")

    @property
    def reasoning_tokens(self) -> int:
        """The output tokens of reasoning."""
        return self.tokens("reasoning")

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    def __repr__(self) -> str:
        figures = f"{self.api_calls} API calls, {self.total_tokens} tokens, ${self.usd_cost:.4f}"
        missing = f", {self.uncounted_tasks} tasks of other processes not counted" if self.uncounted_tasks else ""
        return f"<RunResult {figures}{missing}>"


def _keep(kept: list[Any], each: Any) -> None:
    if len(kept) < _MOST_KEPT:
        kept.append(each)


def _api_call_info(call: LiveCall) -> dict[str, Any]:
    """Return the summary of an LM call: model, usage by kind, cost, stop reason, the provider's id, the error."""
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
