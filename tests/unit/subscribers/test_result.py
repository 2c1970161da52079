"""The result of a run: sums of all calls, and the first calls themselves."""

import copy
import threading

import pytest

from lmspan import semconv as sc
from lmspan.lifecycle import LiveCall, Operation
from lmspan.subscribers import result as result_module
from lmspan.subscribers.result import RunResult


def tool(number):
    return LiveCall(Operation.TOOL, f"t{number}", "test", inputs={"n": number})


def lm(number):
    call = LiveCall(Operation.LM, "m", "test")
    call.facts = {sc.USAGE_INPUT_TOKENS: number, sc.USAGE_OUTPUT_TOKENS: 1, sc.COST_AMOUNT: 0.5, sc.RESPONSE_ID: number}
    return call


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(result_module, "_MOST_KEPT", 3)


def test_a_result_keeps_the_first_calls_and_the_sums_of_all():
    outer = RunResult()
    result = RunResult(parent=outer)
    for number in range(5):
        result.add(tool(number))
        result.add(lm(number))
    for each in (result, outer):
        assert [call["args"]["n"] for call in each.tool_calls] == [0, 1, 2]
        assert [info["id"] for info in each.api_call_infos] == [0, 1, 2]
        assert [kind for _, kind, _ in each.nodes] == ["tool", "lm", "tool"]
        assert (each.node_count, each.total_tool_calls, each.api_calls, each.total_interactions) == (10, 5, 5, 10)
        assert (each.input_tokens, each.output_tokens, each.total_tokens, each.usd_cost) == (10, 5, 15, 2.5)
        assert (each.cached_tokens, each.cache_write_tokens, each.reasoning_tokens) == (0, 0, 0)


def test_calls_that_end_on_many_threads_are_all_counted():
    result = RunResult()

    def add():
        for number in range(500):
            result.add(lm(number))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (result.api_calls, result.output_tokens, result.usd_cost) == (2_000, 2_000, 1_000.0)


def test_a_program_can_copy_a_result():
    result = RunResult()
    result.add(lm(1))
    assert (copy.deepcopy(result).input_tokens, result.input_tokens) == (1, 1)
