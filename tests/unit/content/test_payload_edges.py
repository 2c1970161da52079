"""The edges of the budget, the kinds of value with fields of their own, and how content becomes attributes."""

import dataclasses
import enum
import json
import pathlib

import pydantic
import pytest

from lmspan import semconv as sc
from lmspan.content import payload
from lmspan.content.payload import CAPTURE_MODES, Capture, Content, Recorded, describe_as
from lmspan.content.redaction import REDACTED, Redactor

content = Content(CAPTURE_MODES["span"], Redactor(environ={"SHOP_API_KEY": "plum-pudding-42"}))


def described(value, within=content):
    return json.loads(within.json(value))


@pytest.mark.parametrize("mode", CAPTURE_MODES)
def test_content_is_captured_in_every_mode_but_none(mode):
    assert bool(CAPTURE_MODES[mode]) is (mode != "none")
    assert bool(Capture(span=True, event=True, local=True)) is True


def test_content_is_captured_nowhere_unless_a_mode_is_set():
    assert Content().capture == Capture(span=False, event=False, local=False)


# attributes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [sc.INTERPRETER_CODE, sc.RETRIEVAL_QUERY, sc.CANDIDATE_DIFF, sc.STDERR_TEXT])
def test_what_is_a_text_is_recorded_as_a_text_and_not_as_json(name):
    own = Content(CAPTURE_MODES["span"])
    assert own.attributes({name: 'say "x"'}) == {name: 'say "x"'}
    assert own.attributes({name: object()}) == {name: "<object>"}


@pytest.mark.parametrize("name", [sc.TOOL_CALL_ARGUMENTS, sc.TOOL_CALL_RESULT])
def test_what_a_tool_takes_and_returns_is_an_object(name):
    assert content.attributes({name: {"a": 1}}) == {name: '{"a":1}'}
    assert content.attributes({name: [1]}) == {name: '{"result":[1]}'}
    assert content.attributes({name: None}) == {name: '{"result":null}'}


def test_other_content_is_json():
    assert content.attributes({sc.MODULE_INPUTS: "é", "other": [1]}) == {sc.MODULE_INPUTS: '"é"', "other": "[1]"}


@pytest.mark.parametrize(
    ("name", "value", "beside"),
    [
        (sc.INPUT_MESSAGES, [], {sc.OI_INPUT: "[]", sc.OI_INPUT_MIME: "application/json"}),
        (sc.MODULE_INPUTS, {}, {sc.OI_INPUT: "{}", sc.OI_INPUT_MIME: "application/json"}),
        (sc.TOOL_CALL_ARGUMENTS, {}, {sc.OI_INPUT: "{}", sc.OI_INPUT_MIME: "application/json"}),
        (sc.OPERATION_INPUTS, 1, {sc.OI_INPUT: "1", sc.OI_INPUT_MIME: "application/json"}),
        (sc.RETRIEVAL_QUERY, "q", {sc.OI_INPUT: "q", sc.OI_INPUT_MIME: "text/plain"}),
        (sc.OUTPUT_MESSAGES, [], {sc.OI_OUTPUT: "[]", sc.OI_OUTPUT_MIME: "application/json"}),
        (sc.MODULE_OUTPUTS, {}, {sc.OI_OUTPUT: "{}", sc.OI_OUTPUT_MIME: "application/json"}),
        (sc.TOOL_CALL_RESULT, {}, {sc.OI_OUTPUT: "{}", sc.OI_OUTPUT_MIME: "application/json"}),
        (sc.OPERATION_OUTPUTS, 1, {sc.OI_OUTPUT: "1", sc.OI_OUTPUT_MIME: "application/json"}),
        (sc.RETRIEVAL_DOCUMENTS, [], {sc.OI_OUTPUT: "[]", sc.OI_OUTPUT_MIME: "application/json"}),
        (sc.STDERR_TEXT, "t", {}),
    ],
)
def test_inputs_and_outputs_are_there_under_openinferences_names_too_if_it_is_on(name, value, beside):
    plain = content.attributes({name: value})
    assert set(plain) == {name}
    assert content.attributes({name: value}, openinference=True) == {**plain, **beside}


def test_content_is_looked_at_with_the_keys_that_the_environment_holds_by_then():
    environ = {"HOME": "/"}
    late = Content(CAPTURE_MODES["span"], Redactor(environ=environ))
    environ["SHOP_API_KEY"] = "plum-pudding-42"
    assert late.attributes({"other": "plum-pudding-42"}) == {"other": f'"{REDACTED}"'}
    environ["TOY_API_KEY"] = "kites-and-tops-7"
    assert late.message(ValueError("kites-and-tops-7")) == REDACTED


def test_a_fact_of_any_type_is_a_value_that_a_span_can_have():
    class Word(str):
        def __str__(self):
            raise RuntimeError

    class Number(int):
        def __repr__(self):
            raise RuntimeError

    facts = {"word": Word("w"), "number": Number(3), "nothing": None, "list": [Word("w"), [1], object()], "other": {}}
    recorded = content.facts(facts)
    assert recorded == {
        "word": "w", "number": 3, "nothing": None, "list": ("w", (1,), "<object>"), "other": "<dict>",
    }  # fmt: skip
    assert (type(recorded["word"]), type(recorded["number"])) == (str, int)


def test_facts_are_redacted_but_for_numbers_and_lmspans_own_values():
    shout = Content(redactor=Redactor(str.upper))
    facts = {"model": "gpt", "list": ["a", 1], "count": 3, "share": 0.5, "on": True, sc.CALL_ID: "abc", sc.SOURCE: "s"}
    assert shout.facts(facts) == {**facts, "model": "GPT", "list": ("A", 1)}
    assert content.facts({"model": "plum-pudding-42", "password": "hunter2hunter2"}) == {
        "model": REDACTED,
        "password": REDACTED,
    }


# exceptions ----------------------------------------------------------------------------------------------------------


class Wrong(Exception):
    pass


def fail(*args):
    raise Wrong(*args)


def raised(*args):
    try:
        fail(*args)
    except Wrong as error:
        return error


@pytest.mark.parametrize(("args", "message"), [(("no",), "no"), ((), ""), ((1, "x"), '[1,"x"]')])
def test_an_exception_is_its_type_and_where_content_may_be_recorded_its_message_and_frames(args, message):
    kind = f"{__name__}.Wrong"
    assert content.exception(raised(*args), with_content=False) == {sc.EXCEPTION_TYPE: kind}
    facts = content.exception(raised(*args), with_content=True)
    lines = facts.pop(sc.EXCEPTION_STACKTRACE).split("\n")
    assert facts == {sc.EXCEPTION_TYPE: kind, sc.EXCEPTION_MESSAGE: message}
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{__file__}", line ')
    code = [line.strip() for line in lines[2:-1] if not line.startswith("  File ") and line.strip(" ~^")]
    assert code == ["fail(*args)", "raise Wrong(*args)"]  # from Python 3.13 on, marks are below a line of code
    assert lines[-1] == (f"{kind}: {message}" if message else kind)
    assert "" not in lines


def test_each_frame_of_an_exception_follows_the_one_before():
    def outer():
        raise raised("inner")

    with pytest.raises(Wrong) as error:
        outer()
    lines = content.exception(error.value, with_content=True)[sc.EXCEPTION_STACKTRACE].split("\n")
    assert sum(line.startswith('  File "') for line in lines) == 4


def test_a_message_is_cut_at_4096_characters():
    assert content.message(ValueError("x" * 4096)) == "x" * 4096
    assert content.message(ValueError("x" * 4097)).startswith("x" * 4096 + "…[4097 characters, ")
    several = content.message(ValueError("y" * 5000, 1))
    assert several.startswith('["' + "y" * 4094 + "…[") and len(several) < 4200


# kinds of value ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0, -1])
def test_a_number_that_fits_into_64_bits_is_a_number(number):
    assert described([number]) == [number]


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_larger_number_is_its_size(number):
    assert described([number]) == ["<int of 64 bits>"]


class Count(int):
    __int__ = __index__ = __str__ = __repr__ = None


class Share(float):
    __float__ = __str__ = __repr__ = None


class Level(enum.IntEnum):
    LOW = 1


class Raw(bytes):
    __len__ = None


class Buffer(bytearray):
    __len__ = None


class Nested(enum.Enum):
    PAIR = (1, "two")


class Path2(pathlib.PurePosixPath):
    pass


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Count(7), 7),
        (Share(0.5), 0.5),
        (Share("inf"), "inf"),
        (Level.LOW, 1),
        (Raw(b"123"), "<bytes of 3>"),
        (bytearray(b"12"), "<bytearray of 2>"),
        (Buffer(b"1234"), "<bytearray of 4>"),
        (Nested.PAIR, [1, "two"]),
        (frozenset([1]), [1]),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (Path2("/a"), f"<{__name__}.Path2>"),
        (float("-inf"), "-inf"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_subclass_is_described_by_the_methods_of_its_base(value, shown):
    assert described([value]) == [shown]


def test_an_enum_that_holds_itself_ends():
    holder = Nested.PAIR
    loop = []
    Looped = enum.Enum("Looped", {"A": loop})  # noqa: N806 - a class
    loop.append(Looped.A)
    assert "<cycle>" in content.json(Looped.A)
    assert described(holder) == [1, "two"]


class Plain:
    def __init__(self, **fields):
        self.fields = fields


class Below(Plain):
    pass


class OwnBelow(Plain):
    pass


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(payload, "_fields_of", {})
    describe_as(Plain, lambda it: it.fields)


def test_an_object_of_a_known_class_or_below_it_is_its_fields_and_the_nearest_class_decides(known):
    assert described([Plain(a=1), Below(b=2)]) == [{"a": 1}, {"b": 2}]
    describe_as(OwnBelow, lambda it: [*it.fields])
    assert described([Plain(a=1), OwnBelow(c=3)]) == [{"a": 1}, ["c"]]


def test_the_fields_of_a_known_class_are_redacted_and_end_in_cycles(known):
    it = Plain(password="hunter2hunter2")  # noqa: S106 - it is planted
    it.fields["self"] = it
    assert described(it) == {"password": REDACTED, "self": "<cycle>"}


def test_only_the_class_that_was_registered_is_known_whatever_its_id(known):
    (entry,) = payload._fields_of.values()
    payload._fields_of[id(Below)] = payload._fields_of[id(object)] = (int, lambda it: "another class")
    assert described([Below(b=1), Share(1.0), object()]) == [{"b": 1}, 1.0, "<object>"]
    assert entry[0] is Plain


class BaseModel:
    """It has the name of pydantic's class alone."""

    def __init__(self):
        self.a = 1


def test_a_class_that_is_only_called_as_pydantics_is_unknown():
    assert described(BaseModel()) == f"<{__name__}.BaseModel>"


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int


@dataclasses.dataclass
class Fielded:
    a: int


class FieldedBelow(Fielded):
    pass


class Odd(Fielded):
    __dict__ = None


def test_a_dataclass_is_its_fields_where_they_are_stored_in_a_mapping():
    assert described(Fielded(1)) == {"a": 1}
    assert described(Slotted(1)) == f"<{__name__}.Slotted>"
    assert described(FieldedBelow(1)) == f"<{__name__}.FieldedBelow>"


def test_a_dataclass_whose_fields_are_no_mapping_is_its_type():
    odd = dataclasses.dataclass(Odd)(1)
    assert described(odd) == f"<{__name__}.Odd>"


# the budget ----------------------------------------------------------------------------------------------------------


def nested(depth):
    value = "leaf"
    for _ in range(depth):
        value = [value]
    return value


def test_24_values_inside_of_each_other_are_described():
    assert described(nested(24)) == nested(24)
    shown = described(nested(25))
    while type(shown) is list:
        (shown,) = shown
    assert shown == "<deeper>"


def test_an_object_of_a_known_class_is_one_level_as_a_mapping_is(known):
    objects, mappings = "leaf", "leaf"
    for _ in range(24):
        objects, mappings = Plain(below=objects), {"below": mappings}
    assert described(objects) == mappings


def test_a_value_that_is_there_twice_is_no_cycle():
    twice = [1]
    assert described([twice, twice]) == [[1], [1]]
    assert described({"a": twice, "b": {"c": twice}}) == {"a": [1], "b": {"c": [1]}}


def test_what_is_over_the_number_of_values_is_counted_or_left_out():
    few = Content(CAPTURE_MODES["span"], max_nodes=3)
    assert described([1, 2, 3], few) == [1, 2, 3]
    assert described([1, 2, 3, 4, 5], few) == [1, 2, 3, "<2 more>"]
    assert described({"a": 1, "b": 2, "c": 3}, few) == {"a": 1, "b": 2, "c": 3}
    assert described({"a": 1, "b": 2, "c": 3, "d": 4}, few) == {"a": 1, "b": 2, "c": 3, "...": "<more>"}
    assert described([[1, 2], [3, 4]], few) == [[1, 2], "<1 more>"]


def test_a_text_takes_a_quarter_of_the_budget_but_at_least_256_characters():
    def shown(max_bytes, length):
        return described("x" * length, Content(CAPTURE_MODES["span"], max_bytes=max_bytes)).partition("…[")[0]

    assert len(shown(4_000, 1_000)) == 1_000
    assert len(shown(4_000, 1_001)) == 1_000
    assert len(shown(400, 300)) == 256
    assert len(shown(100, 300)) == 100


def test_texts_share_one_budget_and_of_those_after_it_only_the_length_is_recorded():
    small = Content(CAPTURE_MODES["span"], max_bytes=300)
    first, second, third, fourth = described(["a" * 200, "b" * 200, "c" * 200, "d"], small)
    assert first == "a" * 200
    assert second.startswith("b" * 100 + "…[200 characters, ")
    assert third.startswith("…[200 characters, ")
    assert fourth.startswith("…[1 characters, ")
    short = described(["a" * 60] * 6, small)
    assert short[:5] == ["a" * 60] * 5 and short[5].startswith("…[60 characters, ")


def test_a_part_of_something_larger_takes_a_quarter_and_is_recorded_as_it_is():
    part = content.brief({"a": "plum-pudding-42"})
    assert (type(part), part) == (Recorded, f'{{"a":"{REDACTED}"}}')
    shout = Content(CAPTURE_MODES["span"], Redactor(str.upper), max_bytes=4_000)
    assert described([Recorded("quiet")], shout) == ["quiet"]
    assert json.loads(shout.brief(["x" * 200] * 6))[:5] == ["X" * 200] * 5
    assert json.loads(shout.brief(["x" * 200] * 6))[5].startswith("…[200 CHARACTERS")
    long = shout.brief(["x" * 900])
    assert long.startswith('["' + "X" * 256 + "…[900 CHARACTERS")


@pytest.mark.parametrize("length", [63, 64, 65, 5000])
def test_the_hook_of_the_user_receives_a_text_once_short_or_long(length):
    seen = []
    hooked = Content(CAPTURE_MODES["span"], Redactor(lambda text: seen.append(text) or f"<{len(text)}>"))
    assert described(["x" * length], hooked) == [f"<{length}>"]
    assert seen == ["x" * length]


def test_a_text_longer_than_the_budget_is_cut_and_has_no_secret_at_its_edge():
    small = Content(CAPTURE_MODES["span"], Redactor(environ={"SHOP_API_KEY": "plum-pudding-42"}), max_bytes=100)
    assert small.text("x" * 50) == "x" * 50
    text = small.text("x" * 40 + " plum-pudding-42 " + "y" * 100)
    assert text.startswith("x" * 40 + " [redacted…[157 characters, ")


# fields that belong together -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "holder"), [("name", "value"), ("key", "value"), ("header", "value"), ("Name", "Value"), ("Key", "Value")]
)
def test_the_value_beside_the_name_of_a_secret_is_not_recorded(name, holder):
    assert described({name: "Authorization", holder: "hunter2hunter2"}) == {name: "Authorization", holder: REDACTED}
    assert described({name: "Accept", holder: "hunter2hunter2"}) == {name: "Accept", holder: "hunter2hunter2"}
    assert described({holder: "hunter2hunter2"}) == {holder: "hunter2hunter2"}


def test_a_pair_is_a_header_and_a_longer_list_is_none():
    assert described(["Authorization", "hunter2hunter2"]) == ["Authorization", REDACTED]
    assert described(["Accept", "hunter2hunter2"]) == ["Accept", "hunter2hunter2"]
    longer = ["Authorization", "hunter2hunter2", "third"]
    assert described(longer) == longer
    cut_short = Content(CAPTURE_MODES["span"], max_nodes=1)
    assert described(["Authorization", "hunter2hunter2", "third"], cut_short) == ["Authorization", "<2 more>"]


def test_a_name_that_is_cut_hides_its_value_by_what_it_was():
    small = Content(CAPTURE_MODES["span"], max_bytes=100)
    ((name, value),) = described({"x" * 300 + "_password": "hunter2hunter2"}, small).items()
    assert (name.startswith("x" * 100 + "…["), value) == (True, REDACTED)


def test_the_default_budget_is_256_kib_and_5000_values():
    default = Content()
    assert (default.max_bytes, default.max_nodes) == (262_144, 5_000)


class Key(str):
    __slots__ = ()


def test_a_name_of_a_secret_hides_its_value_also_where_it_is_of_a_class_of_its_own():
    assert described({Key("password"): "hunter2hunter2", 7: "x"}) == {"password": REDACTED, "7": "x"}


def test_the_code_of_a_class_that_replaces_its_instances_dict_does_not_run():
    ran = []

    class Replaced:
        @property
        def __dict__(self):
            ran.append(self)
            raise RuntimeError

    class Model(pydantic.BaseModel):
        @property
        def __dict__(self):
            ran.append(self)
            raise RuntimeError

    for kind in (dataclasses.dataclass(Replaced), Model):
        assert described(kind.__new__(kind)) == f"<{__name__}.{kind.__qualname__}>"
    assert ran == []
