"""What an operation and everything below it came to: once, whole, from any thread, without growing."""

import threading

import pytest

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording_module
from lmspan.testing import recording

LM, TOOL, MODULE = Operation.LM, Operation.TOOL, Operation.MODULE


@pytest.fixture
def recorded():
    with recording(instrument=()) as it:
        yield it


REQUIRED = {LM: {sc.PROVIDER_NAME: "p"}, TOOL: {sc.TOOL_NAME: "t"}}


def start(operation, name, **options):
    options.setdefault("facts", REQUIRED.get(operation))
    return recording_module.active.start(operation, name, "test", **options)


def end(call, error=None, **found):
    call.late_facts.update(found)
    recording_module.active.end(call, error=error)


def ask(**found):
    end(start(LM, "m"), **{getattr(sc, name): value for name, value in found.items()})


def spent(tokens, cost, unit="USD", source="prices"):
    return {
        "USAGE_INPUT_TOKENS": tokens,
        "USAGE_OUTPUT_TOKENS": 1,
        "COST_AMOUNT": cost,
        "COST_UNIT": unit,
        "COST_SOURCE": source,
    }


def test_the_outermost_operation_tells_what_the_trace_came_to(recorded):
    root = start(MODULE, "root")
    ask(**spent(10, 0.1))
    ask(**spent(20, 0.2, source="other prices"))
    ask(USAGE_INPUT_TOKENS=5)
    ask(CACHE_HIT=True, CACHE_SAVED_TOKENS=30)
    failing, error = start(TOOL, "t"), LookupError()
    end(start(TOOL, "inner"), error=error)
    end(failing, error=error)
    end(start(TOOL, "lost", parent_id="nobody"))
    end(root)
    totals = {
        "nodes": 8, "llm_calls": 4, "tool_calls": 3, "errors": 1, "orphans": 1,
        "input_tokens": 35, "output_tokens": 2, "cache_hits": 1, "cache_saved_tokens": 30,
        "cost.amount": 0.3, "cost.unit": "USD", "cost.sources": ("prices", "other prices"), "cost.unknown_calls": 1,
    }  # fmt: skip
    assert recorded.totals("module root") == totals
    ((name, facts),) = [(each.name, dict(each.attributes)) for each in recorded.one("module root").events]
    assert (name, facts) == ("lmspan.trace.complete", {f"lmspan.total.{key}": value for key, value in totals.items()})
    assert recorded.attributes("execute_tool lost")[sc.ORPHAN] is True
    others = [span for span in recorded.spans if span.name != "module root"]
    assert not [name for span in others for name in span.attributes if name.startswith("lmspan.total.")]
    recorded.assert_conventions()


def test_an_agent_tells_its_own_part_and_the_whole_has_it_once(recorded):
    root = start(MODULE, "root")
    ask(**spent(1, 0.5))
    agent = start(Operation.AGENT, "a")
    ask(**spent(2, 0.25))
    end(start(TOOL, "t"))
    end(agent)
    end(root)
    assert recorded.totals("invoke_agent a") == {
        "llm_calls": 1, "tool_calls": 1, "input_tokens": 2, "output_tokens": 1,
        "cost.amount": 0.25, "cost.unit": "USD", "cost.sources": ("prices",),
    }  # fmt: skip
    whole = recorded.totals("module root")
    assert (whole["nodes"], whole["llm_calls"], whole["tool_calls"], whole["cost.amount"]) == (5, 2, 1, 0.75)


def test_amounts_in_several_currencies_have_no_sum(recorded):
    root = start(MODULE, "root")
    ask(**spent(1, 0.5))
    ask(**spent(1, 40.0, unit="msat"))
    end(root)
    assert not [name for name in recorded.totals("module root") if name.startswith("cost")]


def test_a_call_that_outlives_its_keeper_counts_for_the_trace(recorded):
    root = start(MODULE, "root")
    agent = start(Operation.AGENT, "a")
    late = start(LM, "late")
    end(agent)
    end(late, **{sc.USAGE_INPUT_TOKENS: 7})
    end(root)
    assert "input_tokens" not in recorded.totals("invoke_agent a")
    assert recorded.totals("module root")["input_tokens"] == 7


def test_every_call_of_many_threads_is_counted(recorded):
    root = start(MODULE, "root", call_id="root")

    def work():
        for _ in range(500):
            end(start(LM, "m", parent_id="root"), **{sc.USAGE_INPUT_TOKENS: 2})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    end(root)
    totals = recorded.totals("module root")
    assert (totals["nodes"], totals["llm_calls"], totals["input_tokens"]) == (4001, 4000, 8000)


def test_a_trace_that_never_ends_does_not_grow(recorded):
    root = start(MODULE, "root")
    for _ in range(2000):
        end(start(LM, "m"))
        end(start(MODULE, "unowned", owned=False))
    assert len(root.totals._waiting) <= 257
    assert root.dependents == {}
    assert len(recording_module.active.open) == 1


def test_a_held_span_takes_events_after_its_end_and_ends_when_it_did(recorded):
    root = start(MODULE, "root")
    held = start(MODULE, "held")
    recording_module.active.hold(held)
    end(held)
    end_time = held.end_time_unix_nano
    assert recorded.spans == []
    recording_module.active.add_event(held, "late", {"lmspan.event.x": 1})
    end(root)
    span = recorded.one("module held")
    assert span.end_time == end_time < span.events[0].timestamp
    recorded.assert_tree("""
        module root
          module held
    """)


def test_totals_caught_by_a_fork_are_short_and_nothing_waits(recorded):
    root = start(MODULE, "root")
    assert root.totals._adding.acquire()  # as a thread of the parent process held it at the fork
    ask(**spent(1, 0.5))
    end(root)
    assert recorded.totals("module root") == {"nodes": 2, "llm_calls": 0, "tool_calls": 0, "errors": 0, "orphans": 0}
