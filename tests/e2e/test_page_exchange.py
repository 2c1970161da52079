"""What leaves the page and what comes to it, in a real browser: one page as a file, a trace sent, a trace received."""

import json
import random

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from playwright.sync_api import expect

from lmspan.page import export
from lmspan.page.reader import Reader
from support.browser import leaving, settled, slow_page
from support.otlp import http_receiver
from support.stored import line, otlp

pytestmark = pytest.mark.e2e

ROOT = "f" * 15 + "1"
MANY = 20_000


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A trace of 20,000 calls of modules, each with an input of fifty words."""
    directory = tmp_path_factory.mktemp("large")
    words = [f"word{number}" for number in range(500)]
    chosen = random.Random(1)  # noqa: S311 - words
    spans = [otlp(ROOT, "", "module root", 0, MANY)]
    for number in range(1, MANY + 1):
        facts = {"lmspan.module.inputs": json.dumps({"question": " ".join(chosen.choices(words, k=50))})}
        spans.append(otlp(f"{number:x}", ROOT, f"module {number}", number, number + 1, attributes=facts))
    lines = (line(*spans[start : start + 1000]) for start in range(0, len(spans), 1000))
    (directory / "traces.jsonl").write_text("".join(lines))
    return directory


@pytest.fixture
def offline(chromium):
    """Open a file in a browser without a network; every message of the browser's console is a failure."""
    complaints, contexts = [], []

    def open_file(path):
        contexts.append(chromium.new_context(offline=True, viewport={"width": 1280, "height": 800}))
        page = slow_page(contexts[-1], offline=True)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        settled(page)
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert complaints == []


def exported(directory, path):
    reader = Reader(directory)
    written = export.page(reader, "last")
    reader.close()
    path.write_text(written.text)
    return written


def find(page, name):
    page.get_by_label("Find in this trace").fill(name)
    page.keyboard.press("Enter")
    row = page.locator(".row.active .text")
    expect(row).to_have_text(name)
    with leaving(page):
        row.click()


def test_a_trace_of_20_000_spans_is_a_file_that_can_be_sent(large, offline, tmp_path):
    written = exported(large, tmp_path / "trace.html")
    assert written.left_out == ""
    assert (tmp_path / "trace.html").stat().st_size < (large / "traces.jsonl").stat().st_size / 2
    page = offline(tmp_path / "trace.html")
    expect(page.get_by_text("Reading the content…")).to_have_count(0)
    for number in (1, 12_345, 20_000):
        find(page, f"module {number}")
        expect(page.locator(".pane h2")).to_have_text(f"module {number}")
        expect(page.locator(".fields-view .content")).to_contain_text("word")
    expect(page.get_by_role("note")).to_have_count(0)


def test_what_does_not_fit_is_left_out_and_the_page_says_so(large, offline, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_LARGEST", 1_000_000)
    written = exported(large, tmp_path / "trace.html")
    assert len(written.text) < 2_500_000
    page = offline(tmp_path / "trace.html")
    expect(page.get_by_role("note")).to_have_text(written.left_out)
    assert written.left_out.startswith("This file has the content of ")
    assert written.left_out.endswith(f" of {MANY + 1:,} spans; lmspan ui shows all of them.")
    find(page, "module 1")
    expect(page.locator(".fields-view .content")).to_contain_text("word")
    find(page, "module 20000")
    expect(page.locator("aside [role=alert]")).to_have_text(
        "The content of this span is left out, because the file would be too large. lmspan ui shows it."
    )


def optimized(path, count):
    """An optimizer run with so many candidates, each with instructions of its own."""
    prefix = "lmspan.optimizer.candidate."
    spans = [otlp("1", "", "optimize GEPA", 0, count + 1, "aa")]
    for number in range(count):
        facts = {"index": number, "id": f"c{number}", "score": number / count, "scope": "full", "accepted": True,
                 "instructions": {"answer": f"Answer as number {number}."}}  # fmt: skip
        spans.append(otlp(f"{number + 16:x}", "1", f"candidate #{number}", number, number + 1, "aa",
                          {prefix + name: value for name, value in facts.items()}))  # fmt: skip
    (path / "traces.jsonl").write_text(line(*spans))
    exported(path, path / "run.html")
    return path / "run.html"


@pytest.mark.parametrize(("count", "has_all"), [(4, True), (30, False)])
def test_any_two_of_few_candidates_are_compared_and_of_many_a_candidate_and_its_parent(
    offline, tmp_path, count, has_all
):
    page = offline(optimized(tmp_path, count))
    page.locator(".head .links a").first.click()
    expect(page.locator(".diff ins")).to_have_text(str(count - 1))
    page.locator(".changes select").select_option("2")
    if has_all:
        expect(page.locator(".diff del")).to_have_text("2")
    else:
        expect(page.get_by_role("alert")).to_contain_text("the file has the differences to their parents only")


def test_a_trace_is_sent_from_its_page(opened, tmp_path):
    (tmp_path / "traces.jsonl").write_text(line(otlp("1" * 16, trace="aa")))
    with http_receiver() as (endpoint, received), opened(tmp_path) as page:
        with leaving(page):
            page.locator(".traces .name a").click()
        page.get_by_text("Send to a backend").click()
        page.get_by_label("Endpoint").fill(endpoint)
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator(".sending [role=status]")).to_have_text(f"sent 1 span of 1 trace to {endpoint}/v1/traces")
    assert received.names == ["module M"]


def test_a_trace_that_is_received_appears_by_itself(opened, tmp_path):
    with opened(tmp_path) as page:
        exporter = OTLPSpanExporter(f"{page.url}v1/traces")
        provider = TracerProvider(resource=Resource({"service.name": "far"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        facts = {"openinference.span.kind": "LLM", "input.value": "Which <b>tea</b>?"}
        provider.get_tracer("foreign").start_span("ChatCompletion", attributes=facts).end()
        provider.shutdown()
        with leaving(page):
            page.locator(".traces .name a", has_text="ChatCompletion").click()
        page.locator(".row").click()
        expect(page.locator("aside .content").first).to_have_text("Which <b>tea</b>?")
