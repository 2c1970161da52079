"""Images, audio and files in whole programs: each span that passes one on describes it, and none has its bytes."""

import base64
import hashlib
import json
import random

import dspy
import openai
import pytest
from llmproc.common.results import ToolResult
from logillm.core.signatures.types import Audio, Image
from mcp.types import ImageContent

import lmspan
from lmspan import semconv as sc
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support import logillm_programs
from support.llmproc import MODEL, asking, program
from support.programs import KEY, fields, model
from support.wires import called, serving

chance = random.Random(20261126)  # noqa: S311 - the same bytes each time
PNG = b"\x89PNG\r\n\x1a\n" + chance.randbytes(15_000)
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + chance.randbytes(15_000)
PDF = b"%PDF-1.7\n" + chance.randbytes(15_000)
MODALITIES = {"image/png": "image", "audio/wav": "audio", "application/pdf": "document"}
IMAGE = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()},
}


def encoded(data):
    return base64.b64encode(data).decode()


def url(data, mime_type):
    return f"data:{mime_type};base64,{encoded(data)}"


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def blob(data, mime_type, **rest):
    content = f"<{len(data)} bytes, sha256:{digest(data)}>"
    return {"type": "blob", "modality": MODALITIES[mime_type], "mime_type": mime_type, "content": content, **rest}


def values(recorded):
    """Every attribute of every span and event that is a text: (name of the span, name of the attribute) -> it."""
    found = {}
    for span in recorded.spans:
        for facts in (span.attributes, *(event.attributes for event in span.events)):
            found.update({(span.name, name): each for name, each in facts.items() if type(each) is str})
    return found


def places(recorded, data):
    """Where a payload is described. Nothing of it is anywhere, also not in a part, and no attribute is long."""
    texts = values(recorded)
    middle = encoded(data)[3_000:3_060]
    assert [place for place, text in texts.items() if middle in text or encoded(data)[:60] in text] == []
    assert max(map(len, texts.values())) < 5_000
    return {place for place, text in texts.items() if digest(data) in text}


def parts(recorded, span, index=-1):
    return json.loads(recorded.attributes(span)[sc.INPUT_MESSAGES])[index]["parts"]


def described(part):
    """A part without the settings that a library sends beside the medium."""
    return {name: value for name, value in part.items() if name not in ("format", "detail")}


class Look(dspy.Signature):
    """Describe them."""

    picture: dspy.Image = dspy.InputField()
    clip: dspy.Audio = dspy.InputField()
    report: dspy.File = dspy.InputField()
    answer: str = dspy.OutputField()


MEDIA = {
    "picture": dspy.Image(url(PNG, "image/png")),
    "clip": dspy.Audio(data=encoded(WAV), audio_format="wav"),
    "report": dspy.File(file_data=url(PDF, "application/pdf"), filename="a.pdf"),
}


@pytest.mark.parametrize("settings", [{}, {"extra_headers": {"x-team": "a"}}], ids=["native", "litellm"])
def test_each_span_of_a_dspy_program_describes_its_media(settings):
    with serving(fields(answer="tea")) as server, recording() as recorded:
        with dspy.context(lm=model(server, **settings)):
            dspy.Predict(Look)(**MEDIA)
    recorded.assert_conventions()
    inputs = json.loads(recorded.attributes("module Predict")[sc.MODULE_INPUTS])
    assert inputs == {
        "picture": blob(PNG, "image/png"),
        "clip": blob(WAV, "audio/wav", audio_format="wav"),
        "report": blob(PDF, "application/pdf", filename="a.pdf"),
    }
    sent = [part for part in parts(recorded, "chat gpt-4o-mini") if part["type"] == "blob"]
    assert sent == [
        blob(PNG, "image/png"), blob(WAV, "audio/wav", format="wav"), blob(PDF, "application/pdf", filename="a.pdf"),
    ]  # fmt: skip
    for data in (PNG, WAV, PDF):
        spans = {span for span, _ in places(recorded, data)}
        assert {"module Predict", "format ChatAdapter", "chat gpt-4o-mini"} <= spans


def test_a_demonstration_and_a_history_with_media_are_described_too():
    look = dspy.Predict(Look)
    look.demos = [dspy.Example(**MEDIA, answer="milk")]
    with serving(fields(answer="tea")) as server, recording() as recorded, dspy.context(lm=model(server)):
        look(**MEDIA)
    recorded.assert_conventions()
    for data in (PNG, WAV, PDF):
        assert places(recorded, data)


def test_a_tool_of_an_agent_that_returns_an_image_has_it_once_in_each_span():
    def draw(what: str) -> dspy.Image:
        """Draw it."""
        return dspy.Image(url(PNG, "image/png"))

    replies = [
        fields(next_thought="draw", next_tool_name="draw", next_tool_args='{"what": "tea"}'),
        fields(next_thought="done", next_tool_name="finish", next_tool_args="{}"),
        fields(reasoning="drawn", answer="tea"),
    ]
    with serving(*replies) as server, recording() as recorded, dspy.context(lm=model(server)):
        dspy.ReAct("question -> answer", tools=[draw])(question="Draw tea.")
    recorded.assert_conventions()
    assert json.loads(recorded.attributes("execute_tool draw")[sc.TOOL_CALL_RESULT]) == {
        "result": blob(PNG, "image/png")
    }
    assert places(recorded, PNG)


def test_the_messages_of_an_lm_that_the_program_asks_itself():
    message = {"role": "user", "content": [
        {"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url(PNG, "image/png")}},
        {"type": "input_audio", "input_audio": {"data": encoded(WAV), "format": "wav"}},
    ]}  # fmt: skip
    with serving(Reply("tea")) as server, recording() as recorded:
        model(server)(messages=[message])
    recorded.assert_conventions()
    assert parts(recorded, "chat gpt-4o-mini") == [
        {"type": "text", "content": "?"}, blob(PNG, "image/png"), blob(WAV, "audio/wav", format="wav"),
    ]  # fmt: skip
    assert places(recorded, PNG) == places(recorded, WAV)


async def test_images_and_audio_of_logillm():
    message = {"role": "user", "content": ["?", Image(PNG, "png"), Audio(WAV, "wav")]}
    with serving(Reply("tea")) as server, recording() as recorded:
        provider = logillm_programs.openai(server)
        provider.model = "gpt-4o-audio-preview"
        await provider.complete([message])
        await provider.complete([{"role": "user", "content": Image(PNG, "png")}])
    recorded.assert_conventions()
    both, one = ([described(part) for part in json.loads(span.attributes[sc.INPUT_MESSAGES])[0]["parts"]]
                 for span in recorded.spans)  # fmt: skip
    assert both == [{"type": "text", "content": "?"}, blob(PNG, "image/png"), blob(WAV, "audio/wav")]
    assert one == [blob(PNG, "image/png")]
    assert places(recorded, PNG)


async def test_a_tool_of_llmproc_that_returns_an_image():
    def draw(what: str) -> ToolResult:
        """Draw it."""
        return ToolResult(content=[{"type": "text", "text": "drawn"}, IMAGE])

    asked = called(("toolu_1", "draw", {"what": "tea"}))
    with serving(asked, Reply("done")) as server, asking(server), recording(instrument=("llmproc",)) as recorded:
        process = await program(draw).start()
        await process.run("Draw tea.")
        await process.aclose()
    recorded.assert_conventions()
    _, replied = recorded.named(f"chat {MODEL}")
    (part,) = json.loads(replied.attributes[sc.INPUT_MESSAGES])[-1]["parts"]
    assert f"'data': '<image/png, {len(PNG)} bytes, sha256:{digest(PNG)}>'" in part["response"]  # LLMProc makes a text
    assert {span for span, _ in places(recorded, PNG)} == {"execute_tool draw", f"chat {MODEL}"}


OF_APIS = {
    "openai": [{"role": "user", "content": [{"type": "file", "file": {"file_data": url(PNG, "image/png")}}]}],
    "responses": [{"role": "user", "content": [{"type": "input_image", "image_url": url(PNG, "image/png")}]}],
    "anthropic": [{"role": "user", "content": [IMAGE]}],
    "gemini": [{"role": "user", "content": [{"inline_data": {"mime_type": "image/png", "data": PNG}}]}],
}


@pytest.mark.parametrize("api", OF_APIS)
def test_the_messages_of_a_function_that_asks_a_model(api):
    @lmspan.lm(model="m")
    def think(messages):
        return "tea"

    @lmspan.agent
    def look(messages):
        return think(messages)

    with recording(instrument=()) as recorded:
        look(OF_APIS[api])
    recorded.assert_conventions()
    assert parts(recorded, "chat m") == [blob(PNG, "image/png")]
    assert {span for span, _ in places(recorded, PNG)} == {"chat m", "invoke_agent look"}


def test_a_tool_result_of_anthropics_is_one_with_its_image():
    block = {"type": "tool_result", "tool_use_id": "t1", "content": [IMAGE, {"type": "text", "text": "drawn"}]}

    @lmspan.lm(model="m")
    def think(messages):
        return "tea"

    with recording(instrument=()) as recorded:
        think([{"role": "user", "content": [block]}])
    recorded.assert_conventions()
    response = [blob(PNG, "image/png"), {"type": "text", "text": "drawn"}]
    assert parts(recorded, "chat m") == [{"type": "tool_call_response", "id": "t1", "response": response}]


@pytest.mark.parametrize(
    "result",
    [
        {"type": "image", "data": encoded(PNG), "mimeType": "image/png"},
        ImageContent(type="image", data=encoded(PNG), mimeType="image/png"),
        json.dumps([{"type": "image", "data": encoded(PNG), "mimeType": "image/png"}]),
        f"![]({url(PNG, 'image/png')})",
        PNG,
    ],
    ids=["MCP", "typed", "JSON", "Markdown", "bytes"],
)
def test_the_result_of_a_tool(result):
    @lmspan.tool
    def draw():
        return result

    with recording(instrument=()) as recorded:
        draw()
    recorded.assert_conventions()
    assert places(recorded, PNG) == {("execute_tool draw", sc.TOOL_CALL_RESULT)}


def test_an_error_that_repeats_the_request_has_no_payload():
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url(PNG, "image/png")}}]}
    reply = Reply(f"Invalid image: {url(PNG, 'image/png')}", status=400)

    @lmspan.lm(model="m")
    def think(messages):
        client = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
        return client.chat.completions.create(model="m", messages=messages)

    with serving(reply) as server, recording(instrument=()) as recorded, pytest.raises(openai.BadRequestError):
        think([message])
    recorded.assert_conventions()
    assert ("chat m", sc.EXCEPTION_MESSAGE) in places(recorded, PNG)


ANSWERS = {
    "chat, audio": (
        {"choices": [{"message": {"role": "assistant", "content": None, "audio": {
            "id": "audio_1", "data": encoded(WAV), "transcript": "tea"}}, "finish_reason": "stop"}]},
        [blob(WAV, "audio/wav", id="audio_1", transcript="tea")],
    ),
    "chat, images": (
        {"choices": [{"message": {"role": "assistant", "content": "here", "images": [
            {"type": "image_url", "image_url": {"url": url(PNG, "image/png")}}]}, "finish_reason": "stop"}]},
        [{"type": "text", "content": "here"}, blob(PNG, "image/png")],
    ),
    "responses": (
        {"status": "completed", "output": [
            {"type": "image_generation_call", "id": "ig_1", "result": encoded(PNG), "output_format": "png"},
            {"type": "message", "content": [{"type": "output_text", "text": "here"}]}]},
        [{"type": "text", "content": "here"}, blob(PNG, "image/png")],
    ),
    "gemini, bytes": (
        {"candidates": [{"content": {"parts": [
            {"text": "here"}, {"inline_data": {"mime_type": "image/png", "data": PNG}}]}, "finish_reason": "STOP"}]},
        [{"type": "text", "content": "here"}, blob(PNG, "image/png")],
    ),
    "gemini, JSON": (
        {"candidates": [{"content": {"parts": [
            {"inlineData": {"mimeType": "image/png", "data": encoded(PNG)}}]}, "finishReason": "STOP"}]},
        [blob(PNG, "image/png")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", ANSWERS)
def test_an_answer_has_its_images_and_its_audio(shape):
    answer, expected = ANSWERS[shape]
    with recording() as recorded, lmspan.operation("lm", "m"):
        lmspan.add_response(answer)
    (message,) = json.loads(recorded.attributes("chat m")[sc.OUTPUT_MESSAGES])
    assert message["parts"] == expected
    assert places(recorded, PNG if "png" in str(expected) else WAV)


def test_a_streamed_answer_of_gemini_has_its_image():
    with recording() as recorded, lmspan.operation("lm", "m"):
        lmspan.add_response({"candidates": [{"content": {"parts": [{"text": "he"}]}}]})
        lmspan.add_response(ANSWERS["gemini, JSON"][0])
    assert places(recorded, PNG)
