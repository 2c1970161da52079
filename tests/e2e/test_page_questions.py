"""The sixteen questions of `docs/how-to/read-a-trace.md` have their answers on the page, at most two clicks away."""

import re
import signal

import pytest
from playwright.sync_api import expect

from support.browser import leaving
from support.processes import start_day
from support.scenarios.core import NATIVE

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not NATIVE, reason="the day is one on DSPy 3.4"),
]
TEA, EVALUATION, HELPED, DID_NOT_HELP = r"Where is good tea\?", "evaluate measure", r"\$[\d.]+0 → 1$", r"\$[\d.]+0 → 0$"


def trace(words):
    return lambda page: page.locator(".traces tr", has_text=re.compile(words)).locator(".name a").click()


def link(name):
    return lambda page: page.get_by_role("link", name=name).click()


def span(name):
    return lambda page: page.locator(".row .text", has_text=re.compile(f"^{name}$")).last.click()


def today(page):
    expect(page.get_by_role("heading", name="Statistics")).to_be_visible()
    page.get_by_label("Started").select_option("today")


STATISTICS, SESSIONS = link("Statistics"), link("Sessions")
MODELS, MODULES, TOOLS = (f"[aria-label='Statistics by {each}']" for each in ("model", "module", "tool"))
QUESTIONS = {
    # the clicks, and the parts of the page with the text that answers, as regular expressions
    "Which step is slow?": (
        [trace(TEA), link("Statistics of this trace")], {MODULES: r"judge\s+over time\s+8\s+\d"},
    ),
    "Which tool is slow?": ([STATISTICS], {TOOLS: r"shipping_status\s+over time\s+3\s+\d+ ms"}),
    "Which model costs most?": (
        [STATISTICS],
        {MODELS: r"gpt-4o-mini\s+over time\s+53\s[^$]+\$0.00\d+[^$]*gpt-4o\s+over time\s+1\s[^$]+\$0.000657"},
    ),
    "Which ticket failed, and why?": (
        [trace("Where is B-2")],
        {".failures": r"shipping_status: \S*Error: the carrier does not answer\s+\S+day.py:\d+ in \S*shipping_status"},
    ),
    "Which example got a wrong answer?": (
        [trace(EVALUATION), link("measure: 0.6, 5 examples")], {".examples": r"3\s+0\s+q3\s+no\s+yes\s+expected no"},
    ),
    "Which example raised an exception?": (
        [trace(EVALUATION)], {".failures": r"ValueError: no gold answer for q2\s+\S+day.py:\d+ in \S*measure"},
    ),
    "Did the optimizer help?": ([], {".traces": r"optimize GEPA[^→]+→[^→]+0 → 1\s[^G]*GEPA[^→]+→[^→]+0 → 0\s"}),
    "What did it change?": ([trace(HELPED), link("GEPA: 0 → 1")], {".diff >> nth=0": r"Be[\s\S]*careful\."}),
    "Why was a candidate rejected?": (
        [trace(DID_NOT_HELP), link("GEPA: 0 → 0")],
        {".candidates": "New subsample score 0.0 not better than old score 0.0"},
    ),
    "Which prompt was sent?": (
        [trace(TEA), span("chat gpt-4o")],
        {".pane": r"system\s[\s\S]*Your input fields are[\s\S]*Where is good tea\?[\s\S]*Drink it at the river\."},
    ),
    "How often were requests repeated, and what did it cost?": ([STATISTICS], {MODELS: r"2, \d\.\d s waited"}),
    "How long do answers take, and when do they begin?": (
        [STATISTICS], {MODELS: r"p50\s+p95\s+max\s+first chunk p50 / p95[\s\S]+[\d.]+ ms / [\d.]+ ms"},
    ),
    "How many tokens does a session need?": ([SESSIONS], {"main": r"anna\s[^→]+321 → 24\s[\s\S]*ben\s[^→]+160 → 12\s"}),
    "What did the night cost?": ([STATISTICS, today], {".facts": r"9 traces\s+54 LM calls\s[\s\S]*\$0.00\d+"}),
    "Is it better than the run before?": (
        [trace(HELPED), link("Compare with the run before")], {"[aria-label='Totals']": r"\sscore\s+0\s+1\s"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    directory = tmp_path_factory.mktemp("day")
    start_day(directory).wait()
    return directory


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_in_two_clicks(opened, day, question):
    clicks, answers = QUESTIONS[question]
    assert len(clicks) <= 2
    with opened(day) as page:
        for click in clicks:
            with leaving(page):
                click(page)
        for place, answer in answers.items():
            expect(page.locator(place)).to_contain_text(re.compile(answer), use_inner_text=True)


def test_a_running_optimizer_and_a_killed_one_show_their_candidates_so_far(opened, tmp_path):
    program = start_day(tmp_path, "running")
    try:
        assert "waiting\n" in iter(program.stdout.readline, "")
        with opened(tmp_path) as page:
            expect(page.locator(".traces")).to_contain_text("running")
            for click in (trace("optimize GEPA"), link("GEPA: 0 → 0")):
                with leaving(page):
                    click(page)
            expect(page.locator(".run .badge")).to_have_text("running")
            expect(page.locator(".run .facts")).to_contain_text("4 evaluations")
            expect(page.locator(".candidates")).to_contain_text("minibatch")
            program.send_signal(signal.SIGKILL)
            program.wait()
            expect(page.locator(".run .badge")).to_have_text("not ended")
            expect(page.locator(".run .facts")).to_contain_text("4 evaluations")
    finally:
        program.kill()
        program.wait()
        program.stdout.close()
