"""The test server, asked by the real clients: the same reply, in each one's words."""

import json

import anthropic
import openai
import pytest
from google import genai

from lmspan.demo.server import Reply
from support.wires import KEY, called, serving, tokens

ASKED = [{"role": "user", "content": "Weather?"}]
SAID = Reply("Sun in Graz.", usage=tokens(30, 7, cache_read=10, cache_write=5, reasoning=2), model="the-model")
TOOL = called(("call_1", "weather", {"city": "Graz"}))


def claude(server, **settings):
    client = anthropic.Anthropic(api_key=KEY, base_url=server.address, max_retries=0)
    return client.messages.create(model="claude-sonnet-4", max_tokens=10, messages=ASKED, **settings)


def gpt(server, **settings):
    client = openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0)
    return client.chat.completions.create(model="gpt-4o-mini", messages=ASKED, **settings)


def gemini(server):
    return genai.Client(api_key=KEY, http_options={"base_url": server.address})


def test_a_reply_in_anthropic_words():
    with serving(SAID, TOOL) as server:
        said, tool = claude(server), claude(server)
    assert (said.content[0].text, said.stop_reason, said.model) == ("Sun in Graz.", "end_turn", "the-model")
    usage = said.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (15, 10, 5)
    assert usage.output_tokens == 7
    (block,) = tool.content
    assert (block.type, block.id, block.name, block.input) == ("tool_use", "call_1", "weather", {"city": "Graz"})
    assert tool.stop_reason == "tool_use"


def test_a_reply_in_openai_words():
    with serving(SAID, TOOL) as server:
        said, tool = gpt(server), gpt(server)
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("Sun in Graz.", "stop")
    assert (said.usage.prompt_tokens, said.usage.prompt_tokens_details.cached_tokens) == (30, 10)
    assert (said.usage.completion_tokens, said.usage.completion_tokens_details.reasoning_tokens) == (7, 2)
    (call,) = tool.choices[0].message.tool_calls
    assert (call.id, call.function.name, json.loads(call.function.arguments)) == ("call_1", "weather", {"city": "Graz"})


def test_a_reply_in_gemini_words():
    with serving(SAID, TOOL) as server:
        client = gemini(server)
        said, tool = (client.models.generate_content(model="gemini-2.5-pro", contents="Weather?") for _ in range(2))
    assert (said.text, said.candidates[0].finish_reason.value, said.model_version) == (
        "Sun in Graz.",
        "STOP",
        "the-model",
    )
    usage = said.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count) == (30, 10)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (5, 2)
    (call,) = tool.function_calls
    assert (call.name, call.args) == ("weather", {"city": "Graz"})


def test_streams():
    with serving(SAID, SAID, TOOL, SAID) as server:
        client = anthropic.Anthropic(api_key=KEY, base_url=server.address)
        with client.messages.stream(model="claude-sonnet-4", max_tokens=10, messages=ASKED) as stream:
            assert "".join(stream.text_stream) == "Sun in Graz."
        assert stream.get_final_message().usage.output_tokens == 7
        chunks = [chunk.choices[0].delta.content for chunk in gpt(server, stream=True) if chunk.choices]
        assert "".join(filter(None, chunks)) == "Sun in Graz."
        with client.messages.stream(model="claude-sonnet-4", max_tokens=10, messages=ASKED) as stream:
            assert stream.get_final_message().content[0].input == {"city": "Graz"}
        google = gemini(server)
        chunks = list(google.models.generate_content_stream(model="gemini-2.5-pro", contents="Weather?"))
        assert [chunk.text for chunk in chunks] == ["Sun ", "in ", "Graz."]
        assert chunks[-1].usage_metadata.prompt_token_count == 30


def test_failures():
    with serving(Reply("slow down", status=429), Reply(status=500), Reply(status=429)) as server:
        with pytest.raises(anthropic.RateLimitError, match="slow down"):
            claude(server)
        with pytest.raises(openai.InternalServerError):
            gpt(server)
        client = gemini(server)
        with pytest.raises(genai.errors.ClientError, match="RESOURCE_EXHAUSTED"):
            client.models.generate_content(model="gemini-2.5-pro", contents="Weather?")


def test_garbage_and_cut_connections():
    with serving(Reply(garbage="<html>"), Reply("x" * 1000, cut=True)) as server:
        with pytest.raises(json.JSONDecodeError):
            gpt(server)
        with pytest.raises(anthropic.APIConnectionError):
            claude(server)
