"""Reading traces back and showing them."""

import json

import pytest
from rich.console import Console

from lmspan.errors import TraceFileError
from lmspan.viewer import store, tree
from lmspan.viewer.trace import StoredEvent, StoredSpan, Trace


def span(span_id, parent="", name="module M", start=0, end=1_000_000_000, status=0, attributes=None, events=()):
    return StoredSpan("ab" * 16, span_id, parent, name, 1, start, end, status, "", attributes or {}, events, "shop")


def shown(trace, width=100, **kwargs):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: PTH123, SIM115
    console.print(tree.render(trace, **kwargs))
    return console.export_text()


CHAT = {
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "lmspan.cost.amount": 0.00012,
}


def test_the_tree_with_its_sums():
    spans = [
        span("2", "1", "chat m", 250_000_000, 500_000_000, attributes=CHAT),
        span("1", "", "module M"),
        span(
            "3",
            "1",
            "chat m",
            500_000_000,
            600_000_000,
            attributes={"gen_ai.provider.name": "openai", "lmspan.lm.cache.hit": True},
        ),
    ]
    lines = shown(Trace("ab" * 16, spans)).splitlines()
    assert lines[0] == "trace " + "ab" * 16
    assert lines[1] == "3 spans  1.0 s  2 LM calls  1 from cache  10 → 5 tokens  $0.00012"
    rows = [line.rstrip() for line in lines[3:6]]
    assert rows[0].startswith("module M ") and rows[0].endswith("1.0 s")
    assert rows[1].startswith("├─ chat m ") and rows[1].split()[-6:] == ["250", "ms", "10", "→", "5", "$0.00012"]
    assert rows[2].startswith("└─ chat m ") and rows[2].split()[-3:] == ["100", "ms", "cached"]


def test_errors_stand_out_and_are_told_once():
    event = StoredEvent("exception", 1, {"exception.type": "shop.Empty", "exception.message": "no \x1b[31mtea"})
    failed = {"error.type": "shop.Empty"}
    text = shown(
        Trace(
            "ab" * 16,
            [
                span("1", status=2, attributes=failed),
                span("2", "1", "chat m", status=2, attributes=failed, events=(event,)),
            ],
        )
    )
    assert "1 failed" in text
    assert "chat m ✗ Empty" in text
    assert text.count("shop.Empty: no ·[31mtea") == 1
    assert "\x1b" not in text


def test_content_of_the_root_is_shown_cut_with_its_length():
    attributes = {"lmspan.module.inputs": '{"question": "' + "long " * 200 + '"}'}
    text = shown(Trace("ab" * 16, [span("1", attributes=attributes)]))
    assert "question: long long" in text
    assert "(1010 characters)" in text
    assert "question" not in shown(Trace("ab" * 16, [span("1", attributes=attributes)]), content=False)


def test_spans_without_their_parent_are_shown_too_and_cycles_end():
    text = shown(Trace("ab" * 16, [span("1", "gone", "chat lost"), span("2", "2", "module self")]))
    assert "chat lost" in text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("a\nb\tc", "a⏎b c"),
        ("\x1b]0;x\x07", "·]0;x·"),
        ("\u202eevil\u2028", "·evil·"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_no_text_can_drive_the_terminal(text, safe):
    assert tree.safe_text(text) == safe


@pytest.mark.parametrize(
    ("seconds", "text"), [(4e-6, "4.0 µs"), (0.0123, "12 ms"), (3.21, "3.2 s"), (75, "1 min 15 s")]
)
def test_durations(seconds, text):
    assert tree.duration(seconds) == text


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_read(tmp_path):
    file = tmp_path / "t.jsonl"
    span = {"traceId": "AB", "spanId": "1", "startTimeUnixNano": "1", "endTimeUnixNano": 2}
    span |= {"kind": "SPAN_KIND_CLIENT", "status": {"code": "STATUS_CODE_ERROR"}}
    good, bad = (
        json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [each]}]}]}) for each in (span, {"traceId": "x"})
    )
    file.write_text(f'{good}\nnonsense\n{{"a": 1}}\n\n[]\n{bad}\n{good}')
    reading = store.read_file(file)
    (trace,) = reading.traces.values()
    assert [(each.trace_id, each.kind, each.failed) for each in trace.spans] == [("ab", 3, True)] * 2
    assert [trouble.split(": ")[0] for trouble in reading.troubles] == [
        f"{file}, line {number}" for number in (2, 3, 5, 6)
    ]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(TraceFileError, match="no trace is stored in"):
        store.find(tmp_path)
    with pytest.raises(TraceFileError, match="neither a file, nor a trace id"):
        store.find(tmp_path, "zzz")
    with pytest.raises(TraceFileError, match="no such trace"):
        store.find(tmp_path, "abcd")
    with pytest.raises(TraceFileError, match="cannot be read"):
        store.read_file(tmp_path / "none.jsonl")
