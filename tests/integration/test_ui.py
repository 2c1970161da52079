"""`lmspan ui`, as a person starts and ends it."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from support.processes import run_lmspan, run_python
from support.stored import otlp, write

PROGRAM = """
import sys, lmspan
lmspan.init("shop")
with lmspan.operation("tool", "slow"):
    print("started", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", trace="ab"))
    return tmp_path


@contextmanager
def started(*arguments, **environ):
    """Start `lmspan ui`; yields the process and the lines that it prints. It ends in any case."""
    command = [sys.executable, "-m", "lmspan", "ui", "--no-browser", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}) as running:
        try:
            yield running, running.stdout.readline(), running.stdout.readline().strip()
        finally:
            running.kill()


def listed(address):
    with httpx.Client(follow_redirects=True) as client:
        client.get(address)
        return client.get(address.partition("?")[0] + "api/traces").json()["traces"]


@pytest.mark.parametrize("how", ["argument", "file", "environment"])
def test_it_prints_the_address_and_ends_with_ctrl_c(directory, how):
    arguments = {"argument": [str(directory)], "file": [str(directory / "traces.jsonl")], "environment": []}[how]
    with started(*arguments, LMSPAN_DIR=str(directory)) as (running, said, address):
        assert re.fullmatch(rf"lmspan: traces of {directory}(/traces.jsonl)?; Ctrl-C ends it\n", said)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", address)
        assert [each["trace_id"] for each in listed(address)] == ["ab" * 16]
        running.send_signal(signal.SIGINT)
        endpoint = address.partition("/?")[0]
        receives = "" if how == "file" else f"programs send here with OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}\n"
        assert (running.wait(20), running.stdout.read()) == (0, receives)


def test_a_running_operation_is_on_the_page_and_a_killed_one_says_so(tmp_path):
    def states(address, wanted):
        found = None
        for _ in range(100):
            found = [(each["name"], each["state"]) for each in listed(address)]
            if found == wanted:
                break
            time.sleep(0.1)
        return found

    with started(str(tmp_path)) as (_, _, address):
        program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, "LMSPAN_DIR": str(tmp_path)})  # fmt: skip
        with program:
            program.stdout.readline()
            assert states(address, [("execute_tool slow", "running")]) == [("execute_tool slow", "running")]
            program.kill()
        assert states(address, [("execute_tool slow", "not ended")]) == [("execute_tool slow", "not ended")]


def test_mistakes_are_one_line(directory, tmp_path):
    def message(*arguments):
        done = run_lmspan("ui", "--no-browser", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    missing = tmp_path / "nowhere"
    assert message(str(missing)) == f"lmspan: {missing} cannot be read: No such file or directory\n"
    with started(str(directory)) as (_, _, address):
        port = re.search(r":(\d+)/", address)[1]
        assert message(str(directory), "--port", port) == (
            f"lmspan: port {port} of 127.0.0.1 cannot be used: Address already in use\n"
        )


@pytest.mark.parametrize("module", ["starlette", "uvicorn"])
def test_without_the_extra_it_names_the_command_that_installs_it(module):
    code = f"import sys; sys.modules[{module!r}] = None; from lmspan.cli import main; sys.exit(main(['ui']))"
    done = run_python(code)
    assert done.returncode == 2
    assert done.stderr.endswith("install them with: pip install 'lmspan[ui]'\n")
    assert done.stderr.count("\n") == 1
