"""Redaction of a program's own keys, of the credentials in its addresses and of its names; and the user's hook."""

import os

import pytest

import lmspan
from lmspan import semconv as sc
from lmspan.content.clipping import clip
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import REDACTED, WITHHELD, Redactor
from lmspan.instrumentation.kit.requests import server_facts
from lmspan.lifecycle import Operation
from lmspan.recording import recorder
from lmspan.testing import recording

content = Content(CAPTURE_MODES["span"])
MIXED, PLAIN = "a1B2c3D4" * 40, "abcdefabcdef"
TOKENS = {
    "GitHub": "ghp_" + MIXED[:36],
    "GitLab": "glpat-" + MIXED[:20],
    "Groq": "gsk_" + MIXED[:52],
    "Slack, app": "xapp-1-A0123-123456-" + "a1b2" * 16,
}


# Keys that a program configures, or has in its environment


def test_a_configured_key_is_removed_as_a_word_and_in_its_encodings():
    redactor = Redactor()
    redactor.know("plum-9udding+/")
    text = 'a plum-9udding+/ b "plum-9udding+/" plum-9udding%2B%2F \\nplum-9udding+/ xplum-9udding+/'
    assert redactor.secrets(text) == (f'a {REDACTED} b "{REDACTED}" {REDACTED} \\n{REDACTED} xplum-9udding+/')


def test_a_key_that_comes_into_the_environment_late_is_learned(monkeypatch):
    monkeypatch.delenv("SHOP_API_KEY", raising=False)
    late = Content(CAPTURE_MODES["span"], Redactor(environ=os.environ))
    monkeypatch.setenv("SHOP_API_KEY", "plum-pudding-42")
    assert late.attributes({"x": ["a plum-pudding-42"]}) == {"x": f'["a {REDACTED}"]'}
    monkeypatch.setenv("SHOP_API_KEY", "rice-pudding-43")
    assert late.attributes({"x": ["a plum-pudding-42 rice-pudding-43"]}) == {"x": f'["a {REDACTED} {REDACTED}"]'}


def test_the_credentials_of_an_address_are_known_without_the_address():
    redactor = Redactor()
    redactor.know_address("http://ada:Lovelace@127.0.0.1:80/v1")
    assert redactor.secrets("refused: ada:Lovelace@somewhere, Basic YWRhOkxvdmVsYWNl") == (
        f"refused: {REDACTED}@somewhere, Basic {REDACTED}"
    )
    assert redactor.secrets("Ada Lovelace") == "Ada Lovelace"


def test_the_credentials_of_an_address_in_the_environment_are_known():
    redactor = Redactor(environ={"DATABASE_URL": "postgres://ada:Love1ace88@db/x", "ODD_TOKEN": "odd\udc80bytes-4242"})
    assert redactor.secrets("ada:Love1ace88 or Love1ace88") == f"{REDACTED} or {REDACTED}"


def test_the_latest_keys_are_known_of_a_program_with_a_key_for_each_user():
    redactor = Redactor(environ={"SHOP_API_KEY": "plum-pudding-42"})
    for user in range(1_000):
        redactor.know(f"key-{user:06}-abc")
    assert len(redactor.known) <= 512
    assert redactor.secrets("plum-pudding-42 key-000999-abc") == f"{REDACTED} {REDACTED}"


# Cuts and traces


@pytest.mark.parametrize("before", [0, 10, 900, 990])
def test_a_long_token_over_a_cut_shows_no_part_of_itself(before):
    token = "eyJ" + MIXED * 3 + "." + MIXED * 9 + "." + MIXED
    shown = clip("x" * before + " " + token + " after", 1_000, Redactor())
    assert "a1B2" not in shown


def test_a_block_without_an_end_is_redacted_to_the_end_of_the_text():
    block = "-----BEGIN PRIVATE KEY-----\n" + MIXED + '\n"' + MIXED
    assert Redactor().secrets(f"a {block}") == f"a {REDACTED}"


def test_a_source_line_of_a_stack_trace_does_not_show_its_key():
    def call(api_key):
        raise ValueError("no")

    try:
        call(api_key="zq8w4x7v2k9m")
    except ValueError as error:
        facts = content.exception(error, with_content=True)
    assert "zq8w4x7v2k9m" not in facts[sc.EXCEPTION_STACKTRACE]
    assert f'call(api_key="{REDACTED}")' in facts[sc.EXCEPTION_STACKTRACE]


# Names, and the user's hook


def test_names_are_redacted_though_content_is_off():
    failing = type("Error_" + TOKENS["GitHub"], (Exception,), {"__module__": "builtins"})
    with recording(instrument=(), capture_content="none") as recorded:
        facts = {sc.REQUEST_MODEL: f"dep?api-key={PLAIN}", sc.REQUEST_STOP_SEQUENCES: [TOKENS["Groq"], "END"]}
        call = recorder.active.start(Operation.LM, f"dep?api-key={PLAIN}", "test", facts)
        call.late_facts[sc.RESPONSE_MODEL] = TOKENS["GitLab"]
        recorder.active.end(call, error=failing("no"))
        recorder.active.end(recorder.active.start(Operation.TOOL, TOKENS["Slack, app"], "test"))
    lm, tool = recorded.spans
    assert (lm.name, tool.name) == (f"chat dep?api-key={REDACTED}", f"execute_tool {REDACTED}")
    assert lm.attributes[sc.REQUEST_MODEL] == f"dep?api-key={REDACTED}"
    assert lm.attributes[sc.REQUEST_STOP_SEQUENCES] == (REDACTED, "END")
    assert lm.attributes[sc.RESPONSE_MODEL] == REDACTED
    assert lm.attributes[sc.ERROR_TYPE] == lm.status.description == f"Error_{REDACTED}"
    assert [event.attributes[sc.EXCEPTION_TYPE] for event in lm.events if sc.EXCEPTION_TYPE in event.attributes] == [
        f"Error_{REDACTED}"
    ]


def test_the_hook_sees_names_and_content_once_and_no_value_of_lmspan_itself():
    seen = []

    def hook(text):
        seen.append(text)
        return text.upper()

    with recording(instrument=(), redact=hook) as recorded:
        with lmspan.operation(lmspan.Operation.TOOL, "search", inputs={"q": "tea"}):
            pass
    assert sorted(seen) == ["q", "search", "search", "tea"]
    assert recorded.spans[0].name == "execute_tool SEARCH"
    assert recorded.spans[0].attributes[sc.TOOL_NAME] == "SEARCH"
    assert recorded.spans[0].attributes[sc.OPERATION_NAME] == "execute_tool"
    assert recorded.spans[0].attributes[sc.TOOL_CALL_ARGUMENTS] == '{"Q":"TEA"}'


def test_a_hook_that_runs_instrumented_code_is_not_called_from_inside_itself():
    calls = []

    @lmspan.tool
    def translate(text: str) -> str:
        return f"<{text}>"

    def hook(text):
        calls.append(text)
        return translate(text)

    with recording(instrument=(), redact=hook) as recorded:
        with lmspan.operation(lmspan.Operation.MODULE, "Poem", inputs={"q": "tea"}):
            pass
    assert len(calls) == len(set(calls)) + calls.count("Poem") - 1
    outer = next(span for span in recorded.spans if span.name == "module <Poem>")
    assert outer.attributes[sc.MODULE_INPUTS] == '{"<q>":"<tea>"}'
    inner = [span for span in recorded.spans if span is not outer]
    assert {span.name for span in inner} == {f"execute_tool {WITHHELD}"}
    assert not [span for span in inner if "tea" in str(span.attributes)]


def test_resource_attributes_and_lists_of_strings_pass_the_redaction():
    redactor = Redactor(str.upper)
    assert redactor.value("team", "blue") == "BLUE"
    assert redactor.value("hosts", ["a", TOKENS["GitHub"], 3]) == ["A", REDACTED.upper(), 3]
    assert redactor.value("api_key", "short1") == REDACTED
    assert redactor.value("count", 3) == 3


@pytest.mark.parametrize(
    ("address", "facts"),
    [
        ("http://host:8080/v1", {sc.SERVER_ADDRESS: "host", sc.SERVER_PORT: 8080}),
        ("https://ada:secret1@host/v1", {sc.SERVER_ADDRESS: "host", sc.SERVER_PORT: 443}),
        ("http://host:port/v1", {sc.SERVER_ADDRESS: "host"}),
        ("http://host:99999/v1", {sc.SERVER_ADDRESS: "host"}),
        ("http://${HOST}:${PORT}/v1", {sc.SERVER_ADDRESS: "${host}"}),
        ("http://[::1/v1", {}),
        ("not an address", {}),
        ("", {}),
    ],
)
def test_a_wrong_address_loses_its_own_attributes_only(address, facts):
    assert server_facts(address) == facts
