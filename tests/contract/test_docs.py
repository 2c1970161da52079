"""The documentation is true: its examples run, its tables are those of the code, its links lead to files."""

import re
import runpy
from pathlib import Path

import pytest

from support.processes import lines_of_ours, run_python
from support.scenarios import ALL

ROOT = Path(__file__).parent.parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}:{text[: text.index(block)].count(chr(10)) + 1}")
    for page in PAGES
    for text in [page.read_text()]
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_runs(block):
    done = run_python(block)
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_index_leads_to_every_page():
    index = ROOT / "docs" / "index.md"
    targets = re.findall(r"\]\(([^)#]+)\)", index.read_text())
    assert {(index.parent / target).resolve() for target in targets} == {*PAGES} - {index}


def test_every_decision_has_a_date_and_a_status():
    status = r"Date: \d{4}-\d\d-\d\d\. Status: (accepted|superseded by \[\d+\]\(.*\))\."
    for page in sorted((ROOT / "docs" / "adr").glob("*.md")):
        title, _, facts, *_ = page.read_text().splitlines()
        assert re.fullmatch(rf"# {int(page.name[:4])}\. \S.*", title)
        assert re.fullmatch(status, facts), page.name


def test_the_table_of_names_is_the_codes():
    script = runpy.run_path(str(ROOT / "docs" / "reference" / "make_semconv.py"))
    assert script["PAGE"].read_text() == script["page"]()


def test_the_table_of_programs_has_every_program_with_its_number_of_traces():
    rows = re.findall(
        r"^\| ([^|*]+) \| (\d+); (\d+)/(\d+) \|", (ROOT / "docs/reference/dspy.md").read_text(), re.MULTILINE
    )
    assert [(name, int(traces)) for name, traces, *_ in rows] == [(each.name, each.traces) for each in ALL]
    assert all(recorded == sent for *_, recorded, sent in rows)


def test_the_readme_shows_the_commands_that_ci_runs():
    readme = (ROOT / "README.md").read_text()
    assert len(re.findall(r"^python3 -m venv .*lmspan demo$", readme, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*bin/pytest$", readme, re.MULTILINE)) == 1
