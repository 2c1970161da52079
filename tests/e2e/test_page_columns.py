"""The columns of the list, in a real browser: sorted, hidden and shown."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from support.browser import resize, settled, visit
from support.stored import otlp, write

pytestmark = pytest.mark.e2e

WITHOUT_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new DOMException("denied", "SecurityError"); } });
"""
USUAL = ["", "started", "service", "trace", "time", "calls", "tokens", "cost"]
ALL = ["number", "started", "service", "session", "time", "spans", "calls", "tokens", "cost", "score", "state"]


def chat(name, start, duration, cost=None, trace=None, **facts):
    known = {"gen_ai.request.model": "m-1", "gen_ai.usage.input_tokens": 10, "session.id": "anna", **facts}
    known |= {} if cost is None else {"lmspan.cost.amount": cost}
    return otlp("1", "", f"chat {name}", start, start + duration, trace or name * 2, known)


@pytest.fixture
def shop(tmp_path):
    """Four traces from the oldest to the newest; the cost of dd is unknown."""
    write(
        tmp_path / "traces.jsonl",
        chat("a", 10, 3, 0.5), chat("b", 20, 1, 2.0), chat("c", 30, 9, 0.25), chat("d", 40, 2),
    )  # fmt: skip
    return tmp_path


def names(page):
    return page.locator(".traces .name a")


def heads(page):
    return page.locator(".traces th:not(.void)")


def sorted_by(page):
    return page.locator(".traces th[aria-sort]")


def head(page, name):
    return page.get_by_role("columnheader", name=name).get_by_role("button")


def test_a_click_on_a_title_sorts_the_list_and_the_address_has_it(opened, shop):
    with opened(shop) as page:
        expect(names(page)).to_have_text(["chat d", "chat c", "chat b", "chat a"])
        expect(sorted_by(page)).to_have_text(["started"])
        for name, address, direction, expected in (
            ("cost", "#/?sort=cost", "descending", "bacd"),
            ("cost", "#/?sort=cost&ascending=1", "ascending", "cabd"),
            ("cost", "#/?sort=cost", "descending", "bacd"),
            ("time", "#/?sort=duration", "descending", "cadb"),
            ("started", "#/", "descending", "dcba"),
            ("started", "#/?ascending=1", "ascending", "abcd"),
        ):
            head(page, name).click()
            expect(sorted_by(page)).to_have_text([name])
            expect(sorted_by(page)).to_have_attribute("aria-sort", direction)
            expect(names(page)).to_have_text([f"chat {each}" for each in expected])
            expect(page).to_have_url(f"/{address}")
        page.go_back()
        page.go_back()
        expect(names(page)).to_have_text(["chat c", "chat a", "chat d", "chat b"])
        page.reload()
        expect(sorted_by(page)).to_have_text(["time"])
        expect(names(page)).to_have_text(["chat c", "chat a", "chat d", "chat b"])


def test_the_keyboard_sorts_and_an_arrow_shows_the_direction(opened, shop):
    with opened(shop) as page:
        expect(names(page)).to_have_count(4)
        arrow = "getComputedStyle(document.activeElement, '::after').content"
        head(page, "tokens").focus()
        for key, direction, mark in (("Enter", "descending", "↓"), ("Space", "ascending", "↑")):
            page.keyboard.press(key)
            expect(sorted_by(page)).to_have_text(["tokens"])
            expect(sorted_by(page)).to_have_attribute("aria-sort", direction)
            expect(head(page, "tokens")).to_be_focused()
            assert mark in page.evaluate(arrow)
        page.keyboard.press("Tab")
        expect(head(page, "cost")).to_be_focused()
        assert page.evaluate(arrow) == "none"


def test_all_traces_are_sorted_and_more_of_them_are_shown(opened, tmp_path):
    costs = {number: number * 37 % 150 / 8 for number in range(150)}  # each once, in an order of its own
    spans = [chat(f"{number}", number + 10, 1, cost, f"{number + 16:04x}") for number, cost in costs.items()]
    write(tmp_path / "traces.jsonl", *spans, otlp("1", "", "chat failed", 1, 2, "ff", {"error.type": "E"}, 2))
    expected = [f"chat {number}" for number in sorted(costs, key=costs.get, reverse=True)]
    with opened(tmp_path) as page:
        expect(page.get_by_text("the newest 100 traces")).to_be_visible()
        head(page, "cost").click()
        expect(page.get_by_text("the first 100 traces by cost")).to_be_visible()
        expect(names(page)).to_have_text(expected[:100])
        page.get_by_role("button", name="Show more").click()
        expect(names(page)).to_have_text([*expected, "chat failed"])
        page.reload()
        expect(names(page)).to_have_count(100)
        head(page, "state").click()  # no trace above has failed
        expect(names(page).first).to_have_text("chat failed")
        expect(page.get_by_text("the first 100 traces by failures")).to_be_visible()


def test_filters_and_the_search_keep_the_order(opened, shop):
    write(shop / "traces.jsonl", chat("e", 50, 1, 1.0, **{"gen_ai.request.model": "m-2"}))
    with opened(shop) as page:
        visit(page, "#/?sort=cost&ascending=1&model=m-1&service=shop")
        expect(names(page)).to_have_text(["chat c", "chat a", "chat b", "chat d"])
        expect(page.locator(".chip")).to_have_text(["service shop×", "model m-1×"])
        page.get_by_label("Search in full text").fill("chat")
        expect(page.locator(".chip")).to_have_count(3)
        expect(names(page)).to_have_text(["chat c", "chat a", "chat b", "chat d"])
        head(page, "cost").click()
        expect(names(page)).to_have_text(["chat b", "chat a", "chat c", "chat d"])
        expect(page.locator(".chip")).to_have_count(3)
        page.get_by_role("link", name="remove all").click()
        expect(names(page)).to_have_text(["chat b", "chat e", "chat a", "chat c", "chat d"])
        expect(page).to_have_url("/#/?sort=cost")


def test_what_programs_write_takes_its_place_in_the_order(opened, shop):
    with opened(shop) as page:
        expect(names(page)).to_have_count(4)
        page.get_by_text("Columns", exact=True).click()
        head(page, "cost").click()
        expect(names(page)).to_have_text(["chat b", "chat a", "chat c", "chat d"])
        head(page, "cost").focus()
        write(shop / "traces.jsonl", chat("e", 50, 1, 1.0))
        expect(names(page)).to_have_text(["chat b", "chat e", "chat a", "chat c", "chat d"])
        expect(sorted_by(page)).to_have_text(["cost"])
        expect(head(page, "cost")).to_be_focused()
        expect(page.get_by_role("group", name="Columns")).to_be_visible()


def test_the_older_one_of_two_traces_is_on_the_left_in_any_order(opened, shop):
    with opened(shop) as page:
        visit(page, "#/?sort=duration")
        expect(names(page)).to_have_text(["chat c", "chat a", "chat d", "chat b"])
        for number in range(2):
            page.locator(".traces input").nth(number).check()
        page.get_by_role("link", name="Compare the two").click()
        expect(page.locator(".pair a")).to_have_text(["chat a", "chat c"])


def test_columns_are_hidden_and_shown_and_remembered(opened, shop):
    with opened(shop) as page:
        expect(heads(page)).to_have_text(USUAL)
        menu = page.get_by_role("group", name="Columns")
        expect(menu).to_be_hidden()
        page.get_by_text("Columns", exact=True).click()
        expect(menu.locator("label")).to_have_text(ALL)
        for name in ("service", "cost"):
            menu.get_by_label(name).uncheck()
        for name in ("number", "session", "spans"):
            menu.get_by_label(name).check()
        shown = ["", "#", "started", "session", "trace", "time", "spans", "calls", "tokens"]
        expect(heads(page)).to_have_text(shown)
        expect(page.locator(".traces tbody tr").nth(1).locator("td:not(.void)").nth(1)).to_have_text("2")
        expect(menu.get_by_label("spans")).to_be_focused()
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(page.locator("summary", has_text="Columns")).to_be_focused()
        page.keyboard.press("Enter")
        expect(menu).to_be_visible()
        page.reload()
        expect(heads(page)).to_have_text(shown)
        visit(page, "#/?sort=cost")  # a column that is hidden sorts all the same
        expect(names(page)).to_have_text(["chat b", "chat a", "chat c", "chat d"])
        page.get_by_text("Columns", exact=True).click()
        expect(menu.get_by_label("cost")).not_to_be_checked()
        menu.get_by_label("cost").check()
        expect(sorted_by(page)).to_have_text(["cost"])


def test_a_browser_that_stores_nothing_hides_columns_too(opened, shop):
    with opened(shop) as page:
        page.add_init_script(WITHOUT_STORAGE)
        page.reload()
        expect(heads(page)).to_have_text(USUAL)
        page.get_by_text("Columns", exact=True).click()
        page.get_by_label("service", exact=True).uncheck()
        expect(heads(page)).to_have_text([each for each in USUAL if each != "service"])
        page.reload()
        expect(heads(page)).to_have_text(USUAL)


@pytest.mark.parametrize(
    "stored", ["", "{", "null", "7", '"cost"', "[true]", '{"cost": "no", "trace": false, "x": true}']
)
def test_a_stored_choice_that_cannot_be_read_is_no_choice(opened, shop, stored):
    with opened(shop) as page:
        page.evaluate(f"localStorage.setItem('lmspan.columns', {json.dumps(stored)})")
        page.reload()
        expect(heads(page)).to_have_text(USUAL)
        page.get_by_text("Columns", exact=True).click()
        page.get_by_label("cost", exact=True).uncheck()
        expect(heads(page)).to_have_text(USUAL[:-1])
        page.reload()
        expect(names(page)).to_have_count(4)
        expect(heads(page)).to_have_text(USUAL[:-1])


def with_all_columns(page, address):
    page.evaluate(f"localStorage.setItem('lmspan.columns', {json.dumps(json.dumps(dict.fromkeys(ALL, True)))})")
    visit(page, address)
    page.reload()
    settled(page)
    expect(page.locator(".traces .session").first).to_be_attached()
    page.get_by_text("Columns", exact=True).click()
    expect(page.get_by_role("group", name="Columns")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_titles_sort_at_any_width_and_nothing_is_wider_than_the_window(opened, shop, width):
    with opened(shop) as page:
        page.set_viewport_size({"width": width, "height": 800})
        with_all_columns(page, "#/?sort=duration")
        expect(head(page, "cost")).to_be_in_viewport(ratio=1)
        head(page, "cost").click()
        expect(names(page)).to_have_text(["chat b", "chat a", "chat c", "chat d"])
        resize(page, width)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.evaluate("[...document.querySelectorAll('.scroll')].every((e) => e.scrollWidth <= e.clientWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_serious_in_columns(opened, shop, scheme):
    with opened(shop, color_scheme=scheme, bypass_csp=True) as page:  # the checker is a script of its own
        with_all_columns(page, "#/?sort=cost")
        for width in (1280, 390):
            resize(page, width)
            violations = Axe().run(page).response["violations"]
            assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
