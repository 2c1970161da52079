"""The description of a value: within the budget, without secrets, and without running the value's code."""

import dataclasses
import datetime
import enum
import json
import uuid

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspan.content.payload import CAPTURE_MODES, Content, clip
from lmspan.content.redaction import Redactor

content = Content(CAPTURE_MODES["span"], Redactor(environ={"SHOP_API_KEY": "plum-pudding-42"}))


def described(value):
    return json.loads(content.json(value))


class Hostile:
    """Every method that could run while a value is described raises, or never returns."""

    def _refuse(self, *_):
        raise AssertionError("user code was run")

    __repr__ = __str__ = __iter__ = __len__ = __bool__ = __hash__ = __eq__ = __getattr__ = __deepcopy__ = (
        __reduce_ex__
    ) = _refuse
    __class__ = property(_refuse)


class HostileDict(dict):
    __iter__ = __len__ = items = keys = values = __getitem__ = Hostile._refuse


class HostileStr(str):
    __str__ = __len__ = __getitem__ = encode = Hostile._refuse


class HostileList(list):
    __iter__ = __len__ = Hostile._refuse


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Account(pydantic.BaseModel):
    name: str
    key: pydantic.SecretStr


# Made where they are used: pytest itself looks into parameters.
VALUES = {
    "None": (lambda: None, None),
    "true": (lambda: True, True),
    "int": (lambda: 3, 3),
    "float": (lambda: 2.5, 2.5),
    "NaN": (lambda: float("nan"), "nan"),
    "infinity": (lambda: float("inf"), "inf"),
    "huge int": (lambda: 10**5000, "<int of 16610 bits>"),
    "text": (lambda: "text", "text"),
    "lone surrogate": (lambda: "half \ud800", "half ?"),
    "bytes": (lambda: b"12", "<bytes of 2>"),
    "sequences": (lambda: (1, [2, {3}]), [1, [2, [3]]]),
    "mapping with odd keys": (lambda: {"a": 1, 2: "b", None: 0}, {"a": 1, "2": "b", "None": 0}),
    "object": (lambda: Hostile(), "<test_payload.Hostile>"),
    "dict": (lambda: HostileDict(a=Hostile()), {"a": "<test_payload.Hostile>"}),
    "str": (lambda: HostileStr("calm"), "calm"),
    "list": (lambda: HostileList([1]), [1]),
    "enum": (lambda: Color.RED, "red"),
    "dataclass": (lambda: Point(1, Hostile()), {"x": 1, "y": "<test_payload.Hostile>"}),
    "pydantic": (lambda: Account(name="me", key="hidden"), {"name": "me", "key": "<pydantic.types.SecretStr>"}),
    "date": (lambda: datetime.date(2026, 1, 2), "2026-01-02"),
    "UUID": (lambda: uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    "huge range": (lambda: range(10**12), "<range>"),
    "generator": (lambda: (item for item in "abc"), "<generator>"),
    "class": (lambda: Point, "<type>"),
}


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_described_without_running_its_code(kind):
    make, expected = VALUES[kind]
    assert described(make()) == expected


def test_a_generator_is_not_consumed():
    items = (item for item in "abc")
    described({"items": items})
    assert list(items) == ["a", "b", "c"]


def test_cycles_and_depth_end():
    cycle = []
    cycle.append(cycle)
    assert described(cycle) == ["<cycle>"]
    deep = "leaf"
    for _ in range(100_000):
        deep = [deep]
    assert "<deeper>" in content.json(deep)


def test_a_long_text_is_cut_inside_the_json_with_its_length():
    small = Content(CAPTURE_MODES["span"], max_bytes=4_000)
    text = "x" * 100_000
    cut = json.loads(small.json({"role": "user", "content": text, "after": "kept"}))
    assert cut["content"].startswith("x" * 1_000 + "…[100000 characters, blake2b ")
    assert cut["after"] == "kept"


def test_many_values_end_in_the_number_of_the_rest():
    assert described(list(range(10_000)))[-1] == "<5000 more>"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_becomes_valid_json(value):
    described_once = json.loads(content.json(value))
    assert json.loads(content.json(described_once)) == described_once


SECRETS = {
    "the value of a variable that holds a key": "plum-pudding-42",
    "OpenAI": "sk-proj-AbCdEfGhIjKlMnOp1234",
    "bearer": "Authorization: Bearer abcdef0123456789",
    "basic": "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Google": "AIzaSyA1234567890abcdefghijklmnopqrstu",
    "GitHub": "ghp_0123456789abcdefghijABCDEFGHIJ",
    "Slack": "xoxb-123456789012-abcdefghijkl",
    "Hugging Face": "hf_ABCDEFGHIJKLMNOPQRSTUV",
    "JSON web token": "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2Q",
    "password in an address": "postgres://admin:hunter22@db.example/x",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdef\n-----END RSA PRIVATE KEY-----",
    "assignment": 'api_key="zxcvbnm123"',
}
BARE = {
    "bearer": "abcdef0123456789",
    "basic": "dXNlcjpwYXNzd29yZA",
    "password in an address": "hunter22",
    "PEM": "MIIEabcdef",
    "assignment": "zxcvbnm123",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_secret_is_removed_from_texts_json_and_exceptions(kind):
    text = f"before {SECRETS[kind]} after"
    secret = BARE.get(kind, SECRETS[kind])
    for recorded in (content.text(text), content.json({"q": [text], "and": "more"}), content.message(ValueError(text))):
        assert secret not in recorded
        assert "redacted" in recorded
    assert json.loads(content.json({"q": text, "and": "more"}))["and"] == "more"


def test_fields_that_are_secret_by_name_are_not_recorded():
    secret = {
        "api_key": "a",
        "API-Key": "b",
        "password": 1,
        "Authorization": ["x"],
        "max_tokens": 5,
        "token_count": 7,
        "secret": None,
    }
    assert described(secret) == {
        **dict.fromkeys(["api_key", "API-Key", "password", "Authorization"], "[redacted]"),
        "max_tokens": 5,
        "token_count": 7,
        "secret": None,
    }


def test_a_secret_on_the_edge_of_a_cut_is_not_halved():
    redactor = Redactor(environ={"A_TOKEN": "0123456789abcdef" * 4})
    text = "x" * 90 + "0123456789abcdef" * 4 + "y" * 1000
    assert "0123" not in clip(text, 100, redactor)


def test_the_users_hook_sees_every_string_and_a_failing_hook_loses_the_string():
    def shout(text):
        if "bad" in text:
            raise ValueError
        return text.upper()

    hooked = Content(CAPTURE_MODES["span"], Redactor(shout))
    assert json.loads(hooked.json({"a": ["b", "bad"]})) == {"A": ["B", "[redaction failed]"]}
    assert hooked.text("word") == "WORD"


def test_an_exceptions_own_str_is_not_run():
    class Loud(Exception):
        __str__ = __repr__ = Hostile._refuse

    assert content.message(Loud("quiet")) == "quiet"
    assert content.message(Loud()) == ""
    assert content.message(Loud(1, Hostile())) == '[1,"<test_payload.Hostile>"]'
