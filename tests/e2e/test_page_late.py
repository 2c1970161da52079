"""Answers that are late, in a real browser: what the page states meanwhile, and what it keeps."""

import pytest
from playwright.sync_api import expect

from support.browser import late, resize, settled, visit
from support.stored import otlp, write

pytestmark = pytest.mark.e2e

A, B = "aa" * 16, "bb" * 16
SEARCH = "Search in full text"
BUSY, DRAWN = "main[aria-busy=true]", "main[aria-busy=false]"


@pytest.fixture
def night(tmp_path):
    """An optimizer run with three candidates, an evaluation of the last one, and a call of a model."""

    def candidate(number, score, word):
        facts = {"index": number, "id": f"c{number}", "score": score, "scope": "full",
                 "instructions": {"answer": f"Answer {word}."}}  # fmt: skip
        return {f"lmspan.optimizer.candidate.{name}": value for name, value in facts.items()}

    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", "optimize GEPA", 0, 9, "aa"),
        *(otlp(f"{number + 2}", "1", f"candidate #{number}", number, number + 1, "aa", candidate(number, number, word))
          for number, word in enumerate(("briefly", "kindly", "slowly"))),
        otlp("9", "4", "evaluate exact", 2, 3, "aa"),
        otlp("1", "", "chat m", 20, 21, "bb", {"gen_ai.request.model": "m", "session.id": "anna"}),
    )  # fmt: skip
    return tmp_path


def grow(directory, name="chat more", parent="1", trace="aa"):
    write(directory / "traces.jsonl", otlp("a", parent, name, 4, 5, trace))


@pytest.mark.parametrize(
    ("address", "question"),
    [
        ("#/?tool=find", "**/api/traces?*tool=find*"),
        (f"#/trace/{A}", f"**/api/traces/{A}"),
        (f"#/trace/{A}/1", f"**/api/traces/{A}/spans/1"),
        (f"#/run/{A}/1", f"**/api/traces/{A}/runs/1/difference?**"),
        ("#/sessions", "**/api/statistics?**"),
        ("#/statistics", "**/api/statistics/periods"),
    ],
)
def test_the_content_is_busy_until_its_view_is_drawn(opened, night, address, question):
    with opened(night) as page:
        with late(page, question):
            page.goto(f"/{address}")
            expect(page.locator(BUSY)).to_be_attached()
        expect(page.locator(DRAWN)).to_be_attached()
        page.goto("/#/nothing")
        expect(page.get_by_role("alert")).to_have_text("There is no such page.")
        expect(page.locator(DRAWN)).to_be_attached()


def test_a_view_that_is_left_while_it_loads_leaves_the_next_one_busy(opened, night):
    with opened(night) as page:
        page.route("**/api/statistics/periods", lambda _: None)  # it has no answer
        with late(page, "**/api/compare?**"):
            with page.expect_request("**/api/compare?**"):
                page.goto(f"/#/compare/{A}/{B}")
            page.goto("/#/statistics")
            expect(page.locator("h1")).to_have_text("Statistics")
        expect(page.locator(BUSY)).to_be_attached()


def test_the_figures_of_a_trace_are_busy_until_its_content_is_read(opened, night):
    with opened(night) as page:
        with late(page, f"**/api/traces/{A}/results"):
            page.goto(f"/#/trace/{A}")
            expect(page.locator(".row")).to_have_count(5)
            expect(page.get_by_label("Trace", exact=True)).to_have_attribute("aria-busy", "true")
        settled(page)
        expect(page.locator(".links").get_by_role("link", name="GEPA")).to_be_visible()


def test_a_late_answer_is_not_drawn_over_a_newer_one(opened, tmp_path):
    spans = [otlp("1", "", f"chat {number}", number, number + 1, f"{number + 16:04x}") for number in range(150)]
    write(tmp_path / "traces.jsonl", *spans)
    with opened(tmp_path) as page:
        names = page.locator(".traces .name a")
        with late(page, "**/api/traces?**limit=100**"):
            with page.expect_request("**/api/traces?**limit=100**"):
                grow(tmp_path, trace="ff")
            page.get_by_role("button", name="Show more").click()
            expect(names).to_have_count(151)
        expect(names).to_have_count(151)


def test_a_trace_that_grows_is_not_drawn_as_it_was(opened, night):
    with opened(night) as page:
        with late(page, f"**/api/traces/{A}/results"):
            page.goto(f"/#/trace/{A}")
            expect(page.locator(".row")).to_have_count(5)
            grow(night)
            expect(page.locator(".row")).to_have_count(6)
            expect(page.locator(".links").get_by_role("link", name="GEPA")).to_be_visible()
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
        expect(page.locator(".row")).to_have_count(6)


def test_the_two_candidates_that_were_chosen_last_are_compared(opened, night):
    with opened(night) as page:
        visit(page, f"#/run/{A}/1?candidate=2&before=1")
        expect(page.locator(".diff del")).to_have_text("kindly")
        with late(page, "**/difference?after=2&before=0"):
            page.get_by_label("Compare with").select_option("0")
            with page.expect_response("**/difference?after=2&before=1"):
                page.get_by_label("Compare with").select_option("1")
        expect(page.locator(".diff del")).to_have_text("kindly")


@pytest.mark.parametrize(("kind", "span", "name"), [("run", "1", "candidate #3"), ("evaluation", "9", "example #0")])
def test_a_view_that_was_left_changes_no_title(opened, night, kind, span, name):
    question = f"**/api/traces/{A}/{kind}s/{span}"
    with opened(night) as page:
        visit(page, f"#/{kind}/{A}/{span}")
        with late(page, question):
            with page.expect_request(question):
                grow(night, name, parent=span)
            visit(page, "#/sessions")
        expect(page).to_have_title("Sessions · lmspan")


def test_a_search_that_is_typed_before_the_list_is_there_goes_on(opened, night):
    with opened(night) as page:
        visit(page, "#/sessions")
        search = page.get_by_label(SEARCH)
        with late(page, "**/api/traces?limit=100"):
            page.goto("/#/")
            search.press_sequentially("ch")
            expect(page).to_have_url("/#/?text=ch")
            search.press_sequentially("at")
            expect(page).to_have_url("/#/?text=chat")
        expect(page.locator(".traces .name a")).to_have_text(["chat m"])
        expect(search).to_be_focused()


def test_a_span_that_is_late_takes_no_focus(opened, night):
    with opened(night) as page:
        with late(page, f"**/api/traces/{A}/spans/1"):
            page.goto(f"/#/trace/{A}/1")
            expect(page.locator(".row")).to_have_count(5)
            page.keyboard.press("/")
            expect(page.get_by_label("Find in this trace")).to_be_focused()
        expect(page.locator(".pane h2")).to_have_text("optimize GEPA")
        expect(page.get_by_label("Find in this trace")).to_be_focused()


@pytest.mark.parametrize(
    ("address", "place", "grown"),
    [
        ("#/?sort=calls", ".traces input >> nth=1", "tr:has-text('GEPA') td:text-is('1')"),
        ("#/statistics", "a:text-is('m')", "a:text-is('other')"),
        (f"#/run/{A}/1", ".candidates button >> nth=0", ".facts:has-text('4 evaluations')"),
        (f"#/evaluation/{A}/9", ".path a >> nth=0", ".facts:has-text('1 example')"),
        (f"#/trace/{A}", ".head summary", ".facts:has-text('8 spans')"),
    ],
)
def test_what_is_drawn_again_keeps_the_focus(opened, night, address, place, grown):
    with opened(night) as page:
        visit(page, address)
        page.locator(place).focus()
        kept = page.locator(place).text_content()
        page.evaluate("window.first = document.activeElement")
        write(
            night / "traces.jsonl",
            otlp("a", "1", "candidate #3", 4, 5, "aa", {"lmspan.optimizer.candidate.index": 3}),
            otlp("b", "9", "example #0", 4, 5, "aa", {"lmspan.evaluation.example.index": 0}),
            otlp("c", "1", "chat n", 4, 5, "aa", {"gen_ai.request.model": "other"}),
        )
        expect(page.locator(grown)).to_be_visible()
        expect(page.locator(":focus")).to_have_text(kept)
        expect(page.locator(place)).to_be_focused()


def test_a_row_is_opened_if_the_window_changes_while_the_mouse_is_down(opened, night):
    with opened(night) as page:
        visit(page, f"#/trace/{A}")
        page.locator(".row .text", has_text="evaluate").hover()
        page.mouse.down()
        resize(page, 1270)
        page.mouse.up()
        expect(page.locator(".pane h2")).to_have_text("evaluate exact")
