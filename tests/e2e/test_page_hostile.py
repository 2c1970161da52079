"""Traces of any content are shown as text in a real browser, or reported, and never executed."""

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from support.page import serving
from support.processes import run_lmspan
from support.stored import messages, otlp, text, write

pytestmark = pytest.mark.e2e

A = "aa" * 16
CHAT = {"gen_ai.request.model": "gpt-4o-mini"}
HOSTILE = (
    "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script> javascript:window.harmed=1 \u202egnp.exe"
)


@pytest.fixture
def one(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", "", "invoke_workflow shop", 0, 4, "aa"))
    return tmp_path


def test_hostile_content_is_text(opened, tmp_path):
    parts = [text(HOSTILE), {"type": HOSTILE, "name": HOSTILE, "content": HOSTILE},
             {"type": "blob", "mime_type": "image/svg+xml", "content": "PHN2Zz4="},
             {"type": "uri", "uri": "javascript:window.harmed=1"}]  # fmt: skip
    facts = {**CHAT, "gen_ai.request.model": HOSTILE, HOSTILE: HOSTILE, "session.id": HOSTILE,
             "gen_ai.input.messages": messages((HOSTILE, parts)), "exception.type": HOSTILE}  # fmt: skip
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", f"chat {HOSTILE}", 0, 1, "aa", facts, status=2,
             events=[("exception", 0.5, {"exception.message": HOSTILE, "exception.stacktrace": HOSTILE})]),
        service=HOSTILE,
    )  # fmt: skip
    with opened(tmp_path) as page:
        expect(page.locator(".traces .name a")).to_contain_text("<img src=x onerror='window.harmed=1'>")
        page.locator(".traces .name a").click()
        page.locator(".row").first.click()
        expect(page.locator(".message .content").first).to_have_text(HOSTILE.replace("\u202e", "·"))
        page.goto(page.url.partition("#")[0] + "#/statistics")
        expect(page.get_by_role("heading", name="By model")).to_be_visible()
        assert page.evaluate("window.harmed") is None
        assert page.locator("main img, main script, a[href^='javascript']").count() == 0


@pytest.mark.parametrize("address", [
    "#/trace/../../x", "#/trace/" + "zz" * 16, "#/nothing", "#/trace/" + "cc" * 16, f"#/run/{A}/1",
    f"#/trace/{A}/%3Cimg%3E", "#<img src=x onerror=window.harmed=1>",
])  # fmt: skip
def test_an_address_without_meaning_says_so(chromium, one, address):
    with serving(one) as entrance:
        page = chromium.new_context().new_page()
        page.goto(entrance)
        page.goto(page.url.partition("#")[0] + address)
        expect(page.get_by_role("alert")).to_be_visible()
        assert page.evaluate("window.harmed") is None
        page.context.close()


def test_no_script_of_the_page_can_write_html(opened, one):
    with opened(one) as page:
        expect(page.locator(".traces")).to_be_visible()
    with serving(one) as entrance, _context(page) as other:
        other.goto(entrance)
        refused = (
            "() => { try { document.body.innerHTML = '<b>x</b>'; return '' } catch (error) { return error.name } }"
        )
        assert other.evaluate(refused) == "TypeError"


@contextmanager
def _context(page):
    context = page.context.browser.new_context()
    yield context.new_page()
    context.close()


def test_an_exported_page_shows_hostile_content_as_text(chromium, tmp_path):
    hostile = f"</script>{HOSTILE}<!--"
    facts = {**CHAT, "gen_ai.input.messages": messages(("user", [text(hostile)]))}
    write(tmp_path / "traces.jsonl", otlp("1", "", f"chat {hostile}", 0, 1, "aa", facts), service=hostile)
    assert run_lmspan("ui", str(tmp_path), "--export", str(tmp_path / "trace.html")).returncode == 0
    page = chromium.new_context(offline=True).new_page()
    page.goto((tmp_path / "trace.html").as_uri())
    page.locator(".row").click()
    expect(page.locator(".message .content")).to_have_text(hostile.replace("\u202e", "·"))
    assert page.evaluate("window.harmed") is None
    page.context.close()
