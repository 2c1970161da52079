"""One predictor call against a model server over HTTP: the spans, all of them, and everything on them."""

import json

import dspy
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.content.payload import Content
from lmspan.testing import recording
from support.programs import KEY, Reply, fields, model, serving

PREDICT = """
    module Predict
      format ChatAdapter
      chat gpt-4o-mini
      parse ChatAdapter
"""
SIGNATURE = {
    sc.SIGNATURE_NAME: "StringSignature",
    sc.SIGNATURE_INPUT_FIELDS: ("question",),
    sc.SIGNATURE_OUTPUT_FIELDS: ("answer",),
}


def ask(lm, **kwargs):
    with dspy.context(lm=lm):
        return dspy.Predict("question -> answer", **kwargs)(question="why?")


def test_one_predict_is_four_spans_in_one_trace():
    with serving(fields(answer="because")) as server, recording() as recorded:
        assert ask(model(server)).answer == "because"
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()
    assert len(recorded.trace_ids()) == 1


@pytest.mark.parametrize("address", ["http://host:port/v1", "http://127.0.0.1:99999/v1", "http://[::1/v1"])
def test_a_call_to_a_wrong_address_fails_as_without_lmspan_and_has_its_span(address):
    with recording() as recorded, pytest.raises(Exception) as failure:  # noqa: PT011 - whatever the library raises
        dspy.LM("openai/gpt-4o-mini", api_base=address, api_key=KEY, cache=False, num_retries=0)("why?")
    assert recorded.one("chat gpt-4o-mini").attributes[sc.ERROR_TYPE].endswith(type(failure.value).__name__)


def test_the_credentials_of_an_address_are_recorded_nowhere():
    lm = dspy.LM("openai/gpt-4o-mini", api_base="http://ada:PW@127.0.0.1:9/v1", api_key=KEY, cache=False, num_retries=0)
    with recording() as recorded, pytest.raises(Exception):  # noqa: B017, PT011 - the releases of DSPy differ
        ask(lm)
    assert recorded.spans
    assert "ada:PW" not in "".join(span.to_json() for span in recorded.spans)


async def test_acall_gives_the_same_spans():
    with serving(fields(answer="because")) as server, recording() as recorded, dspy.context(lm=model(server)):
        result = await dspy.Predict("question -> answer").acall(question="why?")
    assert result.answer == "because"
    recorded.assert_tree(PREDICT)
    recorded.assert_conventions()


def test_every_attribute_of_the_chat_span():
    usage = {
        "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 5},
    }  # fmt: skip
    reply = fields(answer="because")
    reply.usage, reply.model = usage, "gpt-4o-mini-2024-07-18"
    with serving(reply) as server, recording(capture_content="none") as recorded:
        ask(model(server, temperature=0.5, max_tokens=50, top_p=0.9, seed=7, stop=["END"]))
    span = recorded.one("chat gpt-4o-mini")
    attributes = recorded.attributes("chat gpt-4o-mini")
    cost = attributes.pop(sc.COST_AMOUNT)
    identity = attributes.pop(sc.RESPONSE_ID)
    source = attributes.pop(sc.COST_SOURCE)
    assert attributes == {
        sc.SOURCE: "dspy",
        sc.CALL_ID: f"{span.context.span_id:016x}",
        sc.CALL_PARENT_ID: f"{span.parent.span_id:016x}",
        sc.OPERATION_NAME: "chat",
        sc.PROVIDER_NAME: "openai",
        sc.REQUEST_MODEL: "gpt-4o-mini",
        sc.SERVER_ADDRESS: "127.0.0.1",
        sc.SERVER_PORT: int(server.url.split(":")[2].split("/")[0]),
        sc.REQUEST_TEMPERATURE: 0.5,
        sc.REQUEST_MAX_TOKENS: 50,
        sc.REQUEST_TOP_P: 0.9,
        sc.REQUEST_SEED: 7,
        sc.REQUEST_STOP_SEQUENCES: ("END",),
        sc.PROMPT_NAME: "question -> answer",
        sc.RESPONSE_MODEL: "gpt-4o-mini-2024-07-18",
        sc.RESPONSE_FINISH_REASONS: ("stop",),
        sc.USAGE_INPUT_TOKENS: 100,
        sc.USAGE_OUTPUT_TOKENS: 20,
        sc.USAGE_CACHE_READ_TOKENS: 64,
        sc.USAGE_REASONING_TOKENS: 5,
        sc.COST_UNIT: "USD",
    }
    assert span.kind is SpanKind.CLIENT
    assert identity.startswith("chatcmpl-")
    assert cost == pytest.approx(36 * 0.15e-6 + 64 * 0.075e-6 + 20 * 0.6e-6)
    assert source.split()[0] in ("dspy", "litellm")


def test_every_attribute_of_the_other_spans():
    with serving(fields(answer="because")) as server, recording() as recorded:
        ask(model(server))
    module, form, _, parse = recorded.spans
    ids = [f"{span.context.span_id:016x}" for span in recorded.spans]
    assert recorded.attributes(module.name) == {
        sc.SOURCE: "dspy", sc.CALL_ID: ids[0], sc.MODULE_NAME: "Predict", **SIGNATURE,
        sc.MODULE_INPUTS: '{"question":"why?"}', sc.MODULE_OUTPUTS: '{"answer":"because"}',
    }  # fmt: skip
    phase = {
        sc.SOURCE: "dspy",
        sc.CALL_PARENT_ID: ids[0],
        sc.ADAPTER_NAME: "ChatAdapter",
        sc.ADAPTER_ATTEMPT: 1,
        sc.SIGNATURE_NAME: "StringSignature",
    }
    assert dict(form.attributes) == {
        **phase, sc.CALL_ID: ids[1], sc.ADAPTER_PHASE: "format", sc.ADAPTER_DEMO_COUNT: 0, sc.ADAPTER_MESSAGE_COUNT: 2,
        sc.OPERATION_INPUTS: '{"question":"why?"}',
    }  # fmt: skip
    assert dict(parse.attributes) == {
        **phase, sc.CALL_ID: ids[3], sc.ADAPTER_PHASE: "parse", sc.OPERATION_OUTPUTS: '{"answer":"because"}',
        sc.ADAPTER_RESPONSE_LENGTH: len(fields(answer="because").text),
    }  # fmt: skip
    assert {span.kind for span in (module, form, parse)} == {SpanKind.INTERNAL}


def test_messages_follow_the_conventions():
    with serving(fields(answer="because")) as server, recording() as recorded:
        ask(model(server))
    attributes = recorded.attributes("chat gpt-4o-mini")
    system, user = json.loads(attributes[sc.INPUT_MESSAGES])
    assert (system["role"], user["role"]) == ("system", "user")
    assert user["parts"][0]["type"] == "text"
    assert "why?" in user["parts"][0]["content"]
    assert json.loads(attributes[sc.OUTPUT_MESSAGES]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": fields(answer="because").text}],
            "finish_reason": "stop",
        }
    ]


def test_sampling_facts_are_there_when_the_span_starts():
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler  # noqa: PLC0415

    seen = {}

    class Asked(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *rest):
            seen[name] = set(attributes)
            return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes, *rest)

        def get_description(self):
            return "Asked"

    with serving(fields(answer="because")) as server, recording(sampler=Asked()):
        ask(model(server))
    expected = {sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.REQUEST_MODEL, sc.SERVER_ADDRESS, sc.SERVER_PORT}
    assert expected <= seen["chat gpt-4o-mini"]


def test_retries_are_one_chat_span_with_an_event_for_each_failed_attempt():
    busy = Reply("slow down", status=429, headers={"Retry-After": "0"})
    with serving(busy, busy, fields(answer="at last")) as server, recording() as recorded:
        assert ask(model(server, num_retries=3)).answer == "at last"
        assert len(server.exchanges) == 3
    recorded.assert_tree(PREDICT)
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes[sc.ATTEMPT_COUNT] == 3
    assert sc.ERROR_TYPE not in attributes
    events = recorded.events("chat gpt-4o-mini")
    assert [(name, facts[sc.RETRY_ATTEMPT]) for name, facts in events] == [
        ("lmspan.lm.retry", 1),
        ("lmspan.lm.retry", 2),
    ]
    # DSPy 3.4 tells its own exception, 3.3 has the status from the client under LiteLLM.
    assert all("RateLimit" in facts[sc.ERROR_TYPE] or facts[sc.ERROR_TYPE] == "429" for _, facts in events)


def test_several_candidates_are_no_retries():
    with serving(fields(answer="because")) as server, recording() as recorded:
        model(server, n=2, temperature=0.9)("why?")
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes[sc.REQUEST_CHOICE_COUNT] == 2
    assert attributes[sc.RESPONSE_FINISH_REASONS] == ("stop", "stop")
    assert sc.ATTEMPT_COUNT not in attributes
    assert recorded.events("chat gpt-4o-mini") == []


def test_when_every_attempt_fails_each_is_an_event_and_the_same_exception_arrives():
    down = Reply("broken", status=500, headers={"Retry-After": "0"})
    with serving(down) as server, recording() as recorded:
        with pytest.raises(dspy.LMError) as caught:
            ask(model(server, num_retries=1))
        attempts = len(server.exchanges)
    assert attempts > 1
    recorded.assert_tree("""
        module Predict !
          format ChatAdapter
          chat gpt-4o-mini !
    """)
    recorded.assert_conventions()
    name = f"{type(caught.value).__module__}.{type(caught.value).__qualname__}"
    assert recorded.attributes("chat gpt-4o-mini")[sc.ERROR_TYPE] == name
    kinds = [kind for kind, _ in recorded.events("chat gpt-4o-mini")]
    assert kinds == ["lmspan.lm.retry"] * attempts + ["gen_ai.client.operation.exception"]
    assert recorded.attributes("chat gpt-4o-mini")[sc.ATTEMPT_COUNT] == attempts
    assert recorded.events("module Predict") == []


def test_a_cache_hit_is_marked_and_has_neither_usage_nor_cost():
    with serving(fields(answer="because")) as server:
        lm = model(server, cache=True, temperature=0.31)
        ask(lm)
        with recording() as recorded:
            ask(lm)
        assert server.answered() == 1
    attributes = recorded.attributes("chat gpt-4o-mini")
    assert attributes[sc.CACHE_HIT] is True
    assert not {name for name in attributes if "usage" in name or "cost" in name}
    assert recorded.one("chat gpt-4o-mini").kind is SpanKind.INTERNAL


def test_a_parse_failure_with_json_fallback_is_seen_as_what_it_is():
    with serving(Reply("no fields here"), Reply('{"answer": "because"}')) as server, recording() as recorded:
        assert ask(model(server)).answer == "because"
    recorded.assert_tree("""
        module Predict
          format ChatAdapter
          chat gpt-4o-mini
          parse ChatAdapter !
          format JSONAdapter
          chat gpt-4o-mini
          parse JSONAdapter
    """)
    recorded.assert_conventions()
    assert recorded.attributes("parse ChatAdapter")[sc.ERROR_TYPE].endswith("AdapterParseError")
    assert [recorded.attributes(f"{phase} JSONAdapter")[sc.ADAPTER_ATTEMPT] for phase in ("format", "parse")] == [2, 2]
    assert recorded.events("module Predict") == [
        ("lmspan.adapter.fallback", {sc.ADAPTER_NAME: "ChatAdapter", sc.ADAPTER_FALLBACK: "JSONAdapter"})
    ]


def test_a_subclass_of_an_adapter_does_not_double_its_phases():
    class Mine(dspy.JSONAdapter):
        def format(self, signature, demos, inputs):
            return super().format(signature, demos, inputs)

    with serving(Reply('{"answer": "because"}')) as server, recording() as recorded, dspy.context(adapter=Mine()):
        ask(model(server))
    recorded.assert_tree("""
        module Predict
          format Mine
          chat gpt-4o-mini
          parse Mine
    """)


@pytest.mark.parametrize("capture", ["none", "span", "event", "both"])
def test_the_api_key_is_nowhere(capture, caplog):
    """Not even where the provider's own error message echoes it."""
    echo = Reply(f"Incorrect API key provided: {KEY}. Authorization: Bearer {KEY}", status=401)
    with serving(echo) as server, recording(capture_content=capture) as recorded, pytest.raises(dspy.LMError):
        ask(model(server, num_retries=0))
    assert recorded.named("chat gpt-4o-mini")
    everything = "".join(span.to_json() for span in recorded.spans) + caplog.text
    assert KEY not in everything


@pytest.mark.parametrize("key", [KEY, "a-key-of-no-known-shape"])
def test_a_key_that_a_program_puts_into_its_own_prompt_is_taken_out(key):
    with serving(fields(answer=f"your key is {key}")) as server, recording() as recorded:
        with dspy.context(lm=dspy.LM("openai/gpt-4o-mini", api_base=server.url, api_key=key, cache=False)):
            assert key in dspy.Predict("question -> answer")(question=f"is {key} a good key?").answer
    assert len(recorded.spans) == 4
    assert key not in "".join(span.to_json() for span in recorded.spans)


def test_content_off_means_off_everywhere():
    with serving(Reply("the secret answer")) as server, recording(capture_content="none") as recorded:
        with (
            pytest.raises(dspy.AdapterParseError),
            dspy.context(adapter=dspy.ChatAdapter(use_json_adapter_fallback=False)),
        ):
            ask(model(server))
    everything = "".join(span.to_json() for span in recorded.spans)
    assert "secret answer" not in everything
    assert "why?" not in everything


@pytest.mark.parametrize("sampled", [True, False])
def test_an_unsampled_call_costs_no_look_at_the_payload(monkeypatch, sampled):
    looks, encode = [], Content.attributes

    def counted(self, payload, *texts, **options):
        looks.append(payload)
        return encode(self, payload, *texts, **options)

    monkeypatch.setattr(Content, "attributes", counted)
    sampler = ALWAYS_ON if sampled else ALWAYS_OFF
    with serving(fields(answer="because")) as server, recording(sampler=sampler) as recorded:
        assert ask(model(server)).answer == "because"
    assert (len(recorded.spans), bool(looks)) == ((4, True) if sampled else (0, False))
