"""A trace as a tree in the terminal."""

import pytest
from rich.console import Console

from lmspan.terminal import tree
from lmspan.terminal.figures import duration, money
from lmspan.terminal.folding import View, tree_rows
from lmspan.terminal.text import safe_text
from lmspan.traces import StoredEvent, Trace
from lmspan.traces.spans import State
from support.stored import SECOND, TRACE, span

CHAT = {
    "gen_ai.provider.name": "openai",
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 5,
    "lmspan.cost.amount": 0.00012,
}
FAILED = {"error.type": "shop.Empty"}


def shown(spans, width=100, **kwargs):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), color_system=None)  # noqa: PTH123, SIM115
    console.print(tree.render(Trace(TRACE, spans), **kwargs))
    return console.export_text()


def rows(spans, **view):
    """The rows of a tree: guide, names with their numbers, and how many spans are closed in."""
    found = tree_rows(Trace(TRACE, spans), View(**view))
    return [f"{row.guide}{row.span.name}{f' x{len(row.spans)}' if len(row.spans) > 1 else ''}" for row in found]


def raised(kind="shop.Empty", message="no tea", **facts):
    return StoredEvent("exception", 1, {"exception.type": kind, "exception.message": message, **facts})


def test_the_tree_with_its_sums():
    spans = [
        span("2", "1", "chat m", 250_000_000, 500_000_000, attributes=CHAT),
        span("1", "", "module M"),
        span("3", "1", "chat m", 500_000_000, 600_000_000, attributes={"lmspan.lm.cache.hit": True}),
    ]
    lines = [line.rstrip() for line in shown(spans).splitlines()]
    assert lines == [
        f"trace {TRACE}  shop  1970-01-01 00:00:00",
        "3 spans  1.0 s  2 LM calls  1 from cache  10 → 5 tokens  $0.00012",
        "#  span                                   time  tokens      cost",
        "1  module M   ████████████████████████   1.0 s  10 → 5  $0.00012",
        "2  ├─ chat m        ██████              250 ms  10 → 5  $0.00012",
        "3  └─ chat m              ██            100 ms  cached",
        "",
    ]


@pytest.mark.parametrize("width", [50, 60, 80, 100, 200])
def test_figures_are_whole_at_every_width(width):
    spans = [span("0", "", "invoke_workflow " + "long" * 10)]
    spans += [
        span(f"{n}", f"{n - 1}", f"{'chat' if n == 7 else 'module'} with-a-long-name-{n}", attributes={
            **CHAT, "gen_ai.usage.input_tokens": 123456, "gen_ai.usage.output_tokens": 6789,
        })
        for n in range(1, 8)
    ]  # fmt: skip
    text = shown(spans, width)
    figures = [line.rstrip() for line in text.splitlines() if line.rstrip().endswith("$0.00012")]
    assert figures[-1].split()[-6:] == ["1.0", "s", "123456", "→", "6789", "$0.00012"]
    assert all(len(line) <= width for line in text.splitlines()[2:])
    assert ("█" in text) is (width >= 80)


def test_the_waterfall_shrinks_before_names_are_cut():
    spans = [span("1", "", "module " + "x" * 30, attributes=CHAT)]
    assert "x" * 30 in shown(spans, 70)
    assert shown(spans, 120).count("█") == 24
    assert shown(spans, 75).count("█") < 24


def test_adapter_phases_are_hidden_unless_they_fail_or_all_is_shown():
    spans = [
        span("1", "", "module M"),
        span("2", "1", "format ChatAdapter"),
        span("3", "1", "chat m"),
        span("4", "1", "parse ChatAdapter", status=2),
    ]
    assert rows(spans) == ["module M", "├─ chat m", "└─ parse ChatAdapter"]
    assert rows(spans, full=True)[1] == "├─ format ChatAdapter"
    assert "1 span not shown; --full shows all" in shown(spans)
    assert "not shown" not in shown(spans, view=View(full=True))


def test_siblings_of_one_name_are_one_row_with_their_sums():
    spans = [span("0", "", "module M", 0, 10 * SECOND)]
    spans += [span(f"{n}", "0", "module judge", n * SECOND, (n + 1) * SECOND) for n in range(1, 9)]
    spans += [span(f"{n}c", f"{n}", "chat m", n * SECOND, (n + 1) * SECOND, attributes=CHAT) for n in range(1, 9)]
    assert rows(spans) == ["module M", "└─ module judge x8"]
    row = next(line for line in shown(spans).splitlines() if "judge" in line)
    assert row.split()[-6:] == ["8.0", "s", "80", "→", "40", "$0.00096"]
    assert "module judge ×8" in row
    assert len(rows(spans, full=True)) == 17


def test_a_few_siblings_failed_ones_running_ones_and_turns_stay_apart():
    few = [span("0"), *(span(f"{n}", "0", "chat m", n) for n in range(1, 4))]
    assert rows(few) == ["module M", "├─ chat m", "├─ chat m", "└─ chat m"]
    turns = [span("0"), *(span(f"{n}", "0", "turn", n) for n in range(1, 7))]
    assert len(rows(turns)) == 7
    one_failed = [span("0"), *(span(f"{n}", "0", "chat m", n, status=2 * (n == 5)) for n in range(1, 10))]
    assert rows(one_failed) == ["module M", "├─ chat m x4", "├─ chat m", "└─ chat m x4"]
    one_runs = [
        span("0"),
        *(span(f"{n}", "0", "chat m", n) for n in range(1, 5)),
        span("5", "0", "chat m", 6, state=State.RUNNING),
    ]
    assert rows(one_runs) == ["module M", "├─ chat m x4", "└─ chat m"]


def test_depth_only_and_errors():
    spans = [
        span("1", "", "module M", status=2, attributes=FAILED),
        span("2", "1", "execute_tool find", status=2, attributes=FAILED),
        span("3", "1", "module N"),
        span("4", "3", "chat m"),
        span("5", "3", "execute_tool find"),
    ]
    assert rows(spans, depth=0) == ["module M"]
    assert rows(spans, depth=1) == ["module M", "├─ execute_tool find", "└─ module N"]
    assert rows(spans, only=("chat",)) == ["chat m"]
    assert rows(spans, only=("tool", "module N")) == ["execute_tool find", "module N", "execute_tool find"]
    assert rows(spans, errors=True) == ["module M", "└─ execute_tool find"]


def test_an_optimizer_run_is_closed_and_its_candidates_are_a_table():
    spans = [
        span("1", "", "optimize GEPA", 0, 9 * SECOND, attributes={
            "lmspan.optimizer.first_score": 0.45, "lmspan.optimizer.best_score": 0.9,
        }),
        span("2", "1", "candidate", 1 * SECOND, 2 * SECOND, attributes={
            "lmspan.optimizer.candidate.index": 0, "lmspan.optimizer.candidate.id": "a",
            "lmspan.optimizer.candidate.score": 0.45, "lmspan.optimizer.candidate.scope": "full",
            "lmspan.optimizer.candidate.accepted": True,
        }),
        span("3", "1", "candidate", 2 * SECOND, 3 * SECOND, attributes={
            "lmspan.optimizer.candidate.index": 1, "lmspan.optimizer.candidate.id": "b",
            "lmspan.optimizer.candidate.score": 0.2, "lmspan.optimizer.candidate.scope": "minibatch",
            "lmspan.optimizer.candidate.accepted": False, "lmspan.optimizer.candidate.parent_ids": ["a"],
            "lmspan.optimizer.candidate.changed": ["predict.instructions"],
            "lmspan.optimizer.candidate.reason": "not better",
        }),
        span("4", "1", "candidate", 3 * SECOND, 4 * SECOND, attributes={
            "lmspan.optimizer.candidate.index": 2, "lmspan.optimizer.candidate.id": "c",
            "lmspan.optimizer.candidate.score": 0.9, "lmspan.optimizer.candidate.scope": "full",
            "lmspan.optimizer.candidate.accepted": True, "lmspan.optimizer.candidate.parent_ids": ["a"],
        }),
    ]  # fmt: skip
    lines = [line.rstrip() for line in shown(spans, 110).splitlines()]
    start = lines.index("optimize GEPA  3 evaluations of 3 candidates  0.45 → 0.9")
    assert lines[start + 1 : start + 5] == [
        "span  #  score  best  on         kept  from   time  changed",
        "   2  0   0.45  0.45  full       yes         1.0 s  nothing",
        "   3  1    0.2  0.45  minibatch  no    0     1.0 s  predict.instructions  not better",
        "   4  2    0.9   0.9  full       yes   0     1.0 s  nothing",
    ]
    assert rows(spans) == ["optimize GEPA"]
    assert len(rows(spans, full=True)) == 4


def test_each_failure_is_shown_once_and_equal_ones_with_their_number():
    spans = [span("1", status=2, attributes=FAILED)]
    spans += [
        span(f"{n}", "1", "chat m", n, status=2, attributes=FAILED, events=(raised(message="no \x1b[31mtea"),))
        for n in range(2, 5)
    ]
    text = shown(spans)
    assert "  3 failed" in text
    assert "chat m ✗ Empty" in text
    assert "\nfailed\n  chat m ×3: shop.Empty: no ·[31mtea\n" in text
    assert "\x1b" not in text


def test_a_recovered_failure_is_apart_and_its_place_in_the_program_is_shown():
    stack = 'File "/app/shop.py", line 7, in find\n  File "/x/site-packages/lib.py", line 9, in get\n'
    spans = [
        span("1"),
        span("2", "1", "execute_tool find", status=2, events=(raised(**{"exception.stacktrace": stack}),)),
        span("3", "1", "execute_tool say", 5, status=2, events=(
            raised(message="", **{"code.file.path": "/app/say.py", "code.line.number": 3, "code.function.name": "say"}),
        )),
    ]  # fmt: skip
    text = shown(spans)
    assert "  2 recovered" in text.splitlines()[1]
    assert " failed" not in text
    assert "recovered\n  execute_tool find: shop.Empty: no tea\n      /app/shop.py:7 in find\n" in text
    assert "  execute_tool say: shop.Empty\n      /app/say.py:3 in say\n" in text


def test_a_failure_that_an_evaluation_counts_is_not_recovered():
    spans = [
        span("1", "", "evaluate exact"),
        span("2", "1", "example", status=2),
        span("3", "2", "chat m", status=2, events=(raised(),)),
    ]
    assert "  1 failed" in shown(spans).splitlines()[1]


def test_a_trace_that_runs_or_was_killed_says_so():
    running = [span("1", "", "optimize MIPROv2", state=State.RUNNING), span("2", "1", "candidate")]
    assert shown(running).splitlines()[0].endswith("running")
    assert "optimize MIPROv2 running" in shown(running)
    assert shown([span("2", "1", "candidate")]).splitlines()[0].endswith("not ended")
    killed = [span("1", "", "optimize MIPROv2", state=State.NOT_ENDED)]
    assert "optimize MIPROv2 not ended" in shown(killed)


def test_while_a_trace_runs_spans_whose_parent_is_not_stored_yet_do_not_pose_as_its_root():
    inputs = {"lmspan.operation.inputs": '{"question": "one of many"}'}
    spans = [
        span("1", "", "optimize MIPROv2", state=State.RUNNING, attributes={"lmspan.operation.inputs": '{"n": 5}'}),
        span("3", "2", "chat m", attributes=inputs),
        span("4", "2", "format ChatAdapter", attributes=inputs),
    ]
    text = shown(spans)
    assert "inputs  n: 5" in text
    assert "chat m" in text
    assert ("one of many" in text, "format" in text) == (False, False)
    assert "one of many" in shown(spans[1:2])
    assert "format ChatAdapter" in shown(spans[2:])


def test_content_of_the_root_is_shown_cut_with_its_length():
    attributes = {"lmspan.module.inputs": '{"question": "' + "long " * 200 + '"}'}
    text = shown([span("1", attributes=attributes)])
    assert "question: long long" in text
    assert "(1010 characters)" in text
    assert "question" not in shown([span("1", attributes=attributes)], content=False)


def test_spans_without_their_parent_and_spans_in_a_cycle_are_shown():
    text = shown([span("1", "gone", "chat lost"), span("2", "2", "module self")])
    assert "chat lost" in text
    assert "module self" in text


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
    assert safe_text(text) == safe


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4e-6, "4.0 µs"), (0.0123, "12 ms"), (3.21, "3.2 s"), (75, "1 min 15 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0.0, "$0.00"), (0.00012, "$0.00012"), (0.5, "$0.50"), (12.345, "$12.35"), (2e9, "$2e+09")]
)
def test_money(amount, text):
    assert money(amount) == text
