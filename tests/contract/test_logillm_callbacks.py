"""What LogiLLM's documentation promises of its callbacks, heard from DSPy programs, with the import lines changed."""

import asyncio
import copy
import json
import multiprocessing
import threading

import dspy
import pytest
from logillm.core import callbacks as theirs
from logillm.core import jsonl_callback

import lmspan
from lmspan import guard
from lmspan.callbacks import logillm as ours
from lmspan.callbacks.logillm import (
    AbstractCallback,
    CallbackContext,
    CallbackManager,
    CallbackType,
    EvaluationEndEvent,
    JSONLCallback,
    LoggingCallback,
    MetricsCallback,
    ModuleEndEvent,
    OptimizationJSONLCallback,
    Priority,
    ProgressCallback,
    register_jsonl_logger,
)
from lmspan.demo.server import ScriptedServer
from lmspan.subscribers import delivery
from lmspan.testing import recording
from support.programs import fields, model, serving
from support.scenarios import ALL, execute
from support.scenarios.core import YES


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    CallbackManager().enable()
    CallbackManager().clear()
    lmspan.unsubscribe_all()


def run(times=1, script=(YES,)):
    with serving(*script) as server, recording() as recorded, dspy.context(lm=model(server, num_retries=0)):
        for _ in range(times):
            dspy.ChainOfThought("question -> answer")(question="What is AI?")
    delivery.drain(5)
    return recorded


def optimize(name="COPRO"):
    with recording():
        execute(next(each for each in ALL if each.name == name))
    delivery.drain(5)


def test_a_simple_logger(capsys):
    class SimpleLogger(AbstractCallback):
        async def on_module_end(self, event: ModuleEndEvent):
            print(f"Module {event.module.__class__.__name__} completed in {event.duration:.2f}s")

    CallbackManager().register(SimpleLogger())
    run()
    assert capsys.readouterr().out == "Module Predict completed in 0.01s\nModule ChainOfThought completed in 0.01s\n"


def test_priorities_high_before_normal_before_low():
    heard = []

    def listening(name, level):
        class Listening(AbstractCallback):
            @property
            def priority(self):
                return level

            async def on_module_end(self, event):
                heard.append(name)

        return Listening()

    manager = CallbackManager()
    for name, level in (("low", Priority.LOW), ("normal", Priority.NORMAL), ("high", Priority.HIGH)):
        manager.register(listening(name, level))
    manager.register(listening("argument", Priority.LOW), priority=Priority.HIGHEST)
    run()
    assert sorted(heard[:4]) == sorted(heard[4:]) == ["argument", "high", "low", "normal"]
    sync = []
    for name, level in (("low", Priority.LOW), ("high", Priority.HIGH), ("normal", Priority.NORMAL)):

        class Sync(AbstractCallback):
            priority = level
            told = name

            def on_provider_request(self, event):
                sync.append(self.told)

        manager.register(Sync())
    run()
    assert sync == ["high", "normal", "low"]


def test_context_is_propagated_and_is_one_for_start_and_end():
    seen = []

    class ContextTracker(AbstractCallback):
        async def on_module_start(self, event):
            seen.append((event.context.call_id, event.context.parent_call_id))

        def on_provider_request(self, event):
            event.context.add_data("asked", len(event.messages))

        def on_provider_response(self, event):
            seen.append(event.context.get_data("asked"))

    CallbackManager().register(ContextTracker())
    recorded = run()
    outer, inner = (f"{recorded.one(f'module {name}').context.span_id:016x}" for name in ("ChainOfThought", "predict"))
    assert seen.count(2) == 1  # heard in the program's thread; the async hooks run beside it, in order
    assert [each for each in seen if each != 2] == [(outer, None), (inner, outer)]


def test_only_the_types_that_it_was_registered_for():
    heard = []

    class MyCallback(AbstractCallback):
        def on_module_start(self, event):
            heard.append("start")

        def on_module_end(self, event):
            heard.append("end")

        def on_provider_request(self, event):
            heard.append("request")

    identity = CallbackManager().register(
        MyCallback(), callback_types=[CallbackType.MODULE_START, CallbackType.MODULE_END]
    )
    assert CallbackManager().get_registered_callbacks() == {
        "global": [], **{kind.value: [] for kind in CallbackType},
        "module_end": ["MyCallback"], "module_start": ["MyCallback"],
    }  # fmt: skip
    run()
    assert heard == ["start", "start", "end", "end"]
    assert CallbackManager().unregister(identity) is True
    assert CallbackManager().unregister(identity) is False
    run()
    assert len(heard) == 4


@pytest.mark.parametrize("how", ["disable", "environment"])
def test_disabled_callbacks_hear_nothing_until_they_are_enabled(how, monkeypatch):
    heard = []

    class Listening(AbstractCallback):
        def on_module_end(self, event):
            heard.append(event.success)

    manager = CallbackManager()
    manager.register(Listening())
    assert manager.is_enabled()
    manager.disable() if how == "disable" else monkeypatch.setenv("LOGILLM_CALLBACKS_ENABLED", "0")
    assert not manager.is_enabled()
    run()
    assert heard == []
    manager.enable() if how == "disable" else monkeypatch.setenv("LOGILLM_CALLBACKS_ENABLED", "1")
    run()
    assert heard == [True, True]


def test_an_optimization_monitor_hears_scores_and_the_result(capsys):
    class OptimizationMonitor(AbstractCallback):
        def __init__(self):
            self.scores = []

        async def on_evaluation_end(self, event):
            self.scores.append(event.score)
            print(f"Evaluation score: {event.score:.3f}")

        async def on_optimization_end(self, event):
            if event.result:
                print("Optimization complete!")
                print(f"Best score: {event.result.best_score:.3f}")
                print(f"Improvement: {event.result.improvement:.1%}")

    monitor = OptimizationMonitor()
    CallbackManager().register(monitor)
    optimize()
    assert monitor.scores == [1.0, 0.0, 1.0, 1.0]


def test_hyperparameter_updates_arrive():
    updates = []

    class Updates(AbstractCallback):
        def on_hyperparameter_update(self, event):
            updates.append((event.iteration, event.parameters))

    CallbackManager().register(Updates())
    optimize("MIPROv2")
    assert [iteration for iteration, _ in updates] == [0, 1, 2]
    assert set(updates[0][1]) >= {"0_predictor_instruction"}


def test_a_module_that_raises_has_an_error_and_no_end():
    heard = []

    class Errors(AbstractCallback):
        def on_error(self, event):
            heard.append((type(event.error).__name__, event.stage))

        def on_module_end(self, event):
            heard.append(event.success)

    class Broken(dspy.Module):
        def forward(self):
            raise LookupError("x")

    CallbackManager().register(Errors())
    with recording(), pytest.raises(LookupError):
        Broken()()
    assert heard == [("LookupError", "forward")]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_logging_with_its_options(tmp_path):
    path = tmp_path / "execution.jsonl"
    identity = register_jsonl_logger(path, include_module_events=True, include_provider_events=True)
    run()
    assert [each["event_type"] for each in lines(path)] == [
        "module_start", "module_start", "provider_request", "provider_response", "module_end", "module_end",
    ]  # fmt: skip
    first, second, *_ = lines(path)
    assert (first["module_name"], second["module_name"]) == ("ChainOfThought", "Predict")
    assert second["parent_call_id"] == first["call_id"]
    assert CallbackManager().unregister(identity)
    CallbackManager().register(JSONLCallback(path, include_module_events=False, append_mode=True))
    run()
    assert len(lines(path)) == 6
    JSONLCallback(path, append_mode=False)
    assert lines(path) == []


def test_optimization_jsonl_has_the_run_and_not_its_modules(tmp_path):
    path = tmp_path / "optimization.jsonl"
    CallbackManager().register(OptimizationJSONLCallback(str(path)))
    optimize()
    kinds = [each["event_type"] for each in lines(path)]
    assert kinds == ["optimization_start", *["evaluation_start", "evaluation_end"] * 4, "optimization_end"]
    assert lines(path)[-1]["result"]["best_score"] == 1.0


def test_every_line_is_one_valid_object_under_threads(tmp_path):
    path = tmp_path / "threads.jsonl"
    CallbackManager().register(JSONLCallback(path))
    with recording(instrument=()):

        def work():
            for _ in range(200):
                with lmspan.operation("module", "m", inputs={"text": "line\u2028break\n" * 50}):
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert len(lines(path)) == 8 * 200 * 2


def _write(path):
    callback = JSONLCallback(path)
    lmspan.subscribe(callback)
    with recording(instrument=()):
        for _ in range(100):
            with lmspan.operation("module", "m", inputs={"text": "x" * 2000}):
                pass


def test_every_line_is_one_valid_object_under_processes(tmp_path):
    path = str(tmp_path / "processes.jsonl")
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_write, args=(path,)) for _ in range(3)]
    for each in children:
        each.start()
    for each in children:
        each.join()
    assert [each.exitcode for each in children] == [0, 0, 0]
    assert len(lines(tmp_path / "processes.jsonl")) == 600


def test_metrics_are_counted_and_reset():
    metrics = MetricsCallback()
    CallbackManager().register(metrics)
    recorded = run(times=2)
    found = metrics.get_metrics()
    tokens = sum(span.attributes["gen_ai.usage.input_tokens"] for span in recorded.named("chat gpt-4o-mini"))
    assert [found[name] for name in ("module_ends", "module_failures", "provider_responses")] == [4, 0, 2]
    assert (found["module_Predict"], found["module_ChainOfThought"]) == (2, 2)
    assert (found["module_success_rate"], found["module_durations_count"]) == (1.0, 4)
    assert found["token_usage_total"] > tokens > 0
    assert found["costs_total"] > 0
    metrics.reset_metrics()
    assert metrics.get_metrics()["module_ends"] == 0


def test_progress_is_printed(capsys):
    CallbackManager().register(ProgressCallback())
    optimize()
    told = [line for line in capsys.readouterr().out.splitlines() if line]
    assert told == []  # the scenario's own output is kept off the terminal, and the callback's with it
    progress = ProgressCallback()
    progress.on_evaluation_end(EvaluationEndEvent(CallbackContext("c"), None, None, 0.5))
    assert capsys.readouterr().out == "   evaluation 1: score 0.500, best 0.500\n"


def test_logging_says_what_begins_and_ends(caplog):
    caplog.set_level("INFO")
    CallbackManager().register(LoggingCallback())
    run()
    told = [record.getMessage() for record in caplog.records if record.name == "lmspan.callbacks.logillm"]
    assert [line.partition(" (call_id: ")[0].partition(" in ")[0] for line in told] == [
        "Module ChainOfThought starting execution", "Module Predict starting execution",
        "Provider request to Unknown:openai/gpt-4o-mini", "Provider response from Unknown",
        "Module Predict finished success", "Module ChainOfThought finished success",
    ]  # fmt: skip


def test_the_complete_example():
    class ExecutionMonitor(AbstractCallback):
        def __init__(self):
            self.call_count = 0
            self.total_duration = 0

        async def on_module_end(self, event):
            self.call_count += 1
            self.total_duration += event.duration or 0

        def get_stats(self):
            return {
                "calls": self.call_count,
                "total_time": self.total_duration,
                "avg_time": self.total_duration / self.call_count if self.call_count > 0 else 0,
            }

    monitor = ExecutionMonitor()
    CallbackManager().register(monitor)

    async def main():
        module = dspy.Predict("question -> answer")
        for question in ("What is AI?", "What is ML?", "What is DL?"):
            assert (await module.acall(question=question)).answer == "AI is artificial intelligence"
        return monitor.get_stats()

    script = lambda _: fields(answer="AI is artificial intelligence")  # noqa: E731
    with ScriptedServer(script) as server, recording(), dspy.context(lm=model(server)):
        stats = asyncio.run(main())
    assert stats["calls"] == 3
    assert stats["total_time"] == pytest.approx(3 * stats["avg_time"])
    assert stats["avg_time"] > 0


def test_every_name_that_the_release_exports_is_here():
    assert set(theirs.__all__) <= set(ours.__all__)
    assert {name for name in vars(jsonl_callback) if name.endswith("Callback") or name.startswith("register")} <= {
        *ours.__all__
    }


def test_an_event_of_the_program_reaches_the_handlers_of_its_type_in_order(caplog):
    heard = []

    class Handlers(AbstractCallback):
        def __init__(self, name, level):
            self.label, self.level = name, level

        @property
        def priority(self):
            return self.level

        async def on_module_end(self, event):
            await asyncio.sleep(0)
            heard.append(self.label)
            if self.label == "high":
                raise ValueError("mine")

    manager = CallbackManager()
    manager.register(Handlers("low", Priority.LOW))
    manager.register(Handlers("high", Priority.HIGH))
    manager.register(Handlers("other", Priority.HIGHEST), callback_types=[CallbackType.MODULE_START])
    manager.register_global(Handlers("global", Priority.LOW), name="everywhere")
    event = ModuleEndEvent(CallbackContext(), None, {"answer": 1})
    ours.emit_callback_sync(event)
    asyncio.run(ours.emit_callback_async(event))
    assert heard == ["high", "global", "low"] * 2
    assert caplog.text.count("a handler of Handlers failed") == 1  # the first one; all are counted
    assert manager.unregister_by_name("everywhere") == 1
    manager.disable()
    ours.emit_callback_sync(event)
    assert len(heard) == 6


def test_filters_and_bare_callbacks_are_accepted_as_the_release_accepts_them():
    class OnlyEnd(AbstractCallback):
        async def on_module_end(self, event): ...

    manager = CallbackManager()
    manager.register(OnlyEnd(), callback_types=[CallbackType.MODULE_START, CallbackType.MODULE_END])
    manager.register(OnlyEnd(), callback_types=[])
    manager.register(AbstractCallback())
    assert manager.get_registered_callbacks()["module_start"] == ["OnlyEnd", "AbstractCallback"]
    assert copy.deepcopy(manager) is copy.copy(manager) is manager


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_handler_of_an_emitted_event_is_isolated_and_does_not_hear_its_own_calls(asynchronous, caplog):
    heard = []

    class Judge(AbstractCallback):
        def on_module_start(self, event):
            heard.append(type(event.module).__name__)
            ours.emit_callback_sync(event)
            raise ValueError("no")

        async def on_module_end(self, event):
            heard.append("end")
            raise ValueError("no")

    CallbackManager().register(Judge())
    before = guard.failures["lmspan.callbacks"]
    for event in (ours.ModuleStartEvent(CallbackContext("c"), None), ours.ModuleEndEvent(CallbackContext("c"), None)):
        if asynchronous:
            asyncio.run(ours.emit_callback_async(event))
        else:
            ours.emit_callback_sync(event)
    assert heard == ["NoneType", "end"]
    assert guard.failures["lmspan.callbacks"] - before == 2
    assert len([record for record in caplog.records if record.name == "lmspan"]) == 1
