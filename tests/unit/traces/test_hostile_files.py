"""Trace files of any content are read, shown and replayed without harm."""

import gc
import io
import json
import os
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from lmspan import semconv as sc
from lmspan import traces
from lmspan.errors import TraceFileError
from lmspan.semconv.spans import OPERATION_OF_WORD
from lmspan.subscribers import replay, subscriptions
from lmspan.terminal import tree
from lmspan.terminal.folding import View, tree_rows
from lmspan.terminal.lists import statistic_json, statistics_table, summary_json, trace_list
from lmspan.terminal.span import render_span
from lmspan.terminal.text import PLAIN, safe_text
from lmspan.traces import Store, direct
from lmspan.traces.statistics import KINDS as STATISTICS

KNOWN = [name for name in sc.ATTRIBUTES if not name.endswith(".")]
DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000

MARKS = ["\x1b[31m", "\x9b2J", "\u202eevil", "\0", "\u2028", "\ud800", "\u0600"]
MARKUP = ["[red]x[/]", "[/nope]", "[link=x]", ":tea:", "{"]
texts = st.text(max_size=20) | st.sampled_from([*MARKS, *MARKUP]) | st.builds(lambda: DEEP)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -1, 2**64, 2**63, 0, True, "Infinity", "NaN", "7"])
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
doubles = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["Infinity", "-Infinity", "NaN"])
values = st.recursive(
    st.fixed_dictionaries({}, optional={"stringValue": texts, "boolValue": st.booleans()})
    | st.integers(-(2**63), 2**63 - 1).map(lambda value: {"intValue": str(value)})
    | doubles.map(lambda value: {"doubleValue": value}),
    lambda inner: st.lists(inner, max_size=3).map(lambda found: {"arrayValue": {"values": found}}),
    max_leaves=4,
)
attributes = st.lists(st.fixed_dictionaries({"key": st.sampled_from(KNOWN) | texts, "value": values}), max_size=8)
times = st.integers(0, 2**64 - 1) | st.integers(0, 50)
names = st.sampled_from(["chat m", "execute_tool t", "optimize o", "evaluate e", "turn", "module M"]) | texts
events = st.fixed_dictionaries(
    {
        "name": st.sampled_from([sc.EVENT_OPTIMIZER_CANDIDATE, sc.EVENT_EXCEPTION]) | texts,
        "timeUnixNano": times.map(str),
        "attributes": attributes,
    }
)
readable = st.fixed_dictionaries(
    {
        "traceId": st.sampled_from(["ab" * 16, "\x1b]0;x\x07"]),
        "spanId": st.sampled_from("12345"),
        "parentSpanId": st.sampled_from(["", *"12345", "gone", "\u202e"]),
        "name": names,
        "startTimeUnixNano": times.map(str),
        "endTimeUnixNano": times.map(str),
        "status": st.fixed_dictionaries({"code": st.integers(0, 2), "message": texts}),
        "attributes": attributes,
        "events": st.lists(events, max_size=3),
    }
)
KINDS = ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "other"]
odd_values = st.dictionaries(st.sampled_from(KINDS), anything, max_size=1)
odd_attributes = st.lists(st.fixed_dictionaries({"key": anything, "value": odd_values}), max_size=2)
FIELDS = ["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "status"]
odd_fields = st.dictionaries(st.sampled_from([*FIELDS, "attributes", "events"]), anything | odd_attributes, max_size=3)
spoilt = st.builds(lambda span, odd: {**span, **odd}, readable, odd_fields)
lines = spoilt.map(lambda span: line(span)) | anything.map(json.dumps) | texts.map(lambda text: text.replace("\n", ""))


def line(*spans):
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}) + "\n"


def read(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("hostile") / "t.jsonl"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return direct.read_file(path)


def shown(trace, width=80, encoding="utf-8", errors="strict"):
    return printed([tree.render(trace, view=View(full=True))], width, encoding, errors)


def printed(renderables, width=80, encoding="utf-8", errors="strict"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors=errors, newline="")
    Console(file=file, width=width, color_system=None, highlight=False).print(*renderables, sep="")
    file.flush()
    return raw.getvalue().decode(encoding)


def assert_harmless(trace, width):
    assert_safe([tree.render(trace), tree.render(trace, view=View(full=True))], width)
    assert_safe([render_span(trace, span) for span in trace.spans], width)
    assert isinstance(trace._repr_html_(), str)
    for span in trace.spans:
        assert span.as_json().isascii()
        json.loads(span.as_json(), parse_constant=pytest.fail)


def assert_safe(renderables, width):
    text = printed(renderables, width)
    assert {each for each in text if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp", "Cf")} <= {"\n"}
    assert printed(renderables, width, "ascii", PLAIN).isascii()
    printed(renderables, width, "cp1252", PLAIN)


@settings(max_examples=150, deadline=None)
@given(spans=st.lists(readable, min_size=1, max_size=8), width=st.sampled_from([1, 20, 80, 300]))
def test_every_span_that_can_be_read_is_shown_without_a_control_character(tmp_path_factory, spans, width):
    traces, troubles = read(tmp_path_factory, line(*spans))
    assert troubles == []
    assert sum(len(trace.spans) for trace in traces) == len({(span["traceId"], span["spanId"]) for span in spans})
    for trace in traces:
        walked = [id(span) for row in tree_rows(trace, View(full=True)) for span in row.spans]
        assert sorted(walked) == sorted(map(id, trace.spans))
        assert_harmless(trace, width)


@settings(max_examples=100, deadline=None)
@given(written=st.lists(lines, max_size=6))
def test_any_line_is_read_or_named(tmp_path_factory, written):
    traces, troubles = read(tmp_path_factory, "\n".join(written))
    assert len(troubles) <= 1
    for trace in traces:
        assert_harmless(trace, 80)


@settings(max_examples=50, deadline=None)
@given(written=st.lists(lines, max_size=6), words=texts, width=st.sampled_from([1, 20, 80, 300]))
def test_any_file_is_listed_counted_and_searched(tmp_path_factory, written, words, width):
    path = tmp_path_factory.mktemp("hostile") / "traces.jsonl"
    path.write_text("\n".join(written) + "\n", encoding="utf-8", errors="surrogatepass")
    stored = Store(path.parent)
    listed = stored.list()
    assert_safe([trace_list(listed)], width)
    assert all(summary_json(each).isascii() for each in listed)
    assert len(stored.list(traces.Filter(text=words))) <= len(listed)
    for kind in STATISTICS:
        statistics = stored.statistics(kind)
        assert_safe([statistics_table(statistics, kind)], width)
        assert all(statistic_json(each, kind).isascii() for each in statistics)
    ended = {
        trace.trace_id: sum(span.state is traces.State.ENDED for span in trace.spans)
        for trace in direct.read_file(path)[0]
        if trace.trace_id == "ab" * 16
    }
    assert {each.trace_id: each.spans for each in listed if each.trace_id == "ab" * 16} == {
        trace_id: count for trace_id, count in ended.items() if count
    }


WORDS = {"chat": "lm", "execute_tool": "tool", "optimize": "compile", "evaluate": "evaluate", "module": "module"}


@settings(max_examples=100, deadline=None)
@given(spans=st.lists(readable, max_size=8))
def test_each_operation_of_any_file_is_replayed_once_from_its_start_to_its_end(tmp_path_factory, spans):
    listener = Listener()
    for trace in read(tmp_path_factory, line(*spans))[0]:
        with subscriptions.subscribed(listener, dialect="dspy"), subscriptions.subscribed(Counts()):
            replayed = replay.replay(trace.spans)
        assert replayed == len([span for span in trace.spans if operation_of(span)])
        calls = [(WORDS[operation_of(span)], id_of(span)) for span in trace.spans if operation_of(span) in WORDS]
        assert sorted(listener.starts) == sorted(listener.ends) == sorted(calls)
        assert listener.ended_before_their_start == []
        listener.starts, listener.ends = [], []


def operation_of(span):
    """The word of the operation of a stored span; no attribute of these files names one."""
    word = span.name.partition(" ")[0]
    return word if word in OPERATION_OF_WORD else ""


def id_of(span):
    return str(span.facts.get(sc.CALL_ID, span.span_id))


class Listener:
    """Keeps the starts and the ends of the calls that it hears, each as a word and the id of the call."""

    def __init__(self):
        self.starts, self.ends, self.ended_before_their_start = [], [], []

    def start(self, *call):
        self.starts.append(call)

    def end(self, *call):
        self.ends.append(call)
        if self.ends.count(call) > self.starts.count(call):
            self.ended_before_their_start.append(call)


def hook(word, phase):
    return lambda self, call_id: getattr(self, phase)(word, call_id)


for each in WORDS.values():
    setattr(Listener, f"on_{each}_start", hook(each, "start"))
    setattr(Listener, f"on_{each}_end", hook(each, "end"))


class Counts:
    """A callback with a `run_result`, which sums the facts of the calls."""

    def turn_start(self, process, run_result=None):
        pass


def made(span_id, parent="", **more):
    times = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    return {"traceId": "ab" * 16, "spanId": span_id, "parentSpanId": parent, "name": f"turn {span_id}", **times, **more}


@pytest.mark.parametrize(
    "spoil",
    [
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": 10**400},
        {"endTimeUnixNano": float("inf")},
        {"endTimeUnixNano": "1" * 400},
        {"endTimeUnixNano": True},
        {"traceId": 7},
        {"spanId": None},
        {"attributes": [{"key": "a", "value": {"intValue": str(2**63)}}]},
        {"attributes": [{"key": "a", "value": {"doubleValue": [1]}}]},
        {"attributes": [{"key": ["a"], "value": {}}]},
        {"events": 7},
    ],
)
def test_a_line_without_a_valid_span_is_named_and_the_other_lines_are_read(spoil, tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(line({**made("1"), **spoil}) + line(made("2")))
    (trace,), (trouble,) = direct.read_file(path)
    assert [span.span_id for span in trace.spans] == ["2"]
    assert trouble.startswith(f"{path}, line 1: no OTLP export request (")
    assert len(trouble) < len(str(path)) + 120


def test_nested_lists_have_a_limit(tmp_path):
    value = {"intValue": "1"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    path = tmp_path / "t.jsonl"
    path.write_text(line(made("1", attributes=[{"key": "a", "value": value}])))
    assert "more than 64 levels" in direct.read_file(path)[1][0]


def test_spans_that_are_parents_of_each_other_are_shown_once(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        line(made("1", "3"), made("2", "1"), made("3", "2"), made("4", "4"), made("5", "1"), made("5", "2"))
    )
    (trace,), _ = direct.read_file(path)
    assert [(row.guide, row.span.span_id) for row in tree_rows(trace, View())] == [
        ("", "1"), ("├─ ", "2"), ("│  └─ ", "3"), ("└─ ", "5"), ("", "4"),
    ]  # fmt: skip


def chain(length):
    return direct.read_requests([json.loads(line(*(made(str(n), str(n - 1) if n else "") for n in range(length))))])


def test_a_deep_trace_is_indented_to_a_level_and_then_numbered():
    (trace,) = chain(5_000)
    rows = [row for row in shown(trace, 400).splitlines() if "turn" in row]
    assert len(rows) == 5_000
    assert rows[39].startswith("  40  " + " " * 3 * 38 + "└─ turn 39 ")
    assert rows[4_999].startswith("5000  " + " " * 3 * 39 + "…4999 turn 4999 ")


def test_the_time_for_a_deep_trace_grows_with_its_length_only():
    def cost(length):
        (trace,) = chain(length)
        begin = time.process_time()
        shown(trace)
        replay.replay(trace.spans)
        return time.process_time() - begin

    gc.disable()  # it looks at all objects of the whole suite
    try:
        cost(100)
        least = {length: min(cost(length) for _ in range(3)) for length in (1_000, 4_000)}
    finally:
        gc.enable()
    assert least[4_000] < 8 * least[1_000]  # twice what is linear; quadratic would be 16


def test_the_time_to_index_a_wide_trace_of_model_calls_grows_with_its_length_only(tmp_path):
    def cost(length):
        path = tmp_path / f"{length}.jsonl"
        path.write_text(line(made("0"), *(made(str(n), "0", name=f"chat {n}") for n in range(1, length))))
        begin = time.process_time()
        (listed,) = Store(path).list()
        assert (listed.spans, listed.lm_calls) == (length, length - 1)
        return time.process_time() - begin

    cost(100)
    least = {length: min(cost(length) for _ in range(2)) for length in (2_000, 8_000)}
    assert least[8_000] < 8 * least[2_000]  # twice what is linear; quadratic would be 16


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_anything_but_a_file_is_refused_at_once(kind, tmp_path):
    path = tmp_path / "t.jsonl"
    os.mkfifo(path) if kind == "fifo" else path.symlink_to("/dev/zero")
    with pytest.raises(TraceFileError, match="it is neither a regular file nor a directory"):
        direct.read_file(path)
    (tmp_path / "traces-2.jsonl").write_text(line(made("1")))
    (tmp_path / "traces-3.jsonl").symlink_to(path)
    os.utime(tmp_path / "traces-2.jsonl", (1, 1))
    stored = Store(tmp_path)
    assert [each.spans for each in stored.list()] == [1]
    assert (len(stored.last().spans), stored.troubles) == (1, [])


def test_a_binary_file_is_one_line(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(bytes(range(256)) * 50)
    _, (trouble,) = direct.read_file(path)
    assert trouble.startswith(f"{path}: 51 lines cannot be read; the first is line 1: no JSON (")


def test_no_character_of_unicode_controls_a_terminal():
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    kept = set(safe_text(everything, len(everything)))
    assert {each for each in kept if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")} == set()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (["a", "\x1b"], "['a', '\\x1b']"),
        ("\ud800\U000e0041\xad\ufffa\u180e\xa0", "····· "),
        ("x" * 200, "x" * 120 + "… (200 characters)"),
        ("\x9b31m\x85", "·31m·"),
        (None, "None"),
    ],
)
def test_every_value_becomes_one_safe_line(text, safe):
    assert safe_text(text) == safe
