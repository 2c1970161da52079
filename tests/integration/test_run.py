"""`lmspan run`: the program behaves as under `python`, and its children are in its trace."""

import ast
import os
import sys
import zipfile
from pathlib import Path

import pytest

from lmspan.instrumentation import LIBRARIES
from lmspan.launch.command import STARTUP, environment
from lmspan.traces import direct
from support.processes import run

PROGRAMS = {
    "what a program sees of itself": """
        import inspect, os, pickle, sys
        def here(): "of the program"
        os.chdir("/")
        print(__file__, sys.argv, sys.path, __name__, __spec__, __package__, type(__builtins__), sys.flags)
        print(inspect.getsource(here), pickle.dumps(here), sys.modules["__main__"].here is here, sorted(globals()))
        print("sitecustomize" in sys.modules, input(), sys.executable)
    """,
    "a traceback after chdir": "import os\nos.chdir('/')\ndef f():\n    raise ValueError('no tea')\nf()",
    "a cause": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('tea') from error",
    "a syntax error": "print('never')\ndef f(:\n    pass",
    "a null byte": "print('a\0b')",
    "exit with a status": "raise SystemExit(7)",
    "exit with a message": "import sys\nsys.exit('no tea')",
    "an interrupt": "raise KeyboardInterrupt",
    "a signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "a hook for exceptions": "import sys\nsys.excepthook = lambda *found: print(found[0], found[2].tb_lineno)\n1 / 0",
    "the end": "import atexit\natexit.register(lambda: print('the end', __name__))",
    "a thread": "import threading\nthreading.Thread(target=lambda: 1 / 0, name='t').start()",
    "a missing command": "import subprocess\nsubprocess.run(['/no/such/command'])",
    "a missing command in a trace": """
        import subprocess, lmspan
        with lmspan.operation("workflow", "parent"):
            subprocess.run(["/no/such/command"])
    """,
    "a warning": "import warnings\nwarnings.warn('tea')",
    "multiprocessing": """
        import multiprocessing, sys
        def double(number): return __name__, __file__, number * 2
        class Box:
            def __init__(self, size): self.size = size
        def same(box): return type(box) is Box, box.size
        if __name__ == "__main__":
            for method in ("fork", "spawn", "forkserver"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(method, pool.apply(double, (2,)), pool.apply(same, (Box(3),)))
    """,
    "children": """
        import subprocess, sys
        show = "import sys; print(sys.path, sys.argv, sorted(sys.modules), __name__)"
        for options in ([], ["-I"], ["-E"], ["-P"], ["-O"]):
            print(options, subprocess.run([sys.executable, *options, "-c", show], capture_output=True, text=True))
        print(subprocess.run([sys.executable, "-m", "json.tool"], input="{}", capture_output=True, text=True))
    """,
}


def both(*arguments, environ=None, options=(), given="tea\n"):
    """Run what the arguments name under `python` and under `lmspan run`: status, output and errors of each."""
    ways = ([sys.executable, *options], [sys.executable, *options, "-m", "lmspan", "run"])
    finished = [run([*way, *map(str, arguments)], environ, input=given) for way in ways]
    return [(each.returncode, each.stdout, each.stderr) for each in finished]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_as_under_python(name, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[name].replace("\n        ", "\n").lstrip())
    plain, recorded = both(program, "-m", "--", "--help", environ={"LMSPAN_DIR": str(tmp_path / "t")})
    assert recorded == plain
    assert plain != (0, "", "")


def test_a_relative_path_a_link_and_options_of_python_are_as_under_python(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "program.py").write_text("import sys\nprint(sys.path, sys.argv, sys.flags, __file__)")
    link = tmp_path / "link.py"
    link.symlink_to(tmp_path / "real" / "program.py")
    plain, recorded = both(os.path.relpath(link), options=["-X", "dev", "-W", "error", "-O"])
    assert recorded == plain


MODULE = """import sys
print(sys.path[0], sys.argv, __name__, __spec__.name, __package__, sys.orig_argv)
raise ValueError("m")
"""


@pytest.mark.parametrize("way", ["module", "package", "directory", "archive"])
def test_modules_directories_and_archives_run_as_under_python(way, tmp_path):
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(MODULE)
    (package / "tea.py").write_text(MODULE)
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.writestr("__main__.py", MODULE)
    asked = {"module": ["-m", "shop.tea"], "package": ["-m", "shop"], "directory": [package]}
    arguments = asked.get(way, [tmp_path / "shop.zip"])
    plain, recorded = both(*arguments, "-x", "y", environ={"PYTHONPATH": str(tmp_path)})
    assert recorded == plain
    assert plain[2].endswith("ValueError: m\n")


def test_a_module_that_is_missing_is_reported_by_python(tmp_path):
    plain, recorded = both("-m", "no.such.module")
    assert recorded == plain
    assert plain[0] == 1


def test_the_start_hook_waits_for_each_library_that_can_be_instrumented():
    """It has a list of its own, because it runs where lmspan may not be installed."""
    (names,) = (
        ast.literal_eval(node.value)
        for node in ast.parse((Path(STARTUP) / "sitecustomize.py").read_text()).body
        if isinstance(node, ast.Assign) and node.targets[0].id == "_LIBRARIES"
    )
    assert names == ("lmspan", *(library.modules[0] for library in LIBRARIES.values()))


@pytest.mark.parametrize("ending", ["", "raise ValueError('of the user')", "raise ImportError('of the user')"])
@pytest.mark.parametrize("kind", ["sitecustomize.py", "sitecustomize/__init__.py"])
def test_a_sitecustomize_of_the_user_is_imported_once_and_first(kind, ending, tmp_path):
    place = tmp_path / "site" / kind
    place.parent.mkdir(parents=True)
    place.write_text(f"import sys\nprint('custom', __file__, 'lmspan' in sys.modules)\n{ending}")
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, subprocess\nprint(sys.modules.get('sitecustomize'), sys.path)\n"
        "if len(sys.argv) < 2: sys.exit(subprocess.call([sys.executable, '-u', __file__, 'child']))"
    )
    plain, recorded = both(program, options=["-u"], environ={"PYTHONPATH": str(tmp_path / "site")})
    # `python -m lmspan` is a Python of its own, which imports the user's module before it becomes the program
    assert recorded[1].startswith(plain[1].splitlines()[0])
    assert recorded[1].split("\n", 1)[1] == plain[1]
    assert recorded[2].endswith(plain[2])


FAMILY = """
import asyncio, multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
HERE = [sys.executable, __file__, "child"]

def work(number=1):
    import lmspan
    return lmspan.tool(lambda number: number * 2, name="work")(number)

def process(method):
    started = multiprocessing.get_context(method).Process(target=work, args=(1,))
    started.start()
    started.join()

def pool(method):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        pool.submit(work, 1).result()

def asynchronous(_):
    async def child():
        await (await asyncio.create_subprocess_exec(*HERE)).wait()
    asyncio.run(child())

WAYS = {
    "process": process,
    "pool": pool,
    "subprocess": lambda _: subprocess.run(HERE, check=True),
    "shell": lambda _: subprocess.run(" ".join(HERE), shell=True, check=True),
    "copied environment": lambda _: subprocess.run(HERE, env={**os.environ, "X": "1"}, check=True),
    "grandchild": lambda _: subprocess.run([*HERE[:2], "parent"], check=True),
    "asyncio": asynchronous,
    "unknown": lambda _: subprocess.run(HERE, env={"LMSPAN_DIR": os.environ["LMSPAN_DIR"]}, check=True),
    "disabled": lambda _: subprocess.run(HERE, env={**os.environ, "LMSPAN_ENABLED": "0"}, check=True),
}

if __name__ == "__main__":
    if sys.argv[1] == "child":
        work()
    elif sys.argv[1] == "parent":
        subprocess.run(HERE, check=True)
    else:
        import lmspan
        with lmspan.operation("workflow", "parent"):
            WAYS[sys.argv[1]](sys.argv[-1])
"""

BOTH = ["invoke_workflow parent", "  execute_tool work"]
CASES = [
    *[(way, method, BOTH) for way in ("process", "pool") for method in ("fork", "spawn", "forkserver")],
    *[(way, "", BOTH) for way in ("subprocess", "shell", "copied environment", "grandchild", "asyncio")],
    *[(way, "", BOTH[:1]) for way in ("unknown", "disabled")],
]


def lines(trace):
    under = trace.children

    def below(span, depth):
        return [
            "  " * depth + span.name,
            *(line for child in under.get(span.span_id, ()) for line in below(child, depth + 1)),
        ]

    return [line for root in under[""] for line in below(root, 0)]


@pytest.mark.parametrize(("way", "method", "expected"), CASES)
def test_children_are_in_the_trace_of_the_program(way, method, expected, tmp_path):
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    environ = {"LMSPAN_DIR": str(tmp_path / "t")}
    done = run([sys.executable, "-m", "lmspan", "run", str(program), way, method], environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    traces, _ = direct.read_file(tmp_path / "t" / "traces.jsonl")
    assert [lines(trace) for trace in traces] == [expected]
    assert {span.service for trace in traces for span in trace.spans} == {"family"}


LATE = """
import multiprocessing, sys

def work():
    import lmspan
    lmspan.tool(lambda: 2, name="work")()

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    process.start()
    process.join()
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_whose_parent_records_nothing_has_a_trace_of_its_own(method, tmp_path):
    program = tmp_path / "late.py"
    program.write_text(LATE)
    done = run([sys.executable, "-m", "lmspan", "run", str(program), method], {"LMSPAN_DIR": str(tmp_path / "t")})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    traces, _ = direct.read_file(tmp_path / "t" / "traces.jsonl")
    assert [lines(trace) for trace in traces] == [["execute_tool work"]]


IDLE = """
import subprocess, sys
idle = "print([name for name in sys.modules if name.startswith(('lmspan', 'opentelemetry', 'wrapt'))])"
cannot = "sys.modules['lmspan.launch'] = None; import dspy; print('sitecustomize' in str(sys.meta_path))"
for code in (idle, cannot):
    done = subprocess.run([sys.executable, "-c", "import sys; " + code], capture_output=True, text=True)
    print(done.returncode, done.stdout.strip(), done.stderr)
"""


def test_a_child_that_records_nothing_loads_nothing_and_one_that_cannot_record_says_nothing(tmp_path):
    program = tmp_path / "idle.py"
    program.write_text(IDLE)
    (tmp_path / "dspy.py").write_text("")
    environ = {"PYTHONPATH": str(tmp_path), "LMSPAN_DIR": str(tmp_path / "t")}
    done = run([sys.executable, "-m", "lmspan", "run", str(program)], environ)
    assert (done.stdout.splitlines(), done.stderr) == (["0 [] ", "0 False "], "")


def test_what_is_wrong_with_the_configuration_is_reported_by_the_first_process_alone(tmp_path):
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    environ = {"LMSPAN_DIR": str(tmp_path / "t"), "OTEL_TRACES_EXPORTER": "file,fiel"}
    done = run([sys.executable, "-m", "lmspan", "run", str(program), "process", "spawn"], environ)
    assert done.returncode == 0
    assert done.stderr.count("fiel") == 1


def test_a_disabled_run_leaves_the_environment_alone(tmp_path):
    program = tmp_path / "environ.py"
    program.write_text("import os\nprint(sorted(os.environ.items()))")
    plain, recorded = both(program, environ={"LMSPAN_ENABLED": "0"})
    assert recorded == plain


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, STARTUP),
        ("", STARTUP),  # an entry that is empty would be the current directory
        ("/a", f"{STARTUP}{os.pathsep}/a"),
        (os.pathsep + "/a", f"{STARTUP}{os.pathsep * 2}/a"),
        (f"{STARTUP}{os.pathsep}/a", f"{STARTUP}{os.pathsep}/a"),
    ],
)
def test_the_path_of_the_hook_is_before_the_users(before, after):
    inherited = {} if before is None else {"PYTHONPATH": before}
    assert environment("shop", inherited) == {"PYTHONPATH": after, "LMSPAN_RUN": "shop", "LMSPAN_RUN_FIRST": "1"}


def test_the_callbacks_and_the_redaction_of_the_programs_own_init_are_in_force(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("""
import lmspan
class Heard:
    def on_tool_start(self, call_id, instance, inputs): print("heard", inputs)
for _ in range(2):
    lmspan.init(callbacks=[Heard()], redact=lambda text: text.replace("plum", "****"), events="log")
with lmspan.operation("tool", "one", inputs={"q": "plum pudding"}): pass
""")
    done = run([sys.executable, "-m", "lmspan", "run", str(program)], {"LMSPAN_DIR": str(tmp_path / "t")})
    assert done.stdout == "heard {'kwargs': {'q': 'plum pudding'}}\n"
    assert [line for line in done.stderr.splitlines() if "init()" in line] == [
        "lmspan: init() has been called before (`lmspan run` does so); this call does not change events",
        "lmspan: init() has been called before (`lmspan run` does so); this call does not change callbacks, redact",
    ]
    text = (tmp_path / "t" / "traces.jsonl").read_text()
    assert "**** pudding" in text
    assert "plum pudding" not in text
