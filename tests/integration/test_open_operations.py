"""What programs that run, that are killed and that end leave of their open operations."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lmspan.liveness import JOURNAL_GLOB, is_alive
from lmspan.traces import State
from lmspan.traces.files import open_file, pieces, spans_in
from support.processes import TESTS, run_python

OPTIMIZER = """
import sys, time
import lmspan
lmspan.init("night")

@lmspan.optimize
def search(seed):
    for number in range(3):
        with lmspan.operation("candidate", f"#{number}"):
            pass
        lmspan.add_event("optimizer_candidate", {"id": f"{number}", "score": number / 10})
    print("started", flush=True)
    sys.stdin.read()

search(7)
"""


@pytest.fixture
def started():
    """Start programs that run until their stdin ends, and wait for the line that each prints."""
    running = []

    def start(code, directory, *arguments):
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        environ = {**os.environ, "LMSPAN_DIR": str(directory), "PYTHONPATH": path}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        process.first_line = process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def journal_of(directory, pid, timeout_s=30):
    """The journal of a process, when it has content."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        for path in directory.glob(f"open-{pid}-*.jsonl"):
            if path.stat().st_size:
                return path
        time.sleep(0.05)
    raise AssertionError(f"no journal of {pid} in {sorted(directory.iterdir())}")


def spans(path):
    """The spans of a file, in its order."""
    with open_file(path) as file:
        return [span for piece in pieces(file) for span in spans_in(piece)[0]]


def test_a_killed_optimizer_leaves_its_root_in_the_journal(started, tmp_path):
    process = started(OPTIMIZER, tmp_path)
    path = journal_of(tmp_path, process.pid)
    assert is_alive(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not is_alive(path)
    *_, root = spans(path)
    candidates = spans(tmp_path / "traces.jsonl")
    assert (root.name, root.state, root.service) == ("optimize search", State.NOT_ENDED, "night")
    assert [event.attributes["lmspan.optimizer.candidate.id"] for event in root.events] == ["0", "1", "2"]
    assert {each.parent_id for each in candidates} == {root.span_id}
    assert [each.name for each in candidates] == ["candidate #0", "candidate #1", "candidate #2"]


@pytest.mark.parametrize("end", ["returns", "raises", "is interrupted"])
def test_a_program_that_ends_leaves_no_journal(end, started, tmp_path):
    code = OPTIMIZER + ("\nraise SystemExit(3)" if end == "raises" else "")
    process = started(code, tmp_path)
    journal_of(tmp_path, process.pid)
    if end == "is interrupted":
        process.send_signal(signal.SIGINT)
    process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["traces.jsonl"]
    assert [span.name for span in spans(tmp_path / "traces.jsonl")][-1] == "optimize search"


def test_each_process_has_a_journal_and_a_lock_of_its_own(started, tmp_path):
    processes = [started(OPTIMIZER, tmp_path) for _ in range(2)]
    paths = [journal_of(tmp_path, process.pid) for process in processes]
    assert [is_alive(path) for path in paths] == [True, True]
    processes[0].kill()
    processes[0].wait()
    assert [is_alive(path) for path in paths] == [False, True]
    processes[1].communicate()
    assert sorted(tmp_path.glob(JOURNAL_GLOB)) == [paths[0]]


FORK = """
import os, sys, time
import lmspan
lmspan.init("family")

with lmspan.operation("workflow", "parent"):
    time.sleep(2.5)
    child = os.fork()
    if not child:
        with lmspan.operation("tool", "child"):
            sys.stdin.read()
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def test_a_forked_child_keeps_no_lock_of_its_parent(started, tmp_path):
    process = started(FORK, tmp_path)
    child = int(process.first_line)
    paths = [journal_of(tmp_path, pid) for pid in (process.pid, child)]
    assert [[span.name for span in spans(path)] for path in paths] == [
        ["invoke_workflow parent"], ["execute_tool child"],
    ]  # fmt: skip
    assert [is_alive(path) for path in paths] == [True, True]
    process.kill()
    process.wait()
    assert [is_alive(path) for path in paths] == [False, True]
    process.stdin.close()


SPAWN = """
import multiprocessing, os, sys, time
import lmspan

def work(seconds):
    with lmspan.operation("tool", "child"):
        time.sleep(seconds)

if __name__ == "__main__":
    lmspan.init("family")
    with lmspan.operation("workflow", "parent"):
        process = multiprocessing.get_context("spawn").Process(target=work, args=(60,))
        process.start()
        print(process.pid, flush=True)
        process.join()
"""


def test_a_spawned_child_of_lmspan_run_has_a_journal(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SPAWN)
    environ = {**os.environ, "LMSPAN_DIR": str(tmp_path / "traces")}
    process = subprocess.Popen(
        [sys.executable, "-m", "lmspan", "run", str(program)], env=environ, stdout=subprocess.PIPE, text=True
    )
    child = int(process.stdout.readline())
    try:
        paths = [journal_of(tmp_path / "traces", pid) for pid in (process.pid, child)]
        parent, work = (spans(path)[-1] for path in paths)
        assert (parent.name, work.name) == ("invoke_workflow parent", "execute_tool child")
        assert (work.trace_id, work.parent_id) == (parent.trace_id, parent.span_id)
    finally:
        os.kill(child, signal.SIGKILL)
        process.communicate()
    assert [is_alive(path) for path in paths] == [False, False]
    assert not paths[0].exists()


def test_each_session_of_a_process_removes_its_journal(tmp_path):
    code = """
        import os, time, lmspan
        from pathlib import Path
        directory = Path(os.environ["LMSPAN_DIR"])
        for number in range(2):
            session = lmspan.init("again", instrument=[])
            with lmspan.operation("tool", f"work {number}"):
                end = time.monotonic() + 30
                while not (found := list(directory.glob("open-*.jsonl"))) and time.monotonic() < end:
                    time.sleep(0.05)
                print(len(found))
            session.shutdown()
        print(sorted(path.name for path in directory.iterdir()))
    """
    done = run_python(code, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n1\n['traces.jsonl']\n", "")


def test_a_directory_that_cannot_be_written_harms_nothing(tmp_path):
    (tmp_path / "file").touch()
    code = """
        import time, lmspan
        lmspan.init("x", instrument=[])
        with lmspan.operation("tool", "work"):
            time.sleep(2.5)
        print("done")
    """
    done = run_python(code, environ={"LMSPAN_DIR": str(tmp_path / "file")})
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert len(done.stderr.splitlines()) == 2
