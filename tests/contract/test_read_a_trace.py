"""The how-to page answers its sixteen questions: each with at most two commands, in a terminal of 80 columns."""

import re
import shlex
import signal
import time

import pytest

from lmspan.traces.terms import FIELDS, FLAGS
from support.processes import TESTS, run_lmspan, start_day
from support.scenarios.core import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="the page shows a day on DSPy 3.4")
PAGE = (TESTS.parent / "docs" / "how-to" / "read-a-trace.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]+\?)\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE))
NOT_OF_THE_DAY = "Is it still running, and how far is it?"
ANSWERS = {
    # what the last command prints, as regular expressions
    "Which step is slow?": [r"module judge ×8 .* 1504 → 96 \$0.000283"],
    "Which tool is slow?": [r"shipping_status +3 +1\d\d ms"],
    "Which model costs most?": [r"gpt-4o-mini +53 .* \$0.00\d+", r"gpt-4o +1 .* \$0.000657"],
    "Which ticket failed, and why?": [
        r"execute_tool shipping_status ✗ C",
        r"execute_tool shipping_status: ConnectionError: the carrier does not answer\n +\S+day.py:\d+",
    ],
    "Which example got a wrong answer?": [r"17 +3 +0 question: q3 +answer: no +answer: yes +expected no"],
    "Which example raised an exception?": [
        r"example: ValueError: no gold answer for q2\n +\S+day.py:\d+ in\s+\S*measure"
    ],
    "Did the optimizer help?": [r"1 \w{8} .*optimize GEPA.* 0 → 1", r"2 \w{8} .*optimize GEPA.* 0 → 0"],
    "What did it change?": [
        r"candidate 2  score 1",
        r"instructions of self",
        r"  - Given the .*\n +\+ Be careful\.",
    ],
    "Why was a candidate rejected?": [
        "not accepted: New subsample score 0.0 not better than old score 0.0".replace(" ", r"\s+")
    ],
    "Which prompt was sent?": [r"system\n +Your input fields are", r"Where is good tea\?", r"Drink it at the river\."],
    "How often were requests repeated, and what did it cost?": [r"gpt-4o-mini .* 2  +\d+\.\d s"],
    "How long do answers take, and when do they begin?": [r"p50 +p95 1st chunk p50/p95", r"[\d.]+ ms/[\d.]+ ms"],
    "How many tokens does a session need?": [r"anna +2 .* 321 → 24", r"ben +1 .* 160 → 12 .* 1\b"],
    "What did the night cost?": [r"shop +9 .* 10868 → 614 \$0.00\d+"],
    "Is it better than the run before?": [r"optimize GEPA +2 .* 7387 → 372"],
}


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    directory = tmp_path_factory.mktemp("day")
    start_day(directory, "day").wait(120)
    return directory


def commands(section):
    return re.findall(r"^\$ lmspan (.+)$", section, re.MULTILINE)


def answer(directory, section):
    """What the commands of a section print, in a terminal of 80 columns."""
    printed = []
    for command in commands(section):
        done = run_lmspan(*shlex.split(command), environ={"LMSPAN_DIR": str(directory), "COLUMNS": "80"})
        assert (done.returncode, done.stderr) == (0, ""), command
        printed.append(done.stdout)
    return printed


def test_every_question_has_at_most_two_commands():
    assert list(SECTIONS) == [*ANSWERS, NOT_OF_THE_DAY]
    assert {len(commands(section)) for section in SECTIONS.values()} == {1, 2}


@pytest.mark.parametrize("question", ANSWERS)
def test_the_commands_of_a_question_answer_it(day, question):
    *_, printed = answer(day, SECTIONS[question])
    for expected in ANSWERS[question]:
        assert re.search(expected, printed), printed


LANGUAGE = (TESTS.parent / "docs" / "reference" / "query.md").read_text()
QUERIES = [*commands(LANGUAGE), *commands(PAGE.partition("## Any other question")[2])]


def test_the_language_has_a_row_for_each_field_and_each_flag():
    fields = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", LANGUAGE.partition("## Fields")[2], re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(fields))) == sorted(FIELDS)
    assert ", ".join(f"`{each}`" for each in FLAGS) in LANGUAGE


@pytest.mark.parametrize("command", QUERIES)
def test_each_query_of_the_pages_selects_something(day, command):
    done = run_lmspan(*shlex.split(command), environ={"LMSPAN_DIR": str(day)})
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 1


def test_the_list_of_the_page_is_the_list_of_the_day(day):
    stable = r"(^ *\d+|\w+ → [\w]+|\d+ failed|optimize GEPA|evaluate measure|Predict  \w+|ticket  \w+|Answer  \w+)"
    _, _, block = PAGE.partition("$ lmspan list\n")
    shown = [re.findall(stable, line) for line in block.partition("```")[0].splitlines()]
    done = run_lmspan("list", "--width", "120", environ={"LMSPAN_DIR": str(day)})
    assert [re.findall(stable, line) for line in done.stdout.splitlines()] == shown


def test_a_running_optimizer_and_a_killed_one_show_their_candidates_so_far(tmp_path):
    program = start_day(tmp_path, "running")
    try:
        assert "waiting\n" in iter(program.stdout.readline, "")
        until(lambda: [" ".join(path.name for path in tmp_path.glob("open-*.jsonl"))], ("open-",), attempts=10_000)
        running = until(lambda: answer(tmp_path, SECTIONS[NOT_OF_THE_DAY]), ("running", "4 evaluations"))
        assert [("running" in each, "not ended" in each) for each in running] == [(True, False)] * 2
        assert "optimize GEPA  4 evaluations of 2 candidates  0 → 0  running, so far" in running[1]
        assert re.search(r" 1 +0 +0 minibatch no", running[1])
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait(30)
        program.stdout.close()
    killed = answer(tmp_path, SECTIONS[NOT_OF_THE_DAY])
    assert [("running" in each, "not ended" in each) for each in killed] == [(False, True)] * 2
    assert "optimize GEPA  4 evaluations of 2 candidates  0 → 0  not ended, so far" in killed[1]
    assert re.search(r" 1 +0 +0 minibatch no", killed[1])


def until(read, wanted, attempts=120):
    """Read again until everything is there: another process writes the journal."""
    for _ in range(attempts):
        printed = read()
        if all(each in text for each, text in zip(wanted, printed, strict=True)):
            break
        time.sleep(0.01)
    return printed
