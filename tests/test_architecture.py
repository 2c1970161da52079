"""The arrows of docs/architecture.md: imports go down only, some wings never meet, nothing heavy at import.

One test for each rule; it lists every offender.
"""

import ast
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "lmspan"
FILES = sorted(SOURCE.rglob("*.py"))

# From the top of the house to the ground. A wing imports lower rows and itself; wings of one row do not see each other.
ROWS = (
    {"__main__"},
    {"cli", "pytest_plugin"},
    {"demo", "launch", "testing"},
    {"__init__"},
    {"session"},
    {"callbacks", "instrumentation"},
    {"page", "recording", "subscribers", "terminal"},
    {"content", "context", "export", "traces"},
    {"semconv"},
    {"config"},
    {
        "_version",
        "directories",
        "environment",
        "errors",
        "guard",
        "lifecycle",
        "liveness",
        "locks",
        "patching",
        "threads",
    },
)
NEVER = (
    # sources and subscribers meet in the span and in the fields of Call
    ("instrumentation", "subscribers"),
    ("instrumentation", "callbacks"),
    ("callbacks", "recording"),
    ("subscribers", "recording"),
    # a reader needs nothing of what writes
    ("traces", "export"),
    ("terminal", "recording"),
    ("page", "recording"),
    # two views on the same traces
    ("page", "terminal"),
)
SDK = {"session", "subscribers", "export", "testing"}
TOUCHES = {
    "start_span",
    "start_as_current_span",
    "set_attributes",
    "set_attribute",
    "set_status",
    "record_exception",
}


def wing(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def row(name):
    return next(index for index, names in enumerate(ROWS) if name in names)


@cache
def imports(path):
    """The modules that a file imports when it runs; those for type checking are left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def others(path):
    """The wings that a file imports, other than its own; the package itself is `__init__`."""
    found = {([*name.split("."), ""])[1] for name in imports(path) if name.split(".")[0] == "lmspan"}
    known = {name for names in ROWS for name in names}
    return {name if name in known else "__init__" for name in found} - {wing(path)}


def called(path):
    return {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def named(paths):
    return [str(path.relative_to(SOURCE)) for path in paths]


def test_imports_go_down_only():
    assert [
        (str(path.relative_to(SOURCE)), other)
        for path in FILES
        for other in sorted(others(path))
        if row(other) <= row(wing(path))
    ] == []


def test_some_wings_never_meet():
    met = {(wing(path), other) for path in FILES for other in others(path)}
    assert sorted(met.intersection(NEVER)) == []


def test_no_module_imports_itself_by_way_of_others():
    """A circle of modules, at run time."""
    modules = {".".join(("lmspan", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items() if name != "lmspan.__init__"}
    arrows = {
        name: {each if each in modules else each.rpartition(".")[0] for each in imports(path)} & modules.keys()
        for name, path in modules.items()
    }

    def reached(name):
        seen, left = set(), [name]
        while left:
            for other in arrows[left.pop()] - seen:
                seen.add(other)
                left.append(other)
        return seen

    assert sorted(name for name in modules if name in reached(name)) == []


def test_only_its_owners_know_the_sdk():
    assert (
        named(
            path
            for path in FILES
            if wing(path) not in SDK
            and path.name != "span.py"
            and any(name.startswith("opentelemetry.sdk") for name in imports(path))
        )
        == []
    )


def test_conventions_are_named_in_one_place():
    assert named(path for path in FILES if wing(path) != "semconv" and '"gen_ai.' in path.read_text()) == []


def test_only_the_recorder_touches_spans():
    assert named(path for path in FILES if path.name not in ("recorder.py", "span.py") and called(path) & TOUCHES) == []


def test_only_the_command_line_prints():
    """But for the callbacks that print because a document says so."""
    prints = [
        path
        for path in FILES
        if wing(path) != "cli"
        and any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert named(prints) == ["callbacks/dsrs.py", "callbacks/logillm/builtin.py"]


def test_import_loads_no_sdk_no_exporter_and_no_framework():
    code = "import sys, lmspan; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = (
        "opentelemetry.sdk",
        "opentelemetry.exporter",
        "opentelemetry.proto",
        "grpc",
        "requests",
        "dspy",
        "logillm",
        "rich",
        "google",
    )
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_a_program_without_callbacks_loads_no_callback_system():
    code = "import sys, lmspan; lmspan.init(exporters='none', instrument=()); print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert [name for name in loaded if name.startswith(("lmspan.subscribers.dialects", "lmspan.callbacks"))] == []


def test_the_bare_package_depends_on_few():
    required = [line for line in distribution("lmspan").requires if "extra ==" not in line]
    assert sorted(line.split(">")[0].split("<")[0].strip() for line in required) == [
        "click", "opentelemetry-api", "opentelemetry-exporter-otlp", "opentelemetry-sdk", "platformdirs", "rich",
        "wrapt",
    ]  # fmt: skip


def test_what_crosses_from_a_source_to_a_subscriber_is_a_field_of_call():
    """Sources and subscribers leave no notes on a call, and only sources read what a source keeps there."""
    attributes = {
        path: {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        for path in FILES
    }
    notes = [path for path in FILES if wing(path) in ("instrumentation", "subscribers") and "notes" in attributes[path]]
    keepers = ("instrumentation", "recording", "lifecycle")  # the recorder drops it when the call has ended
    kept = [path for path in FILES if wing(path) not in keepers and "kept" in attributes[path]]
    assert (named(notes), named(kept)) == ([], [])
