"""A long text that a program passes on is searched once for a trace, and nothing of it stays after that."""

import json
import sys

import pytest
from opentelemetry import context

import lmspan
from lmspan import testing
from lmspan.content import clipping
from lmspan.content.payload import Content
from lmspan.content.redaction import REDACTED, Redactor

KEY = "plum-pudding-42"


def text_of(length):
    return f"{'word ' * (length // 5)}{KEY} end"


@pytest.fixture
def searched(monkeypatch):
    """The lengths of the texts that were searched."""
    lengths = []
    search = clipping.without_payloads
    monkeypatch.setattr(
        clipping, "without_payloads", lambda text, limit: lengths.append(len(text)) or search(text, limit)
    )
    return lengths


def test_the_same_text_is_searched_once(searched):
    content, text, texts = Content(), text_of(1000), {}
    first = content.json({"question": text}, texts)
    again = content.json([{"role": "user", "content": text}], texts)
    assert (json.loads(first), json.loads(again)) == ({"question": text}, [{"role": "user", "content": text}])
    assert searched == [len(text)]


def test_an_equal_text_is_another_one(searched):
    content, texts = Content(), {}
    assert content.json(text_of(1000), texts) == content.json(text_of(1000), texts)
    assert len(searched) == 2


def test_a_key_that_is_learned_in_between_is_removed():
    content, text, texts = Content(redactor=Redactor()), text_of(1000), {}
    assert KEY in content.json(text, texts)
    content.redactor.know(KEY)
    assert json.loads(content.json(text, texts)) == text.replace(KEY, REDACTED)


def test_another_limit_is_another_result(searched):
    redactor, text, texts = Redactor(), text_of(1000), {}
    assert [len(clipping.clip(text, limit, redactor, texts)) for limit in (2000, 2000, 100)][:2] == [len(text)] * 2
    assert clipping.clip(text, 100, redactor, texts).startswith(f"{text[:100]}…")
    assert searched == [len(text)] * 2


def test_the_hook_receives_each_use_of_a_text():
    heard = []
    content, text = Content(redactor=Redactor(lambda each: heard.append(each) or each)), text_of(1000)
    texts = {}
    content.json(text, texts)
    content.json(text, texts)
    assert heard == [text, text]


def test_few_texts_are_kept_and_none_that_is_very_long():
    redactor, kept = Redactor(), {}
    texts = [text_of(1000 + length) for length in range(40)]
    for text in [*texts, text_of(300_000), "short"]:
        clipping.clip(text, 500_000, redactor, kept)
    assert 0 < len(kept) <= 16
    assert all(any(each.text is text for text in texts) for each in kept.values())


def test_no_text_is_kept_when_its_trace_has_ended_and_its_spans_are_encoded(searched):
    text = text_of(1000)
    before = sys.getrefcount(text)
    with testing.recording(instrument=()) as recorded:
        with lmspan.operation("workflow", "outer", inputs={"question": text}):
            with lmspan.operation("tool", "inner", inputs={"question": text}):
                pass
        assert searched == []
        assert sys.getrefcount(text) > before
        for span in recorded.spans:
            assert text in span.attributes.values() or text in str(dict(span.attributes))
        assert searched == [len(text)]
        assert sys.getrefcount(text) == before


def test_a_text_that_was_encoded_at_once_is_not_kept_for_the_spans_of_its_trace_that_wait(searched):
    text = text_of(1000)
    before = sys.getrefcount(text)
    with testing.recording(instrument=()) as recorded:
        with lmspan.operation("workflow", "outer", inputs={"question": "short"}):
            with lmspan.operation("tool", "inner", inputs={"question": text, "other": object()}):
                pass
        assert searched == [len(text)]
        assert sys.getrefcount(text) == before
        assert ['{"question":"short"}' in span.attributes.values() for span in recorded.spans] == [True, False]


def test_no_text_of_a_call_that_starts_after_the_end_of_its_trace_is_kept():
    text = text_of(1000)
    before = sys.getrefcount(text)
    with testing.recording(instrument=()):
        with lmspan.operation("workflow", "outer") as outer:
            inside = context.get_current()
        token = context.attach(inside)
        with lmspan.operation("tool", "late", inputs={"question": text, "other": object()}):
            pass
        context.detach(token)
        assert sys.getrefcount(text) == before
        assert outer.ended
