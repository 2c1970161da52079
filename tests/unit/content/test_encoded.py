"""Base64 of binary data in a text becomes its media type, size and digest; what only looks like it stays."""

import base64
import hashlib
import json
import random
import string
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmspan.content.encoded import decode, measure, without_payloads
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import REDACTED, Redactor

content = Content(CAPTURE_MODES["span"], Redactor(environ={}))
chance = random.Random(20261126)  # noqa: S311 - the same bytes each time

NOISE = chance.randbytes(6_000)
PNG = b"\x89PNG\r\n\x1a\n" + NOISE[:500]
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(400)
KEY = "Zq7w9Xk2Lm5Pn8Rt3Vb6"


def encoded(data):
    return base64.b64encode(data).decode()


def phrase(data, mime_type=""):
    digest = hashlib.sha256(data).hexdigest()[:16]
    return f"<{mime_type}{', ' if mime_type else ''}{len(data)} bytes, sha256:{digest}>"


def replaced(text):
    shown, is_whole = without_payloads(text, 1_000_000)
    assert is_whole
    return shown


TEXTS = {
    "a data URL": (f"data:image/png;base64,{encoded(PNG)}", phrase(PNG, "image/png")),
    "of parameters": (f"data:text/plain;charset=utf-8;base64,{encoded(b'hello, you')}",
                      phrase(b"hello, you", "text/plain")),
    "without a type": (f"data:;base64,{encoded(PNG)}", phrase(PNG, "image/png")),
    "without padding": (f"data:image/png;base64,{encoded(PNG[:500]).rstrip('=')}", phrase(PNG[:500], "image/png")),
    "in Markdown": (f"![a](data:image/png;base64,{encoded(PNG)}) and ![b](data:image/gif;base64,{encoded(WAV)})",
                    f"![a]({phrase(PNG, 'image/png')}) and ![b]({phrase(WAV, 'image/gif')})"),
    "DSPy's marker": (
        "<<CUSTOM-TYPE-START-IDENTIFIER>>" + json.dumps([{"input_audio": {"data": encoded(WAV), "format": "wav"}}])
        + "<<CUSTOM-TYPE-END-IDENTIFIER>>",
        '<<CUSTOM-TYPE-START-IDENTIFIER>>[{"input_audio": {"data": "' + phrase(WAV, "audio/wav")
        + '", "format": "wav"}}]<<CUSTOM-TYPE-END-IDENTIFIER>>',
    ),
    "JSON in JSON": (
        json.dumps(json.dumps({"data": encoded(PNG)})), json.dumps(json.dumps({"data": phrase(PNG, "image/png")})),
    ),
    "base64 alone": (encoded(PNG), phrase(PNG, "image/png")),
    "noise alone": (encoded(NOISE), phrase(NOISE)),
    "cut by the program": (encoded(PNG)[:401] + "...", phrase(PNG[:300], "image/png") + "..."),
    "behind a text without spaces": ("茶" * 500 + encoded(PNG) + "茶", "茶" * 500 + phrase(PNG, "image/png") + "茶"),
    "one behind the other": (
        f"{encoded(PNG)},{encoded(NOISE)} {encoded(WAV)}",
        f"{phrase(PNG, 'image/png')},{phrase(NOISE)} {phrase(WAV, 'audio/wav')}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_payloads_in_a_text_are_described(name):
    text, expected = TEXTS[name]
    assert replaced(text) == expected
    assert json.loads(content.json({"a": text})) == {"a": expected}


WORDS = "".join(chance.choices(string.ascii_letters + string.digits, k=3_000))
HASHES = "".join(hashlib.sha512(str(each).encode()).hexdigest() for each in range(20))
ORDINARY = {
    "words": "Tea is a drink made of leaves. " * 200,
    "a word": "a" * 5_000,
    "an id": WORDS,
    "hashes": HASHES,
    "a hash in base64": base64.b64encode(hashlib.sha512(b"x").digest()).decode(),
    "ids": " ".join(str(uuid.UUID(int=chance.getrandbits(128))) for _ in range(50)),
    "a path": "/home/ada/Projects/tea1" * 40,
    "a genome": "".join(chance.choices("ACGT", k=4_000)),
    "a number": "1234567890" * 100,
    "about data URLs": "Write it as data:image/png;base64,<data>, such as data:image/png;base64,iVBOR...",
    "a signature": base64.b64encode(chance.randbytes(256)).decode(),
    "Chinese": "茶是一种饮料。" * 400,
    "an SVG": "data:image/svg+xml,%3Csvg%20width='1'%3E",
    "JSON": json.dumps({"rows": [[each, each * 2] for each in range(500)]}, separators=(",", ":")),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_looks_like_base64_stays(name):
    assert replaced(ORDINARY[name]) == ORDINARY[name]


@given(st.text(max_size=40), st.binary(min_size=40, max_size=800), st.text(max_size=40), st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_data_of_a_data_url_is_nowhere_and_the_text_around_it_stays(before, data, after, is_cut):
    run = encoded(data)[: -5 if is_cut else None]
    text = f"{before} data:image/png;base64,{run} {after}"
    shown = replaced(text)
    assert run not in shown
    assert shown.startswith(f"{before} <image/png, ") and shown.endswith(f"> {after}")
    if not is_cut:
        assert shown == f"{before} {phrase(data, 'image/png')} {after}"


@given(st.binary(min_size=48, max_size=3_000), st.sampled_from(["{}", "{} ", '"{}"', "x: {}\n", "茶{}茶", "({})"]))
@settings(max_examples=200, deadline=None)
def test_a_file_of_a_known_type_is_found_at_any_place(data, around):
    data = b"\x89PNG\r\n\x1a\n" + data
    assert replaced(around.format(encoded(data))) == around.format(phrase(data, "image/png"))


@given(st.lists(st.text(st.characters(exclude_characters="/+"), max_size=300), max_size=20))
@settings(max_examples=200, deadline=None)
def test_an_ordinary_text_stays(words):
    text = " ".join(words)
    assert replaced(text) == text


@given(st.binary(max_size=2_000))
@settings(max_examples=200, deadline=None)
def test_encoded_data_is_described_as_the_bytes_are(data):
    ways = (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes)
    assert {decode(way(data).decode()) for way in ways} == {measure(data)}
    assert decode(encoded(data).rstrip("=")) == measure(data)


def test_a_text_with_a_payload_is_still_cut_and_redacted():
    text = f"api_key={KEY} data:image/png;base64,{encoded(PNG)} {'tea ' * 3_000}"
    small = Content(CAPTURE_MODES["span"], Redactor(environ={}), max_bytes=4_096)
    (shown,) = json.loads(small.json([text]))
    start = f"api_key={REDACTED} {phrase(PNG, 'image/png')} tea tea"
    assert shown.startswith(start)
    assert f"…[{len(text)} characters, blake2b " in shown[1_000:]


def test_a_text_of_payloads_that_is_too_long_has_none_of_them_in_clear():
    urls = [f"data:image/png;base64,{encoded(chance.randbytes(12))}" for _ in range(300)]
    small = Content(CAPTURE_MODES["span"], Redactor(environ={}), max_bytes=1_024)
    (shown,) = json.loads(small.json([" ".join(urls)]))
    assert "base64," not in shown
    assert shown.startswith("<image/png, 12 bytes, sha256:")


def test_the_message_of_an_exception_has_no_payload():
    error = ValueError(f"Invalid image: data:image/png;base64,{encoded(PNG)}")
    assert content.message(error) == f"Invalid image: {phrase(PNG, 'image/png')}"


@pytest.mark.parametrize("make", [lambda n: "tea " * n, lambda n: "茶" * n, lambda n: ("a" * 63 + "-") * (n // 16)])
def test_the_time_grows_with_the_text(make):
    def measured(text):
        start = time.process_time()
        for _ in range(5):
            without_payloads(text, len(text))
        return time.process_time() - start

    small, large = make(20_000), make(200_000)
    measured(small)
    assert measured(large) < 60 * max(measured(small), 0.001)
