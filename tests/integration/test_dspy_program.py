"""Agents, tools, interpreters, optimizers; and that a program is the same with and without us."""

import copy
import logging
import threading
import time

import dspy
import pytest
from dspy.utils.callback import BaseCallback

import lmspan
from lmspan import semconv as sc
from lmspan.instrumentation.dspy import DSPyInstrumentor
from lmspan.testing import recording
from support.programs import fields, model, serving


async def test_async_tools():
    async def slow_weather(city: str) -> str:
        return f"rain in {city}"

    with recording() as recorded:
        assert await dspy.Tool(slow_weather).acall(city="Graz") == "rain in Graz"
    recorded.assert_tree("execute_tool slow_weather")
    assert recorded.attributes("execute_tool slow_weather")[sc.TOOL_CALL_RESULT] == '{"result":"rain in Graz"}'


def test_a_local_interpreter():
    interpreters = pytest.importorskip("dspy.primitives.local_interpreter", reason="DSPy 3.3 has no LocalInterpreter")
    with recording() as recorded:
        interpreter = interpreters.LocalInterpreter(tools={"double": lambda x: 2 * x})
        try:
            assert "14" in str(interpreter.execute("print(double(x=7))"))
        finally:
            interpreter.shutdown()
    recorded.assert_tree("""
        interpreter.execute LocalInterpreter
          interpreter.startup LocalInterpreter
          execute_tool double
        interpreter.shutdown LocalInterpreter
    """)
    recorded.assert_conventions()
    assert recorded.attributes("interpreter.execute LocalInterpreter")[sc.INTERPRETER_CODE] == "print(double(x=7))"
    assert recorded.attributes("execute_tool double")[sc.TOOL_CALLER] == "interpreter"


class Heard(BaseCallback):
    def __init__(self):
        self.events = []
        self.spans = []

    def on_module_start(self, call_id, instance, inputs):
        from opentelemetry import trace  # noqa: PLC0415

        self.events.append(("start", inputs))
        self.spans.append(trace.get_current_span().get_span_context().span_id)

    def on_module_end(self, call_id, outputs, exception=None):
        self.events.append(("end", exception))


def test_the_programs_own_callbacks_are_untouched_and_see_the_span_of_the_very_call():
    def run(heard):
        with serving(fields(answer="yes")) as server, dspy.context(lm=model(server), callbacks=[heard]):
            dspy.Predict("question -> answer")(question="why?")

    alone, beside = Heard(), Heard()
    run(alone)
    with recording() as recorded:
        run(beside)
    assert beside.events == alone.events
    assert beside.spans == [recorded.one("module Predict").context.span_id]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_program_raises_arrives_as_the_same_object(error):
    class Broken(dspy.Module):
        def forward(self):
            raise error

    with recording() as recorded, pytest.raises(type(error)) as caught:
        Broken()()
    assert caught.value is error
    recorded.assert_tree("module Broken !")
    recorded.assert_conventions()
    assert recorded.attributes("module Broken")[sc.ERROR_TYPE] == type(error).__name__


def test_our_own_failure_is_not_the_programs(monkeypatch, caplog):
    monkeypatch.setattr("lmspan.content.payload.Content.json", lambda *_: 1 / 0)
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        for _ in range(2):
            assert dspy.Predict("question -> answer")(question="why?").answer == "yes"
    assert len([dict(span.attributes) for span in recorded.spans]) == 8
    warnings = [
        record.message for record in caplog.records if record.name == "lmspan" and record.levelno == logging.WARNING
    ]
    assert len(warnings) == len(set(warnings)) > 0


def test_uninstrument_puts_back_the_very_methods_and_instrument_twice_is_once():
    def methods():
        owners = (
            dspy.Module,
            dspy.BaseLM,
            dspy.Tool,
            dspy.Evaluate,
            dspy.Adapter,
            dspy.ChatAdapter,
            dspy.JSONAdapter,
            dspy.MIPROv2,
        )
        names = "__call__", "acall", "format", "parse", "compile", "__init_subclass__"
        return {(owner, name): vars(owner).get(name) for owner in owners for name in names}

    instrumentor = DSPyInstrumentor()
    before = methods()
    instrumentor.instrument()
    first = methods()
    assert first != before
    instrumentor.instrument()
    assert methods() == first
    instrumentor.uninstrument()
    assert all(methods()[key] is before[key] for key in before)


def test_a_strangers_patch_over_ours_survives_and_ours_steps_aside(monkeypatch):
    instrumentor = DSPyInstrumentor()
    original = vars(dspy.Module)["__call__"]
    instrumentor.instrument()
    ours, calls = vars(dspy.Module)["__call__"], []

    def strangers(self, *args, **kwargs):
        calls.append(self)
        return ours.__get__(self)(*args, **kwargs)

    dspy.Module.__call__ = strangers
    try:
        instrumentor.uninstrument()
        assert vars(dspy.Module)["__call__"] is strangers
        with (
            recording(instrument=()) as recorded,
            serving(fields(answer="yes")) as server,
            dspy.context(lm=model(server)),
        ):
            dspy.Predict("question -> answer")(question="why?")
        assert (len(calls), recorded.spans) == (1, [])
    finally:
        dspy.Module.__call__ = original


def test_disabled_records_nothing_until_enabled():
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        lmspan.disable()
        dspy.Predict("question -> answer")(question="why?")
        assert recorded.spans == []
        lmspan.enable()
        dspy.Predict("question -> answer")(question="why?")
        assert len(recorded.spans) == 4


def test_modules_are_copied_and_pickled_as_ever():
    with recording():
        module = dspy.ChainOfThought("question -> answer")
        assert repr(copy.deepcopy(module)) == repr(module)


def test_an_untested_version_is_told_once_and_still_recorded(monkeypatch, caplog):
    monkeypatch.setattr(dspy, "__version__", "9.9.9")
    with recording() as recorded, serving(fields(answer="yes")) as server, dspy.context(lm=model(server)):
        dspy.Predict("question -> answer")(question="why?")
    assert len(recorded.spans) == 4
    assert [record.levelno for record in caplog.records if "9.9.9" in record.message] == [logging.WARNING]


def test_a_call_that_outlives_the_recording_goes_on_and_nothing_is_said(caplog):
    answered = []
    slow = fields(answer="late")
    slow.delay_s = 0.2
    with serving(slow) as server:
        lm = model(server)

        def run():
            with dspy.context(lm=lm):
                answered.append(dspy.Predict("question -> answer")(question="why?").answer)

        with recording() as recorded:
            thread = threading.Thread(target=run)
            thread.start()
            while not server.exchanges:
                time.sleep(0.01)
        thread.join()
    assert answered == ["late"]
    recorded.assert_tree("""
        module Predict !
          format ChatAdapter
          chat gpt-4o-mini !
    """)
    assert not [record for record in caplog.records if record.name.startswith(("opentelemetry", "lmspan"))]


class Step(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.ChainOfThought("question -> answer")

    def forward(self, question):
        return self.ask(question=question)


class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.rewrite = dspy.Predict("question -> answer")
        self.judges = [dspy.Predict("question -> answer"), Step()]
        self.by_name = {"last": dspy.ChainOfThought("question -> answer")}
        self.step = Step()

    def forward(self, question):
        for each in (self.rewrite, *self.judges, self.by_name["last"], self.step):
            found = each(question=question)
        return found


def test_predictors_are_named_as_dspy_names_them():
    with serving(fields(reasoning="", answer="x")) as server, recording() as recorded, dspy.context(lm=model(server)):
        program = Program()
        program(question="?")
    recorded.assert_conventions()
    predictors = [span for span in recorded.spans if span.attributes.get(sc.MODULE_NAME) == "Predict"]
    names = [name for name, _ in program.named_predictors()]
    assert sorted(span.name for span in predictors) == sorted(f"module {name}" for name in names)
    assert sorted(span.attributes[sc.MODULE_PATH] for span in predictors) == sorted(names)
