"""LogiLLM's modules and LM calls: the spans, all of them, and everything on them."""

import asyncio
import json

import pytest
from logillm.core.modules import BaseModule, Module
from logillm.core.predict import ChainOfThought
from logillm.core.signatures import InputField, OutputField, Signature
from logillm.core.types import CacheLevel, Prediction
from logillm.exceptions import ModuleError
from logillm.providers.base import Provider, ProviderError
from logillm.providers.mock import MockProvider
from logillm.providers.openai import OpenAIProvider
from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support import wires
from support.logillm_programs import KEY, anthropic, mock, openai, predict, serving
from support.wires import tokens

PREDICT = """
    module Predict
      format ChatAdapter
      chat gpt-4o-mini
      parse ChatAdapter
"""
FAILED = """
    module Predict !
      format ChatAdapter
      chat gpt-4o-mini !
"""
HELLO = [{"role": "user", "content": "hello"}]


def ids(recorded):
    return {sc.SOURCE: "logillm", sc.CALL_ID: f"{recorded.spans[0].context.span_id:016x}"}


async def test_one_predict_is_four_spans_in_one_trace():
    with serving(Reply("because")) as server, recording() as recorded:
        result = await predict(openai(server))(question="why?")
    assert result.outputs == {"answer": "because"}
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()
    assert len(recorded.trace_ids()) == 1


async def test_a_server_that_the_environment_names_is_the_clients(monkeypatch):
    with serving(Reply("because")) as server, recording() as recorded:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        await predict(OpenAIProvider(model="gpt-4o-mini", api_key=KEY, max_retries=1))(question="why?")
    assert recorded.attributes("chat gpt-4o-mini")[sc.SERVER_ADDRESS] == "127.0.0.1"


async def test_every_attribute_of_the_chat_span():
    usage = tokens(100, 20, cache_read=64, reasoning=5)
    reply = Reply("because", usage=usage, model="gpt-4o-mini-2024-07-18")
    config = {"temperature": 0.5, "max_tokens": 50, "top_p": 0.9, "seed": 7, "stop": ["END"]}
    with serving(reply) as server, recording(capture_content="none") as recorded:
        given = await predict(openai(server, temperature=0.1, presence_penalty=1.0), config=config)(question="why?")
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes.pop(sc.RESPONSE_ID).startswith("chatcmpl-")
    assert attributes.pop(sc.COST_AMOUNT) == given.usage.cost > 0
    assert attributes == {
        sc.SOURCE: "logillm",
        sc.CALL_ID: "0000000000000003",
        sc.CALL_PARENT_ID: "0000000000000001",
        sc.OPERATION_NAME: "chat",
        sc.PROVIDER_NAME: "openai",
        sc.REQUEST_MODEL: "gpt-4o-mini",
        sc.SERVER_ADDRESS: "127.0.0.1",
        sc.SERVER_PORT: int(server.url.split(":")[2].split("/")[0]),
        sc.PROMPT_NAME: "question -> answer",
        sc.REQUEST_TEMPERATURE: 0.5,
        sc.REQUEST_MAX_TOKENS: 50,
        sc.REQUEST_TOP_P: 0.9,
        sc.REQUEST_SEED: 7,
        sc.REQUEST_STOP_SEQUENCES: ("END",),
        sc.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
        sc.RESPONSE_FINISH_REASONS: ("stop",),
        sc.USAGE_INPUT_TOKENS: 100,
        sc.USAGE_OUTPUT_TOKENS: 20,
        sc.USAGE_CACHE_READ_TOKENS: 64,
        sc.USAGE_CACHE_WRITE_TOKENS: 0,
        sc.USAGE_REASONING_TOKENS: 5,
        sc.COST_UNIT: "USD",
        sc.COST_SOURCE: "logillm",
    }
    assert recorded.one("chat gpt-4o-mini").kind is SpanKind.CLIENT
    sent = server.exchanges[0].request
    assert (sent["temperature"], sent["max_tokens"], sent["seed"]) == (0.5, 50, 7)
    assert "presence_penalty" not in sent


async def test_a_constructors_temperature_is_not_sent_and_not_told():
    with serving(Reply("because")) as server, recording() as recorded:
        await predict(openai(server, temperature=0.1))(question="why?")
    assert sc.REQUEST_TEMPERATURE not in recorded.attributes("chat gpt-4o-mini")
    assert "temperature" not in server.exchanges[0].request


async def test_the_module_and_the_phases():
    class Answer(Signature):
        """Say why."""

        question: str = InputField(description="what is asked")
        answer: str = OutputField(description="why")

    with recording() as recorded:
        await ChainOfThought(Answer, provider=mock('{"reasoning": "so", "answer": "because"}'))(question="why?")
    module = recorded.attributes("module ChainOfThought")
    assert module == {
        **ids(recorded),
        sc.MODULE_NAME: "ChainOfThought",
        sc.SIGNATURE_NAME: "question -> reasoning, answer",
        sc.SIGNATURE_INPUT_FIELDS: ("question",),
        sc.SIGNATURE_OUTPUT_FIELDS: ("reasoning", "answer"),
        sc.MODULE_INPUTS: '{"question":"why?"}',
        sc.MODULE_OUTPUTS: '{"reasoning":"so","answer":"because"}',
    }
    parse = recorded.attributes("parse JSONAdapter")
    assert parse[sc.OPERATION_OUTPUTS] == '{"reasoning":"so","answer":"because"}'
    assert parse[sc.ADAPTER_RESPONSE_LENGTH] == len('{"reasoning": "so", "answer": "because"}')
    found = recorded.attributes("format JSONAdapter")
    assert (found[sc.ADAPTER_DEMO_COUNT], found[sc.ADAPTER_PHASE]) == (0, "format")
    assert json.loads(recorded.attributes("chat mock-model")[sc.OUTPUT_MESSAGES]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": '{"reasoning": "so", "answer": "because"}'}],
            "finish_reason": "stop",
        }
    ]


async def test_a_class_of_a_signature_gives_its_name():
    class Answer(Signature):
        """Say why."""

        question: str = InputField(description="what is asked")
        answer: str = OutputField(description="why")

    with recording() as recorded:
        await Module.__call__(_predict_of(Answer), question="why?")
    assert recorded.attributes("module Predict")[sc.SIGNATURE_NAME] == "Answer"
    assert recorded.attributes("chat mock-model")[sc.PROMPT_NAME] == "Answer"


def _predict_of(signature):
    from logillm.core.predict import Predict  # noqa: PLC0415

    return Predict(signature, provider=mock("because"))


async def test_a_program_of_several_modules_is_a_workflow_with_paths():
    class Program(BaseModule):
        def __init__(self):
            super().__init__()
            self.first = predict(mock("one"))
            self.rest = [predict(mock("two"))]

        async def forward(self, question):
            await self.first(question=question)
            return await self.rest[0](question=question)

    with recording() as recorded:
        await Program()(question="why?")
    recorded.assert_tree("""
        invoke_workflow Program
          module first
            format ChatAdapter
            chat mock-model
            parse ChatAdapter
          module rest[0]
            format ChatAdapter
            chat mock-model
            parse ChatAdapter
    """)
    recorded.assert_conventions()
    for place in ("first", "rest[0]"):
        facts = recorded.attributes(f"module {place}")
        assert (facts[sc.MODULE_PATH], facts[sc.MODULE_NAME]) == (place, "Predict")


async def test_an_answer_that_cannot_be_parsed_is_seen_though_predict_swallows_it():
    with serving(Reply("garbage")) as server, recording() as recorded:
        result = await predict(openai(server), adapter="json")(question="why?")
    assert result.outputs == {"output": "garbage"} and result.success
    recorded.assert_tree("""
        module Predict
          format JSONAdapter
          chat gpt-4o-mini
          parse JSONAdapter !
    """)
    recorded.assert_conventions()
    assert recorded.attributes("parse JSONAdapter")[sc.ERROR_TYPE] == "logillm.core.adapters.base.ParseError"
    assert recorded.totals("module Predict")["errors"] == 1


async def test_retries_are_events_on_one_chat_span():
    with serving(Reply(status=500), Reply("because")) as server, recording() as recorded:
        await predict(openai(server, max_retries=2))(question="why?")
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()
    ((name, event),) = recorded.events("chat gpt-4o-mini")
    assert name == sc.EVENT_RETRY
    assert event.pop(sc.RETRY_DELAY) > 0
    assert event == {sc.RETRY_ATTEMPT: 1, sc.ERROR_TYPE: "openai.InternalServerError"}
    assert recorded.attributes("chat gpt-4o-mini")[sc.ATTEMPT_COUNT] == len(server.exchanges) == 2
    assert recorded.totals("module Predict")["llm_calls"] == 1


async def test_an_error_is_told_once_where_it_happened():
    with serving(Reply(status=429)) as server, recording() as recorded:
        with pytest.raises(ModuleError) as raised:
            await predict(openai(server, max_retries=2))(question="why?")
    assert raised.value.__cause__ is not None
    recorded.assert_tree(FAILED)
    recorded.assert_conventions()
    events = [(name, facts.get(sc.RETRY_ATTEMPT)) for name, facts in recorded.events("chat gpt-4o-mini")]
    assert events == [(sc.EVENT_RETRY, 1), (sc.EVENT_RETRY, 2), (sc.EVENT_INFERENCE_EXCEPTION, None)]
    assert recorded.events("module Predict") == []
    for name in ("module Predict", "chat gpt-4o-mini"):
        assert recorded.attributes(name)[sc.ERROR_TYPE] == "openai.RateLimitError"
    assert recorded.totals("module Predict")["errors"] == 1


async def test_an_error_of_the_programs_own_is_told_as_it_is():
    class Failing(BaseModule):
        async def forward(self, **inputs):
            raise LookupError("nothing there")

    class Outer(BaseModule):
        def __init__(self):
            super().__init__()
            self.inner = Failing()

        async def forward(self, **inputs):
            return await self.inner(**inputs)

    with recording() as recorded, pytest.raises(ModuleError):
        await Outer()(question="why?")
    recorded.assert_tree("""
        invoke_workflow Outer !
          module inner !
    """)
    recorded.assert_conventions()
    ((name, event),) = recorded.events("module inner")
    assert (name, event[sc.EXCEPTION_TYPE], event[sc.EXCEPTION_MESSAGE]) == (
        sc.EVENT_EXCEPTION, "LookupError", "nothing there",
    )  # fmt: skip
    assert "nothing there" in event[sc.EXCEPTION_STACKTRACE]
    assert recorded.events("invoke_workflow Outer") == []
    assert recorded.attributes("invoke_workflow Outer")[sc.ERROR_TYPE] == "LookupError"


async def test_a_cancelled_call_ends():
    asked = asyncio.Event()

    class Silent(MockProvider):
        async def _complete_impl(self, messages, **kwargs):
            asked.set()
            await asyncio.Event().wait()

    with recording() as recorded:
        task = asyncio.ensure_future(predict(Silent())(question="why?"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    recorded.assert_tree("""
        module Predict !
          format ChatAdapter
          chat mock-model !
    """)
    recorded.assert_conventions()
    assert recorded.attributes("chat mock-model")[sc.ERROR_TYPE] == "asyncio.exceptions.CancelledError"
    assert recorded.totals("module Predict")["errors"] == 1


async def test_one_module_gathered_keeps_three_trees():
    with serving(Reply("because")) as server, recording() as recorded:
        program = predict(openai(server))
        await asyncio.gather(*(program(question=str(number)) for number in range(3)))
    recorded.assert_tree(PREDICT.rstrip() * 3, ordered=False)
    recorded.assert_conventions()
    assert len(recorded.trace_ids()) == 3


async def test_a_batch_keeps_failures_apart():
    with serving(Reply("because")) as server, recording() as recorded:
        found = await predict(openai(server)).batch_process([{"question": "a"}, {"question": "b"}])
    assert [each.outputs for each in found] == [{"answer": "because"}] * 2
    recorded.assert_tree(PREDICT.rstrip() * 2, ordered=False)


async def test_a_cache_hit_spends_nothing():
    with serving(Reply("because")) as server, recording() as recorded:
        program = predict(openai(server, cache_level=CacheLevel.MEMORY))
        first, second = [await program(question="why?") for _ in range(2)]
    assert first.outputs == second.outputs and len(server.exchanges) == 1
    miss, hit = recorded.named("chat gpt-4o-mini")
    spent = [name for name in hit.attributes if name.startswith(("gen_ai.usage.", "lmspan.cost."))]
    assert (hit.kind, hit.attributes[sc.CACHE_HIT], spent) == (SpanKind.INTERNAL, True, [])
    used = miss.attributes[sc.USAGE_INPUT_TOKENS] + miss.attributes[sc.USAGE_OUTPUT_TOKENS]
    assert hit.attributes[sc.CACHE_SAVED_TOKENS] == used
    assert sc.CACHE_HIT not in miss.attributes and miss.kind is SpanKind.CLIENT
    recorded.assert_conventions()


async def test_a_stream_is_one_chat_span_to_its_end():
    with serving(Reply("the sun shines", usage=tokens(10, 5, reasoning=2))) as server, recording() as recorded:
        given = [text async for text in openai(server).stream(HELLO, temperature=0.5)]
    assert "".join(given) == "the sun shines"
    recorded.assert_tree("chat gpt-4o-mini")
    recorded.assert_conventions()
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes[sc.STREAM_CHUNK_COUNT] == len(given)
    assert attributes[sc.RESPONSE_TIME_TO_FIRST_CHUNK] > 0
    assert (attributes[sc.REQUEST_STREAM], attributes[sc.REQUEST_TEMPERATURE]) == (True, 0.5)
    assert attributes[sc.RESPONSE_FINISH_REASONS] == ("stop",)
    assert [attributes[name] for name in (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)] == [10, 5]
    assert json.loads(attributes[sc.OUTPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "the sun shines"}]


async def test_a_stream_that_is_left_ends_and_what_runs_between_its_steps_is_not_under_it():
    with serving(Reply("the sun shines")) as server, recording() as recorded:
        stream = openai(server).stream(HELLO)
        await anext(stream)
        await predict(mock("because"))(question="why?")
        await stream.aclose()
    recorded.assert_tree("""
        chat gpt-4o-mini !
        module Predict
          format ChatAdapter
          chat mock-model
          parse ChatAdapter
    """)
    recorded.assert_conventions()
    assert recorded.attributes("chat gpt-4o-mini")[sc.ERROR_TYPE] == "lmspan.errors.AbandonedStream"


async def test_a_stream_that_breaks_ends_with_what_broke_it():
    with serving(Reply(status=500)) as server, recording() as recorded, pytest.raises(ProviderError):
        [text async for text in openai(server).stream(HELLO)]
    recorded.assert_tree("chat gpt-4o-mini !")
    recorded.assert_conventions()
    assert recorded.attributes("chat gpt-4o-mini")[sc.ERROR_TYPE] == "openai.InternalServerError"


async def test_a_stream_over_complete_is_one_span_with_its_usage():
    with recording() as recorded:
        assert [text async for text in mock("a b").stream(HELLO)] == ["a ", "b "]
    recorded.assert_tree("chat mock-model")
    attributes = recorded.attributes("chat mock-model")
    assert (attributes[sc.USAGE_INPUT_TOKENS], attributes[sc.USAGE_OUTPUT_TOKENS]) == (10, 5)
    assert json.loads(attributes[sc.OUTPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "a b "}]


def test_sync_calls_outside_a_loop():
    with serving(Reply("because")) as server, recording() as recorded:
        assert predict(openai(server)).call_sync(question="why?").outputs == {"answer": "because"}
        assert openai(server).complete_sync(HELLO).text == "because"
    recorded.assert_tree(PREDICT + "    chat gpt-4o-mini\n")


async def test_sync_calls_inside_a_loop_keep_the_trace():
    class Program(BaseModule):
        async def forward(self, question):
            predict(mock("one")).call_sync(question=question)
            return Prediction(outputs={"answer": mock("two").complete_sync(HELLO).text})

    with recording() as recorded:
        assert (await Program()(question="why?")).outputs == {"answer": "two"}
    recorded.assert_tree("""
        module Program
          module Predict
            format ChatAdapter
            chat mock-model
            parse ChatAdapter
          chat mock-model
    """)
    recorded.assert_conventions()


async def test_a_provider_of_the_programs_own_is_recorded():
    class Mine(Provider):
        async def _complete_impl(self, messages, **kwargs):
            return await mock("mine")._complete_impl(messages)

        async def complete(self, messages, **kwargs):
            return await super().complete(messages, **kwargs)

        async def embed(self, texts, **kwargs):
            return [[1.0, 2.0] for _ in texts]

    with recording() as recorded:
        mine = Mine("mine", "small", base_url="https://models.example:8443/v1", max_retries=1)
        await predict(mine, config={"temperature": 0.5})(question="why?")
        await mine.embed(["a", "b", "c"], model="tiny")
    recorded.assert_tree("""
        module Predict
          format ChatAdapter
          chat small
          parse ChatAdapter
        embeddings tiny
    """)
    attributes = recorded.attributes("chat small")
    assert (attributes[sc.PROVIDER_NAME], attributes[sc.SERVER_ADDRESS], attributes[sc.SERVER_PORT]) == (
        "mine", "models.example", 8443,
    )  # fmt: skip
    assert attributes[sc.REQUEST_TEMPERATURE] == 0.5
    assert sc.ATTEMPT_COUNT not in attributes
    found = recorded.attributes("embeddings tiny")
    assert (found[sc.EMBEDDING_INPUT_COUNT], found[sc.EMBEDDINGS_DIMENSION_COUNT]) == (3, 2)


async def test_embeddings_by_http():
    with serving(Reply()) as server, recording() as recorded:
        await openai(server).embed(["some text", "some more"])
    recorded.assert_tree("embeddings text-embedding-3-small")
    recorded.assert_conventions()
    attributes = recorded.attributes("embeddings text-embedding-3-small")
    assert (attributes[sc.EMBEDDINGS_DIMENSION_COUNT], attributes[sc.USAGE_INPUT_TOKENS]) == (3, 4)


async def test_anthropics_answers_with_its_cache_and_its_tools():
    used = tokens(10, 5, cache_read=4, cache_write=2)
    with wires.serving(Reply("because", usage=used), Reply("the sun", usage=used)) as server, recording() as recorded:
        claude = anthropic(server)
        await predict(claude, config={"stop": "END", "presence_penalty": 1.0})(question="why?")
        assert "".join([text async for text in claude.stream(HELLO)]) == "the sun"
    for span in recorded.named("chat claude-sonnet-4"):
        assert span.attributes[sc.RESPONSE_ID].startswith("msg_")
        assert [
            span.attributes[name]
            for name in (
                sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS, sc.USAGE_CACHE_READ_TOKENS, sc.USAGE_CACHE_WRITE_TOKENS,
            )
        ] == [10, 5, 4, 2]  # fmt: skip
        assert span.attributes[sc.RESPONSE_FINISH_REASONS] == ("end_turn",)
        assert span.attributes[sc.REQUEST_MAX_TOKENS] == 4096  # what LogiLLM sends when nobody says
        assert sc.REQUEST_PRESENCE_PENALTY not in span.attributes  # and what it drops
    first, _ = recorded.named("chat claude-sonnet-4")
    assert first.attributes[sc.REQUEST_STOP_SEQUENCES] == ("END",)
    # LogiLLM prices the input without what the cache read and wrote
    assert first.attributes[sc.COST_UNKNOWN_REASON] == "the library priced other counts than the server reports"
    recorded.assert_conventions()


async def test_no_key_is_recorded_wherever_it_shows_up():
    with serving(Reply(f"your key is {KEY[3:]}")) as server, recording() as recorded:
        await predict(openai(server))(question=f"is it {KEY[3:]} or {KEY}?")
    everything = "".join(str(dict(span.attributes)) for span in recorded.spans)
    assert KEY not in everything
    assert "your key is" in everything


async def test_content_off_tells_sizes_and_no_text():
    with recording(capture_content="none") as recorded:
        await predict(mock("because of tea"))(question="why coffee?")
    everything = "".join(str(dict(span.attributes)) for span in recorded.spans)
    assert "tea" not in everything and "coffee" not in everything
    assert recorded.attributes("parse ChatAdapter")[sc.ADAPTER_RESPONSE_LENGTH] == len("because of tea")
