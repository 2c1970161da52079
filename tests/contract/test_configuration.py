"""The page of the configuration names every variable that is read, no other one, and the limits of the file sink."""

import ast
import re
from pathlib import Path

from lmspan import environment
from lmspan.export import file

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "configuration.md").read_text()
NAME = r"(?:LMSPAN|OTEL)_[A-Z_]*[A-Z]"


def in_the_code():
    """Every name of a variable that stands in the code as a text of its own."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(NAME, node.value):
                yield node.value


def test_the_page_and_the_code_name_the_same_variables():
    read = {*in_the_code(), *environment.CHECKS, *environment.ENDPOINTS}
    assert set(re.findall(f"`({NAME})`", PAGE)) == read
    assert {name for name in read if name.startswith("LMSPAN_")} == set(environment.OWN)


def test_the_page_tells_the_limits_of_the_file_sink():
    hours, days = file._MAX_AGE_S // 3600, file._KEEP_AGE_S // 86_400
    text = " ".join(PAGE.split())
    assert f"At {file._MAX_BYTES // 2**20} MB, or {hours} hours after its first span" in text
    assert f"{file._KEEP_FILES} renamed files are kept, none longer than {days} days" in text
