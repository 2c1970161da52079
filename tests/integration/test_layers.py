"""With other instrumentations active below us, one call of a model is one span, and a HTTP request may nest in it."""

import importlib.util
import logging
import sys
import types

import dspy
import openai
import pytest
import wrapt
from opentelemetry.instrumentation import httpx
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording_module
from lmspan.testing import recording
from lmspan.traces import direct
from support.processes import run_python
from support.programs import KEY, fields, model, serving
from support.wires import tokens


def instrumentors():
    """The official instrumentors of OpenAI and of its HTTP client: httpx2 from openai 3 on, httpx before."""
    installed = [name for name in ("httpx", "httpx2") if importlib.util.find_spec(name)]
    return [OpenAIInstrumentor(), *(getattr(httpx, f"{name.upper()}ClientInstrumentor")() for name in installed)]


@pytest.fixture
def others():
    """The official instrumentors, on a provider of their own; gives the spans that they made."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for each in (found := instrumentors()):
        each.instrument(tracer_provider=provider)
    yield exporter.get_finished_spans
    for each in found:
        each.uninstrument()


def ask(server):
    client = openai.OpenAI(base_url=server.url, api_key=KEY)
    message = {"role": "user", "content": "hi"}
    return client.chat.completions.create(model="gpt-4o-mini", messages=[message]).choices[0].message.content


def test_the_other_instrumentor_does_tell_when_we_do_not(others):
    with serving(fields(answer="yes")) as server:
        ask(server)
    assert [span.name for span in others()] == ["POST", "chat gpt-4o-mini"]


def test_a_decorated_call_is_one_chat_span_with_the_request_below(others):
    with serving(fields(answer="yes")) as server, recording(instrument=()) as recorded:
        assert "yes" in lmspan.lm(name="gpt-4o-mini")(ask)(server)
    recorded.assert_tree("chat gpt-4o-mini")
    ours = recorded.one("chat gpt-4o-mini")
    assert [(span.name, span.parent.span_id) for span in others()] == [("POST", ours.context.span_id)]


def test_a_decorated_call_has_what_the_instrumentor_knows_of_the_request_and_the_answer(others):
    @lmspan.lm
    def think():
        client = openai.OpenAI(base_url=server.url, api_key=KEY)
        settings = {"temperature": 0.25, "max_tokens": 9, "seed": 3, "stop": ["END"]}
        message = {"role": "user", "content": "hi"}
        answer = client.chat.completions.create(model="asked", messages=[message], **settings)
        return answer.choices[0].message.content

    usage = tokens(100, 50, cache_read=20, reasoning=10)
    with serving(Reply("yes", usage=usage, model="served-1")) as server, recording(instrument=()) as recorded:
        think()
    recorded.assert_conventions()
    found = recorded.attributes("chat think")
    assert found.pop(sc.RESPONSE_ID)
    assert found.pop(sc.CALL_ID)
    assert found.pop(sc.SERVER_PORT) == int(server.address.rpartition(":")[2])
    assert found == {
        sc.SOURCE: "python", sc.OPERATION_NAME: "chat", sc.PROVIDER_NAME: "openai", sc.SERVER_ADDRESS: "127.0.0.1",
        sc.REQUEST_MODEL: "asked", sc.REQUEST_TEMPERATURE: 0.25, sc.REQUEST_MAX_TOKENS: 9, sc.REQUEST_SEED: 3,
        sc.REQUEST_STOP_SEQUENCES: ("END",), sc.RESPONSE_MODEL: "served-1", sc.RESPONSE_FINISH_REASONS: ("stop",),
        sc.USAGE_INPUT_TOKENS: 100, sc.USAGE_OUTPUT_TOKENS: 50, sc.USAGE_CACHE_READ_TOKENS: 20,
        sc.USAGE_REASONING_TOKENS: 10, sc.OPERATION_INPUTS: "{}", sc.OUTPUT_MESSAGES: found[sc.OUTPUT_MESSAGES],
    }  # fmt: skip
    assert recorded.totals("chat think")["input_tokens"] == 100


async def test_so_it_is_for_dspy_sync_and_async(others):
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.Predict("question -> answer")(question="?")
        await dspy.Predict("question -> answer").acall(question="?")
    assert len(recorded.named("chat gpt-4o-mini")) == 2
    chats = {span.context.span_id for span in recorded.named("chat gpt-4o-mini")}
    assert {span.name for span in others()} <= {"POST"}
    assert {span.parent.span_id for span in others()} <= chats


def test_what_runs_outside_of_a_model_call_is_told_by_the_others(others):
    with serving(fields(answer="yes")) as server, recording(instrument=()) as recorded:
        lmspan.tool(ask)(server)
    recorded.assert_tree("execute_tool ask")
    assert [span.name for span in others()] == ["POST", "chat gpt-4o-mini"]


@pytest.mark.parametrize("operation", [Operation.LM, Operation.EMBEDDING])
def test_openllmetrys_instrumentations_are_asked_to_be_silent_too(operation):
    from opentelemetry import context  # noqa: PLC0415

    key = "suppress_language_model_instrumentation"
    with recording(instrument=()):
        call = recording_module.active.start(operation, "m", "test")
        assert context.get_value(key) is True
        recording_module.active.end(call)
        assert context.get_value(key) is None


def through(wrapped, _, args, kwargs):
    return wrapped(*args, **kwargs)


def test_a_strangers_patch_on_a_subclass_before_ours_does_not_hide_the_call():
    """Others patch `dspy.LM.__call__`, which DSPy defines one class above: that makes it the subclass's own."""
    assert "__call__" not in vars(dspy.LM)
    wrapt.wrap_function_wrapper("dspy", "LM.__call__", through)
    try:
        with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server)):
            dspy.Predict("question -> answer")(question="?")
    finally:
        del dspy.LM.__call__
    assert len(recorded.named("chat gpt-4o-mini")) == 1
    recorded.assert_conventions()


def test_an_lm_with_a_call_of_its_own_is_one_span():
    class Mine(dspy.LM):
        def __call__(self, *args, **kwargs):
            return super().__call__(*args, **kwargs)

    with serving(fields(answer="yes")) as server, recording() as recorded:
        lm = Mine("openai/gpt-4o-mini", api_base=server.url, api_key=KEY, cache=False)
        with dspy.context(lm=lm):
            dspy.Predict("question -> answer")(question="?")
    recorded.assert_tree("""
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter
    """)


RIVAL = "openinference.instrumentation.dspy"


@pytest.fixture
def rival(monkeypatch):
    """What the other DSPy instrumentor looks like from outside; the real one is no dependency of these tests."""
    if importlib.util.find_spec("openinference") is not None:
        pytest.skip("the real one is installed")
    module = types.ModuleType(RIVAL)
    module.DSPyInstrumentor = type("DSPyInstrumentor", (), {"_instance": None})
    monkeypatch.setitem(sys.modules, RIVAL, module)
    return module.DSPyInstrumentor


def warnings(caplog):
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    return [message for message in found if "instruments DSPy as well" in message]


def run():
    with serving(fields(answer="yes")) as server, dspy.context(lm=model(server)):
        for _ in range(2):
            dspy.Predict("question -> answer")(question="?")


def test_another_dspy_instrumentor_that_is_on_is_said_once(rival, caplog):
    with recording():
        rival._instance = types.SimpleNamespace(_is_instrumented_by_opentelemetry=True)  # after ours, as it may be
        run()
    assert len(warnings(caplog)) == 1
    assert RIVAL in warnings(caplog)[0]


def test_one_that_is_only_imported_is_not_mentioned(rival, caplog):
    rival._instance = types.SimpleNamespace(_is_instrumented_by_opentelemetry=False)
    with recording():
        run()
    assert warnings(caplog) == []


ANTHROPIC = """
import anthropic
import lmspan
from lmspan.demo.server import Reply
from support.wires import KEY, serving

lmspan.init("claude", instrument=())
with serving(Reply("hi")) as server:
    client = anthropic.Anthropic(base_url=server.address, api_key=KEY)

    def ask():
        message = {"role": "user", "content": "hi"}
        return client.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=[message]).content[0].text

    lmspan.lm(name="ours")(ask)()
    ask()
"""


def test_anthropics_client_makes_its_own_span_only_where_no_call_of_ours_tells(tmp_path):
    done = run_python(ANTHROPIC, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    traces = direct.read_file(tmp_path / "traces.jsonl")[0]
    names = [span.name for trace in sorted(traces, key=lambda each: each.start_unix_nano) for span in trace.spans]
    assert len(names) == 2
    assert names[0] == "chat ours"
    assert names[1] != "chat ours"
