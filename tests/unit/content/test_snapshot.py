"""A payload that is encoded later: the same text as at once, whatever the program does to its values meanwhile."""

import copy
import dataclasses
import enum
import pickle
import sys
import threading
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspan import guard
from lmspan import semconv as sc
from lmspan.content.payload import Content
from lmspan.content.redaction import FAILED, Redactor
from lmspan.content.snapshot import Recorded, Snapshot, snapshot
from lmspan.lifecycle import Deferred, with_texts

KEY = "plum-pudding-42"
LIMITS = (10_000, 100)


@dataclasses.dataclass
class Point:
    x: object
    password: object = None


class Color(enum.Enum):
    RED = "red"


NAMES = st.sampled_from(["question", "password", "cookies", "token", "type", "image_url", "url", "name", "value", "...",
                         "data", "content", "x-api-key", "format"]) | st.text(max_size=3)  # fmt: skip
TEXTS = st.sampled_from([f"the key {KEY}", "word " * 300, "sk-proj-" + "a1B2" * 12, "text", "image_url",
                         "data:image/png;base64," + "iVBORw0K" * 40, "Cookie"]) | st.text(max_size=80)  # fmt: skip
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=90), st.builds(Recorded, TEXTS)
)
VALUES = st.recursive(
    PLAIN | st.just(Color.RED) | st.just(object()),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(NAMES, inner, max_size=4) | st.dictionaries(st.integers(), inner, max_size=2)
    | st.dictionaries(NAMES, inner, max_size=2).map(OrderedDict) | st.builds(Point, inner, inner),
    max_leaves=12,
)  # fmt: skip


def content(hook=None, max_bytes=3_000, max_nodes=9):
    return Content(redactor=Redactor(hook, {"SHOP_API_KEY": KEY}), max_bytes=max_bytes, max_nodes=max_nodes)


@given(VALUES, st.sampled_from([sc.OPERATION_INPUTS, sc.TOOL_CALL_RESULT, sc.RETRIEVAL_QUERY]), st.booleans())
def test_the_text_is_the_same_as_at_once(value, name, openinference):
    at_once = content().attributes({name: value}, openinference=openinference)
    late = content().attributes({name: value}, {}, deferred=True, openinference=openinference)
    assert with_texts(late) == at_once


@given(VALUES)
def test_what_a_program_changes_afterwards_changes_nothing(value):
    at_once = content().attributes({"inputs": value})
    late = content().attributes({"inputs": value}, {}, deferred=True)
    overwrite(value)
    assert with_texts(late) == at_once


def overwrite(value):
    if isinstance(value, (list, tuple)):
        for each in value:
            overwrite(each)
        if isinstance(value, list):
            value[:] = ["changed"]
    elif isinstance(value, dict):
        for each in value.values():
            overwrite(each)
        value["changed"] = value
    elif isinstance(value, Point):
        value.x = value.password = "changed"  # noqa: S105 - the point of the test


def test_a_copy_is_plain_and_its_size_is_about_that_in_memory():
    value = {"a": [1, 2.5, None, True], "b": ("x", "été"), "c": b"1234", "d": Recorded("kept")}
    made = snapshot(value, *LIMITS)
    assert made == Snapshot({"a": [1, 2.5, None, True], "b": ("x", "été"), "c": b"1234", "d": "kept"}, 874)
    assert type(made.value["d"]) is Recorded
    assert made.value["a"] is not value["a"]


def memory(value, seen):
    """The bytes of a value in memory, each object counted once, without small integers and keys."""
    if id(value) in seen or type(value) in (bool, type(None)):
        return 0
    seen.add(id(value))
    inside = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return sys.getsizeof(value) + sum(memory(each, seen) for each in inside)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000, "茶" * 10_000, ["word " * number for number in range(400)], [each * 1.5 for each in range(3_000)],
        [[number] for number in range(2_000)], {f"name {number}": f"a value {number}" for number in range(900)},
        [{"role": "user", "parts": [{"type": "text", "content": f"{number} tea " * 20}]} for number in range(300)],
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_the_size_of_a_copy_is_within_a_half_of_what_it_takes_in_memory(value):
    made = snapshot(value, 10**6, 5_000)
    assert 0.66 < made.size / memory(made.value, set()) < 1.5


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_001, "é" * 3_400, ["x" * 999] * 11, {"x" * 999 + str(number): 0 for number in range(11)},
        [0] * 101, [[0] * 51] * 2, [0] * 99 + [[0, 0]], {1: 2}, {"a": {2: 3}}, OrderedDict(), {"a"},
        object(), [object()], bytearray(b"x"), Color.RED, Point(1), [Point(1)],
    ],
    ids=lambda value: str(type(value)),
)  # fmt: skip
def test_a_value_that_is_large_or_not_plain_is_encoded_at_once(value):
    assert snapshot(value, *LIMITS) is None
    assert type(content(max_bytes=10_000, max_nodes=100).attributes({"x": [value]}, {}, deferred=True)["x"]) is str


def test_a_value_that_is_deep_or_contains_itself_is_encoded_at_once():
    cycle = []
    cycle.append(cycle)
    deep = 0
    for _ in range(25):
        deep = [deep]
    assert (snapshot(cycle, *LIMITS), snapshot(deep, *LIMITS)) == (None, None)
    assert snapshot(deep[0], *LIMITS) is not None


def test_the_hook_is_called_at_once_on_the_thread_of_the_program():
    threads = []
    it = content(lambda text: threads.append(threading.get_ident()) or text.upper())
    assert it.attributes({"x": "quiet"}, {}, deferred=True) == {"x": '"QUIET"'}
    assert threads == [threading.get_ident()]


def test_a_key_that_is_learned_before_the_text_is_encoded_is_removed():
    it = content()
    late = it.attributes({"x": "the rhubarb-crumble-7"}, {}, deferred=True)
    it.redactor.know("rhubarb-crumble-7")
    assert with_texts(late) == {"x": '"the [redacted]"'}


def test_an_encoder_that_fails_costs_its_own_text_only(monkeypatch):
    it = content()
    late = it.attributes({"x": "a", "y": "b"}, {}, deferred=True)
    monkeypatch.setattr(it.redactor, "name", lambda text: text if text == "b" else 1 / 0)
    monkeypatch.setattr(guard, "failures", copy.copy(guard.failures))
    assert with_texts(late) == {"x": FAILED, "y": '"b"'}
    assert with_texts(late) == {"x": FAILED, "y": '"b"'}
    assert guard.failures["lmspan.content.payload._encode_late"] == 1


def test_a_text_is_encoded_once():
    encoded = []
    one = Deferred(5, lambda value, more: encoded.append(value) or f"{value}{more}", 1, 2)
    assert [one.text(), one.text(), one.size] == ["12", "12", 5]
    assert encoded == [1]
    assert [copy.deepcopy([one]), pickle.loads(pickle.dumps(one))] == [["12"], "12"]  # noqa: S301 - our own
