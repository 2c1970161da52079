"""Read stored traces, and show them."""

import json
import os

import pytest
from rich.console import Console

from lmspan.errors import TraceFileError
from lmspan.terminal import tree
from lmspan.traces import store
from lmspan.traces.trace import StoredEvent, StoredSpan, Trace


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


def test_each_error_is_shown_once():
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


def test_spans_without_their_parent_and_spans_in_a_cycle_are_shown():
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
def test_no_text_can_control_the_terminal(text, safe):
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
    assert reading.troubles == [
        f"{file}: 4 lines cannot be read; the first is line 2: no JSON (Expecting value: line 1 column 1 (char 0))"
    ]


def test_a_missing_trace_or_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(TraceFileError, match="no trace is stored in"):
        store.find(tmp_path)
    with pytest.raises(TraceFileError, match="neither a file or directory, nor a trace id"):
        store.find(tmp_path, "zzz")
    with pytest.raises(TraceFileError, match="no such trace"):
        store.find(tmp_path, "abcd")
    with pytest.raises(TraceFileError, match="cannot be read"):
        store.read_file(tmp_path / "none.jsonl")


def stored(directory, name, written, *spans):
    """Write a file whose last line was written at a time; a span is its trace, id, parent, start and end."""
    made = [
        {"traceId": trace * 16, "spanId": span, "parentSpanId": parent, "name": f"turn {span}",
         "startTimeUnixNano": str(start * 10**9), "endTimeUnixNano": str(end * 10**9)}
        for trace, span, parent, start, end in spans
    ]  # fmt: skip
    path = directory / name
    path.write_text(
        "".join(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [each]}]}]}) + "\n" for each in made)
    )
    os.utime(path, (written, written))
    return path


ROTATED = [
    ("traces-1.jsonl", 100, [("aa", "1", "2", 89, 90), ("bb", "1", "", 94, 95), ("cc", "9", "", 98, 99)]),
    ("traces-2.jsonl", 200, [("cc", "1", "", 149, 150)]),
    ("traces-3.jsonl", 300, [("aa", "2", "3", 289, 290), ("bb", "9", "", 279, 280)]),
    ("traces.jsonl", 400, [("cc", "8", "", 309, 310), ("aa", "3", "", 80, 390)]),
]


@pytest.mark.parametrize("wanted", ["last", "aaaa", "AAAA", "aa" * 16])
def test_a_trace_in_several_files_is_read_whole(wanted, tmp_path):
    for name, written, spans in ROTATED:
        stored(tmp_path, name, written, *spans)
    trace, troubles = store.find(tmp_path, wanted)
    assert (sorted(each.span_id for each in trace.spans), troubles) == (["1", "2", "3"], [])


def test_a_trace_without_its_root_is_searched_in_all_files_and_a_whole_one_no_further_than_its_start(tmp_path):
    stored(tmp_path, "traces-1.jsonl", 100, ("aa", "1", "9", 89, 90))
    (tmp_path / "traces-2.jsonl").write_text("{broken" + "aa" * 16)
    os.utime(tmp_path / "traces-2.jsonl", (200, 200))
    stored(tmp_path, "traces.jsonl", 400, ("aa", "2", "9", 389, 390))
    trace, troubles = store.find(tmp_path)
    assert (len(trace.spans), len(troubles)) == (2, 1)
    stored(tmp_path, "traces.jsonl", 400, ("aa", "9", "", 389, 390))
    trace, troubles = store.find(tmp_path)
    assert (len(trace.spans), troubles) == (1, [])


def test_only_the_lines_of_the_trace_are_read_from_several_files(tmp_path):
    for name, written, spans in ROTATED:
        path = stored(tmp_path, name, written, *spans)
        path.write_text(path.read_text() + "{broken\n" + "{broken, too, and of the trace " + "bb" * 16 + "\n")
    trace, troubles = store.find(tmp_path, "bbbb")
    assert (sorted(each.span_id for each in trace.spans), len(troubles)) == (["1", "9"], 4)


def test_a_file_is_read_alone_and_a_directory_with_all_its_files(tmp_path):
    for name, written, spans in ROTATED:
        stored(tmp_path, name, written, *spans)
    stored(tmp_path, "other.jsonl", 1, ("dd", "1", "", 0, 1))
    (tmp_path / "notes.txt").write_text("no trace")
    alone, all_of_them = store.read_file(tmp_path / "traces.jsonl"), store.read_file(tmp_path)
    assert {name[:2]: len(trace.spans) for name, trace in sorted(alone.traces.items())} == {"aa": 1, "cc": 1}
    assert {name[:2]: len(trace.spans) for name, trace in sorted(all_of_them.traces.items())} == {
        "aa": 3, "bb": 2, "cc": 3, "dd": 1,
    }  # fmt: skip
