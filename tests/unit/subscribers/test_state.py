"""Subscribers keep their own state of a call, for as long as the call lives, and leave nothing in the call."""

import gc
import weakref
from pathlib import Path

import pytest

import lmspan
from lmspan import callbacks, subscribers
from lmspan.callbacks.logillm import AbstractCallback
from lmspan.subscribers import delivery
from lmspan.testing import recording


def ask():
    with lmspan.operation("agent", "desk"):
        with lmspan.operation("lm", "m"):
            pass


@pytest.mark.parametrize("way", ["inline", "queued"])
def test_start_and_end_hooks_of_a_call_share_one_context_that_goes_with_the_call(way):
    contexts = []

    class Timing(AbstractCallback):
        def on_module_start(self, event):
            event.context.add_data("left", "by the start")

        def on_module_end(self, event):
            contexts.append((event.context.get_data("left"), weakref.ref(event.context)))

    with recording(instrument=()), lmspan.subscribe(Timing(), delivery=way):
        ask()
        assert delivery.drain(10)
    gc.collect()
    assert [(left, context()) for left, context in contexts] == [("by the start", None)]


@pytest.mark.parametrize("way", ["inline", "queued"])
def test_a_state_lasts_for_one_run_of_a_predictor(way):
    states = []

    class Handler:
        def on_tool_start(self, call_id, tool, inputs, state):
            states.append(state)
            return state + 1

    with recording(instrument=()), lmspan.subscribe((Handler(), 0), delivery=way):
        for _ in range(2):
            with lmspan.operation("agent", "desk"):
                for _ in range(2):
                    with lmspan.operation("tool", "t"):
                        pass
        assert delivery.drain(10)
    assert states == [0, 1, 0, 1]


class ByEvent:
    def on_module_start(self, event):
        pass

    def on_module_end(self, event):
        pass


class WithState:
    def on_tool_start(self, call_id, tool, inputs, state):
        return state + 1


def test_no_call_has_a_weak_reference_whose_callback_the_garbage_collector_would_run():
    """A signal handler that runs instrumented code in such a callback crashes CPython 3.11."""
    with (
        recording(instrument=()),
        lmspan.subscribe(ByEvent(), dialect="logillm"),
        lmspan.subscribe(ByEvent(), dialect="dsrs"),
        lmspan.subscribe((WithState(), 0)),
        lmspan.operation("agent", "desk") as agent,
    ):
        with lmspan.operation("module", "m") as module, lmspan.operation("lm", "m") as lm:
            pass
        with lmspan.operation("tool", "t") as tool:
            pass
    assert [weakref.getweakrefcount(call) for call in (agent, module, lm, tool)] == [0] * 4
    assert [len(call.per_call or ()) for call in (agent, module, lm, tool)] == [3, 2, 0, 0]


def test_subscribers_keep_nothing_in_what_a_source_keeps_in_a_call():
    files = [path for package in (subscribers, callbacks) for path in Path(package.__file__).parent.rglob("*.py")]
    assert [path.name for path in files if ".notes" in path.read_text() or ".kept" in path.read_text()] == []
