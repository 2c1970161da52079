"""Traces of any content are shown as text in a real browser, or reported, and never executed."""

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from support.browser import leaving, settled, slow_page, visit
from support.page import serving
from support.processes import run_lmspan
from support.stored import messages, otlp, text, write

pytestmark = pytest.mark.e2e

A = "aa" * 16
CHAT = {"gen_ai.request.model": "gpt-4o-mini"}
HOSTILE = (
    "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script>"
    " javascript:window.harmed=1 \u202egnp.exe \x1b[31mred\x1b[0m"
)
SHOWN = HOSTILE.replace("\u202e", "·").replace("\x1b", "·")
DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000


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
        with leaving(page):
            page.locator(".traces .name a").click()
        page.locator(".row").first.click()
        expect(page.locator(".message .content").first).to_have_text(SHOWN)
        visit(page, "#/spans")
        expect(page.locator(".spans .name a")).to_contain_text("<img src=x onerror='window.harmed=1'>")
        visit(page, "#/statistics")
        expect(page.get_by_role("heading", name="By model")).to_be_visible()
        assert page.evaluate("window.harmed") is None
        assert page.locator("main img, main script, a[href^='javascript']").count() == 0


def test_a_string_of_50_megabytes_is_cut_with_its_length(opened, tmp_path):
    long = f"{HOSTILE} {'tea ' * 12_500_000}"
    facts = {**CHAT, "gen_ai.input.messages": messages(("user", [text(long)])), "note": long}
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", 0, 1, "aa", facts))
    with opened(tmp_path) as page:
        with leaving(page):
            page.locator(".traces .name a").click()
        page.locator(".row").click()
        expect(page.locator(".message .content")).to_contain_text(SHOWN)
        page.locator(".message").get_by_role("button", name="show all").click()
        expect(page.locator(".message .content")).to_contain_text(f"… ({len(long):,} characters)")
        assert page.evaluate("document.documentElement.textContent.length") < 2_000_000


def test_a_million_lines_are_cut_or_reported(opened, tmp_path):
    lines = "\n".join(map(str, range(1_000_000)))
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", 0, 1, "aa", {"lmspan.operation.inputs": {"log": lines}}))
    with (tmp_path / "traces.jsonl").open("a") as file:
        file.write("nothing\n" * 1_000_000)
    with opened(tmp_path) as page:
        expect(page.locator(".trouble")).to_contain_text("1000000 lines cannot be read; the first is line 2: no JSON")
        with leaving(page):
            page.locator(".traces .name a").click()
        page.locator(".row").click()
        page.get_by_role("button", name="show all").first.click()
        expect(page.locator(".fields-view")).to_contain_text(f"… ({len(lines):,} characters)")


def test_a_file_that_rotates_while_it_is_read_loses_nothing(opened, tmp_path):
    file = write(
        tmp_path / "traces.jsonl", otlp("1", "", "module first", 0, 1, "aa"), otlp("2", "1", "chat m", 0, 1, "aa")
    )
    with opened(tmp_path) as page:
        expect(page.locator(".traces .name a").last).to_have_text("first")
        file.rename(tmp_path / "traces-1.jsonl")
        write(file, otlp("3", "1", "chat n", 0, 1, "aa"), otlp("1", "", "module second", 2, 3, "bb"))
        expect(page.locator(".traces .name a").first).to_have_text("second")
        page.get_by_role("link", name="first").click()
        expect(page.locator(".row .text")).to_have_text(["module first", "chat m", "chat n"])
        (tmp_path / "traces-1.jsonl").unlink()
        expect(page.locator(".row .text")).to_have_text(["chat n"])
        file.unlink()
        page.get_by_role("link", name="Traces").click()
        expect(page.get_by_text("No trace is stored yet.")).to_be_visible()


def test_spans_that_are_parents_of_each_other_are_shown_once(opened, tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", "2", "turn 1", 0, 1, "aa"), otlp("2", "1", "turn 2", 0, 1, "aa"),
          otlp("3", "3", "turn 3", 2, 3, "aa"))  # fmt: skip
    with opened(tmp_path) as page:
        with leaving(page):
            page.locator(".traces .name a").click()
        expect(page.locator(".row .text")).to_have_text(["turn 1", "turn 2", "turn 3"])
        page.locator(".row .text", has_text="turn 2").click()
        expect(page.locator(".pane .path a")).to_have_text(["turn 1"])
        page.get_by_role("link", name="Statistics", exact=True).click()
        expect(page.locator("h1")).to_have_text("Statistics")


def test_a_trace_of_5_000_levels_is_opened(opened, tmp_path):
    write(tmp_path / "traces.jsonl", *(otlp(f"{n:x}", f"{n - 1:x}" if n > 1 else "", f"turn {n}", n, 9_999, "aa")
          for n in range(1, 5_001)))  # fmt: skip
    with opened(tmp_path) as page:
        page.locator(".traces .name a").click()
        expect(page.locator(".row .text").first).to_have_text("turn 1")
        page.keyboard.press("End")
        expect(page.locator(".row.active .text")).to_have_text("turn 5000")
        page.keyboard.press("Enter")
        expect(page.locator(".pane h2")).to_have_text("turn 5000")


@pytest.mark.parametrize("content", [
    DEEP, "[" * 100_000, "null", "7", '"text"', "[7, null, [], {}]", '[{"role": 7, "parts": 7}]',
    '[{"role": {"a": 1}, "parts": [{"type": ["blob"], "content": {"a": [1]}, "mime_type": 7}, null, [[]]]}]',
    '[{"parts": [{"type": "blob", "mime_type": "image/png", "content": "no base64!"}]}]', '{"__proto__": {"a": 1}}',
])  # fmt: skip
def test_content_of_a_wrong_type_or_depth_is_shown_as_it_is(opened, tmp_path, content):
    names = [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.result",
        "lmspan.operation.inputs",
        "lmspan.optimizer.candidate.instructions",
        "lmspan.cost.amount",
        "gen_ai.usage.input_tokens",
        "gen_ai.evaluation.score.value",
        "lmspan.evaluation.example.index",
    ]
    facts = dict.fromkeys(names, content)
    spans = [("1", "", "optimize GEPA"), ("2", "1", "candidate #1"), ("3", "2", "evaluate exact"),
             ("4", "3", "example #1"), ("5", "4", "chat m"), ("6", "4", "execute_tool find")]  # fmt: skip
    write(tmp_path / "traces.jsonl", *(otlp(*span, int(span[0]), 9, "aa", facts) for span in spans))
    with opened(tmp_path) as page:
        for span, _, name in spans:
            visit(page, f"#/trace/{A}/{span}")
            expect(page.locator(".pane h2")).to_have_text(name)
            expect(page.locator(".pane .section").last).to_be_visible()
        for address in (f"#/run/{A}/1", f"#/evaluation/{A}/3", "#/statistics", "#/sessions", "#/spans",
                        f"#/compare/{A}/{A}"):  # fmt: skip
            visit(page, address)
            expect(page.locator("h1").first).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("address", [
    "#/trace/../../x", "#/trace/" + "zz" * 16, "#/nothing", "#/trace/" + "cc" * 16, f"#/run/{A}/1",
    f"#/trace/{A}/%3Cimg%3E", "#<img src=x onerror=window.harmed=1>", "#/spans?query=(",
])  # fmt: skip
def test_an_address_without_meaning_says_so(chromium, one, address):
    with serving(one) as entrance:
        page = slow_page(chromium.new_context())
        page.goto(entrance)
        settled(page)
        visit(page, address)
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
    page = slow_page(chromium.new_context(offline=True), offline=True)
    page.goto((tmp_path / "trace.html").as_uri())
    settled(page)
    page.locator(".row").click()
    expect(page.locator(".message .content")).to_have_text(hostile.replace(HOSTILE, SHOWN))
    assert page.evaluate("window.harmed") is None
    page.context.close()
