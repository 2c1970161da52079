"""The arrows of the design: imports go down only, sources and subscribers never meet, nothing heavy at import."""

import ast
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "lmspan"
FILES = sorted(SOURCE.rglob("*.py"))

# Which row of the design each part is in; a part may import what is in a lower row, or itself.
ROWS = (
    {"__main__"},
    {"cli", "pytest_plugin"},
    {"launch"},
    {"__init__", "demo", "testing"},
    {"_init"},
    {"providers"},
    {"default", "running"},
    {"instrumentation", "decorators", "callbacks", "export", "viewer", "sampling"},
    {"wrappers"},
    {"generators", "callables", "operations"},
    {"recorder"},
    {"metrics", "config", "shapes", "propagation", "runs"},
    {"messages"},
    {"content"},
    {"processes", "layers"},
    {"redaction"},
    {"secret_finders"},
    {
        "patching",
        "lifecycle",
        "lineage",
        "semconv",
        "environment",
        "errors",
        "guard",
        "secret_names",
        "token_shapes",
        "clipping",
        "_version",
    },
)
SDK = {"callbacks", "providers", "export", "sampling", "testing"}


def part(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def row(name):
    return next(index for index, names in enumerate(ROWS) if name in names)


def imports(path):
    """The modules that a file imports, those for type checking left out."""
    tree = ast.parse(path.read_text())
    skipped = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_only(path):
    own = part(path)
    others = {name.split(".")[1] for name in imports(path) if name.startswith("lmspan.")}
    assert [other for other in others if other != own and row(other) <= row(own)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_its_owners_know_the_sdk(path):
    if part(path) not in SDK:
        assert not [name for name in imports(path) if name.startswith("opentelemetry.sdk")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_conventions_are_named_in_one_place(path):
    if part(path) != "semconv":
        assert '"gen_ai.' not in path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_recorder_touches_spans(path):
    if path.name == "recorder.py":
        return
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {
        "start_span",
        "start_as_current_span",
        "set_attributes",
        "set_attribute",
        "set_status",
        "record_exception",
    }


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


def test_the_bare_package_depends_on_few():
    required = [line for line in distribution("lmspan").requires if "extra ==" not in line]
    assert sorted(line.split(">")[0].split("<")[0].strip() for line in required) == [
        "opentelemetry-api", "opentelemetry-exporter-otlp", "opentelemetry-sdk", "platformdirs", "rich", "wrapt",
    ]  # fmt: skip
