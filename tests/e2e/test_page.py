"""The views of the page in a real browser."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.browser import leaving, resize, settled, slow_page, visit
from support.processes import run_lmspan
from support.stored import messages, otlp, text, write

pytestmark = pytest.mark.e2e

A, C = "aa" * 16, "cc" * 16
CHAT = {"gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 40,
        "lmspan.cost.amount": 0.25}  # fmt: skip
SCORE = "gen_ai.evaluation.score.value"


@pytest.fixture
def shop(tmp_path):
    """A program that answers with a tool, and one that failed."""
    call = {"type": "tool_call", "name": "find", "id": "1", "arguments": {"query": "tea"}}
    result = {"type": "tool_call_response", "id": "1", "response": "green tea"}
    asked = messages(("user", [text("Which tea?")]), ("assistant", [call]), ("tool", [result]))
    write(
        tmp_path / "traces.jsonl",
        otlp("3", "2", "chat gpt-4o-mini", 1, 2, "aa", {**CHAT, "gen_ai.input.messages": asked,
             "gen_ai.output.messages": messages(("assistant", [text("Green tea.")]))}),
        otlp("4", "2", "parse ChatAdapter", 2, 2.5, "aa"),
        otlp("5", "2", "execute_tool find", 2, 2.5, "aa", {"error.type": "shop.Empty"}, status=2),
        otlp("2", "1", "module Predict", 1, 3, "aa", {"lmspan.module.path": "answer"}),
        otlp("1", "", "invoke_workflow shop", 0, 4, "aa", {"lmspan.operation.inputs": {"question": "Which tea?"}}),
        otlp("1", "", "execute_tool order", 5, 6, "bb", {"error.type": "shop.Closed"}, status=2,
             events=[("exception", 5.5, {"exception.type": "shop.Closed", "exception.message": "closed on Mondays"})]),
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def night(tmp_path):
    """An optimizer run with three candidates, and the evaluation of the last one."""

    def candidate(number, score, instructions, **more):
        facts = {"index": number, "id": f"c{number}", "score": score, "scope": "full",
                 "instructions": {"answer": instructions}, **more}  # fmt: skip
        return {f"lmspan.optimizer.candidate.{name}": value for name, value in facts.items()}

    def example(number, score, question, answer):
        span_id, program = f"{number}e", f"{number}f"
        return [
            otlp(span_id, "9", f"example #{number}", 7, 8, "aa", {
                "lmspan.evaluation.example.index": number, SCORE: score,
                "lmspan.operation.inputs": {"question": question, "answer": "green"}}),
            otlp(program, span_id, "module Predict", 7, 8, "aa", {
                "lmspan.module.inputs": {"question": question}, "lmspan.module.outputs": {"answer": answer}}),
            otlp(f"{number}c", program, "chat gpt-4o-mini", 7, 8, "aa", {
                **CHAT, "gen_ai.input.messages": messages(("user", [text(f"Answer: {question}")]))}),
        ]  # fmt: skip

    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "optimize GEPA", 0, 9, "aa"),
        otlp("2", "1", "candidate #0", 1, 2, "aa", candidate(0, 0.5, "Answer briefly.", accepted=True)),
        otlp("3", "1", "candidate #1", 3, 4, "aa", candidate(1, 0.25, "Answer.", accepted=False, reason="not better")),
        otlp("4", "1", "candidate #2", 6, 8, "aa", candidate(2, 0.75, "Answer kindly.", parent_ids=["c0"])),
        otlp("9", "4", "evaluate exact", 6, 8, "aa", {SCORE: 0.75}),
        *example(0, 1.0, "Which tea?", "green"),
        *example(1, 0.0, "Which cup?", "blue"),
    )
    return tmp_path


def test_the_list_is_searched_filtered_and_opened(opened, shop):
    with opened(shop) as page:
        names = page.locator(".traces .name a")
        expect(names).to_have_text(["execute_tool order", "shop"])
        expect(page.locator(".traces tr.failed")).to_have_count(1)
        page.get_by_label("Search in full text").fill("Mondays")
        expect(names).to_have_text(["execute_tool order"])
        expect(page).to_have_url("/#/?text=Mondays")
        page.get_by_label("Search in full text").fill("no such word")
        expect(page.get_by_text("No trace matches.")).to_be_visible()
        page.get_by_role("link", name="Show all traces").click()
        expect(names).to_have_count(2)
        page.get_by_label("failed only").check()
        expect(names).to_have_text(["execute_tool order"])
        page.reload()
        expect(names).to_have_text(["execute_tool order"])
        names.first.click()
        expect(page.locator("h1")).to_have_text("execute_tool order")
        expect(page.locator(".failures li")).to_have_text("execute_tool order: shop.Closed: closed on Mondays")


def test_each_active_filter_is_a_chip_that_removes_it(opened, shop):
    with opened(shop) as page:
        visit(page, "#/?tool=find&module=answer&failed=1")
        expect(page.locator(".chip")).to_have_text(["failed only×", "module answer×", "tool find×"])
        expect(page.get_by_text("No trace matches.")).to_be_visible()
        page.get_by_role("link", name="Remove the filter failed only").click()
        expect(page.locator(".traces .name a")).to_have_text(["shop"])
        page.get_by_role("link", name="Remove the filter tool find").click()
        expect(page.locator(".chip")).to_have_text(["module answer×"])
        page.get_by_label("Search in full text").fill("coffee")
        expect(page.locator(".chip")).to_have_text(["text coffee×", "module answer×"])
        page.get_by_role("link", name="remove all").click()
        expect(page.locator(".traces .name a")).to_have_count(2)
        expect(page.locator(".chip")).to_have_count(0)


def test_a_conversation_is_shown_with_its_tools(opened, shop):
    with opened(shop) as page:
        with leaving(page):
            page.get_by_role("link", name="shop", exact=True).click()
        rows = page.locator(".row")
        expect(rows).to_have_count(4)  # the adapter's phase is not shown
        page.locator(".row .text", has_text="chat").click()
        expect(page).to_have_url(f"/#/trace/{A}/3")
        expect(page.locator(".pane h2")).to_have_text("chat gpt-4o-mini")
        expect(page.locator(".role")).to_have_text(["user", "assistant", "tool", "assistant"])
        expect(page.locator(".part-title")).to_have_text(["calls find", "result 1"])
        expect(page.locator(".message .content")).to_have_text(
            ["Which tea?", '{\n  "query": "tea"\n}', "green tea", "Green tea."]
        )
        page.get_by_label("adapter phases").check()
        expect(rows).to_have_count(5)


def test_the_tree_is_walked_with_the_keyboard(opened, shop):
    with opened(shop) as page:
        visit(page, f"#/trace/{A}")
        active = page.locator(".row.active .text")
        expect(active).to_have_text("invoke_workflow shop")
        for key, expected in (("ArrowDown", "module Predict"), ("ArrowDown", "chat gpt-4o-mini"),
                              ("ArrowLeft", "module Predict"), ("End", "execute_tool find"),
                              ("Home", "invoke_workflow shop"), ("e", "execute_tool find")):  # fmt: skip
            page.keyboard.press(key)
            expect(active).to_have_text(expected)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(page.locator(".row")).to_have_count(2)
        expect(page.locator(".row.active")).to_have_attribute("aria-expanded", "false")
        page.keyboard.press("ArrowRight")
        expect(page.locator(".row")).to_have_count(4)
        page.keyboard.press("Enter")
        expect(page.locator(".pane h2")).to_have_text("module Predict")
        page.keyboard.press("Escape")
        expect(page.locator(".pane")).to_be_hidden()
        page.keyboard.press("/")
        page.keyboard.type("find")
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 of 1")).to_be_visible()
        expect(active).to_have_text("execute_tool find")


def test_from_an_optimizer_run_to_the_prompt_of_a_failed_example(opened, night):
    with opened(night) as page:
        with leaving(page):
            page.locator(".traces .name a").click()
        with leaving(page):
            page.get_by_role("link", name="GEPA: 0.5 → 0.75, 3 evaluations").click()
        expect(page.locator(".verdict")).to_have_text("0.5 → 0.75")
        expect(page.locator(".plot .point")).to_have_count(3)
        expect(page.locator(".candidates tr.chosen td").first).to_have_text("2")
        expect(page.locator(".diff del")).to_have_text("briefly")
        expect(page.locator(".diff ins")).to_have_text("kindly")
        expect(page.locator(".candidates .wide").nth(1)).to_have_text("not better")
        page.locator(".plot .point").nth(1).click()
        expect(page.locator(".candidates tr.chosen td").first).to_have_text("1")
        expect(page.locator(".changes h2")).to_have_text("Candidate 1 (0.25)")
        page.get_by_label("Compare with").select_option("2")
        expect(page.locator(".diff del")).to_have_text(" kindly")
        page.get_by_role("link", name="examples").click()
        expect(page.locator(".examples tbody tr")).to_have_count(2)
        expect(page.locator(".examples tbody tr").first.locator("td")).to_have_text(
            ["1", "0", "Which cup?\n", "green\n", "blue\n", ""]
        )
        with leaving(page):
            page.locator(".examples tbody a").first.click()
        expect(page.locator(".pane h2")).to_have_text("example #1")
        page.locator(".row.chosen ~ .row .text", has_text="chat").first.click()
        expect(page.locator(".message .content")).to_have_text("Answer: Which cup?")


def test_two_traces_side_by_side(opened, shop):
    with opened(shop) as page:
        for number in range(2):
            page.locator(".traces input").nth(number).check()
        page.get_by_role("link", name="Compare the two").click()
        expect(page.locator(".pair a")).to_have_text(["invoke_workflow shop", "execute_tool order"])


@pytest.mark.parametrize(("kind", "key", "found"), [
    ("model", "gpt-4o-mini", ["shop"]), ("module", "answer", ["shop"]), ("tool", "find", ["shop"]),
    ("tool", "order", ["execute_tool order"]), ("service", "shop", ["execute_tool order", "shop"]),
])  # fmt: skip
def test_a_row_of_the_statistics_leads_to_its_traces_and_is_shown_over_time(opened, shop, kind, key, found):
    with opened(shop) as page:
        page.get_by_role("link", name="Statistics").click()
        table = page.get_by_label(f"Statistics by {kind}", exact=True)
        table.get_by_role("link", name=f"{key} over time").click()
        expect(page.locator(".over .chip")).to_have_text(f"{kind} {key}×")
        expect(page.get_by_role("img", name="Latency over time")).to_be_visible()
        page.get_by_role("link", name="Tokens").click()
        expect(page.get_by_role("img", name="Tokens over time")).to_be_visible()
        expect(page.locator(".over .chip")).to_have_text(f"{kind} {key}×")
        table.get_by_role("link", name=key, exact=True).click()
        expect(page.locator(".traces .name a")).to_have_text(found)
        expect(page.locator(".chip")).to_have_text([f"{kind} {key}×"])


def test_sessions_lead_to_their_traces(opened, tmp_path):
    for number, session in enumerate(["anna", "ben", "anna"]):
        facts = {**CHAT, "session.id": session, "user.id": "u-1"}
        write(tmp_path / "traces.jsonl", otlp("1", "", f"chat {number}", number, number + 0.5, f"a{number}", facts))
    with opened(tmp_path) as page:
        page.get_by_role("link", name="Sessions").click()
        rows = page.get_by_label("By session", exact=True).locator("tbody tr")
        expect(rows.locator("td:first-child")).to_have_text(["anna", "ben"])
        expect(rows.first.locator("td.right")).to_have_text(["2", "500 ms", "500 ms", "2.4k → 80", "$0.50", "", ""])
        page.get_by_role("link", name="u-1").click()
        expect(page.locator(".traces tbody tr")).to_have_count(3)
        page.go_back()
        page.get_by_role("link", name="anna").click()
        expect(page.locator(".traces tbody tr")).to_have_count(2)
        expect(page.locator(".chip")).to_have_text(["session or user anna×"])


def test_reasoning_and_media_are_shown_as_what_they_are(opened, tmp_path):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    parts = [
        {"type": "reasoning", "content": "Tea is asked for."},
        {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "34 kB, sha256 12ab"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": pixel, "name": "cup.png"},
        {"type": "uri", "modality": "image", "uri": "https://example.invalid/cup.png", "detail": "low"},
        {"type": "file", "modality": "document", "mime_type": "application/pdf", "file_id": "file-7"},
    ]
    write(tmp_path / "traces.jsonl", otlp("1", "", "chat m", 0, 1, "aa", {
        **CHAT, "gen_ai.input.messages": messages(("user", parts))}))  # fmt: skip
    with opened(tmp_path) as page:
        requests = []
        page.on("request", lambda request: requests.append(request.url))
        visit(page, f"#/trace/{A}/1")
        expect(page.locator(".part-title")).to_have_text(
            ["reasoning", "audio · audio/wav", "image · image/png · cup.png", "image", "document · application/pdf"]
        )
        expect(page.locator(".part .content")).to_have_text(
            ["Tea is asked for.", "34 kB, sha256 12ab", "at https://example.invalid/cup.png", "stored as file-7"]
        )
        expect(page.locator(".part .dim")).to_have_text(["detail low"])
        expect(page.locator(".media")).to_have_js_property("naturalWidth", 1)
        assert [each for each in requests if "example.invalid" in each] == []


def test_the_statistics_of_one_trace(opened, shop):
    with opened(shop) as page:
        with leaving(page):
            page.get_by_role("link", name="shop", exact=True).click()
        page.get_by_role("link", name="Statistics of this trace").click()
        expect(page.locator("h1")).to_have_text("Statistics of one trace")
        expect(page.locator("tbody td.wide")).to_have_text(["gpt-4o-mini", "answer", "find", "shop"])
        expect(page.locator(".page > .facts")).to_contain_text("1 LM call")
        page.get_by_role("link", name="trace", exact=True).click()
        expect(page.locator("h1")).to_have_text("invoke_workflow shop")


def test_what_programs_write_appears_by_itself(opened, tmp_path):
    with opened(tmp_path) as page:
        expect(page.get_by_text("No trace is stored yet.")).to_be_visible()
        write(tmp_path / "traces.jsonl", otlp("2", "1", "module first", 1, 2, "aa"))
        expect(page.locator(".traces .name a")).to_have_text(["first"])
        expect(page.get_by_text("not ended")).to_be_visible()
        page.locator(".traces .name a").click()
        expect(page.locator(".row")).to_have_count(1)
        write(tmp_path / "traces.jsonl", otlp("1", "", "module whole", 0, 3, "aa"))
        expect(page.locator(".row .text")).to_have_text(["module whole", "module first"])
        expect(page.locator("h1")).to_have_text("module whole")


def test_a_trace_that_grows_keeps_the_row_that_is_active_and_the_matches(opened, tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", "", "module root", 0, 9), otlp("3", "1", "chat late", 5, 6))
    with opened(tmp_path) as page:
        page.locator(".traces .name a").click()
        page.get_by_label("Find in this trace").fill("late")
        page.keyboard.press("Enter")
        expect(page.locator(".row.active .text")).to_have_text("chat late")
        write(tmp_path / "traces.jsonl", otlp("2", "1", "chat early", 1, 2), otlp("4", "1", "chat later", 7, 8))
        expect(page.locator(".row")).to_have_count(4)
        expect(page.locator(".row.active .text")).to_have_text("chat late")
        expect(page.locator(".row.match .text")).to_have_text(["chat late", "chat later"])


@pytest.mark.parametrize(
    ("address", "title"), [("#/", "Traces"), ("#/statistics", "Statistics"), ("#/sessions", "Sessions")]
)
def test_a_view_whose_figures_are_the_same_is_not_drawn_again(opened, shop, address, title):
    write(shop / "traces.jsonl", otlp("1", "", "chat m", 9, 10, "cc", {**CHAT, "session.id": "anna"}))
    with opened(shop) as page:
        visit(page, address)
        expect(page.locator("h1")).to_have_text(title)
        page.locator("tbody a").first.focus()
        page.evaluate("window.first = document.activeElement")
        with page.expect_response("**/api/statistics?**" if len(address) > 2 else "**/api/traces?**"):
            with (shop / "traces.jsonl").open("a") as file:
                file.write("\n")
        with page.expect_request("**/api/version"):  # which follows when the answer is drawn
            pass
        assert page.evaluate("document.activeElement === window.first && window.first.isConnected")


def test_a_trace_of_20_000_spans_has_elements_only_for_the_rows_in_sight(opened, tmp_path):
    spans = [otlp("f" * 15 + "1", "", "module root", 0, 20_000)]
    spans += [otlp(f"{number:x}", "f" * 15 + "1", f"chat {number}", number, number + 1) for number in range(1, 20_001)]
    write(tmp_path / "traces.jsonl", *spans)
    with opened(tmp_path) as page:
        page.locator(".traces .name a").click()
        expect(page.locator(".row").first).to_be_visible()
        assert page.locator(".row").count() < 100
        page.keyboard.press("End")
        expect(page.locator(".row.active .text")).to_have_text("chat 20000")
        assert page.locator(".row").count() < 100
        page.get_by_label("Find in this trace").fill("chat 12345")
        page.keyboard.press("Enter")
        expect(page.locator(".row.active .text")).to_have_text("chat 12345")


SIDEWAYS = """
  [document.documentElement, ...document.querySelectorAll("body *")]
    .filter((each) => each === document.documentElement || /auto|scroll/.test(getComputedStyle(each).overflowX))
    .filter((each) => each.scrollWidth > each.clientWidth)
    .map((each) => `${each.tagName} ${each.className}`)"""


@pytest.fixture
def full(night):
    """A trace that fills each column of the statistics, with names of which none can be broken at a space."""
    facts = {**CHAT, "gen_ai.request.model": "model-" * 15, "gen_ai.response.time_to_first_chunk": 0.123456,
             "lmspan.lm.attempt_count": 12, "session.id": "session" * 20,
             "lmspan.module.path": "answer." * 20}  # fmt: skip
    wait = [("lmspan.lm.retry", 0.5, {"lmspan.lm.retry.delay_s": 1234.5})]
    write(
        night / "traces.jsonl",
        otlp("1", "", "module " + "Answer" * 20, 0, 4000, "cc", facts),
        otlp("2", "1", "chat m", 0, 3999, "cc", facts, events=wait),
        otlp("3", "1", "chat m", 0, 1, "cc", {**facts, "error.type": "shop.Closed"}, status=2),
        otlp("4", "1", "chat m", 0, 1, "cc", {**facts, "lmspan.lm.cache.hit": True}),
        otlp("5", "1", "execute_tool " + "find_" * 30, 0, 1, "cc", {"error.type": "shop.Closed"}, status=2),
    )
    return night


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_view_scrolls_sideways_at_any_width_in_light_or_dark(opened, full, scheme):
    widths = (390, 768, 1120, 1280, 1920)
    found, colors = [], set()
    with opened(full, color_scheme=scheme) as page:
        for address in ("#/", "#/?failed=1&text=" + "long" * 50, f"#/trace/{A}/9", f"#/trace/{A}/1c", f"#/trace/{C}",
                        f"#/run/{A}/1", f"#/evaluation/{A}/9", "#/statistics", "#/sessions", f"#/compare/{A}/{C}",
                        "#/statistics?by=model&key=gpt-4o-mini&measure=cost", "#/spans",
                        "#/spans?query=failed&sort=cost"):  # fmt: skip
            visit(page, address)
            expect(page.locator("main").locator(".row, table, .empty").first).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
            colors.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for width in widths:
                resize(page, width)
                found += [(address, width, each) for each in page.evaluate(SIDEWAYS)]
    assert found == []
    assert colors == {"rgb(251, 251, 250)" if scheme == "light" else "rgb(21, 24, 27)"}


def test_a_table_without_room_shows_each_row_with_all_of_its_figures(opened, shop):
    with opened(shop) as page:
        row = page.locator(".traces tr", has_text="Which tea?")
        expect(page.locator(".traces thead")).to_be_in_viewport()
        cost = row.locator("td", has_text="$0.25")
        expect(cost).to_have_css("display", "table-cell")
        page.set_viewport_size({"width": 390, "height": 800})
        expect(row).to_have_css("display", "flex")
        for text in ("1.2k → 40", "$0.25", "4.0 s"):
            expect(row.get_by_text(text)).to_be_in_viewport()
        expect(page.get_by_role("cell", name="$0.25")).to_be_visible()
        row.get_by_role("checkbox").check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_serious(opened, night, scheme):
    with opened(night, color_scheme=scheme, bypass_csp=True) as page:  # the checker is a script of its own
        found = []
        for address in ("#/", f"#/trace/{A}", f"#/trace/{A}/1c", f"#/run/{A}/1", f"#/evaluation/{A}/9", "#/statistics",
                        f"#/compare/{A}/{A}", "#/sessions", "#/spans"):  # fmt: skip
            visit(page, address)
            expect(page.locator("main").locator(".row, table, .empty").first).to_be_visible()
            expect(page.get_by_role("alert")).to_have_count(0)
            found += [
                (address, each["id"], [node["html"] for node in each["nodes"]][:3])
                for each in Axe().run(page).response["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        assert found == []


def test_a_trace_is_exported_as_one_page_without_a_server(chromium, night, tmp_path_factory):
    directory = tmp_path_factory.mktemp("exported")
    done = run_lmspan("ui", str(night), "--export", str(directory / "trace.html"))
    assert (done.returncode, done.stderr) == (0, "")
    assert (directory / "trace.html").stat().st_mode & 0o777 == 0o600
    page = slow_page(chromium.new_context(offline=True), offline=True)
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((directory / "trace.html").as_uri())
    settled(page)
    expect(page.locator("h1")).to_have_text("optimize GEPA")
    page.locator(".row .text", has_text="chat").first.click()
    expect(page.locator(".message .content")).to_have_text("Answer: Which tea?")
    page.locator(".head .links a").first.click()
    expect(page.locator(".diff ins")).to_have_text("kindly")
    page.get_by_role("link", name="examples").click()
    expect(page.locator(".examples tbody tr")).to_have_count(2)
    assert complaints == []
    page.context.close()
