"""Programs that call a provider's client, recorded through OpenTelemetry's own instrumentation of the client."""

import asyncio
import base64
import json
import logging
import threading

import anthropic
import boto3
import dspy
import openai
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lmspan
from lmspan import instrumentation
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.instrumentation import genai
from lmspan.testing import recording
from support.genai import REPLY, SAID, USAGE, serving
from support.processes import run_lmspan, run_python
from support.programs import fields, model
from support.wires import KEY

SECRET = "sk-proj-" + "Ab3" * 16


def client_of(server, kind=openai.OpenAI):
    return kind(base_url=server.url, api_key=KEY, max_retries=0)


def chat(server, **settings):
    return client_of(server).chat.completions.create(model="asked", messages=SAID, **settings)


def chat_stream(server):
    return list(chat(server, stream=True, stream_options={"include_usage": True}))


def responses(server, **settings):
    return client_of(server).responses.create(model="asked", input="why?", **settings)


def responses_stream(server):
    return list(responses(server, stream=True))


async def chat_async(server):
    async with client_of(server, openai.AsyncOpenAI) as client:
        return await client.chat.completions.create(model="asked", messages=SAID)


async def chat_stream_async(server):
    options = {"include_usage": True}
    async with client_of(server, openai.AsyncOpenAI) as client:
        settings = {"stream": True, "stream_options": options}
        stream = await client.chat.completions.create(model="asked", messages=SAID, **settings)
        return [chunk async for chunk in stream]


def messages_of(server):
    return anthropic.Anthropic(base_url=server.address, api_key=KEY, max_retries=0).messages


def claude(server):
    return messages_of(server).create(model="asked", messages=SAID, max_tokens=9)


def claude_stream(server):
    return list(messages_of(server).create(model="asked", messages=SAID, max_tokens=9, stream=True))


def claude_helper(server):
    with messages_of(server).stream(model="asked", messages=SAID, max_tokens=9) as stream:
        return list(stream.text_stream)


def bedrock(server):
    keys = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "not-a-key-of-anybody"}
    client = boto3.client("bedrock-runtime", endpoint_url=server.address, region_name="us-east-1", **keys)
    return client.converse(modelId="asked", messages=[{"role": "user", "content": [{"text": "why?"}]}])


ANSWERED = {
    sc.OPERATION_NAME: "chat", sc.SERVER_ADDRESS: "127.0.0.1", sc.REQUEST_MODEL: "asked",
    sc.RESPONSE_MODEL: "served-1", sc.RESPONSE_FINISH_REASONS: ("stop",),
    sc.USAGE_INPUT_TOKENS: 100, sc.USAGE_OUTPUT_TOKENS: 50,
}  # fmt: skip
OPENAI = ANSWERED | {sc.SOURCE: "openai", sc.PROVIDER_NAME: "openai"}
RESPONSES = OPENAI | {"openai.api.type": "responses"}
CLAUDE = ANSWERED | {sc.SOURCE: "anthropic", sc.PROVIDER_NAME: "anthropic", sc.REQUEST_MAX_TOKENS: 9}
BEDROCK = ANSWERED | {sc.SOURCE: "bedrock", sc.PROVIDER_NAME: "aws.bedrock"}
del BEDROCK[sc.RESPONSE_MODEL]  # its API does not report it
STREAMED = {sc.REQUEST_STREAM: True}
CHANGING = {sc.CALL_ID, sc.SERVER_PORT, sc.RESPONSE_ID, sc.RESPONSE_TIME_TO_FIRST_CHUNK}
QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "why?"}]}]
ANSWER = [{"role": "assistant", "parts": [{"type": "text", "content": "so it is"}], "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("program", "facts"),
    [
        (chat, OPENAI), (chat_stream, OPENAI | STREAMED), (chat_async, OPENAI), (chat_stream_async, OPENAI | STREAMED),
        (responses, RESPONSES), (responses_stream, RESPONSES | STREAMED),
        (claude, CLAUDE), (claude_stream, CLAUDE | STREAMED), (claude_helper, CLAUDE | STREAMED),
        (bedrock, BEDROCK),
    ],
)  # fmt: skip
def test_a_call_of_a_client_is_one_span_with_what_the_server_reports(program, facts):
    with serving(REPLY) as server, recording() as recorded:
        asyncio.run(program(server)) if asyncio.iscoroutinefunction(program) else program(server)
    recorded.assert_tree("chat asked")
    recorded.assert_conventions()
    found = recorded.attributes("chat asked")
    assert json.loads(found.pop(sc.INPUT_MESSAGES)) == QUESTION
    assert json.loads(found.pop(sc.OUTPUT_MESSAGES)) == ANSWER
    assert {name: value for name, value in found.items() if name not in CHANGING} == facts
    totals = {"nodes": 1, "llm_calls": 1, "tool_calls": 0, "errors": 0, "orphans": 0}
    tokens = {"input_tokens": 100, "output_tokens": 50, "cost.unknown_calls": 1}
    assert recorded.totals("chat asked") == totals | tokens


def test_an_embedding_of_a_client_is_one_span():
    with serving(REPLY) as server, recording() as recorded:
        client_of(server).embeddings.create(model="asked", input=["a text"])
    recorded.assert_tree("embeddings asked")
    recorded.assert_conventions()
    assert recorded.totals("embeddings asked")["embedding_calls"] == 1


def test_a_call_that_two_sources_see_is_one_span():
    ways = {"extra_headers": {"x-team": "a"}}  # DSPy calls the client of OpenAI through LiteLLM
    with serving(fields(answer="yes")) as server, recording() as recorded, dspy.context(lm=model(server, **ways)):
        dspy.Predict("question -> answer")(question="?")
        lmspan.lm(chat)(server)
    recorded.assert_tree("""
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter
        chat chat
    """)
    assert recorded.totals("module Predict")["llm_calls"] == recorded.totals("chat chat")["llm_calls"] == 1


IMPORTED_INSIDE = """
import sys
import lmspan
from lmspan.testing import recording

@lmspan.lm
def think():
    import openai
    from support.genai import REPLY, SAID, serving
    from support.programs import KEY
    with serving(REPLY) as server:
        client = openai.OpenAI(base_url=server.url, api_key=KEY)
        return client.chat.completions.create(model="asked", messages=SAID).choices[0].message.content

with recording() as recorded:
    think()
assert "openai" in sys.modules
recorded.assert_tree("chat think")
recorded.assert_conventions()
print(recorded.attributes("chat think")["gen_ai.response.model"], recorded.totals("chat think")["input_tokens"])
"""


def test_a_client_that_is_imported_inside_a_call_adds_to_its_span():
    done = run_python(IMPORTED_INSIDE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "served-1 100\n", "")


def test_calls_of_a_client_are_in_the_tree_and_in_the_totals_of_what_is_around_them():
    @lmspan.agent
    def desk():
        chat(server)
        lmspan.tool(chat, name="look")(server)

    with serving(REPLY) as server, recording() as recorded, lmspan.run("day") as result:
        desk()
    recorded.assert_tree("""
        invoke_workflow day
          invoke_agent desk
            chat asked
            execute_tool look
              chat asked
    """)
    assert recorded.totals("invoke_workflow day")["input_tokens"] == 200
    assert (result.api_calls, result.input_tokens, result.output_tokens) == (2, 200, 100)
    assert (result.last_message, result.stop_reason) == ("so it is", "stop")


def test_a_call_of_lmspan_below_a_span_of_a_client_is_its_child():
    seen = []

    class Transport(openai.DefaultHttpxClient):
        def send(self, request, **settings):
            lmspan.tool(seen.append, name="sign")(trace.get_current_span().get_span_context().span_id)
            return super().send(request, **settings)

    with serving(REPLY) as server, recording() as recorded:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, http_client=Transport())
        client.chat.completions.create(model="asked", messages=SAID)
    recorded.assert_tree("""
        chat asked
          execute_tool sign
    """)
    assert seen == [recorded.one("chat asked").context.span_id]
    assert recorded.totals("chat asked")["tool_calls"] == 1


def test_threads_and_tasks_have_their_own_calls():
    @lmspan.module
    def both():
        threads = [threading.Thread(target=chat, args=(server,)) for _ in range(3)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    async def tasks():
        await asyncio.gather(*(chat_async(server) for _ in range(3)))

    with serving(REPLY) as server, recording() as recorded:
        both()
        with lmspan.operation("agent", "gathering"):
            asyncio.run(tasks())
    recorded.assert_conventions()
    assert recorded.totals("invoke_agent gathering")["llm_calls"] == 3
    assert len(recorded.named("chat asked")) == 6


class Heard:
    def __init__(self):
        self.heard = []

    def on_lm_start(self, call_id, instance, inputs):
        self.heard.append(("start", inputs))

    def on_lm_end(self, call_id, outputs, exception):
        self.heard.append(("end", outputs, type(exception).__name__))


@pytest.mark.parametrize("capture_content", ["none", "span"])
def test_callbacks_hear_the_calls_and_the_answers(capture_content):
    listener = Heard()
    with serving(REPLY) as server, recording(capture_content=capture_content), lmspan.subscribed(listener):
        chat(server)
    assert [each[0] for each in listener.heard] == ["start", "end"]
    assert listener.heard[1] == ("end", ["so it is"], "NoneType")


def test_a_budget_stops_the_program_before_the_next_request():
    with serving(REPLY) as server, recording() as recorded, lmspan.subscribed(lmspan.Budget(max_tokens=100)):
        with pytest.raises(lmspan.StopRun):
            lmspan.agent(lambda: [chat(server) for _ in range(5)], name="desk")()
    assert len(server.exchanges) == 1
    assert len(recorded.named("chat asked")) == 2


def test_content_is_recorded_only_where_the_rule_allows_it():
    seen = {}
    for mode in ("none", "local", "event"):
        with serving(Reply("so it is")) as server, recording(capture_content=mode) as recorded:
            chat(server)
        (span,) = recorded.spans
        seen[mode] = ("why?" in str(span.attributes), "so it is" in str([dict(e.attributes) for e in span.events]))
    assert seen == {"none": (False, False), "local": (False, False), "event": (False, True)}


def test_secrets_in_what_the_instrumentation_sets_are_redacted():
    said = [{"role": "user", "content": f"my key is {SECRET}"}]
    with serving(Reply(f"the key {SECRET}", model=SECRET)) as server, recording(redact=str.upper) as recorded:
        with pytest.raises(openai.BadRequestError), serving(Reply(f"not {SECRET}", status=400)) as failing:
            client_of(failing).chat.completions.create(model=SECRET, messages=said)
        client_of(server).chat.completions.create(model="asked", messages=said)
    told = str([(s.name, dict(s.attributes), s.status.description, [dict(e.attributes) for e in s.events])
                for s in recorded.spans])  # fmt: skip
    assert SECRET not in told
    assert SECRET.upper() not in told
    assert "MY KEY IS [REDACTED]" in told


def test_bytes_of_an_image_are_described_and_not_recorded():
    picture = base64.b64encode(bytes(range(256)) * 40).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    with serving(REPLY) as server, recording() as recorded:
        client_of(server).chat.completions.create(model="asked", messages=[{"role": "user", "content": [part]}])
    text = recorded.attributes("chat asked")[sc.INPUT_MESSAGES]
    assert picture[:64] not in text
    assert json.loads(text)[0]["parts"][0]["mime_type"] == "image/png"


def test_metrics_are_those_of_lmspan_alone():
    reader = InMemoryMetricReader()
    with serving(REPLY) as server, recording(meter_provider=MeterProvider([reader])):
        chat(server)
        metrics = reader.get_metrics_data()
    points = {
        metric.name: [point.count for point in metric.data.data_points]
        for resource in metrics.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name.startswith("gen_ai.")
    }
    assert points == {"gen_ai.client.operation.duration": [1], "gen_ai.client.token.usage": [1, 1]}


def test_the_exception_of_a_call_passes_and_is_on_its_span_once():
    with serving(Reply("no such thing", status=400)) as server, recording() as recorded:
        with pytest.raises(openai.BadRequestError) as raised, lmspan.operation("agent", "desk"):
            chat(server)
    recorded.assert_tree("""
        invoke_agent desk !
          chat asked !
    """)
    recorded.assert_conventions()
    ((name, event),) = recorded.events("chat asked")
    assert (name, event[sc.EXCEPTION_TYPE]) == ("gen_ai.client.operation.exception", "openai.BadRequestError")
    assert event[sc.EXCEPTION_MESSAGE] == raised.value.args[0]
    assert recorded.events("invoke_agent desk") == []
    assert recorded.totals("invoke_agent desk")["errors"] == 1


@pytest.mark.parametrize(("kind", "path"), [(openai.OpenAI, "url"), (anthropic.Anthropic, "address")])
def test_attempts_of_a_client_are_events_of_one_call(kind, path):
    busy = Reply("busy", status=429, headers={"retry-after-ms": "1"})
    with serving(busy, busy, REPLY) as server, recording() as recorded:
        client = kind(base_url=getattr(server, path), api_key=KEY, max_retries=2)
        create = client.chat.completions.create if kind is openai.OpenAI else client.messages.create
        create(model="asked", messages=SAID, max_tokens=9)
    recorded.assert_conventions()
    assert recorded.attributes("chat asked")[sc.ATTEMPT_COUNT] == 3
    assert [event[sc.ERROR_TYPE] for _, event in recorded.events("chat asked")] == ["429", "429"]


def test_a_stream_that_is_left_early_ends_its_span_and_leaves_the_context():
    with serving(Reply("one two three four", usage=USAGE)) as server, recording() as recorded:
        with chat(server, stream=True) as stream:
            next(iter(stream))
            assert trace.get_current_span() is trace.INVALID_SPAN
            chat(server)
    assert [span.name for span in recorded.spans] == ["chat asked", "chat asked"]
    assert [span.parent for span in recorded.spans] == [None, None]


def test_what_the_program_sets_on_the_current_span_is_on_the_call():
    class Transport(openai.DefaultHttpxClient):
        def send(self, request, **settings):
            span = trace.get_current_span()
            assert span.is_recording()
            span.set_attribute("team", f"a {SECRET}")
            span.add_event("signed", {"key": SECRET})
            return super().send(request, **settings)

    with serving(REPLY) as server, recording() as recorded:
        client = openai.OpenAI(base_url=server.url, api_key=KEY, http_client=Transport())
        client.chat.completions.create(model="asked", messages=SAID)
    assert recorded.attributes("chat asked")["team"] == "a [redacted]"
    assert recorded.events("chat asked") == [("signed", {"key": "[redacted]"})]


def test_nothing_is_recorded_while_lmspan_is_disabled_and_the_program_runs():
    with serving(REPLY) as server, recording() as recorded:
        lmspan.disable()
        assert chat(server).choices[0].message.content == "so it is"
        lmspan.enable()
        chat(server)
    recorded.assert_tree("chat asked")


def test_each_can_be_left_out_and_is_off_afterwards():
    with serving(REPLY) as server:
        with recording(instrument=("anthropic",)) as recorded:
            chat(server)
            claude(server)
        assert [span.attributes[sc.SOURCE] for span in recorded.spans] == ["anthropic"]
        claude(server)
    assert not OpenAIInstrumentor().is_instrumented_by_opentelemetry
    assert len(recorded.spans) == 1


def test_an_instrumentation_that_the_program_has_turned_on_keeps_the_programs_provider():
    exporter, official = InMemorySpanExporter(), OpenAIInstrumentor()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    official.instrument(tracer_provider=provider)
    try:
        with serving(REPLY) as server, recording() as recorded:
            chat(server)
        assert official.is_instrumented_by_opentelemetry
    finally:
        official.uninstrument()
    assert recorded.spans == []
    assert [span.name for span in exporter.get_finished_spans()] == ["chat asked"]


@pytest.mark.parametrize("fault", ["package", "class_name"])
def test_one_that_fails_is_reported_once_and_the_others_are_on(fault, monkeypatch, caplog):
    monkeypatch.setattr(genai.OpenAI, fault, "nothing_of_this_name")
    with serving(REPLY) as server, recording() as recorded:
        chat(server)
        chat(server)
        claude(server)
    assert [span.attributes[sc.SOURCE] for span in recorded.spans] == ["anthropic"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "cannot be turned on" in record.getMessage()


def test_a_library_without_its_instrumentation_is_not_installed(monkeypatch):
    find = instrumentation.importlib.util.find_spec
    monkeypatch.setattr(
        instrumentation.importlib.util, "find_spec", lambda name: None if name.endswith("genai.openai") else find(name)
    )
    assert "openai" not in instrumentation.choose(None)
    with pytest.raises(lmspan.errors.InstrumentationError, match=r"pip install 'lmspan\[openai\]'"):
        instrumentation.choose(("openai",))


class Odd:
    """A value that no client expects, and whose code must not run on behalf of a recording."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __iter__(self):
        raise RuntimeError

    def __str__(self):
        raise AssertionError


ODD_MESSAGES = [
    None, "why?", 3, [None], ["why?"], [Odd()], Odd(), [{"role": "user", "content": Odd()}], [{"role": None}],
    [{"role": "assistant", "tool_calls": [{}]}], [{"role": "user", "content": [None, 3, {"type": "image_url"}]}],
]  # fmt: skip
ODD_SETTINGS = [
    {"stop": 3}, {"tools": 3}, {"tools": [None]}, {"temperature": "x"}, {"temperature": Odd()}, {"seed": 2**70},
    {"response_format": 3}, {"stream": 1}, {"n": "2"}, {"model": None}, {"model": Odd()},
]  # fmt: skip


def outcome(function, **arguments):
    try:
        result = function(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever the client raises
        return type(error), str(error)
    return isinstance(result, openai.Stream), hasattr(result, "id")


async def outcome_async(function, **arguments):
    try:
        return hasattr(await function(**arguments), "id")
    except Exception as error:  # noqa: BLE001 - the same
        return type(error), str(error)


def odd_outcomes(server):
    asks = client_of(server).chat.completions.create, messages_of(server).create, client_of(server).responses.create
    for messages in ODD_MESSAGES:
        yield outcome(asks[0], model="asked", messages=messages)
        yield outcome(asks[1], model="asked", messages=messages, max_tokens=9)
        yield outcome(asks[2], model="asked", input=messages)
        of_tasks = client_of(server, openai.AsyncOpenAI).chat.completions.create
        yield asyncio.run(outcome_async(of_tasks, model="asked", messages=messages))
    for settings in ODD_SETTINGS:
        yield outcome(asks[0], **{"model": "asked", "messages": SAID, **settings})


def test_a_program_has_the_results_and_exceptions_that_it_has_without_a_recording():
    with serving(REPLY) as server:
        plain = list(odd_outcomes(server))
        with recording() as recorded:
            recorded_ones = list(odd_outcomes(server))
            assert trace.get_current_span() is trace.INVALID_SPAN
    assert recorded_ones == plain
    recorded.assert_conventions()
    assert {span.parent for span in recorded.spans} == {None}


PROGRAM = """
import sys
import lmspan
{init}
assert "openai" not in sys.modules
import openai
from support.genai import REPLY, serving
from support.programs import KEY
with serving(REPLY) as server:
    client = openai.OpenAI(base_url=server.url, api_key=KEY)
    message = {{"role": "user", "content": "why?"}}
    print(client.chat.completions.create(model="asked", messages=[message]).choices[0].message.content)
"""


@pytest.mark.parametrize(("init", "spans"), [("lmspan.init()", 1), ("lmspan.init(instrument=['dspy'])", 0)])
def test_one_line_records_a_program_of_a_client(init, spans, tmp_path):
    done = run_python(PROGRAM.format(init=init), environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "so it is\n", "")
    shown = run_lmspan("show", environ={"LMSPAN_DIR": str(tmp_path)})
    assert ("chat asked" in shown.stdout, "100" in shown.stdout) == (spans == 1, spans == 1)


def test_callbacks_hear_a_client_without_init():
    code = PROGRAM.format(init="lmspan.subscribe({'on_lm_end': lambda call_id, outputs: print(outputs)})")
    done = run_python(code)
    assert (done.returncode, done.stdout) == (0, "['so it is']\nso it is\n"), done.stderr
