"""The modules of the page."""

import shutil
import subprocess
from pathlib import Path

import pytest

import lmspan.page

NODE = shutil.which("node")
MODULES = sorted((Path(lmspan.page.__file__).parent / "static").glob("*.js"))


@pytest.mark.skipif(NODE is None, reason="no node on the PATH, which checks the syntax")
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_a_module_can_be_parsed(module):
    done = subprocess.run([NODE, "--check", module], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
