"""Models that plain Python asks: provider, model and the facts of the answer, by the clients or by the program."""

import json

import anthropic
import httpx
import openai
import pytest
from google import genai

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.errors import ConfigurationError
from lmspan.testing import recording
from support.programs import KEY
from support.wires import called, serving, tokens

USAGE = tokens(100, 50, cache_read=20, cache_write=5, reasoning=10)
REPLY = Reply("so it is", usage=USAGE, model="served-1")
SAID = [{"role": "user", "content": "why?"}]
TOKENS = {
    sc.USAGE_INPUT_TOKENS: 100, sc.USAGE_OUTPUT_TOKENS: 50, sc.USAGE_CACHE_READ_TOKENS: 20,
    sc.USAGE_CACHE_WRITE_TOKENS: 5, sc.USAGE_REASONING_TOKENS: 10,
}  # fmt: skip
CONTENT = {sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS}


def without(known, *names):
    return {name: value for name, value in known.items() if name not in names}


def of_openai(server, **settings):
    client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
    return client.chat.completions.create(model="asked", messages=SAID, **settings)


def of_anthropic(server, **settings):
    client = anthropic.Anthropic(base_url=server.address, api_key=KEY, max_retries=0)
    return client.messages.create(model="asked", messages=SAID, max_tokens=9, **settings)


def of_gemini(server, **settings):
    client = genai.Client(api_key=KEY, http_options={"base_url": server.address})
    if not settings:
        return client.models.generate_content(model="asked", contents="why?")
    return list(client.models.generate_content_stream(model="asked", contents="why?"))


def as_json(server):
    body = {"model": "asked", "messages": SAID}
    return httpx.post(f"{server.url}/chat/completions", json=body, headers={"authorization": KEY}).json()


# the client, its provider, the reason, the counts that its API reports
CLIENTS = [
    pytest.param(of_openai, "openai", "stop", TOKENS, id="openai"),
    pytest.param(of_anthropic, "anthropic", "end_turn", without(TOKENS, sc.USAGE_REASONING_TOKENS), id="anthropic"),
    pytest.param(of_gemini, "gcp.gemini", "STOP", without(TOKENS, sc.USAGE_CACHE_WRITE_TOKENS), id="gemini"),
]


def facts(recorded, name):
    found = recorded.attributes(name)
    assert {found.pop(sc.SOURCE), found.pop(sc.OPERATION_NAME)} == {"python", "chat"}
    assert found.pop(sc.CALL_ID)
    assert found.pop(sc.RESPONSE_ID)
    found.pop(sc.RESPONSE_TIME_TO_FIRST_CHUNK, None)
    return found


def content(found):
    return {name: json.loads(found.pop(name)) for name in sorted(CONTENT & found.keys())}


def message(*parts, reason):
    return [{"role": "assistant", "parts": list(parts), "finish_reason": reason}]


@pytest.mark.parametrize(("ask", "provider", "reason", "counts"), CLIENTS)
def test_the_answer_that_a_function_returns_has_its_facts_and_messages(ask, provider, reason, counts):
    @lmspan.lm
    def think():
        return ask(server)

    with serving(REPLY) as server, recording(instrument=()) as recorded:
        think()
    recorded.assert_conventions()
    found = facts(recorded, "chat think")
    text = {"type": "text", "content": "so it is"}
    assert content(found) == {sc.OPERATION_INPUTS: {}, sc.OUTPUT_MESSAGES: message(text, reason=reason)}
    assert found == {
        sc.PROVIDER_NAME: provider, sc.RESPONSE_MODEL: "served-1", sc.RESPONSE_FINISH_REASONS: (reason,), **counts,
    }  # fmt: skip
    assert recorded.totals("chat think")["input_tokens"] == 100


@pytest.mark.parametrize(("ask", "provider", "reason", "counts"), CLIENTS)
def test_a_response_that_is_added_has_them_too_and_the_model_is_the_programs(ask, provider, reason, counts):
    @lmspan.lm(provider=provider, model="asked")
    def think():
        lmspan.add_response(ask(server))
        return 42

    reply = called(("call_1", "weather", {"city": "Graz"}), text="wait", usage=USAGE, model="served-1")
    with serving(reply) as server, recording(instrument=()) as recorded:
        think()
    recorded.assert_conventions()
    found = facts(recorded, "chat asked")
    (said,) = content(found)[sc.OUTPUT_MESSAGES]
    assert [part["type"] for part in said["parts"]] == ["text", "tool_call"]
    assert said["parts"][1] == {
        "type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Graz"},
    }  # fmt: skip
    assert found[sc.REQUEST_MODEL] == "asked"
    assert found[sc.PROVIDER_NAME] == provider
    assert {name: found[name] for name in counts} == counts


@pytest.mark.parametrize(("ask", "provider", "reason", "counts"), CLIENTS)
@pytest.mark.parametrize("yields", [True, False])
def test_the_facts_of_a_stream_are_those_of_its_events(ask, provider, reason, counts, yields):
    settings = {"stream": True}
    if ask is of_openai:
        settings["stream_options"] = {"include_usage": True}

    @lmspan.lm
    def think():
        for event in ask(server, **settings):
            if not yields:
                lmspan.add_response(event)
            yield event if yields else "word"

    with serving(REPLY) as server, recording(instrument=()) as recorded:
        chunks = len(list(think()))
    recorded.assert_conventions()
    found = facts(recorded, "chat think")
    content(found)
    assert found == {
        sc.PROVIDER_NAME: provider, sc.RESPONSE_MODEL: "served-1", sc.RESPONSE_FINISH_REASONS: (reason,),
        sc.STREAM_CHUNK_COUNT: chunks, **counts, **({sc.REQUEST_STREAM: True} if yields else {}),
    }  # fmt: skip


def test_a_response_may_be_parsed_json():
    with serving(REPLY) as server, recording(instrument=()) as recorded:
        with lmspan.operation("lm", "judge", provider="gemini", model="asked") as call:
            lmspan.add_response(as_json(server))
            call.outputs = {"verdict": 1}
    found = facts(recorded, "chat judge")
    text = {"type": "text", "content": "so it is"}
    assert content(found) == {sc.OPERATION_OUTPUTS: {"verdict": 1}, sc.OUTPUT_MESSAGES: message(text, reason="stop")}
    assert found == {
        sc.PROVIDER_NAME: "gcp.gemini", sc.REQUEST_MODEL: "asked", sc.RESPONSE_MODEL: "served-1",
        sc.RESPONSE_FINISH_REASONS: ("stop",), **TOKENS,
    }  # fmt: skip


def test_the_program_states_what_it_knows_and_that_counts():
    with recording(instrument=()) as recorded, lmspan.operation("module", "m"):
        with lmspan.operation("lm", "asked", provider="own"):
            with lmspan.operation("tool", "inside"):
                lmspan.add_response(
                    model="served-1", response_id="r1", finish_reason="length", input_tokens=100, output_tokens=50,
                    cache_read_tokens=20, cache_write_tokens=5, reasoning_tokens=10, cost_usd=0.25,
                )  # fmt: skip
            lmspan.add_response(finish_reason=["stop", "length"], cost_source="our list")
    assert facts(recorded, "chat asked") == {
        sc.CALL_PARENT_ID: "0000000000000001", sc.PROVIDER_NAME: "own", sc.REQUEST_MODEL: "asked",
        sc.RESPONSE_MODEL: "served-1", sc.RESPONSE_FINISH_REASONS: ("stop", "length"),
        sc.COST_AMOUNT: 0.25, sc.COST_UNIT: "USD", sc.COST_SOURCE: "our list", **TOKENS,
    }  # fmt: skip
    totals = recorded.totals("module m")
    assert (totals["input_tokens"], totals["cost.amount"], totals["cost.sources"]) == (100, 0.25, ("our list",))


def test_what_is_unknown_or_of_another_type_stays_out_and_nothing_raises():
    with recording(instrument=()) as recorded:
        lmspan.add_response(input_tokens=1)
        with lmspan.operation("tool", "t"):
            lmspan.add_response(input_tokens=1)
        with lmspan.operation("lm", "m"):
            lmspan.add_response(
                object(), model=7, input_tokens="many", output_tokens=1.5, finish_reason=[7], cost_usd="x"
            )
    assert sorted(recorded.attributes("chat m")) == sorted(
        [sc.SOURCE, sc.CALL_ID, sc.OPERATION_NAME, sc.PROVIDER_NAME, sc.REQUEST_MODEL]
    )
    assert sc.USAGE_INPUT_TOKENS not in recorded.attributes("execute_tool t")


def test_an_openai_response_is_read_with_its_reasoning_calls_and_status():
    usage = {"input_tokens": 100, "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 10},
             "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5}}  # fmt: skip
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Graz"}'},
    ]
    answer = {"id": "resp_1", "model": "served-1", "status": "completed", "output": output, "usage": usage}
    with recording(instrument=()) as recorded, lmspan.operation("lm", "asked"):
        lmspan.add_response({"type": "response.completed", "response": answer})
        lmspan.add_response(answer)
    found = facts(recorded, "chat asked")
    parts = [
        {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "so"},
        {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Graz"}},
    ]  # fmt: skip
    assert content(found) == {sc.OUTPUT_MESSAGES: message(*parts, reason="tool_calls")}
    assert found == {
        sc.PROVIDER_NAME: "custom", sc.REQUEST_MODEL: "asked", sc.RESPONSE_MODEL: "served-1",
        sc.RESPONSE_FINISH_REASONS: ("tool_calls",), **TOKENS,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("tool", {"provider": "openai"}, "an operation 'tool' has no provider: 'lm' and 'embedding' have one"),
        ("tool", {"model": "m"}, "an operation 'tool' has no model: 'lm' and 'embedding' have one"),
        ("lm", {"model": 7}, "a model is a string, not a value of type int"),
    ],
)
def test_a_wrong_provider_or_model_is_refused(kind, settings, said):
    with pytest.raises(ConfigurationError) as refused, lmspan.operation(kind, "x", **settings):
        pass
    assert str(refused.value) == said
