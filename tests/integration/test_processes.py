"""One trace across processes: those that multiprocessing makes, pools of them, and any other by its environment."""

import os
import sys

import pytest

from lmspan.traces import direct
from support.processes import run

PROGRAM = """
import multiprocessing, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
import lmspan

lmspan.init("family")

@lmspan.tool
def work(number):
    return number * 2

def start(context):
    process = context.Process(target=work, args=(1,))
    process.start()
    process.join()
    return process.exitcode

def submit(context):
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return list(pool.map(work, [1, 2]))

def apply(context):
    with context.Pool(1) as pool:
        found = [pool.apply(work, (1,)), *pool.map(work, [2]), *pool.imap(work, [3])]
        pool.close()
        pool.join()
    return found

if __name__ == "__main__":
    ways = {"start": start, "submit": submit, "apply": apply}
    with lmspan.operation("workflow", "parent"):
        print(ways[sys.argv[1]](multiprocessing.get_context(sys.argv[2])))
"""

TREES = {
    "start": ("0", ["invoke_workflow parent", "  execute_tool work"]),
    "submit": ("[2, 4]", ["invoke_workflow parent", *["  execute_tool work"] * 2]),
    "apply": ("[2, 4, 6]", ["invoke_workflow parent", *["  execute_tool work"] * 3]),
}


def recorded(directory, program, *arguments, environ=None):
    """Run a program; give what it printed and the lines of its only trace."""
    path = directory / "program.py"
    path.write_text(program)
    done = run([sys.executable, str(path), *arguments], {"LMSPAN_DIR": str(directory / "traces"), **(environ or {})})
    assert (done.returncode, done.stderr) == (0, "")
    (trace,), troubles = direct.read_file(directory / "traces")
    assert troubles == []
    return done.stdout.strip(), trace


def lines(trace):
    under = trace.children

    def below(span, depth):
        return [
            "  " * depth + span.name,
            *(line for child in under.get(span.span_id, ()) for line in below(child, depth + 1)),
        ]

    return [line for root in under[""] for line in below(root, 0)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("way", TREES)
def test_what_multiprocessing_runs_is_under_who_asked_for_it(way, method, tmp_path):
    printed, trace = recorded(tmp_path, PROGRAM, way, method)
    assert (printed, lines(trace)) == TREES[way]


BY_ENVIRONMENT = """
import subprocess, sys
from opentelemetry import baggage, context
import lmspan

lmspan.init("family")
if len(sys.argv) > 1:
    with lmspan.operation("tool", "child"):
        pass
else:
    context.attach(baggage.set_baggage("session.id", "s-1", baggage.set_baggage("user.id", "u-1")))
    with lmspan.operation("workflow", "parent"):
        subprocess.run([sys.executable, __file__, "child"], env=lmspan.environ(), check=True)
"""


def test_any_other_process_joins_by_its_environment_and_knows_session_and_user(tmp_path):
    _, trace = recorded(tmp_path, BY_ENVIRONMENT)
    assert lines(trace) == ["invoke_workflow parent", "  execute_tool child"]
    assert [(span.attributes["session.id"], span.attributes["user.id"]) for span in trace.spans] == [("s-1", "u-1")] * 2


def test_a_process_is_in_the_trace_that_started_it(tmp_path):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, trace = recorded(tmp_path, BY_ENVIRONMENT, "child", environ={"TRACEPARENT": parent})
    assert (trace.trace_id, trace.spans[0].parent_id) == (parent[3:35], parent[36:52])


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_an_environment_that_tells_no_trace_changes_nothing(parent, tmp_path):
    _, trace = recorded(tmp_path, BY_ENVIRONMENT, "child", environ={"TRACEPARENT": parent})
    assert lines(trace) == ["execute_tool child"]
    assert trace.spans[0].parent_id == ""


THREADS = """
from multiprocessing.pool import ThreadPool
import lmspan
lmspan.init("threads")
work = lmspan.tool(lambda number: number * 2)
with lmspan.operation("workflow", "parent"), ThreadPool(2) as pool:
    print(pool.map(work, [1, 2]))
"""


def test_a_pool_of_threads_has_the_context_itself(tmp_path):
    printed, trace = recorded(tmp_path, THREADS)
    assert (printed, len(lines(trace))) == ("[2, 4]", 3)
    root = next(span for span in trace.spans if not span.parent_id)
    assert root.attributes["lmspan.total.tool_calls"] == 2


HOSTILE = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from opentelemetry import baggage, context
import lmspan

lmspan.init("hostile")

class Loud:
    def __str__(self):
        raise RuntimeError("user code ran")

def work(number):
    return number * 2

if __name__ == "__main__":
    context.attach(baggage.set_baggage("cart", Loud()))
    with lmspan.operation("workflow", "parent"), ProcessPoolExecutor(1) as pool:
        print(list(pool.map(work, [1, 2])))
"""


def test_baggage_that_cannot_be_told_keeps_no_task_from_its_pool(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(HOSTILE)
    done = run([sys.executable, str(path)], {"LMSPAN_DIR": str(tmp_path / "traces")})
    assert (done.returncode, done.stdout) == (0, "[2, 4]\n")


_LEAVES_BY_EXIT = """
import os, pathlib, sys, time
import lmspan

lmspan.init("family")
stored = pathlib.Path(os.environ["LMSPAN_DIR"]) / "traces.jsonl"

@lmspan.tool
def work(number):
    return number * 2

if not os.fork():
    work(1)
    until = time.monotonic() + 30
    while not (stored.exists() and stored.stat().st_size) and time.monotonic() < until:
        time.sleep(0.01)
    os._exit(0)
os.wait()
print(stored.read_text().count('"execute_tool work"'))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_writes_by_itself_and_may_leave_by_exit(tmp_path):
    """Nothing of ours runs at the end of such a child; what has waited long enough is written before."""
    path = tmp_path / "program.py"
    path.write_text(_LEAVES_BY_EXIT)
    done = run([sys.executable, str(path)], {"LMSPAN_DIR": str(tmp_path / "traces")})
    assert (done.stdout, done.stderr) == ("1\n", "")
