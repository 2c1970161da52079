"""What dsrs' documentation promises of its callbacks, carried over from Rust, heard from DSPy programs."""

import queue

import dspy
import pytest

import lmspan
from lmspan.callbacks.dsrs import (
    CollectingCallback,
    CompositeCallback,
    DspyCallback,
    LoggingCallback,
    NoopCallback,
    configure_with_callback,
    get_callback,
    set_callback,
)
from lmspan.subscribers.dialects.dsrs_events import CallbackEvent
from lmspan.testing import recording
from support.programs import model, serving
from support.scenarios import ALL, execute
from support.scenarios.core import YES


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    set_callback(NoopCallback())
    lmspan.unsubscribe_all()


def run():
    with serving(YES) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.Predict("question -> answer")(question="why?")
    return recorded


def test_logging_prints_with_its_prefix(capsys):
    set_callback(LoggingCallback.with_prefix("[dsrs]"))
    recorded = run()
    module, chat = (f"{span.context.span_id:016x}" for span in (recorded.spans[0], recorded.one("chat gpt-4o-mini")))
    tokens = sum(recorded.totals("module Predict")[name] for name in ("input_tokens", "output_tokens"))
    assert capsys.readouterr().out.splitlines() == [
        f"[dsrs] module_start call_id={module} module=Predict",
        f"[dsrs] lm_start call_id={chat} model=gpt-4o-mini",
        f"[dsrs] lm_end call_id={chat} success=true",
        f"[dsrs] module_end call_id={module} success=true tokens={tokens}",
    ]
    assert LoggingCallback.new().prefix == "[DSRS]"


def test_collecting_keeps_every_event_until_it_is_cleared():
    callback = CollectingCallback.new()
    set_callback(callback)
    assert get_callback() is callback
    recorded = run()
    kinds = [type(event) for event in callback.events()]
    assert kinds == [
        CallbackEvent.ModuleStart, CallbackEvent.LmStart, CallbackEvent.LmEnd, CallbackEvent.ModuleEnd,
        CallbackEvent.TraceComplete,
    ]  # fmt: skip
    start, lm_start, lm_end, end, complete = callback.events()
    assert (start.module_name, lm_start.model, lm_end.success) == ("Predict", "gpt-4o-mini", True)
    assert start.call_id == end.call_id
    assert lm_start.prompt_tokens > 50
    assert lm_end.usage.total_tokens == end.tokens == complete.total_tokens > 0
    assert complete.node_count == len(recorded.spans)
    assert len(callback) == 5
    callback.clear()
    assert callback.events() == []


def test_a_composite_hears_with_all_of_its_parts():
    first, second = CollectingCallback(), CollectingCallback()
    set_callback(CompositeCallback.new([first]) + second)
    run()
    assert len(first) == len(second) == 5


def test_configuring_sets_the_callback_and_noop_takes_it_away():
    callback = CollectingCallback()
    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        before = dspy.settings.lm
        configure_with_callback(before, dspy.ChatAdapter(), callback)
        dspy.Predict("question -> answer")(question="?")
        set_callback(NoopCallback())
        dspy.Predict("question -> answer")(question="?")
    assert len(callback) == 5
    assert isinstance(get_callback(), NoopCallback)
    dspy.configure(lm=None, adapter=None)


def test_a_custom_callback_sends_what_it_hears_to_a_channel():
    channel = queue.Queue()

    class HudCallback(DspyCallback):
        def on_module_start(self, call_id, module_name, _inputs):
            channel.put(("started", call_id, module_name, dict(_inputs)))

        def on_module_end(self, call_id, result):
            used = result.ok().lm_usage
            channel.put(("completed", call_id, result.is_ok(), used.total_tokens > 0, used.cost_msats))

        def on_trace_complete(self, graph, manifest=None):
            channel.put(("trace", len(graph.nodes), manifest))

    lmspan.subscribe(HudCallback())
    recorded = run()
    call_id = f"{recorded.spans[0].context.span_id:016x}"
    assert list(channel.queue) == [
        ("started", call_id, "Predict", {"question": "why?"}),
        ("completed", call_id, True, True, 0),
        ("trace", 4, None),
    ]


def test_results_of_failures_are_errors():
    results = []

    class Results(DspyCallback):
        def on_module_end(self, call_id, result):
            results.append((bool(result), result.ok(), type(result.error).__name__))

    class Broken(dspy.Module):
        def forward(self):
            raise LookupError("x")

    lmspan.subscribe(Results())
    with recording(), pytest.raises(LookupError):
        Broken()()
    assert results == [(False, None, "LookupError")]


def test_candidates_of_an_optimizer_arrive():
    candidates = []

    class Candidates(DspyCallback):
        def on_optimizer_candidate(self, candidate_id, metrics):
            candidates.append((len(candidate_id), metrics))

    lmspan.subscribe(Candidates())
    with recording():
        execute(next(each for each in ALL if each.name == "COPRO"))
    assert candidates == [(16, {"score": 1.0}), (16, {"score": 0.0}), (16, {"score": 1.0}), (16, {"score": 1.0})]


def test_the_programs_own_events_are_custom():
    callback = CollectingCallback()
    set_callback(callback)
    with recording(instrument=()), lmspan.operation("tool", "t"):
        lmspan.add_event("pages.found", {"count": 2})
    custom, complete = callback.events()
    assert (custom.name, list(custom.data.values())) == ("pages.found", [2])
    assert complete == CallbackEvent.TraceComplete(1, 0, 0)
