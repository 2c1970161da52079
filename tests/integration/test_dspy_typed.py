"""Typed requests of DSPy 3.4: messages, parameters, tools and answer, as the older spelling has them."""

import json

import dspy
import pytest

from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.programs import KEY, model
from support.wires import called, serving, tokens

lm15 = pytest.importorskip("dspy.lm15")

CONFIG = {"temperature": 0.25, "max_tokens": 77, "top_p": 0.5, "seed": 3, "stop": ("END",)}
PARAMETERS = {
    sc.REQUEST_TEMPERATURE: 0.25, sc.REQUEST_MAX_TOKENS: 77, sc.REQUEST_TOP_P: 0.5, sc.REQUEST_SEED: 3,
    sc.REQUEST_STOP_SEQUENCES: ("END",),
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def text(content):
    return {"type": "text", "content": content}


def request_to(lm, **settings):
    messages = (lm15.Message.user("What is tea?"),)
    config = lm15.Config(**CONFIG)
    return lm15.Request(model=lm.model, messages=messages, system="Be brief.", config=config, **settings)


def facts(recorded, name="chat gpt-4o-mini"):
    found = recorded.attributes(name)
    parameters = {
        key: value for key, value in found.items() if key.startswith("gen_ai.request.") and key != sc.REQUEST_MODEL
    }
    content = {key: json.loads(found[key]) for key in sc.CONTENT if key in found}
    return parameters, content, found


@pytest.mark.parametrize("spelling", ["positional", "keyword"])
def test_the_request_and_the_response_are_read(spelling):
    with serving(Reply("A drink.", model="served-1")) as server, recording() as recorded:
        lm = model(server, temperature=0.9, max_tokens=500)
        request = request_to(lm)
        answer = lm(request) if spelling == "positional" else lm(request=request)
    assert answer.text == "A drink."
    recorded.assert_conventions()
    parameters, content, found = facts(recorded)
    assert parameters == PARAMETERS
    assert content == {
        sc.SYSTEM_INSTRUCTIONS: [text("Be brief.")],
        sc.INPUT_MESSAGES: [{"role": "user", "parts": [text("What is tea?")]}],
        sc.OUTPUT_MESSAGES: [{"role": "assistant", "parts": [text("A drink.")], "finish_reason": "stop"}],
    }
    assert (found[sc.RESPONSE_MODEL], found[sc.RESPONSE_FINISH_REASONS]) == ("served-1", ("stop",))


async def test_tools_calls_and_results_are_parts_also_of_an_awaited_call():
    call = ("call_1", "weather", {"city": "Graz"})
    with serving(called(call)) as server, recording() as recorded:
        lm = model(server)
        tool = lm15.FunctionTool(name="weather", description="Look it up.", parameters=SCHEMA)
        first = await lm.acall(request_to(lm, tools=(tool,)))
        result = lm15.Message.tool(lm15.ToolResultPart(id="call_1", content=(lm15.TextPart("sun"),), name="weather"))
        request = lm15.Request(model=lm.model, messages=(lm15.Message.user("?"), first.message, result))
        await lm.acall(request)
    asked, replied = recorded.named("chat gpt-4o-mini")
    definition = {"type": "function", "name": "weather", "description": "Look it up.", "parameters": SCHEMA}
    assert json.loads(asked.attributes[sc.TOOL_DEFINITIONS]) == [definition]
    part = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Graz"}}
    assert json.loads(asked.attributes[sc.OUTPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [part], "finish_reason": "tool_calls"}
    ]
    response = {"type": "tool_call_response", "id": "call_1", "response": "sun"}
    assert json.loads(replied.attributes[sc.INPUT_MESSAGES]) == [
        {"role": "user", "parts": [text("?")]},
        {"role": "assistant", "parts": [part]},
        {"role": "tool", "parts": [response]},
    ]


def test_media_are_described_and_not_recorded():
    with serving(Reply("ok")) as server, recording() as recorded:
        lm = model(server)
        data = lm15.ImagePart(media_type="image/png", data="aGVsbG8=")
        linked = lm15.ImagePart(media_type="image/png", url="https://example.org/a.png")
        message = lm15.Message.user([lm15.TextPart("?"), data, linked])
        lm(lm15.Request(model=lm.model, messages=(message,)))
    ((said,),) = [json.loads(recorded.attributes("chat gpt-4o-mini")[sc.INPUT_MESSAGES])]
    known = {"modality": "image", "mime_type": "image/png"}
    assert said["parts"] == [
        text("?"), {"type": "blob", **known, "content": "<5 bytes, sha256:2cf24dba5fb0a30e>"},
        {"type": "uri", **known, "uri": "https://example.org/a.png"},
    ]  # fmt: skip


@pytest.mark.parametrize(("prefix", "operation"), [("openai", "chat"), ("gemini", "generate_content")])
def test_an_answer_has_the_id_and_the_model_that_the_server_names(prefix, operation):
    with serving(Reply("A drink.", model="served-1")) as server, recording() as recorded:
        base = server.url if prefix == "openai" else f"{server.address}/v1beta"
        dspy.LM(f"{prefix}/asked", api_base=base, api_key=KEY, cache=False)("What is tea?")
    found = recorded.attributes(f"{operation} asked")
    assert found[sc.RESPONSE_MODEL] == "served-1"
    assert found[sc.RESPONSE_ID]


@pytest.mark.parametrize("settings", [{}, {"extra_headers": {"x-team": "a"}}], ids=["native", "litellm"])
def test_the_tool_calls_of_an_answer_are_the_same_over_both_roads(settings):
    with serving(called(("call_1", "weather", {"city": "Graz"}))) as server, recording() as recorded:
        function = {"name": "weather", "parameters": SCHEMA}
        model(server, **settings)("?", tools=[{"type": "function", "function": function}])
    part = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Graz"}}
    (message,) = json.loads(recorded.attributes("chat gpt-4o-mini")[sc.OUTPUT_MESSAGES])
    assert message["parts"] == [part]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_call_that_fails_has_the_usage_of_the_requests_that_were_answered(asynchronous):
    answered, failed = Reply("A drink.", usage=tokens(11, 7)), Reply(status=400)
    with serving(answered, answered, failed) as server, recording() as recorded:
        lm = model(server, num_retries=0)
        with pytest.raises(Exception, match="scripted"):
            await lm.acall("?", n=3, temperature=0.5) if asynchronous else lm("?", n=3, temperature=0.5)
    recorded.assert_conventions()
    _, _, found = facts(recorded)
    assert (found[sc.USAGE_INPUT_TOKENS], found[sc.USAGE_OUTPUT_TOKENS]) == (22, 14)
    assert found[sc.COST_AMOUNT] > 0
    totals = recorded.totals("chat gpt-4o-mini")
    assert (totals["input_tokens"], totals["output_tokens"], totals["errors"]) == (22, 14, 1)
