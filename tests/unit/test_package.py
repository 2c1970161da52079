"""The names of the package: where they are, and when they load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lmspan

COMMAND = "sys.argv[0] = '/usr/bin/lmspan'\n"


def loaded(code):
    """The modules of lmspan that a program has loaded at its end."""
    program = f"import sys\n{code}\nprint(*(name for name in sorted(sys.modules) if name.startswith('lmspan')))"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def for_type_checkers():
    """The names that the package imports for type checkers, with their modules."""
    body = ast.parse(Path(lmspan.__file__).read_text()).body
    block = next(node for node in body if isinstance(node, ast.If))
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_a_command_that_reads_loads_nothing_that_records():
    recording = ("lmspan.recording", "lmspan.session", "lmspan.instrumentation", "lmspan.subscribers", "lmspan.export")
    assert [name for name in loaded(f"{COMMAND}from lmspan import traces") if name.startswith(recording)] == []


def test_a_program_has_every_name_once_it_has_imported_the_package():
    code = "import lmspan\nassert not set(lmspan.__all__) - {'traces'} - set(vars(lmspan))"
    assert "lmspan.session.init" in loaded(code)


def test_a_command_loads_a_name_at_its_first_use():
    assert loaded(f"{COMMAND}import lmspan") == ["lmspan", "lmspan._version"]
    assert "lmspan.session.init" in loaded(f"{COMMAND}import lmspan\nlmspan.init")


def test_type_checkers_and_programs_find_each_name_in_the_same_module():
    found = for_type_checkers()
    assert found.pop("traces") == "lmspan"
    assert {name: lmspan._MODULES[name] for name in lmspan._MODULES} == found
    assert sorted([*found, "__version__", "traces"]) == sorted(lmspan.__all__)


@pytest.mark.parametrize("name", lmspan.__all__)
def test_each_name_is_there_and_listed(name):
    assert getattr(lmspan, name) is not None
    assert name in dir(lmspan)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'lmspan' has no attribute 'unknown'"):
        lmspan.unknown  # noqa: B018 - the look-up itself raises


def test_the_instrumentor_of_a_library_loads_when_the_program_imports_the_library():
    start = "import lmspan\nlmspan.init(exporters='none', instrument='logillm')\n"
    module = "lmspan.instrumentation.logillm"
    assert module not in loaded(start)
    assert module in loaded(f"{start}import logillm")
    assert module in loaded(f"import logillm\n{start}")
    assert module not in loaded(f"{start}lmspan.init().shutdown()\nimport logillm")
