"""Images, audio and files of every library become a blob, a uri or a file part; other dicts stay."""

import base64
import dataclasses
import hashlib
import json

import pydantic
import pytest
from google.genai import types as gemini
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.types import AudioContent, BlobResourceContents, EmbeddedResource, ImageContent, TextResourceContents

from lmspan import semconv as sc
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import REDACTED, Redactor

content = Content(CAPTURE_MODES["span"], Redactor(environ={}))

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(range(200))
PDF = b"%PDF-1.7\n" + bytes(range(250))
LINK = "https://example.org/a"


def encoded(data):
    return base64.b64encode(data).decode()


def url(data, mime_type="image/png"):
    return f"data:{mime_type};base64,{encoded(data)}"


def size_and_digest(data):
    return f"{len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def blob(data, mime_type, modality=None, **rest):
    known = {"type": "blob", "modality": modality or mime_type.split("/")[0], "mime_type": mime_type}
    return {**known, "content": f"<{size_and_digest(data)}>", **rest}


def uri(modality, address=LINK, **rest):
    return {"type": "uri", "modality": modality, **rest, "uri": address}


def described(value, within=content):
    return json.loads(within.json(value))


PARTS = {
    "OpenAI, image": (
        {"type": "image_url", "image_url": {"url": url(PNG), "detail": "low"}},
        blob(PNG, "image/png", detail="low"),
    ),
    "OpenAI, image as a string": ({"type": "image_url", "image_url": url(PNG)}, blob(PNG, "image/png")),
    "OpenAI, link": ({"type": "image_url", "image_url": {"url": LINK}}, uri("image")),
    "OpenAI, audio": (
        {"type": "input_audio", "input_audio": {"data": encoded(WAV), "format": "wav"}},
        blob(WAV, "audio/wav", format="wav"),
    ),
    "OpenAI, mp3": (
        {"type": "input_audio", "input_audio": {"data": encoded(b"12345"), "format": "mp3"}},
        blob(b"12345", "audio/mpeg", format="mp3"),
    ),
    "OpenAI, file": (
        {"type": "file", "file": {"file_data": url(PDF, "application/pdf"), "filename": "a.pdf"}},
        blob(PDF, "application/pdf", "document", filename="a.pdf"),
    ),
    "OpenAI, file without a data URL": (
        {"type": "file", "file": {"file_data": encoded(b"12345"), "filename": "a.csv"}},
        blob(b"12345", "text/csv", "document", filename="a.csv"),
    ),
    "OpenAI, stored file": (
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "modality": "document", "file_id": "file-1"},
    ),
    "LiteLLM, stored file": (
        {"type": "file", "file": {"file_id": "gs://b/a", "format": "video/mp4"}},
        {"type": "file", "modality": "video", "mime_type": "video/mp4", "file_id": "gs://b/a", "format": "video/mp4"},
    ),
    "Responses, image": ({"type": "input_image", "image_url": url(PNG)}, blob(PNG, "image/png")),
    "Responses, link": ({"type": "input_image", "image_url": LINK, "detail": "auto"}, uri("image", detail="auto")),
    "Responses, stored image": (
        {"type": "input_image", "file_id": "file-1"},
        {"type": "file", "modality": "image", "file_id": "file-1"},
    ),
    "Responses, file": (
        {"type": "input_file", "file_data": url(PDF, "application/pdf"), "filename": "a.pdf"},
        blob(PDF, "application/pdf", "document", filename="a.pdf"),
    ),
    "Responses, linked file": (
        {"type": "input_file", "file_url": f"{LINK}.pdf"},
        uri("document", f"{LINK}.pdf"),
    ),
    "Responses, screenshot": (
        {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": url(PNG)}},
        {"type": "computer_call_output", "output": blob(PNG, "image/png")},
    ),
    "Anthropic, image": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(PNG)}},
        blob(PNG, "image/png"),
    ),
    "Anthropic, link": ({"type": "image", "source": {"type": "url", "url": LINK}}, uri("image")),
    "Anthropic, stored file": (
        {"type": "document", "source": {"type": "file", "file_id": "f1"}, "title": "Report"},
        {"type": "file", "modality": "document", "file_id": "f1", "title": "Report"},
    ),
    "Anthropic, document": (
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": encoded(PDF)}},
        blob(PDF, "application/pdf", "document"),
    ),
    "Gemini": ({"inlineData": {"mimeType": "image/png", "data": encoded(PNG)}}, blob(PNG, "image/png")),
    "Gemini, in Python": ({"inline_data": {"mime_type": "image/png", "data": PNG}}, blob(PNG, "image/png")),
    "Gemini, typed": (gemini.Part.from_bytes(data=WAV, mime_type="audio/wav"), blob(WAV, "audio/wav")),
    "Gemini, link": (
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a.mp4"}},
        uri("video", "gs://b/a.mp4", mime_type="video/mp4"),
    ),
    "Gemini, typed link": (
        gemini.Part.from_uri(file_uri="gs://b/a.mp4", mime_type="video/mp4"),
        uri("video", "gs://b/a.mp4", mime_type="video/mp4"),
    ),
    "Bedrock": ({"image": {"format": "png", "source": {"bytes": PNG}}}, blob(PNG, "image/png", format="png")),
    "Bedrock, document": (
        {"document": {"format": "pdf", "name": "Report", "source": {"bytes": PDF}}},
        blob(PDF, "application/pdf", "document", format="pdf", name="Report"),
    ),
    "Bedrock, link": (
        {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/a.mp4"}}}},
        {**uri("video", "s3://b/a.mp4", mime_type="video/mp4"), "format": "mp4"},
    ),
    "MCP, image": (
        {"type": "image", "data": encoded(PNG), "mimeType": "image/png"},
        blob(PNG, "image/png"),
    ),
    "MCP, typed image": (ImageContent(type="image", data=encoded(PNG), mimeType="image/png"), blob(PNG, "image/png")),
    "MCP, typed audio": (AudioContent(type="audio", data=encoded(WAV), mimeType="audio/wav"), blob(WAV, "audio/wav")),
    "MCP, typed resource": (
        EmbeddedResource(
            type="resource",
            resource=BlobResourceContents(uri="file:///a.pdf", mimeType="application/pdf", blob=encoded(PDF)),
        ),
        blob(PDF, "application/pdf", "document", uri="file:///a.pdf"),
    ),
    "MCP, link": (
        {"type": "resource_link", "uri": "file:///a.png", "name": "a.png", "mimeType": "image/png"},
        {**uri("image", "file:///a.png", mime_type="image/png"), "name": "a.png"},
    ),
    "LangChain": ({"type": "audio", "base64": encoded(WAV), "mime_type": "audio/wav"}, blob(WAV, "audio/wav")),
    "the conventions' own": (
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": encoded(PNG)},
        blob(PNG, "image/png"),
    ),
    "bytes without a type": ({"type": "image", "data": PNG}, blob(PNG, "image/png")),
    "base64 in lines": (
        {"type": "input_audio", "input_audio": {"data": base64.encodebytes(WAV).decode()}},
        blob(WAV, "audio/wav"),
    ),
    "base64 for addresses": (
        {"type": "input_audio", "input_audio": {"data": base64.urlsafe_b64encode(WAV).decode().rstrip("=")}},
        blob(WAV, "audio/wav"),
    ),
    "a data URL that is no base64": (
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg%3E"}},
        blob(b"<svg>", "image/svg+xml"),
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_media_are_parts_of_the_conventions(name):
    part, expected = PARTS[name]
    assert described(part) == expected
    assert described({"result": [part, "text"]}) == {"result": [expected, "text"]}


def test_a_part_that_is_described_stays_as_it_is():
    for _, expected in PARTS.values():
        assert described(expected) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"type": "document", "source": "wikipedia", "text": "Tea is a drink."},
        {"type": "document", "source": {"url": LINK}, "text": "Tea is a drink."},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Tea"}},
        {"type": "document", "content": "Teatime4", "mime_type": "text/plain"},
        {"type": "document", "url": LINK, "title": "Tea"},
        {"type": "file", "data": "report12"},
        {"type": "image", "data": "a cat, drawn"},
        {"type": "image"},
        {"type": "input_image"},
        {"type": ["image"], "data": "abcd"},
        {"type": "resource", "resource": {"uri": LINK, "mimeType": "text/plain", "text": "Tea"}},
        {"image": "cat.png", "question": "Which animal?"},
        {"image": {"url": LINK, "source": "wikipedia"}},
        {"document": {"source": {"bytes": "abcd"}}},
        {"file_data": {"name": "a", "rows": 3}},
        {"blob": "abcd", "uri": LINK},
    ],
)
def test_other_dicts_stay(value):
    assert described(value) == value


def test_text_of_a_typed_resource_stays():
    text = TextResourceContents(uri="file:///a.txt", mimeType="text/plain", text="Tea")
    assert described(EmbeddedResource(type="resource", resource=text))["resource"]["text"] == "Tea"


def test_an_input_that_is_a_medium_is_described_within_the_others():
    @dataclasses.dataclass
    class Picture:
        data: bytes
        title: str

    class Clip(pydantic.BaseModel):
        sound: str

    value = {"image": Picture(PNG, "tea"), "clip": Clip(sound=url(WAV, "audio/wav")), "question": "?"}
    assert described(value) == {
        "image": {"data": f"<image/png, {size_and_digest(PNG)}>", "title": "tea"},
        "clip": {"sound": f"<audio/wav, {size_and_digest(WAV)}>"},
        "question": "?",
    }


def test_bytes_have_a_digest_unless_they_are_short():
    class Own(bytes):
        def __getitem__(self, index):
            raise RuntimeError

    assert described([PNG, bytearray(PDF), Own(PNG), b"1234", bytes(64)]) == [
        f"<image/png, {size_and_digest(PNG)}>",
        f"<application/pdf, {size_and_digest(PDF)}>",
        f"<image/png, {size_and_digest(PNG)}>",
        "<bytes of 4>",
        f"<{size_and_digest(bytes(64))}>",
    ]


def test_secrets_and_the_hook_apply_to_the_parts_too():
    part = {"type": "image_url", "image_url": {"url": f"{LINK}?api_key=Zq7w9Xk2Lm5Pn8Rt3Vb6"}}
    assert described(part)["uri"] == f"{LINK}?api_key={REDACTED}"
    part = {"type": "image", "data": PNG, "api_key": "Zq7w9Xk2Lm5Pn8Rt3Vb6"}
    assert described(part) == blob(PNG, "image/png", api_key=REDACTED)
    hooked = Content(CAPTURE_MODES["span"], Redactor(lambda text: text.replace("Report", "R"), environ={}))
    part = {"type": "document", "title": "Report", "source": {"type": "file", "file_id": "f1"}}
    assert described(part, hooked)["title"] == "R"


def test_the_part_of_a_large_payload_fits_into_the_smallest_budget():
    part = {"type": "image_url", "image_url": {"url": url(PNG * 100)}}
    recorded = Content(CAPTURE_MODES["span"], max_bytes=256).attributes({sc.TOOL_CALL_RESULT: [part]})
    assert json.loads(recorded[sc.TOOL_CALL_RESULT]) == {"result": [blob(PNG * 100, "image/png")]}


NAMES = st.sampled_from([
    "type", "source", "image_url", "url", "uri", "data", "file", "file_data", "file_id", "inline_data", "mime_type",
    "format", "resource", "blob", "image", "bytes", "modality", "name", "content", "s3Location", "text",
])  # fmt: skip
KINDS = st.sampled_from(
    ["image", "image_url", "file", "document", "input_audio", "resource", "blob", "base64", "media", "text"]
)
PAYLOADS = st.sampled_from([url(PNG), encoded(WAV), "data:,\ud800", "data:image/png;base64,\ud800", LINK])
VALUES = st.one_of(st.none(), KINDS, PAYLOADS, st.text(max_size=20), st.integers())


def dicts(values):
    return st.recursive(
        values, lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=2), max_leaves=12
    )


@given(dicts(VALUES))
@settings(max_examples=300, deadline=None)
def test_what_is_recorded_of_json_is_recorded_again_as_it_is(value):
    recorded = content.json(value)
    assert content.json(json.loads(recorded)) == recorded


@given(dicts(VALUES | st.binary(max_size=99)))
@settings(max_examples=300, deadline=None)
def test_no_dict_of_such_fields_fails_and_none_has_its_payload(value):
    recorded = content.json(value)
    json.loads(recorded)
    assert encoded(PNG)[:80] not in recorded and encoded(WAV)[:80] not in recorded


def test_a_part_runs_no_code_of_its_values():
    class Loud(str):
        def __getattribute__(self, name):
            raise RuntimeError

        def __eq__(self, other):
            raise RuntimeError

        __hash__ = str.__hash__

    class Odd:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    odd = {"type": "image", "source": {"type": Odd(), "data": "x"}, "modality": Odd()}
    assert described(odd)["type"] == "image"
    part = {Loud("x"): 1, "type": "image_url", "image_url": {"url": Loud(url(PNG)), "detail": object()}}
    assert described(part) == blob(PNG, "image/png", detail="<object>")
