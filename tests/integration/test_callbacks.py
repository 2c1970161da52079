"""Callbacks of five systems hear any program: who hears what, in which order, and what never reaches the program."""

import asyncio
import contextlib
import copy
import pickle
import threading

import dspy
import openai
import pytest
from dspy.utils.callback import BaseCallback
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import lmspan
from lmspan import semconv as sc
from lmspan.callbacks.llmproc import CallbackEvent
from lmspan.subscribers import delivery
from lmspan.subscribers.processor import CallbackProcessor
from lmspan.testing import recording
from support.processes import run_python
from support.programs import fields, model, serving
from support.scenarios.agents import step, weather
from support.scenarios.core import YES
from support.subscribers import listener


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()


def ask(question="why?"):
    with serving(YES) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.Predict("question -> answer")(question=question)
    return recorded


def react(*callbacks, script=None, **options):
    """Run an agent with one tool under these subscribers; give what was recorded."""
    script = script or (step("weather", city="Graz"), step("finish"), YES)
    with serving(*script) as server, recording(**options) as recorded, dspy.context(lm=model(server)):
        for each in callbacks:
            lmspan.subscribe(each)
        dspy.ReAct("question -> answer", tools=[weather])(question="?")
    delivery.drain(5)
    return recorded


class Everything(BaseCallback):
    """A callback of DSPy's own kind that notes all it hears but the ids, which only DSPy's and ours differ in."""

    def __init__(self):
        self.heard = []


def _noting(name):
    def hook(self, call_id, instance=None, inputs=None, outputs=None, exception=None):
        assert isinstance(call_id, str)
        told = inputs if name.endswith("start") else outputs
        if name == "on_lm_start":  # DSPy 3.3 has two more, which are always empty
            told = {key: told[key] for key in ("prompt", "messages", "kwargs")}
        self.heard.append((name, type(instance).__name__ if instance is not None else None, told, exception))

    return hook


for _word in ("module", "lm", "tool"):
    for _phase in ("start", "end"):
        setattr(Everything, f"on_{_word}_{_phase}", _noting(f"on_{_word}_{_phase}"))


def test_a_dspy_callback_hears_what_dspy_itself_would_tell_it():
    native, ours = Everything(), Everything()
    script = step("weather", city="Graz"), step("finish"), YES
    with serving(*script) as server, recording(), dspy.context(lm=model(server), callbacks=[native]):
        lmspan.subscribe(ours)
        dspy.ReAct("question -> answer", tools=[weather])(question="?")
    assert ours.heard == native.heard
    assert len(ours.heard) == 20


def test_start_and_end_have_the_same_id_and_it_is_the_spans():
    ids = []

    class Ids:
        def on_lm_start(self, call_id, instance, inputs):
            ids.append(call_id)

        def on_lm_end(self, call_id, outputs, exception):
            ids.append(call_id)

    lmspan.subscribe(Ids())
    recorded = ask()
    assert ids == [f"{recorded.one('chat gpt-4o-mini').context.span_id:016x}"] * 2


def test_a_function_hears_events_with_their_documented_arguments():
    heard = []

    def callback(event, *args, **kwargs):
        if event == CallbackEvent.TOOL_START:
            tool_name, tool_args = args
            heard.append((tool_name, tool_args))
        elif event == CallbackEvent.TOOL_END:
            tool_name, result = args
            heard.append((tool_name, result))
        elif event == CallbackEvent.RESPONSE:
            heard.append(args[0][:12])
        else:
            heard.append(event.value)

    react(callback)
    answer = ["api_request", "api_response", "[[ ## next_t"]
    assert heard == [
        "turn_start", *answer, ("weather", {"city": "Graz"}), ("weather", "sun in Graz"), "turn_end",
        "turn_start", *answer, ("finish", {}), ("finish", "Completed."), "turn_end",
        "api_request", "api_response", "[[ ## reason",
    ]  # fmt: skip


def test_a_class_of_the_documents_names_and_one_of_the_releases_hear_the_same():
    class Document:
        def __init__(self):
            self.heard = []

        def tool_start(self, tool_name, tool_args):
            self.heard.append((tool_name, tool_args))

        def response(self, text):
            self.heard.append(text)

        def turn_end(self, process, response_obj, tool_results):
            self.heard.append(type(process).__name__)

    class Release(Document):
        def tool_start(self, tool_name, args):
            self.heard.append((tool_name, args))

        def response(self, content):
            self.heard.append(content)

        def turn_end(self, process, response, tool_results):
            self.heard.append(type(process).__name__)

    document, release = Document(), Release()
    react(document, release)
    assert document.heard == release.heard
    assert ("weather", {"city": "Graz"}) in document.heard
    assert document.heard.count("ReAct") == 2


def test_a_dict_of_functions_as_a_run_was_given_them():
    active, heard = set(), []
    react(
        {
            "on_tool_start": lambda tool_name, args: active.add(tool_name),
            "on_tool_end": lambda tool_name, result: heard.append((tool_name, sorted(active))),
            "on_response": lambda content: heard.append(content[:4]),
        }
    )
    assert heard == ["[[ #", ("weather", ["weather"]), "[[ #", ("finish", ["finish", "weather"]), "[[ #"]


def test_the_run_result_tells_what_the_run_has_come_to_so_far():
    seen = []

    class Watching:
        def turn_start(self, process, run_result=None):
            seen.append((run_result.api_calls, run_result.usd_cost > 0, run_result.total_tokens > 0))
            self.result = run_result

    watching = Watching()
    recorded = react(watching)
    assert seen == [(0, False, False), (1, True, True)]
    result, totals = watching.result, recorded.totals("invoke_agent ReAct")
    assert (result.api_calls, result.total_tool_calls) == (totals["llm_calls"], totals["tool_calls"]) == (3, 2)
    assert (result.input_tokens, result.output_tokens) == (totals["input_tokens"], totals["output_tokens"])
    assert result.usd_cost == pytest.approx(totals["cost.amount"])
    assert result.node_count == totals["nodes"]
    assert [each["tool_name"] for each in result.tool_calls] == ["weather", "finish"]
    assert result.api_call_infos[0]["model"] == "gpt-4o-mini"
    assert result.api_call_infos[0]["usage"]["output_tokens"] > 0
    assert result.end_time >= result.start_time
    assert result.duration_ms >= 0


def test_adapter_callbacks_with_a_state_hear_the_phases_in_order_and_keep_their_state_for_one_run():
    heard = []

    class Handler:
        def _next(self, phase, meta, payload, state):
            assert meta["signature_name"] == "StringSignature"
            heard.append((phase, meta["attempt"], meta["adapter"], state, sorted(payload)))
            return state + 1

        def on_adapter_format_start(self, meta, payload, state):
            return self._next("format", meta, payload, state)

        def on_adapter_call_end(self, meta, payload, state):
            assert payload["usage"]["total_tokens"] > 0
            return self._next("call", meta, payload, state)

        def on_adapter_parse_end(self, meta, payload, state):
            return self._next("parse", meta, payload, state)

    lmspan.subscribe((Handler(), 7))
    recorded = ask()
    ask()
    once = [
        ("format", 1, "ChatAdapter", 7, ["inputs_keys"]),
        ("call", 1, "ChatAdapter", 8, ["request", "usage"]),
        ("parse", 1, "ChatAdapter", 9, ["outputs_keys"]),
    ]
    assert heard == once * 2
    assert recorded.roots()


# Sessions ----------------------------------------------------------------------------------------------------------


def test_callbacks_given_to_init_hear_as_long_as_its_session():
    done = run_python("""
        import lmspan
        heard = []
        with lmspan.init(exporters="none", callbacks=[{"on_tool_start": lambda name, args: heard.append(name)}]):
            with lmspan.operation("tool", "inside"):
                pass
        with lmspan.init(exporters="none"), lmspan.operation("tool", "outside"):
            pass
        print(heard)
        try:
            lmspan.init(exporters="none", callbacks=[object()])
        except lmspan.CallbackError as error:
            print(error)
        print(lmspan.init(exporters="none").instrumented is not None)
    """)
    heard, refused, works = done.stdout.splitlines()
    assert heard == "['inside']"
    assert refused.startswith("object has no hook")
    assert works == "True"


# While a program runs ----------------------------------------------------------------------------------------------


def test_a_callback_that_asks_a_model_itself_does_not_hear_its_own_call_and_others_do():
    heard, others = [], []

    class Asking:
        def on_lm_start(self, call_id, instance, inputs):
            heard.append(call_id)
            dspy.Predict("question -> answer")(question="in the hook")

    lmspan.subscribe(Asking())
    lmspan.subscribe(listener(others, "other"))
    recorded = ask()
    assert len(heard) == 1
    assert len(others) == len(recorded.named("chat gpt-4o-mini")) == 2


def test_scoped_subscribers_hear_what_runs_in_their_scope_across_threads_and_tasks_and_nothing_else():
    heard = []
    program = dspy.Predict("question -> answer")

    async def in_tasks():
        await asyncio.gather(*(program.acall(question="?") for _ in range(2)))

    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        program(question="before")
        with lmspan.subscribed(listener(heard, "scoped")) as subscription:
            program(question="inside")
            dspy.Parallel(num_threads=2, disable_progress_bar=True)([(program, {"question": "?"})] * 2)
            asyncio.run(in_tasks())
        program(question="after")
    assert heard == ["scoped"] * 5
    assert "cancelled" in repr(subscription)


def test_unsampled_calls_are_heard_and_not_exported():
    heard = []
    recorded = react(listener(heard, "lm"), sampler=ALWAYS_OFF)
    assert heard == ["lm"] * 3
    assert recorded.spans == []


def test_what_we_put_into_a_program_survives_copies_as_itself():
    subscription = lmspan.subscribe(listener([], "x"))
    assert copy.copy(subscription) is copy.deepcopy(subscription) is subscription
    module = dspy.Predict("question -> answer")
    module.mine = subscription
    assert module.deepcopy().mine is subscription
    assert pickle.loads(pickle.dumps(subscription)).hooks == ()  # noqa: S301 - our own


# Async hooks -------------------------------------------------------------------------------------------------------


def test_async_hooks_are_done_before_an_awaited_run_returns(caplog):
    heard = []

    class Mixed:
        async def on_module_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.02)
            heard.append(("module", asyncio.get_running_loop()))

        def on_lm_start(self, call_id, instance, inputs):
            heard.append("sync")

        async def on_lm_end(self, call_id, outputs, exception):
            heard.append(("end", asyncio.get_running_loop()))
            raise ValueError("mine")

    async def run(lm):
        with dspy.context(lm=lm):
            await dspy.Predict("question -> answer").acall(question="?")
        return list(heard), asyncio.get_running_loop()

    subscription = lmspan.subscribe(Mixed())
    with serving(YES) as server, recording():
        at_return, loop = asyncio.run(run(model(server)))
    assert at_return == [("module", loop), "sync", ("end", loop)]
    assert subscription.failures == 1
    assert "never awaited" not in caplog.text
    assert "was destroyed" not in caplog.text


def test_async_hooks_of_a_sync_call_inside_of_a_loop_are_not_lost_with_it():
    heard = []

    class Slow:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.05)
            heard.append("lm")

    async def main(lm):
        with dspy.context(lm=lm):
            dspy.Predict("question -> answer")(question="?")

    lmspan.subscribe(Slow())
    with serving(YES) as server, recording():
        asyncio.run(main(model(server)))
        assert delivery.drain(5)
    assert heard == ["lm"]


def test_async_hooks_of_threads_are_done_before_the_awaited_run_that_they_belong_to_returns():
    heard = []

    class Slow:
        async def on_lm_start(self, call_id, instance, inputs):
            await asyncio.sleep(0.05)
            heard.append("lm")

    @lmspan.module
    async def program():
        await asyncio.gather(*(dspy.asyncify(dspy.Predict("question -> answer"))(question="?") for _ in range(2)))

    async def main(lm):
        with dspy.context(lm=lm):
            await program()
        return list(heard)

    lmspan.subscribe(Slow())
    with serving(YES) as server, recording():
        assert asyncio.run(main(model(server))) == ["lm", "lm"]


def test_spans_of_another_instrumentation_are_heard_as_what_their_attributes_say():
    heard = []

    def function(event, *args):
        heard.append((event.value, args[0]["model"] if event == CallbackEvent.API_REQUEST else None))

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(CallbackProcessor())
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    lmspan.subscribe(function)
    try:
        with serving(YES) as server:
            client = openai.OpenAI(base_url=server.url, api_key="sk-none")
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    finally:
        instrumentor.uninstrument()
    assert heard == [("api_request", "gpt-4o-mini"), ("api_response", None)]


# Stopping a run ----------------------------------------------------------------------------------------------------


class CostMonitoringCallback:
    """As LLMProc's document has it."""

    def __init__(self, cost_limit=5.0):
        self.cost_limit = cost_limit

    def turn_start(self, process, run_result=None):
        """Monitor costs before each turn starts."""
        if run_result and run_result.usd_cost > self.cost_limit:
            raise Exception(  # noqa: TRY002 - as it stands there
                f"Cost ${run_result.usd_cost:.4f} exceeds limit ${self.cost_limit:.2f}"
            )


def test_the_documented_cost_limit_stops_the_run():
    lmspan.subscribe(CostMonitoringCallback(0.0), on_error="stop")
    with pytest.raises(lmspan.StopRun) as stopped:
        react()
    assert "exceeds limit $0.00" in str(stopped.value.__cause__)


def test_a_stopped_run_ends_its_spans_and_says_why():
    lmspan.subscribe(CostMonitoringCallback(0.0), on_error="stop")
    script = step("weather", city="Graz"), step("finish"), YES
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server)):
        with pytest.raises(lmspan.StopRun):
            dspy.ReAct("question -> answer", tools=[weather])(question="?")
    assert recorded.tree().splitlines()[0] == "invoke_agent ReAct !"
    assert recorded.tree().splitlines()[-1] == "  turn !"
    recorded.assert_conventions()
    facts = recorded.attributes("invoke_agent ReAct")
    assert facts[sc.STOP_REASON] == "CostMonitoringCallback.turn_start raised Exception"
    assert facts[sc.ERROR_TYPE] == "lmspan.errors.StopRun"
    assert len(server.exchanges) == 1
    ask()  # the next run is none of its business


class StopAtTheThirdCall:
    def __init__(self):
        self.calls = 0
        self.lock = threading.Lock()

    def on_lm_start(self, call_id, instance, inputs):
        with self.lock:
            self.calls += 1
            mine = self.calls
        if mine > 2:
            raise lmspan.StopRun("enough")


@contextlib.contextmanager
def left_with_its_workers():
    """Stay until the threads that DSPy leaves behind when an evaluation raises have emptied their queue."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join()


@pytest.mark.parametrize("threads", [1, 3])
def test_a_hook_stops_an_evaluation_in_its_worker_threads(threads):
    lmspan.subscribe(StopAtTheThirdCall())
    devset = [dspy.Example(question=f"q{index}").with_inputs("question") for index in range(12)]
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        evaluate = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=threads, max_errors=99)
        with left_with_its_workers(), pytest.raises(lmspan.StopRun):
            evaluate(dspy.Predict("question -> answer"))
    assert len(server.exchanges) <= 2  # a call that is being sent on another thread may be stopped too
    assert recorded.attributes("evaluate <lambda>")[sc.STOP_REASON] == "enough"


def test_a_hook_stops_an_optimizer():
    lmspan.subscribe(StopAtTheThirdCall())
    trainset = [dspy.Example(question=f"q{index}", answer="yes").with_inputs("question") for index in range(6)]
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        optimizer = dspy.BootstrapFewShot(metric=lambda *_: False, max_bootstrapped_demos=4)
        with pytest.raises(lmspan.StopRun, match="enough"):
            optimizer.compile(dspy.Predict("question -> answer"), trainset=trainset)
    assert len(server.exchanges) == 2
    recorded.assert_conventions()


def test_a_base_exception_of_a_hook_passes_and_the_span_is_ended():
    class Interrupting:
        def on_lm_start(self, call_id, instance, inputs):
            raise KeyboardInterrupt

    lmspan.subscribe(Interrupting())
    with serving(YES) as server, recording() as recorded, dspy.context(lm=model(server)):
        with pytest.raises(KeyboardInterrupt):
            dspy.Predict("question -> answer")(question="?")
    assert recorded.tree().splitlines() == ["module Predict !", "  format ChatAdapter", "  chat gpt-4o-mini !"]
    recorded.assert_conventions()


# Runs and budgets --------------------------------------------------------------------------------------------------


def test_a_run_is_one_workflow_and_its_result_is_filled_as_it_goes_on():
    with serving(YES) as server, recording() as recorded, dspy.context(lm=model(server)):
        with lmspan.run("nightly") as result:
            dspy.Predict("question -> answer")(question="?")
            so_far = result.api_calls
            with lmspan.run("part") as part:
                dspy.Predict("question -> answer")(question="?")
        dspy.Predict("question -> answer")(question="outside")
    assert (so_far, part.api_calls, result.api_calls) == (1, 1, 2)
    assert part.usd_cost == pytest.approx(result.usd_cost / 2)
    assert (part.node_count, result.node_count) == (5, 10)
    assert result.end_time >= part.end_time
    assert result.total_tokens == result.input_tokens + result.output_tokens > 0
    assert [span.name for span in recorded.roots()] == ["invoke_workflow nightly", "module Predict"]


def test_callbacks_of_a_run_hear_that_run_only():
    heard = []
    with serving(YES) as server, recording(), dspy.context(lm=model(server)):
        dspy.Predict("question -> answer")(question="?")
        with lmspan.run("mine", callbacks=[listener(heard, "run")]):
            dspy.Predict("question -> answer")(question="?")
        dspy.Predict("question -> answer")(question="?")
    assert heard == ["run"]


BUDGETS = [
    ({"max_lm_calls": 2}, "2 LM calls", 2),
    ({"max_tokens": 1}, "1 tokens", 1),
    ({"max_cost_usd": 0.000001}, "1e-06 cost", 1),
    ({"max_seconds": 0.0}, "0 seconds", 0),
]


def five_times():
    with lmspan.run("mine"):
        for _ in range(5):
            dspy.Predict("question -> answer")(question="?")


@pytest.mark.parametrize(("limits", "said", "calls"), BUDGETS)
def test_a_budget_stops_a_run_at_its_next_call(limits, said, calls):
    with serving(YES) as server, recording() as recorded, dspy.context(lm=model(server)):
        with lmspan.subscribed(lmspan.Budget(**limits)):
            with pytest.raises(lmspan.StopRun, match=f"the budget of {said} is spent"):
                five_times()
        dspy.Predict("question -> answer")(question="outside of the budget")
    assert len(server.exchanges) == calls + 1
    assert recorded.attributes("invoke_workflow mine")[sc.STOP_REASON] == f"the budget of {said} is spent"
    recorded.assert_conventions()


def test_a_budget_is_for_each_run_and_holds_on_threads():
    lmspan.subscribe(lmspan.Budget(max_lm_calls=3))
    devset = [dspy.Example(question=f"q{index}").with_inputs("question") for index in range(9)]
    with serving(fields(answer="yes")) as server, recording(), dspy.context(lm=model(server)):
        evaluate = dspy.Evaluate(devset=devset, metric=lambda *_: 1.0, num_threads=3, max_errors=99)
        for _ in range(2):
            with left_with_its_workers(), pytest.raises(lmspan.StopRun):
                evaluate(dspy.Predict("question -> answer"))
    assert len(server.exchanges) <= 6
