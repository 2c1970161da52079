"""The commands that read traces, in a terminal and for programs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.processes import lines_of_ours, run_lmspan, run_python
from support.stored import otlp, write
from support.terminal import in_terminal

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
CHAT = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5}


@pytest.fixture
def directory(tmp_path):
    write(
        tmp_path / "traces.jsonl",
        otlp("2", "1", "chat m", 1, 2, "aa", {**CHAT, "lmspan.cost.amount": 0.25}),
        otlp("1", "", "module answer", 1, 3, "aa", {"lmspan.module.inputs": {"question": "Which tea?"}}),
        otlp("1", "", "execute_tool find", 5, 6, "bb", {"error.type": "shop.Empty"}, status=2),
    )
    return tmp_path


def lmspan(directory, *arguments, **environ):
    return run_lmspan(*arguments, environ={"LMSPAN_DIR": str(directory), **environ})


def test_list_show_and_stats_print_json_for_programs(directory):
    listed = [json.loads(line) for line in lmspan(directory, "list", "--json").stdout.splitlines()]
    assert [(each["trace_id"][:2], each["number"], each["failed"], each["words"]) for each in listed] == [
        ("bb", 1, 1, ""),
        ("aa", 2, 0, "Which tea?"),
    ]
    shown = [json.loads(line) for line in lmspan(directory, "show", "2", "--json").stdout.splitlines()]
    assert [each["name"] for each in shown] == ["module answer", "chat m"]
    (span,) = [json.loads(line) for line in lmspan(directory, "show", "2", "2", "--json").stdout.splitlines()]
    assert (span["name"], span["attributes"]["lmspan.cost.amount"]) == ("chat m", 0.25)
    counted = [json.loads(line) for line in lmspan(directory, "stats", "--json").stdout.splitlines()]
    assert [(each["by"], each["key"], each["calls"], each["cost"]) for each in counted] == [
        ("model", "m", 1, 0.25), ("module", "answer", 1, 0.25), ("tool", "find", 1, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [1, 2]),
        (["--ascending"], [2, 1]),
        (["--sort", "start"], [1, 2]),
        (["--sort", "cost"], [2, 1]),
        (["--sort", "duration", "-n", "1"], [2]),
        (["--sort", "duration", "--ascending", "-n", "1"], [1]),
        (["--sort", "failed"], [1, 2]),
        (["--sort", "cost", "--failed"], [1]),
    ],
)
def test_a_list_is_sorted_and_keeps_the_numbers_that_show_takes(directory, options, numbers):
    listed = [json.loads(line) for line in lmspan(directory, "list", *options, "--json").stdout.splitlines()]
    assert [each["number"] for each in listed] == numbers
    rows = lmspan(directory, "list", *options).stdout.splitlines()[1:]
    assert [int(row.split()[0]) for row in rows] == numbers
    shown = json.loads(lmspan(directory, "show", str(numbers[0]), "1", "--json").stdout)
    assert shown["trace_id"] == listed[0]["trace_id"]


@pytest.mark.parametrize(("arguments", "expected"), [
    ([], ["bb 1", "aa 1", "aa 2"]),
    (["--ascending"], ["aa 1", "aa 2", "bb 1"]),
    (["--sort", "cost", "-n", "1"], ["aa 2"]),
    (["operation:lm", "cost>0.1"], ["aa 2"]),
    (["operation:lm cost>0.1 or failed"], ["bb 1", "aa 2"]),
    (["tea"], ["aa 1"]),
    (["--trace", "last"], ["bb 1"]),
    (["--trace", "2", "under:answer"], ["aa 2"]),
    (["--since", "1970-01-02"], []),
])  # fmt: skip
def test_spans_of_all_traces_are_selected_by_a_query(directory, arguments, expected):
    listed = [json.loads(line) for line in lmspan(directory, "spans", *arguments, "--json").stdout.splitlines()]
    assert [f"{each['trace_id'][:2]} {each['span_id']}" for each in listed] == expected
    rows = [row.split()[:2] for row in lmspan(directory, "spans", *arguments).stdout.splitlines()[1:]]
    assert rows == [[each[:2] * 4, each[-1]] for each in expected]
    if rows:
        assert listed[0]["name"] in lmspan(directory, "show", *rows[0]).stdout


def test_a_query_selects_the_traces_of_a_list_and_of_statistics(directory):
    listed = lmspan(directory, "list", "--where", "operation:lm cost>0.1", "--json").stdout.splitlines()
    assert [json.loads(each)["number"] for each in listed] == [2]
    counted = lmspan(directory, "stats", "--where", "failed", "--json").stdout.splitlines()
    assert [json.loads(each)["key"] for each in counted] == ["find"]


def test_a_filter_that_selects_nothing_and_an_empty_directory_say_so(directory, tmp_path_factory):
    for command in (["list", "--service", "other"], ["stats", "--service", "other"], ["spans", "cost>9"]):
        done = lmspan(directory, *command)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr in ("no trace matches\n", "no calls match\n", "no span matches\n")
    empty = tmp_path_factory.mktemp("empty")
    for command in ("list", "stats", "spans"):
        done = lmspan(empty, command)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"no trace is stored in {empty}\n")


def test_stats_of_one_trace_and_of_a_file(directory):
    assert "find" not in lmspan(directory, "stats", "2").stdout
    assert "find" in lmspan(directory, "stats", "last").stdout
    done = run_lmspan("stats", str(directory / "traces.jsonl"), "--by", "tool")
    assert re.search(r"find +1 +1\.0 s", done.stdout)
    assert run_lmspan("list", str(directory / "traces.jsonl")).stdout.splitlines()[1].split()[1] == "bbbbbbbb"


def test_an_unreadable_line_is_named_and_the_status_is_1(directory):
    with (directory / "traces.jsonl").open("a") as file:
        file.write("{broken\n")
    for command in ("list", "stats", "show", "spans"):
        done = lmspan(directory, command)
        assert done.returncode == 1
        assert f"lmspan: {directory}/traces.jsonl, line 4: no JSON (" in done.stderr
        assert done.stdout


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(directory, columns):
    for command in (["list"], ["spans"], ["show", "2"], ["stats"], ["show", "2", "2"]):
        status, text = in_terminal(*command, columns=columns, environ={"LMSPAN_DIR": str(directory)})
        assert status == 0
        lines = ANSI.sub("", text).splitlines()
        assert max(map(len, lines)) <= max(columns, len("trace ") + 32), command


def test_a_terminal_has_colors_and_no_color_takes_them_away(directory):
    environ = {"LMSPAN_DIR": str(directory)}
    _, colored = in_terminal("show", "1", environ=environ)
    _, plain = in_terminal("show", "1", environ={**environ, "NO_COLOR": "1"})
    assert "\x1b[1;31m" in colored
    assert not re.search(r"\x1b\[[0-9;]*3\dm", plain)
    assert ANSI.sub("", colored) == ANSI.sub("", plain)
    assert "\x1b" not in lmspan(directory, "show", "1").stdout


def test_what_is_longer_than_the_terminal_goes_through_the_pager(directory, tmp_path):
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho the pager\ncat\n")
    pager.chmod(0o755)
    environ = {"LMSPAN_DIR": str(directory), "PAGER": str(pager)}
    _, long = in_terminal("show", "2", rows=5, environ=environ)
    _, short = in_terminal("show", "2", rows=50, environ=environ)
    assert long.startswith("the pager")
    assert "the pager" not in short
    assert "module answer" in ANSI.sub("", long)


RECORDED = """
import lmspan
@lmspan.tool
def find(query):
    if query == "coffee":
        raise KeyError(query)
    return query
find("tea")
"""


@pytest.mark.parametrize("command", ["list -n 0 --json", "show 1 --full"])
@pytest.mark.parametrize("reader", ["head -c 1", "true"])
def test_a_reader_that_closes_the_pipe_is_no_error(command, reader, tmp_path):
    write(tmp_path / "traces.jsonl", *(otlp(f"{n}", "", "execute_tool f", n, n + 1, f"{n:04}") for n in range(400)))
    write(tmp_path / "traces.jsonl", *(otlp(f"{n}", "0", f"execute_tool {n}", 900, 901, "ab") for n in range(1200)))
    piped = f"set -o pipefail; {sys.executable} -m lmspan {command} | {reader}"
    done = subprocess.run(
        ["bash", "-c", piped], capture_output=True, check=False, env={**os.environ, "LMSPAN_DIR": str(tmp_path)}
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("command", ["list", "show --json"])
def test_an_output_that_cannot_be_written_is_one_line(command, directory):
    written = f"{sys.executable} -m lmspan {command} > /dev/full"
    done = subprocess.run(
        ["bash", "-c", written], capture_output=True, check=False, env={**os.environ, "LMSPAN_DIR": str(directory)}
    )
    assert (done.returncode, done.stderr) == (2, b"lmspan: [Errno 28] No space left on device\n")


def test_run_ends_with_one_line_on_a_terminal_and_none_for_a_script(tmp_path):
    program = tmp_path / "shop.py"
    environ = {"LMSPAN_DIR": str(tmp_path / "t"), "PYTHON_COLORS": "0"}  # Python 3.13 colors tracebacks
    program.write_text(RECORDED)
    status, text = in_terminal("run", str(program), environ=environ)
    trace = json.loads(run_lmspan("show", "--json", environ=environ).stdout)["trace_id"]
    assert (status, text) == (0, f"lmspan: 1 trace; look: lmspan show {trace[:8]}\n")
    assert in_terminal("run", "-q", str(program), environ=environ) == (0, "")
    program.write_text(f"{RECORDED}\nfind('coffee')\n")
    status, text = in_terminal("run", str(program), environ=environ)
    assert (status, text.splitlines()[-2:]) == (
        1, ["KeyError: 'coffee'", "lmspan: 2 traces, 1 failed; look: lmspan list -n 2"],
    )  # fmt: skip
    program.write_text("print('nothing')")
    assert in_terminal("run", str(program), environ=environ) == (0, "nothing\nlmspan: no trace was recorded\n")
    done = run_lmspan("run", str(program), environ=environ)
    assert (done.stdout, done.stderr) == ("nothing\n", "")


SLOW = """
import sys, time, lmspan
session = lmspan.init("shop", instrument=[])
with lmspan.operation("workflow", "slow", inputs={"q": "tea"}):
    with lmspan.operation("lm", "m", attributes={"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4}):
        pass
    with lmspan.operation("adapter_format", "ChatAdapter"):
        pass
    sys.stdin.readline()
with lmspan.operation("tool", "find"):
    pass
session.shutdown()
"""


TAIL = """
import runpy, signal, sys
# a shell starts a background command, such as a whole run of the tests, with interrupts ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["lmspan", "tail"]
runpy.run_module("lmspan", run_name="__main__")
"""


def test_tail_follows_what_starts_and_what_ends(tmp_path):
    environ = {**os.environ, "LMSPAN_DIR": str(tmp_path), "COLUMNS": "200"}
    tail = subprocess.Popen(
        [sys.executable, "-c", TAIL], env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert tail.stderr.readline() == f"lmspan: following {tmp_path}; Ctrl-C ends it\n"
    program = subprocess.Popen([sys.executable, "-c", SLOW], env=environ, stdin=subprocess.PIPE, text=True)
    lines = [tail.stdout.readline() for _ in range(2)]
    chat, workflow = sorted(re.sub(r"^\S+ \w{8} ", "", line) for line in lines)
    assert re.fullmatch(r"shop  chat m  \S+ .s  3 → 4\n", chat)
    assert workflow == "shop  invoke_workflow slow  running  tea\n"
    program.communicate("\n")
    ended = [re.sub(r"^\S+ \w{8} ", "", tail.stdout.readline()) for _ in range(2)]
    assert sorted(line.split("  ")[1] for line in ended) == ["execute_tool find", "invoke_workflow slow"]
    tail.send_signal(signal.SIGINT)
    assert (tail.wait(30), tail.stderr.read(), tail.stdout.read()) == (0, "", "")
    tail.stdout.close()
    tail.stderr.close()


def test_tail_reads_on_in_the_next_file_and_selects(tmp_path):
    code = f"""
    import itertools, json, pathlib
    from lmspan.traces.follow import Follower
    from support.stored import otlp, write
    directory = pathlib.Path({str(tmp_path)!r})
    follower = Follower(directory)
    seen = []
    def read():
        seen.append([span.span_id for span in follower.new()])
    read()
    write(directory / "traces.jsonl", otlp("1"))
    read()
    write(directory / "traces.jsonl", otlp("2"))
    (directory / "traces.jsonl").rename(directory / "traces-1.jsonl")
    write(directory / "traces.jsonl", otlp("3"))
    read()
    with (directory / "traces.jsonl").open("a") as file:
        file.write('{{"half')
    read()
    print(json.dumps(seen))
    """
    done = run_python(code)
    assert (done.stdout, lines_of_ours(done.stderr)) == ('[[], ["1"], ["2", "3"], []]\n', [])


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    done = run_lmspan("tail", str(tmp_path / "nothing"))
    assert (done.returncode, done.stderr) == (2, f"lmspan: {tmp_path}/nothing is no directory\n")


def test_a_trace_shown_twice_is_the_same_whoever_made_the_index(directory):
    first = lmspan(directory, "show", "2").stdout
    assert (directory / "index.sqlite").exists()
    (directory / "index.sqlite").unlink()
    before = time.time()
    assert lmspan(directory, "show", "2").stdout == first
    assert (directory / "index.sqlite").stat().st_mtime >= before - 1
