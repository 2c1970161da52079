"""The view of single spans, which a query selects, in a real browser."""

import os
import re
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from lmspan.liveness import lock
from support.browser import resize, settled, slow_page, visit
from support.page import serving
from support.stored import otlp, write

pytestmark = pytest.mark.e2e

A, B = "aa" * 16, "bb" * 16
HOSTILE = "<img src=x onerror='window.harmed=1'><script>window.harmed=1</script> \u202egnp.exe \x1b[31mred"
SHOWN = HOSTILE.replace("\u202e", "·").replace("\x1b", "·")
ALL = ["tool find", "evaluate exact", "chat m-3", "chat m-2", "chat m-1", "module Predict", "invoke_workflow shop"]
SIDEWAYS = """
[document.documentElement, ...document.querySelectorAll("body *")]
  .filter((each) => each === document.documentElement || /auto|scroll/.test(getComputedStyle(each).overflowX))
  .filter((each) => each.scrollWidth > each.clientWidth).map((each) => `${each.tagName} ${each.className}`)
"""


def chat(number, start, duration, cost=None, trace="aa", **facts):
    known = {"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m-{number}", **facts}
    known |= {} if cost is None else {"lmspan.cost.amount": cost}
    return otlp(f"{number}c", "2", f"chat m-{number}", start, start + duration, trace, known)


def spans():
    """One trace of five spans, and a tool that failed, from the first to the last start."""
    return [
        otlp("1", "", "invoke_workflow shop", 0, 20, "aa", {"shop.items": 3}),
        otlp("2", "1", "module Predict", 1, 15, "aa", {"lmspan.module.path": "answer"}),
        chat(1, 2, 3, 0.5, **{"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 40}),
        chat(2, 3, 1, 2.0, **{"lmspan.lm.attempt_count": 4, "gen_ai.response.time_to_first_chunk": 0.25}),
        chat(3, 4, 9, **{"lmspan.lm.cache.hit": True, "gen_ai.usage.input_tokens": 7}),
        otlp("4", "1", "evaluate exact", 16, 18, "aa", {"gen_ai.evaluation.score.value": 0.75}),
        otlp("5", "", "tool find", 30, 31, "bb", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find",
             "error.type": "shop.stock.Empty"}, 2),
    ]  # fmt: skip


@pytest.fixture
def shop(tmp_path):
    write(tmp_path / "traces.jsonl", *spans())
    return tmp_path


@contextmanager
def tolerant(chromium, directory):
    """Open the page; the console may report responses that are errors, of queries that cannot be read."""
    complaints = []
    with serving(directory) as address:
        page = slow_page(chromium.new_context())
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        settled(page)
        yield page
        page.context.close()
    assert [each for each in complaints if "400 (Bad Request)" not in each] == []


def names(page):
    return page.locator(".spans .name a")


def box(page):
    return page.get_by_label("Query for spans")


def sorted_by(page):
    return page.locator(".spans th[aria-sort]")


def head(page, name):
    return page.get_by_role("columnheader", name=name).get_by_role("button")


def row(page, name):
    return page.locator(".spans tr", has_text=name)


def test_a_query_selects_spans_and_the_address_has_it(opened, shop):
    with opened(shop) as page:
        page.get_by_role("link", name="Spans", exact=True).click()
        expect(names(page)).to_have_text(ALL)
        expect(page.locator("nav [aria-current]")).to_have_text(["Spans"])
        expect(page).to_have_title("Spans · lmspan")
        box(page).fill("model:m cost>1")
        expect(names(page)).to_have_text(["chat m-2"])
        expect(page).to_have_url(page.url.partition("#")[0] + "#/spans?query=model%3Am+cost%3E1")
        expect(row(page, "chat m-2").locator(".words")).to_have_text("in module Predict")
        box(page).fill("not operation=lm under:shop")
        expect(names(page)).to_have_text(["evaluate exact", "module Predict"])
        expect(row(page, "module Predict").locator(".words")).to_have_text("answer · in invoke_workflow shop")
        page.reload()
        expect(names(page)).to_have_text(["evaluate exact", "module Predict"])
        expect(box(page)).to_have_value("not operation=lm under:shop")
        page.go_back()
        expect(names(page)).to_have_text(["chat m-2"])
        expect(box(page)).to_have_value("model:m cost>1")
        page.go_back()
        expect(names(page)).to_have_text(ALL)
        expect(box(page)).to_have_value("")
        box(page).fill("prompt")
        expect(page.get_by_text("No span matches.")).to_be_visible()
        page.get_by_role("link", name="Show all spans").click()
        expect(names(page)).to_have_text(ALL)


def test_a_row_has_the_figures_of_its_span(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans?query=operation=lm+or+failed+or+score>0")
        expect(names(page)).to_have_count(5)
        cells = [
            (each.get_by_role("cell").nth(column), text)
            for each, texts in (
                (row(page, "m-1"), {1: "shop", 3: "3.0 s", 4: "", 5: "1.2k → 40", 6: "$0.50", 7: "", 9: ""}),
                (row(page, "m-2"), {3: "1.0 s", 4: "250 ms", 5: "", 6: "$2.00", 7: "3", 8: "", 9: ""}),
                (row(page, "m-3"), {3: "9.0 s", 5: "7 → –", 6: "", 9: "cached"}),
                (row(page, "evaluate"), {8: "0.75"}),
                (row(page, "find"), {3: "1.0 s", 9: "failedEmpty"}),
            )
            for column, text in texts.items()
        ]
        for cell, text in cells:
            expect(cell).to_have_text(text)
        expect(page.get_by_title("shop.stock.Empty")).to_be_visible()
        expect(page.locator(".spans tr.failed")).to_have_count(1)


def test_letters_that_follow_each_other_are_one_entry_of_the_history(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans")
        expect(names(page)).to_have_text(ALL)
        before = page.evaluate("history.length")
        box(page).evaluate("""(box) => {
            for (const length of [1, 2, 3, 4, 5, 6]) {
                box.value = "cached".slice(0, length);
                box.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }""")
        expect(names(page)).to_have_text(["chat m-3"])
        assert page.evaluate("history.length") == before + 1
        box(page).fill("failed")
        box(page).press("Enter")
        expect(names(page)).to_have_text(["tool find"])
        assert page.evaluate("history.length") == before + 2


@pytest.mark.parametrize(("title", "address"), [("time", "sort=duration"), ("cost", "sort=cost")])
def test_a_title_that_is_clicked_while_a_query_is_typed_loses_no_letter(opened, shop, title, address):
    with opened(shop) as page:
        visit(page, "#/spans?since=1970-01-01")
        page.evaluate(
            """title => {
              const box = document.querySelector("input[name=query]");
              box.value = "failed";
              box.dispatchEvent(new Event("input"));
              [...document.querySelectorAll("th .sort")].find((each) => each.textContent === title).click();
            }""",
            title,
        )
        expect(page).to_have_url(f"/#/spans?since=1970-01-01&{address}&query=failed")
        expect(page.get_by_label("Query for spans")).to_have_value("failed")


def test_an_example_that_is_clicked_while_a_query_is_typed_takes_its_place(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans")
        page.evaluate(
            """() => {
              const box = document.querySelector("input[name=query]");
              box.value = "failed";
              box.dispatchEvent(new Event("input"));
              document.querySelectorAll(".examples a")[3].click();
            }"""
        )
        expect(page).to_have_url("/#/spans?query=cached")
        expect(page.get_by_label("Query for spans")).to_have_value("cached")
        page.get_by_label("Query for spans").fill("tea")
        expect(page).to_have_url("/#/spans?query=tea")


def test_the_history_leads_back_while_the_box_has_the_focus(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans?query=failed")
        expect(names(page)).to_have_text(["tool find"])
        box(page).fill("cached")
        expect(names(page)).to_have_text(["chat m-3"])
        expect(box(page)).to_be_focused()
        page.go_back()
        expect(names(page)).to_have_text(["tool find"])
        expect(box(page)).to_have_value("failed")


def test_a_box_that_changes_when_it_is_removed_does_not_lead_back(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans")
        expect(names(page)).to_have_text(ALL)
        page.clock.install()
        left = box(page).element_handle()
        box(page).fill("cached")
        expect(names(page)).to_have_text(["chat m-3"])
        visit(page, "#/?text=find")
        expect(page.locator(".traces .name a")).to_have_text(["tool find"])
        left.evaluate("(box) => box.dispatchEvent(new Event('change'))")
        page.clock.run_for(1000)
        assert page.url.endswith("#/?text=find")


def test_a_query_that_cannot_be_read_says_why_and_the_last_rows_stay(chromium, shop):
    with tolerant(chromium, shop) as page:
        visit(page, "#/spans?query=cost>1")
        alert = page.get_by_role("alert")
        expect(names(page)).to_have_text(["chat m-2"])
        expect(alert).to_have_count(0)
        for query, message in (
            ("cost>1 (", "a term is expected in the query at its end"),
            ("prize>1", "'prize' is no field of a query"),
            ('tea "cup', "a quotation mark of the query has no second one"),
        ):
            box(page).fill(query)
            expect(alert).to_contain_text(message)
            expect(box(page)).to_have_attribute("aria-invalid", "true")
            expect(box(page)).to_have_accessible_description(alert.text_content())
            expect(names(page)).to_have_text(["chat m-2"])
        page.reload()
        expect(alert).to_have_text("a quotation mark of the query has no second one")
        expect(names(page)).to_have_count(0)
        box(page).fill("cached")
        expect(names(page)).to_have_text(["chat m-3"])
        expect(alert).to_have_count(0)
        expect(box(page)).to_have_attribute("aria-invalid", "false")
        box(page).fill("cached)")
        expect(alert).to_contain_text("stands where a term is expected")
        box(page).fill("cached")  # the answer that is drawn already
        expect(alert).to_have_count(0)
        expect(names(page)).to_have_text(["chat m-3"])


def test_an_example_fills_the_query_and_keeps_the_other_filters(opened, shop):
    write(shop / "traces.jsonl", otlp("6", "", "execute_tool sell", 40, 41, "cc", {"error.type": "E"}, 2), service="x")
    write(shop / "open-1-1.jsonl", otlp("7", "", "chat m-4", 50, 0, "dd"), service="shop")
    write(shop / "open-2-2.jsonl", otlp("7", "", "module lost", 45, 0, "ee"), service="shop")
    file = os.open(shop / "open-1-1.jsonl", os.O_RDWR)
    assert lock(file)
    with opened(shop) as page:
        visit(page, "#/spans?service=shop&query=nothing")
        expect(page.get_by_text("No span matches.")).to_be_visible()
        for example, query, column, expected in (
            ("tools that failed", "operation=tool failed", "started", ["tool find"]),
            ("slowest LM calls", "operation=lm", "time", None),
            ("calls above $0.01", "operation=lm cost>0.01", "cost", ["chat m-2", "chat m-1"]),
            ("answers from the cache", "cached", "started", ["chat m-3"]),
            ("requests that were repeated", "retries>0", "retries", ["chat m-2"]),
            ("running now", "running", "started", ["chat m-4"]),
            ("not ended", 'state="not ended"', "started", ["module lost"]),
        ):
            page.get_by_role("link", name=example, exact=True).click()
            expect(box(page)).to_have_value(query)
            expect(page.locator(".examples [aria-current]")).to_have_text([example])
            expect(sorted_by(page)).to_have_text([column])
            if expected is None:
                expect(names(page)).to_have_text(["chat m-4", "chat m-3", "chat m-1", "chat m-2"])
            else:
                expect(names(page)).to_have_text(expected)
            expect(page.locator(".chip")).to_have_text(["service shop×"])
        page.get_by_role("link", name="Remove the filter service shop").click()
        expect(page.locator(".chip")).to_have_count(0)
        page.get_by_role("link", name="tools that failed").click()
        expect(names(page)).to_have_text(["execute_tool sell", "tool find"])
    os.close(file)


def test_the_help_names_fields_and_operators(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans")
        expect(page.locator(".help")).to_have_count(0)
        page.get_by_text("How to ask").click()
        expect(page.get_by_role("region", name="How to ask").get_by_role("row")).to_have_count(9)
        for field in ("under:judge", "cost>0.1", "duration>2s", "failed cached running", "shop.items>3"):
            expect(page.locator(".help code", has_text=field)).to_be_visible()
        box(page).fill("cached")
        expect(names(page)).to_have_text(["chat m-3"])
        expect(page.locator(".help")).to_be_visible()


def test_titles_sort_all_spans_and_the_address_has_it(opened, shop):
    lm = "#/spans?query=operation%3Dlm"
    with opened(shop) as page:
        visit(page, lm)
        expect(names(page)).to_have_text(["chat m-3", "chat m-2", "chat m-1"])
        for title, address, direction, expected in (
            ("time", "&sort=duration", "descending", "312"),
            ("time", "&sort=duration&ascending=1", "ascending", "213"),
            ("first chunk", "&sort=first_chunk", "descending", "231"),
            ("tokens", "&sort=tokens", "descending", "132"),
            ("cost", "&sort=cost", "descending", "213"),
            ("cost", "&sort=cost&ascending=1", "ascending", "123"),
            ("retries", "&sort=retries", "descending", "231"),
            ("started", "", "descending", "321"),
            ("started", "&ascending=1", "ascending", "123"),
        ):
            head(page, title).click()
            expect(sorted_by(page)).to_have_text([title])
            expect(sorted_by(page)).to_have_attribute("aria-sort", direction)
            expect(names(page)).to_have_text([f"chat m-{each}" for each in expected])
            expect(head(page, title)).to_be_focused()
            expect(page).to_have_url(page.url.partition("#")[0] + lm + address)
        page.go_back()
        page.go_back()
        expect(sorted_by(page)).to_have_text(["retries"])
        expect(names(page)).to_have_text(["chat m-2", "chat m-3", "chat m-1"])
        box(page).fill("cost>0 or failed or score>0")
        expect(names(page)).to_have_text(["chat m-2", "chat m-1", "tool find", "evaluate exact"])
        visit(page, "#/spans?sort=score")
        expect(names(page).first).to_have_text("evaluate exact")
        expect(sorted_by(page)).to_have_text(["score"])


def test_more_spans_than_the_first_hundred_are_sorted_and_shown(opened, tmp_path):
    costs = {number: number * 37 % 150 / 8 for number in range(150)}
    write(tmp_path / "traces.jsonl", *(chat(number + 100, number, 1, cost) for number, cost in costs.items()))
    expected = [f"chat m-{number + 100}" for number in sorted(costs, key=costs.get, reverse=True)]
    with opened(tmp_path) as page:
        visit(page, "#/spans")
        expect(page.get_by_text("the newest 100 spans")).to_be_visible()
        head(page, "cost").click()
        expect(page.get_by_text("the first 100 spans by cost")).to_be_visible()
        expect(names(page)).to_have_text(expected[:100])
        page.get_by_role("button", name="Show more").click()
        expect(names(page)).to_have_text(expected)
        expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_row_leads_to_the_span_in_its_trace_and_back(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans?query=operation=lm&sort=cost")
        expect(names(page)).to_have_text(["chat m-2", "chat m-1", "chat m-3"])
        names(page).nth(1).click()
        expect(page.locator(".pane h2")).to_have_text("chat m-1")
        expect(page).to_have_url(page.url.partition("#")[0] + f"#/trace/{A}/1c")
        page.go_back()
        expect(names(page)).to_have_text(["chat m-2", "chat m-1", "chat m-3"])
        expect(box(page)).to_have_value("operation=lm")
        expect(sorted_by(page)).to_have_text(["cost"])
        row(page, "chat m-3").locator(".time").click()
        expect(page.locator(".pane h2")).to_have_text("chat m-3")


def test_what_programs_write_appears_by_itself_in_its_order(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans?query=operation=lm&sort=cost")
        expect(names(page)).to_have_text(["chat m-2", "chat m-1", "chat m-3"])
        head(page, "cost").focus()
        write(shop / "traces.jsonl", chat(8, 50, 1, 1.0, "ee"))
        expect(names(page)).to_have_text(["chat m-2", "chat m-8", "chat m-1", "chat m-3"])
        expect(head(page, "cost")).to_be_focused()
        box(page).fill("model:m-9")
        expect(page.get_by_text("No span matches.")).to_be_visible()
        write(shop / "traces.jsonl", chat(9, 60, 1, 1.0, "ff"))
        expect(names(page)).to_have_text(["chat m-9"])
        expect(box(page)).to_be_focused()


def test_an_operation_that_runs_is_shown_as_running_until_its_process_ends(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans?query=running or model=m-1")
        expect(names(page)).to_have_text(["chat m-1"])
        journal = shop / "open-2-2.jsonl"
        file = os.open(journal, os.O_RDWR | os.O_CREAT)
        assert lock(file)
        write(journal, otlp("7c", "", "chat m-7", 70, 0, "dd", {"gen_ai.request.model": "m-7"}))
        expect(names(page)).to_have_text(["chat m-7", "chat m-1"])
        expect(row(page, "chat m-7").locator(".badge")).to_have_text(["running"])
        box(page).fill("model=m-7")
        expect(names(page)).to_have_text(["chat m-7"])
        os.close(file)
        expect(row(page, "chat m-7").locator(".badge")).to_have_text(["not ended"])


def test_rows_that_are_the_same_are_not_drawn_again(opened, shop):
    with opened(shop) as page:
        visit(page, "#/spans")
        expect(names(page)).to_have_text(ALL)
        names(page).first.focus()
        page.evaluate("window.first = document.querySelector('.spans a')")
        with page.expect_response("**/api/spans?**"), (shop / "traces.jsonl").open("a") as file:
            file.write("\n")
        with page.expect_request("**/api/version"):  # which follows when the answer is drawn
            pass
        assert page.evaluate("document.activeElement === window.first && window.first.isConnected")


def test_a_page_without_spans_says_how_they_come(opened, tmp_path):
    with opened(tmp_path) as page:
        visit(page, "#/spans")
        expect(page.get_by_text("No span is stored yet.")).to_be_visible()
        write(tmp_path / "traces.jsonl", *spans())
        expect(names(page)).to_have_text(ALL)


def test_the_list_takes_a_query_for_spans_and_leads_to_them_and_back(opened, shop):
    traces = ".traces .name a"
    with opened(shop) as page:
        expect(page.locator(traces)).to_have_text(["tool find", "shop"])
        expect(page.get_by_role("link", name="Spans of these traces")).to_have_count(0)
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Has a span").fill("cached duration>5s")
        expect(page.locator(traces)).to_have_text(["shop"])
        expect(page.locator(".chip")).to_have_text(["has a span cached duration>5s×"])
        page.get_by_role("link", name="Spans of these traces").click()
        expect(names(page)).to_have_text(["chat m-3"])
        expect(box(page)).to_have_value("cached duration>5s")
        box(page).fill("failed")
        expect(names(page)).to_have_text(["tool find"])
        page.get_by_role("link", name="Traces of these spans").click()
        expect(page.locator(traces)).to_have_text(["tool find"])
        expect(page.locator(".chip")).to_have_text(["has a span failed×"])
        page.reload()
        expect(page.locator(".chip")).to_have_text(["has a span failed×"])
        page.get_by_role("link", name="Remove the filter has a span failed").click()
        expect(page.locator(traces)).to_have_text(["tool find", "shop"])


def test_a_filter_of_the_list_that_cannot_be_read_says_why(chromium, shop):
    with tolerant(chromium, shop) as page:
        visit(page, "#/?where=cost>much")
        expect(page.get_by_role("alert")).to_contain_text("'much' is no number")
        page.get_by_role("link", name="Remove the filter has a span cost>much").click()
        expect(page.locator(".traces .name a")).to_have_text(["tool find", "shop"])


def test_a_time_that_is_not_offered_stays_when_a_query_is_typed(opened, shop):
    since, quoted = "1970-01-01 00:00:25+00:00", "1970-01-01+00:00:25%2B00:00"
    with opened(shop) as page:
        for address, label in (
            (f"#/spans?since={quoted}", "Query for spans"),
            (f"#/?since={quoted}", "Search in full text"),
        ):
            visit(page, address)
            expect(page.get_by_label(label)).to_be_visible()
            expect(page.get_by_label("Started", exact=True)).to_have_value(since)
            expect(page.locator(".listed .name a")).to_have_text(["tool find"])
            page.get_by_label(label).fill("find")
            expect(page).to_have_url(re.compile("=find"))
            expect(page.locator(".chip", has_text=since)).to_be_visible()
            expect(page.locator(".listed .name a")).to_have_text(["tool find"])


@pytest.mark.parametrize(("name", "calls", "found"), [
    ("m-3", "1", ["chat m-3"]), ("answer", "1", ["module Predict"]), ("find", "1", ["tool find"]),
])  # fmt: skip
def test_the_number_of_calls_in_the_statistics_leads_to_their_spans(opened, shop, name, calls, found):
    write(shop / "traces.jsonl", otlp("6", "", "execute_tool x", 40, 41, "cc", {"gen_ai.tool.name": 'a "b"'}))
    with opened(shop) as page:
        visit(page, "#/statistics")
        expect(page.get_by_role("heading", name="By tool")).to_be_visible()
        quoted = page.locator(".figures tr", has=page.get_by_role("link", name='a "b"', exact=True))
        expect(quoted).to_have_count(1)
        expect(quoted.get_by_title("the spans")).to_have_count(0)
        counted = page.locator(".figures tr", has=page.get_by_role("link", name=name, exact=True))
        counted.get_by_title("the spans").get_by_text(calls).click()
        expect(names(page)).to_have_text(found)


def test_hostile_names_and_queries_are_text(opened, tmp_path):
    facts = {"gen_ai.operation.name": "chat", "gen_ai.request.model": HOSTILE, "error.type": HOSTILE}
    write(
        tmp_path / "traces.jsonl",
        otlp("1", "", f"module {HOSTILE}", 0, 4, "aa", {"lmspan.module.path": HOSTILE}),
        otlp("2", "1", f"chat {HOSTILE}", 1, 2, "aa", facts, 2), service=HOSTILE,
    )  # fmt: skip
    with opened(tmp_path) as page:
        visit(page, '#/spans?service="><img src=x onerror=window.harmed=1>&query="<img src=x onerror=window.harmed=1>"')
        expect(page.get_by_text("No span matches.")).to_be_visible()
        expect(page.locator(".chip")).to_contain_text("<img src=x")
        visit(page, '#/spans?query=name:"<script>"')
        expect(names(page)).to_have_text([f"chat {SHOWN}", f"module {SHOWN}"])
        expect(names(page).first.locator("xpath=..").locator(".words")).to_have_text(f"in module {SHOWN}")
        page.get_by_role("link", name="Traces of these spans").click()
        expect(page.locator(".chip")).to_have_text(['has a span name:"<script>"×'])
        assert page.evaluate("window.harmed") is None
        assert page.locator("main img, main script, a[href^='javascript']").count() == 0


@pytest.fixture
def full(shop):
    """Spans that fill each column, with names that cannot be broken at a space."""
    long = {"lmspan.module.path": "answer." * 20, "gen_ai.usage.input_tokens": 10**7, "lmspan.cost.amount": 0.123456,
            "gen_ai.response.time_to_first_chunk": 0.25, "lmspan.lm.attempt_count": 12, "lmspan.lm.cache.hit": True,
            "gen_ai.request.model": "m" * 90, "error.type": "shop." + "Closed" * 20}  # fmt: skip
    write(
        shop / "traces.jsonl",
        otlp("1", "", "module " + "Answer" * 20, 50, 4000, "cc", long),
        otlp("2", "1", "chat " + "m" * 90, 50, 3999, "cc", {**long, "gen_ai.operation.name": "chat"}, 2),
        otlp("3", "f", "example " + "é" * 90, 50, 3999, "cc", {"gen_ai.evaluation.score.value": 0.123456789}),
        service="service" * 10,
    )
    write(shop / "open-1-1.jsonl", otlp("7", "", "chat m-4", 50, 0, "dd"), service="shop")
    return shop


def with_help(page, query):
    visit(page, f"#/spans?query={query}&service={'service' * 10}&since=1970-01-01")
    expect(page.locator(".chip")).to_have_count(2)
    expect(names(page)).to_have_count(3)
    page.get_by_text("How to ask").click()
    expect(page.locator(".help")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(opened, full, scheme):
    with opened(full, color_scheme=scheme) as page:
        with_help(page, "failed or not name:" + "x" * 300)
        for width in (390, 768, 1120, 1280, 1920):
            resize(page, width)
            assert (width, page.evaluate(SIDEWAYS)) == (width, [])
        expect(row(page, "chat mm")).to_have_css("display", "table-row")
        resize(page, 390)
        expect(row(page, "chat mm")).to_have_css("display", "flex")
        head(page, "cost").click()
        expect(sorted_by(page)).to_have_text(["cost"])
        expect(names(page).first).to_have_text("chat " + "m" * 90)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_serious_in_spans(chromium, full, scheme):
    with serving(full) as address:
        context = chromium.new_context(color_scheme=scheme, bypass_csp=True)  # the checker is a script of its own
        page = slow_page(context)
        page.goto(address)
        settled(page)
        with_help(page, "failed or not cached")
        box(page).fill("failed or")
        expect(page.get_by_role("alert")).to_be_visible()
        for width in (1280, 390):
            resize(page, width)
            violations = Axe().run(page).response["violations"]
            assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
        context.close()
