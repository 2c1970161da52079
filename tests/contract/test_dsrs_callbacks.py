"""What dsrs' documentation promises of its callbacks, carried over from Rust, heard from DSPy programs."""

import asyncio
import queue

import dspy
import pytest

import lmspan
from lmspan.callbacks.dsrs import (
    CollectingCallback,
    CompositeCallback,
    DspyCallback,
    Graph,
    LmUsage,
    LoggingCallback,
    NoopCallback,
    Prediction,
    Result,
    configure_with_callback,
    get_callback,
    set_callback,
)
from lmspan.subscribers.dialects.dsrs_events import CallbackEvent
from lmspan.testing import recording
from support import logillm_programs
from support.programs import model, serving
from support.scenarios import ALL, execute
from support.scenarios.core import YES
from support.wires import Reply


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


# Callbacks of callbacks -------------------------------------------------------------------------------------------


def kinds(callback):
    return [type(event).__name__ for event in callback.events()]


WHOLE = ["ModuleStart", "LmStart", "LmEnd", "ModuleEnd", "TraceComplete"]


def test_a_wrapper_that_forwards_the_methods_of_the_trait_collects_each_moment_once():
    class Forwarding(DspyCallback):
        def __init__(self, inner):
            self.inner = inner

        def on_module_start(self, call_id, module_name, inputs):
            self.inner.on_module_start(call_id, module_name, inputs)

        def on_module_end(self, call_id, result):
            self.inner.on_module_end(call_id, result)

        def on_event(self, event):
            self.inner.on_event(event)

    collecting = CollectingCallback()
    set_callback(Forwarding(CompositeCallback([collecting, LoggingCallback()])))
    recorded = run()
    assert sorted(kinds(collecting)) == sorted(WHOLE)
    start = next(event for event in collecting.events() if isinstance(event, CallbackEvent.ModuleStart))
    end = next(event for event in collecting.events() if isinstance(event, CallbackEvent.ModuleEnd))
    assert (start.module_name, start.call_id, end.success) == ("Predict", end.call_id, True)
    assert (
        end.tokens
        == recorded.totals("module Predict")["input_tokens"] + recorded.totals("module Predict")["output_tokens"]
    )


def test_every_method_of_the_ready_made_callbacks_may_be_called():
    collecting = CollectingCallback()
    composite = CompositeCallback([NoopCallback(), collecting])
    composite.on_module_start("1", "Predict", {})
    composite.on_lm_start("2", "m", 5)
    composite.on_lm_stream_start("2", "m")
    composite.on_lm_token("2", "yes")
    composite.on_lm_stream_end("2")
    composite.on_lm_end("2", Result(), LmUsage(1, 2))
    composite.on_module_end("1", Result(Prediction("yes", LmUsage(1, 2))))
    composite.on_optimizer_candidate("c", {"score": 1.0})
    composite.on_trace_complete(Graph([]))
    composite.on_event(CallbackEvent.Warning("late"))
    assert kinds(collecting) == [
        "ModuleStart", "LmStart", "LmStreamStart", "LmToken", "LmStreamEnd", "LmEnd", "ModuleEnd",
        "OptimizerCandidate", "TraceComplete", "Warning",
    ]  # fmt: skip
    assert collecting.events()[6].tokens == 3


@pytest.mark.parametrize("subscribe", [lmspan.subscribe, set_callback], ids=["subscribe", "set_callback"])
def test_a_composite_is_accepted_everywhere_and_nests(subscribe):
    collecting, later = CollectingCallback(), CollectingCallback()
    inner = CompositeCallback([collecting])
    subscribe(CompositeCallback([inner, NoopCallback()]))
    inner.add(later)
    run()
    assert kinds(collecting) == kinds(later) == WHOLE


def test_a_failing_part_of_a_composite_does_not_affect_the_others(caplog):
    class Failing(DspyCallback):
        def on_lm_start(self, call_id, model, prompt_tokens):
            raise ValueError("mine")

    collecting = CollectingCallback()
    subscription = lmspan.subscribe(CompositeCallback([Failing(), collecting]))
    run()
    assert (kinds(collecting), subscription.failures) == (WHOLE, 1)
    assert "hook on_lm_start of CompositeCallback failed" in caplog.text


def test_a_failing_part_of_a_composite_that_the_program_calls_does_not_affect_the_others():
    class Broken(DspyCallback):
        def on_module_start(self, call_id, module_name, inputs):
            raise ValueError(module_name)

    collecting = CollectingCallback()
    CompositeCallback([Broken(), collecting]).on_module_start("1", "Predict", {})
    assert kinds(collecting) == ["ModuleStart"]


def test_a_subclass_of_a_composite_hears_with_its_own_hooks_and_forwards_by_super():
    heard = []

    class Counting(CompositeCallback):
        def on_module_start(self, call_id, module_name, inputs):
            heard.append(module_name)
            super().on_module_start(call_id, module_name, inputs)

    collecting = CollectingCallback()
    lmspan.subscribe(Counting([collecting]))
    run()
    assert (heard, kinds(collecting)) == (["Predict"], WHOLE)


def test_adding_makes_another_composite():
    first = CompositeCallback([CollectingCallback()])
    assert (len((first + NoopCallback()).callbacks), len(first.callbacks)) == (2, 1)


def test_a_refused_callback_leaves_the_one_before_in_its_place():
    callback = CollectingCallback()
    set_callback(callback)
    with pytest.raises(lmspan.CallbackError, match="on_lm_start"):
        set_callback(type("Wrong", (DspyCallback,), {"on_lm_start": lambda self, a, b, c, d: None})())
    assert get_callback() is callback
    run()
    assert len(callback) == 5


# Streams and events -----------------------------------------------------------------------------------------------


class Streaming(DspyCallback):
    def __init__(self):
        self.heard = []

    def on_lm_start(self, call_id, model, prompt_tokens):
        self.heard.append(("start", model))

    def on_lm_stream_start(self, call_id, model):
        self.heard.append(("stream_start", model))

    def on_lm_token(self, call_id, token):
        self.heard.append(("token", token))

    def on_lm_stream_end(self, call_id):
        self.heard.append(("stream_end",))

    def on_lm_end(self, call_id, result, usage):
        self.heard.append(("end", result.is_ok()))

    def text(self):
        return "".join(each[1] for each in self.heard if each[0] == "token")


def order(callback):
    names = [each[0] for each in callback.heard]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


STREAM_ORDER = ["start", "stream_start", "token", "stream_end", "end"]


def test_the_hooks_of_streams_hear_a_stream_of_dspy():
    callback, collecting = Streaming(), CollectingCallback()

    async def consume(program):
        return [item async for item in program(question="?")][-1]

    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        predict = dspy.Predict("question -> answer")
        listener = dspy.streaming.StreamListener(signature_field_name="answer")
        with lmspan.subscribed(callback), lmspan.subscribed(collecting):
            prediction = asyncio.run(consume(dspy.streamify(predict, stream_listeners=[listener])))
    assert order(callback) == STREAM_ORDER
    assert prediction.answer in callback.text()
    assert [each for each in kinds(collecting) if "Stream" in each] == ["LmStreamStart", "LmStreamEnd"]


def test_the_hooks_of_streams_hear_a_stream_of_logillm():
    callback = Streaming()

    async def consume(provider):
        return "".join([text async for text in provider.stream([{"role": "user", "content": "?"}])])

    with logillm_programs.serving(Reply("blue is best")) as server, recording(), lmspan.subscribed(callback):
        text = asyncio.run(consume(logillm_programs.openai(server)))
    assert order(callback) == STREAM_ORDER
    assert callback.text() == text == "blue is best"


def test_events_of_the_program_come_with_their_own_keys_and_as_their_variant():
    callback = CollectingCallback()
    set_callback(callback)
    with recording(instrument=()), lmspan.operation("tool", "t"):
        lmspan.add_event("mine", {"a": 1, "b": "x"})
        lmspan.add_event("progress", {"current": 1, "total": 3, "message": "reading"})
        lmspan.add_event("warning", {"message": "slow"})
        lmspan.add_event("error", {"message": "gone"})
    assert callback.events()[:-1] == [
        CallbackEvent.Custom("mine", {"a": 1, "b": "x"}),
        CallbackEvent.Progress(1, 3, "reading"),
        CallbackEvent.Warning("slow"),
        CallbackEvent.Error("gone"),
    ]


def test_the_callback_of_the_runtimes_hud():
    class RuntimeHudCallback(DspyCallback):
        def __init__(self, hud):
            self.hud = hud

        def on_module_start(self, call_id, module_name, _inputs):
            self.hud.append(("span_start", str(call_id), f"dsrs.{module_name}"))

        def on_module_end(self, call_id, result):
            prediction = result.ok()
            attributes = {"tokens": prediction.lm_usage.total_tokens, "cost_msats": prediction.lm_usage.cost_msats}
            self.hud.append(("span_end", str(call_id), result.is_ok(), attributes))

        def on_trace_complete(self, graph, manifest):
            self.hud.append(("summary", len(graph.nodes), manifest and manifest.compiled_id))

    hud = []
    lmspan.subscribe(RuntimeHudCallback(hud))
    recorded = run()
    call_id = f"{recorded.spans[0].context.span_id:016x}"
    totals = recorded.totals("module Predict")
    tokens = totals["input_tokens"] + totals["output_tokens"]
    assert hud == [
        ("span_start", call_id, "dsrs.Predict"),
        ("span_end", call_id, True, {"tokens": tokens, "cost_msats": 0}),
        ("summary", len(recorded.spans), None),
    ]
