"""What process pools do is counted in totals, `RunResult` and `Budget`; what is not counted is said."""

import ast
import multiprocessing
import sys

import pytest

from lmspan.traces import direct
from support.processes import run

KNOWN = multiprocessing.get_all_start_methods()
METHODS = [method for method in ("fork", "spawn") if method in KNOWN]

PROGRAM = """
import contextlib, multiprocessing, os, sys, threading
from concurrent.futures import ProcessPoolExecutor
import lmspan

if "no init" not in sys.argv or __name__ == "__main__":
    lmspan.init("family")

def ask(number):
    with lmspan.operation("tool", "look"), lmspan.operation("lm", provider="own", model="m"):
        lmspan.add_response(model="m", input_tokens=10, output_tokens=number, cost_usd=0.25)
    return number * 2

def ask_and_fail(number):
    ask(number)
    if number == 1:
        raise LookupError("one")
    return number * 2

def ask_and_return_a_lock(number):
    ask(number)
    return threading.Lock() if number == 1 else number * 2

def ask_and_die(number):
    ask(number)
    os._exit(3)

def ask_below(number):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(ask, [number, number]))

def ask_beside(number):
    ask(number)
    return ask_below(number)

def nothing(number):
    return number * 2

def twice(value, other):
    return ask(value) + other

def submit(context, work):
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        futures = [pool.submit(work, number) for number in (1, 2, 3)]
        return [future.exception() and repr(future.exception()) or future.result() for future in futures]

def chunks(context, work):
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return list(pool.map(work, [1, 2, 3], chunksize=2))

@contextlib.contextmanager
def pool_of(context):
    pool = context.Pool(1)
    yield pool
    pool.close()
    pool.join()

def apply(context, work):
    with pool_of(context) as pool:
        waiting = [pool.apply_async(func=work, args=(number,)) for number in (1, 2, 3)]
        return [caught(each.get) for each in waiting]

def mapped(context, work):
    with pool_of(context) as pool:
        return pool.map(work, (number for number in (1, 2, 3)), chunksize=2)

def starmapped(context, work):
    with pool_of(context) as pool:
        return pool.starmap(twice, [(1, 1), (2, 2), (3, 3)])

def one_by_one(context, work):
    with pool_of(context) as pool:
        return [*pool.imap(work, iter([1, 2])), *pool.imap_unordered(func=work, iterable=[3], chunksize=2)]

def start(context, work):
    process = context.Process(target=work, args=(1,))
    process.start()
    process.join()
    return process.exitcode

def caught(function):
    try:
        return function()
    except Exception as error:
        return repr(error)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    way, _, work = sys.argv[1].partition(" ")
    with lmspan.run("night") as result:
        print(globals()[way](context, globals()[work or "ask"]))
    print(result)
    figures = result.input_tokens, result.output_tokens, result.total_tool_calls, result.node_count, result.cost
    print((*figures, result.uncounted_tasks))
"""


def family(directory, *arguments):
    """Run the program; give what it printed, what its results say, and the totals of its root."""
    path = directory / "program.py"
    path.write_text(PROGRAM)
    done = run([sys.executable, str(path), *arguments], {"LMSPAN_DIR": str(directory / "traces")})
    assert (done.returncode, done.stderr) == (0, "")
    (trace,), _ = direct.read_file(directory / "traces")
    (root,) = (span for span in trace.spans if not span.parent_id)
    totals = {
        name.removeprefix("lmspan.total."): value
        for name, value in root.attributes.items()
        if name.startswith("lmspan.total.")
    }
    answer, shown, figures = done.stdout.splitlines()
    return answer, shown, figures, totals, trace


THREE = {
    "nodes": 7, "llm_calls": 3, "tool_calls": 3, "input_tokens": 30, "output_tokens": 6, "cost.amount": 0.75,
    "cost.unit": "USD", "cost.sources": ["program"], "errors": 0, "orphans": 0,
}  # fmt: skip
EACH = "[2, 4, 6]"
WAYS = {"submit": EACH, "chunks": EACH, "apply": EACH, "mapped": EACH, "starmapped": "[3, 6, 9]", "one_by_one": EACH}


PAIRS = [(way, method) for way in WAYS for method in METHODS] + [("submit", "forkserver")] * ("forkserver" in KNOWN)


@pytest.mark.parametrize(("way", "method"), PAIRS)
def test_the_figures_of_a_pool_come_back_with_its_results(way, method, tmp_path):
    answer, shown, figures, totals, trace = family(tmp_path, way, method)
    assert answer == WAYS[way]
    assert shown == "<RunResult 3 API calls, 36 tokens, $0.7500>"
    assert figures == "(30, 6, 3, 7, 0.75, 0)"
    assert totals == THREE
    assert len(trace.spans) == 7


UNCOUNTED = "<RunResult {} API calls, {} tokens, ${:.4f}, {} tasks of other processes not counted>"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("way", ["submit", "apply"])
def test_a_task_that_raises_is_counted_with_the_next_result(way, method, tmp_path):
    answer, shown, _, totals, _ = family(tmp_path, f"{way} ask_and_fail", method)
    assert answer == "[\"LookupError('one')\", 4, 6]"
    assert shown == "<RunResult 3 API calls, 36 tokens, $0.7500>"
    assert totals == THREE


@pytest.mark.parametrize("method", METHODS)
def test_a_result_that_cannot_be_pickled_fails_as_without_lmspan(method, tmp_path):
    """The figures that it would have taken along are not counted, and that is said."""
    answer, shown, _, totals, _ = family(tmp_path, "submit ask_and_return_a_lock", method)
    assert ast.literal_eval(answer) == ["TypeError(\"cannot pickle '_thread.lock' object\")", 4, 6]
    assert shown == UNCOUNTED.format(2, 25, 0.5, 1)
    assert (totals["llm_calls"], totals["uncounted_tasks"]) == (2, 1)


def test_a_pool_describes_such_a_result_in_the_programs_own_words(tmp_path):
    answer, *_ = family(tmp_path, "apply ask_and_return_a_lock", METHODS[0])
    assert "MaybeEncodingError" in answer
    assert "'<unlocked _thread.lock object at" in answer


@pytest.mark.parametrize("method", METHODS)
def test_the_tasks_of_a_worker_that_dies_are_not_counted(method, tmp_path):
    answer, shown, _, totals, _ = family(tmp_path, "submit ask_and_die", method)
    assert answer.count("BrokenProcessPool") == 3
    assert shown == UNCOUNTED.format(0, 0, 0, 3)
    assert (totals["llm_calls"], totals["uncounted_tasks"]) == (0, 3)


@pytest.mark.parametrize("method", METHODS)
def test_a_process_of_the_programs_own_is_not_counted(method, tmp_path):
    answer, shown, _, totals, _ = family(tmp_path, "start", method)
    assert (answer, shown) == ("0", UNCOUNTED.format(0, 0, 0, 1))
    assert totals["uncounted_tasks"] == 1


@pytest.mark.skipif("spawn" not in METHODS, reason="this system does not spawn")
def test_a_child_that_does_not_record_is_not_counted(tmp_path):
    answer, shown, _, totals, trace = family(tmp_path, "submit", "spawn", "no init")
    assert (answer, shown) == (EACH, UNCOUNTED.format(0, 0, 0, 3))
    assert (totals["uncounted_tasks"], len(trace.spans)) == (3, 1)


@pytest.mark.parametrize("method", METHODS)
def test_tasks_without_a_call_count_for_nothing(method, tmp_path):
    answer, shown, _, totals, _ = family(tmp_path, "submit nothing", method)
    assert (answer, shown) == (EACH, "<RunResult 0 API calls, 0 tokens, $0.0000>")
    assert totals == {"nodes": 1, "llm_calls": 0, "tool_calls": 0, "errors": 0, "orphans": 0}


@pytest.mark.skipif("spawn" not in METHODS, reason="this system does not spawn")
def test_a_pool_inside_a_task_is_counted_at_the_top(tmp_path):
    answer, shown, _, totals, trace = family(tmp_path, "submit ask_beside", "spawn")
    assert answer == "[[2, 2], [4, 4], [6, 6]]"
    assert shown == "<RunResult 9 API calls, 108 tokens, $2.2500>"
    assert (totals["llm_calls"], totals["nodes"], totals["cost.amount"]) == (9, 19, 2.25)
    assert len(trace.spans) == 19


WITHOUT_LMSPAN = """#!/bin/sh
exec {python} -c "
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'lmspan':
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
place = sys.argv.index('-c', 1)
sys.argv[1:], code = sys.argv[place + 2:], sys.argv[place + 1]
exec(code)" "$@"
"""

PLAIN = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor

def double(number):
    return number * 2

if __name__ == "__main__":
    import lmspan
    session = lmspan.init("family", exporters="none")
    multiprocessing.set_executable(sys.argv[1])
    context = multiprocessing.get_context("spawn")
    with lmspan.run("night") as result:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            print(list(pool.map(double, [1, 2])))
        with context.Pool(1) as pool:
            print(pool.map(double, [3]))
        process = context.Process(target=double, args=(1,))
        process.start()
        process.join()
    print(process.exitcode, result.uncounted_tasks)
"""


@pytest.mark.skipif(
    "spawn" not in METHODS or sys.platform == "win32", reason="a shell script stands for an interpreter"
)
def test_an_interpreter_without_lmspan_runs_its_tasks(tmp_path):
    """Nothing of lmspan is sent to it, so its tasks are not counted."""
    interpreter = tmp_path / "python"
    interpreter.write_text(WITHOUT_LMSPAN.format(python=sys.executable))
    interpreter.chmod(0o755)
    path = tmp_path / "program.py"
    path.write_text(PLAIN)
    done = run([sys.executable, str(path), str(interpreter)])
    assert (done.stdout, done.stderr) == ("[2, 4]\n[6]\n0 4\n", "")


BUDGET = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import lmspan

lmspan.init("family", exporters="none")

def ask(number):
    with lmspan.operation("lm", provider="own", model="m"):
        lmspan.add_response(model="m", input_tokens=10, output_tokens=1, cost_usd=0.25)

def spend(**limits):
    try:
        with lmspan.subscribed(lmspan.Budget(**limits)), lmspan.operation("workflow", "night"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                list(pool.map(ask, [1, 2]))
            ask(3)
        return "not stopped"
    except lmspan.StopRun as stop:
        return stop

if __name__ == "__main__":
    for limits in ({"max_lm_calls": 2}, {"max_cost_usd": 0.5}, {"max_tokens": 22}, {"max_lm_calls": 3}):
        print(spend(**limits))
"""


@pytest.mark.skipif("spawn" not in METHODS, reason="this system does not spawn")
def test_a_budget_counts_the_calls_of_a_pool_whose_results_are_back(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(BUDGET)
    done = run([sys.executable, str(path)])
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "the budget of 2 LM calls is spent",
        "the budget of 0.5 cost is spent",
        "the budget of 22 tokens is spent",
        "not stopped",
    ]
