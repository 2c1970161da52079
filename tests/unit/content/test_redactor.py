"""The redactor: which secrets it learns, in which spellings, how long it remembers names, and the user's hook."""

import base64
import os
import re

import pytest

from lmspan import guard
from lmspan.content import redaction
from lmspan.content.redaction import FAILED, REDACTED, WITHHELD, Redactor

KEY, OTHER = "plum-pudding-42", "kites-and-tops-7"
USER_KEY = "a1B2c3D4e5F6a7B8c9D0"


@pytest.fixture(autouse=True)
def failures(monkeypatch):
    monkeypatch.setattr(guard, "failures", type(guard.failures)())
    return guard.failures


# what it learns ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SHOP_API_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "ODD_KEY", "odd_key"])
def test_the_value_of_a_variable_that_holds_a_key_is_a_secret(name):
    assert Redactor(environ={name: KEY}).secrets(f"say {KEY}, twice {KEY}") == f"say {REDACTED}, twice {REDACTED}"


@pytest.mark.parametrize("name", ["HOME", "SHELL", "KEYBOARD", "MONKEY", "PUBLIC_KEYS_OF"])
def test_the_value_of_another_variable_is_none(name):
    assert Redactor(environ={name: KEY}).secrets(KEY) == KEY


def test_a_redactor_without_an_environment_knows_no_secret():
    assert Redactor().secrets(KEY) == KEY


def test_the_credentials_in_an_address_are_secrets_whatever_the_variable_is_called():
    redactor = Redactor(environ={"UPSTREAM": f"https://ada:{KEY}@example.com/x"})
    basic = base64.b64encode(f"ada:{KEY}".encode()).decode()
    assert redactor.secrets(f"a {KEY} b {basic} c ada:{KEY}") == f"a {REDACTED} b {REDACTED} c {REDACTED}"
    assert redactor.secrets("ada") == "ada"


def test_credentials_are_known_as_they_are_written_and_as_they_are_meant():
    redactor = Redactor()
    redactor.know_address("https://ada:plum%2Fpudding-42@example.com/x")
    basic = base64.b64encode(b"ada:plum/pudding-42").decode()
    for spelling in ("plum/pudding-42", "plum%2Fpudding-42", "ada:plum%2Fpudding-42", "ada:plum/pudding-42", basic):
        assert redactor.secrets(f"({spelling})") == f"({REDACTED})", spelling


def test_a_user_of_an_address_is_a_secret_if_it_looks_like_a_key():
    redactor = Redactor()
    redactor.know_address(f"https://{USER_KEY}@example.com/x")
    redactor.know_address("https://ada@example.com/x")
    redactor.know_address("no address")
    assert redactor.secrets(f"{USER_KEY} ada") == f"{REDACTED} ada"
    both = Redactor()
    both.know_address(f"https://{USER_KEY}:{KEY}@example.com/x")
    assert both.secrets(f"{USER_KEY} {KEY}") == f"{REDACTED} {REDACTED}"


def test_a_key_is_known_in_the_spellings_of_json_and_of_addresses():
    redactor = Redactor()
    redactor.know('  plum"pudding/42é ')
    for spelling in ('plum"pudding/42é', 'plum\\"pudding/42\\u00e9', "plum%22pudding%2F42%C3%A9"):
        assert redactor.secrets(f"({spelling})") == f"({REDACTED})", spelling


@pytest.mark.parametrize("value", [None, 7, b"plum-pudding-42", ["plum-pudding-42"], "", "postgres", "not-needed"])
def test_what_is_no_text_or_an_ordinary_word_is_no_key(value):
    redactor = Redactor()
    redactor.know(value)
    assert redactor.secrets(f"postgres not-needed {KEY} 7") == f"postgres not-needed {KEY} 7"


def test_a_secret_inside_of_another_is_redacted_with_it():
    redactor = Redactor(environ={"A_TOKEN": KEY, "B_TOKEN": f"{KEY}/and/{OTHER}", "C_TOKEN": OTHER})
    assert redactor.secrets(f"{KEY}/and/{OTHER} {OTHER} {KEY}") == f"{REDACTED} {REDACTED} {REDACTED}"


def test_secrets_that_touch_are_each_redacted():
    assert redaction._without("abcdef", [(1, 3), (3, 5)]) == f"a{REDACTED}{REDACTED}f"
    assert redaction._without("abcdef", [(2, 5), (1, 3), (1, 4)]) == f"a{REDACTED}f"
    assert redaction._without("abcdef", [(0, 6), (1, 2), (1, 3)]) == REDACTED
    assert redaction._without("abcdef", [(0, 6), (2, 3), (4, 5)]) == REDACTED


def test_of_many_configured_keys_the_latest_256_are_known_and_those_of_the_environment_stay():
    redactor = Redactor(environ={"SHOP_API_KEY": KEY})
    keys = [f"key-number-{number}-x7" for number in range(257)]
    for key in keys:
        redactor.know(key)
    redactor.know(keys[-1])
    assert [redactor.secrets(key) for key in (keys[0], keys[1], keys[256], KEY)] == [keys[0], *[REDACTED] * 3]


def test_a_secret_of_the_environment_is_known_once_it_is_there_and_stays_known():
    environ = {"HOME": "/"}
    redactor = Redactor(environ=environ)
    environ["SHOP_API_KEY"] = KEY
    assert redactor.secrets(KEY) == KEY
    redactor.read_environment()
    assert redactor.secrets(KEY) == REDACTED
    environ["SHOP_API_KEY"] = OTHER
    redactor.read_environment()
    assert redactor.secrets(f"{KEY} {OTHER}") == f"{REDACTED} {REDACTED}"


def test_the_environment_is_read_again_only_if_it_has_changed(monkeypatch):
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    redactor = Redactor(environ=os.environ)
    learnt = []
    monkeypatch.setattr(redactor, "_learn", lambda kept, secrets: learnt.append(secrets))
    redactor.read_environment()
    assert learnt == []
    monkeypatch.setenv("TOY_API_KEY", OTHER)
    redactor.read_environment()
    assert any(OTHER in secrets for secrets in learnt)


def test_an_environment_that_cannot_be_read_is_reported_and_costs_nothing_else(failures):
    class Broken(dict):
        def items(self):
            raise OSError

        __iter__ = keys = items

    redactor = Redactor(environ=Broken(a="b"))
    assert redactor("text") == "text"
    assert failures.total() == 1


# names ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def searches(monkeypatch):
    """The texts that are searched for secrets."""
    seen, find = [], redaction.find
    monkeypatch.setattr(redaction, "find", lambda text: seen.append(text) or find(text))
    return seen


def test_a_name_is_searched_once_and_a_long_text_each_time(searches):
    redactor = Redactor()
    for text in ("n" * 128, "t" * 129):
        assert [redactor.name(text) for _ in range(3)] == [text] * 3
    assert searches == ["n" * 128, *["t" * 129] * 3]


def test_a_name_is_searched_again_when_another_secret_is_known(searches):
    redactor = Redactor()
    assert redactor.name(KEY) == KEY
    redactor.know(KEY)
    assert [redactor.name(KEY), redactor.name(KEY)] == [REDACTED] * 2
    redactor.know(KEY)
    assert redactor.name(KEY) == REDACTED
    assert searches == [KEY] * 2


def test_names_are_forgotten_when_there_are_many(searches):
    redactor = Redactor()
    for number in range(4096):
        redactor.name(str(number))
    redactor.name("0")
    assert len(searches) == 4096
    redactor.name("one more")
    redactor.name("one more")
    redactor.name("0")
    assert searches[4096:] == ["one more", "0"]


def test_the_hook_receives_a_name_each_time_without_its_secrets():
    seen = []
    redactor = Redactor(lambda text: seen.append(text) or text.upper(), {"SHOP_API_KEY": KEY})
    assert [redactor.name(f"a {KEY}") for _ in range(2)] == [f"A {REDACTED.upper()}"] * 2
    assert seen == [f"a {REDACTED}"] * 2


# values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "recorded"),
    [
        ("model", "gpt", "gpt"),
        ("model", KEY, REDACTED),
        ("password", "hunter2hunter2", REDACTED),
        ("stop", ["a", KEY, 1], ["a", REDACTED, 1]),
        ("stop", ("a", KEY), ["a", REDACTED]),
        ("count", 3, 3),
        ("nothing", None, None),
        ("mapping", {"a": KEY}, {"a": KEY}),
    ],
)
def test_the_value_of_an_attribute_is_redacted_if_it_is_a_text_or_a_list_of_texts(name, value, recorded):
    assert Redactor(environ={"SHOP_API_KEY": KEY}).value(name, value) == recorded


# the hook ------------------------------------------------------------------------------------------------------------


def test_a_text_passes_through_the_redactor_first_and_the_hook_after():
    redactor = Redactor(lambda text: f"<{text}>", {"SHOP_API_KEY": KEY})
    assert redactor(f"say {KEY}") == f"<say {REDACTED}>"
    assert Redactor(environ={"SHOP_API_KEY": KEY})(f"say {KEY}") == f"say {REDACTED}"
    assert Redactor().hook(KEY) == KEY


@pytest.mark.parametrize("returned", [None, 7, b"text", ["text"]])
def test_a_hook_that_returns_no_text_costs_the_text(returned, failures):
    assert Redactor(lambda text: returned).hook("text") == FAILED
    assert failures == {}


def test_a_hook_that_raises_costs_the_text_and_the_next_text_reaches_it_again(failures):
    redactor = Redactor(lambda text: text.upper() if text == "good" else 1 / 0)
    assert [redactor.hook("bad"), redactor.hook("good")] == [FAILED, "GOOD"]
    assert [(re.sub(r".*\.", "", where), count) for where, count in failures.items()] == [("_redact", 1)]


def test_what_would_be_recorded_inside_of_the_hook_is_withheld():
    inside = []
    redactor = Redactor(lambda text: inside.append(redactor.hook("inside")) or text.upper())
    assert redactor.hook("outside") == "OUTSIDE"
    assert inside == [WITHHELD]
    assert redactor.hook("after") == "AFTER"


def test_an_environment_that_is_empty_at_first_is_read_again_too():
    environ = {}
    redactor = Redactor(environ=environ)
    environ["SHOP_API_KEY"] = "plum-pudding-42"
    redactor.read_environment()
    assert redactor.secrets("plum-pudding-42") == REDACTED
