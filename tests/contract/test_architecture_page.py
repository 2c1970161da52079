"""docs/architecture.md names files, functions and wings that exist, and the rows of imports that the tests enforce."""

import ast
import re
from pathlib import Path

import pytest

import test_architecture

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "lmspan"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))
FILES = [each for each in QUOTED if re.fullmatch(r"[\w./-]+\.(?:py|md|toml)", each)]
FOLDERS = [each for each in QUOTED if re.fullmatch(r"[\w/]+/", each)]
NAMES = [each for each in QUOTED if "::" in each and each != "file.py::name"]


def located(path):
    return next((base / path for base in (SOURCE, ROOT) if (base / path).exists()), None)


def defined(path, name):
    """Whether a file defines a function, class or constant, or a class in it the method that follows a dot."""
    body = ast.parse(path.read_text()).body
    for part in name.split("."):
        found = next((node for node in body if part in names_of(node)), None)
        if found is None:
            return False
        body = getattr(found, "body", [])
    return True


def names_of(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize("path", [*(each for each in FILES if each != "file.py"), *FOLDERS])
def test_a_path_exists(path):
    assert located(path) is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_name_exists(name):
    path, _, name = name.partition("::")
    assert located(path) is not None
    assert defined(located(path), name)


def test_every_wing_is_described():
    wings = {f"{each.name}/" if each.is_dir() else each.name for each in SOURCE.iterdir() if each.name != "__pycache__"}
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    described = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert sorted(wings - described - {"py.typed"}) == []


def test_the_rows_of_imports_are_those_that_are_enforced():
    (block,) = re.findall(r"```\n(__main__\n.*?)```", PAGE, re.DOTALL)
    assert tuple(set(line.split(" | ")) for line in block.splitlines()) == test_architecture.ROWS


def test_the_page_answers_its_three_questions():
    """From the page alone: where a retry becomes an event, where a prompt is cut, where a tool call gets its id."""
    assert {
        "content/clipping.py::clip",
        "instrumentation/kit/attempts.py::retrying",
        "instrumentation/llmproc/responses.py::tool_call_id",
        "instrumentation/llmproc/tools.py::describe",
    } <= set(NAMES)
