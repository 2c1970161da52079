"""Which hook of which system is heard from which library: `docs/reference/callbacks.md` is what these tests see.

`TEST_LMSPAN_WRITE_TABLE=1 pytest tests/contract/test_promises.py` writes the page again.
"""

import os
from pathlib import Path

import pytest

import lmspan
from lmspan.subscribers import delivery
from lmspan.subscribers.dialects import dspy, dspy_ex, dsrs, llmproc, logillm
from support.every_library import LIBRARIES
from support.scenarios.core import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="the page states what callbacks hear on DSPy 3.4")
PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "callbacks.md"
WRITE = "TEST_LMSPAN_WRITE_TABLE"
SYSTEMS = {
    "DSPy": dspy.DIALECT, "LogiLLM": logillm.DIALECT, "LLMProc": llmproc.DIALECT, "dsrs": dsrs.DIALECT,
    "dspy.ex": dspy_ex.DIALECT,
}  # fmt: skip

# why a library's programs have no such moment: (words in the hook's name, reason)
REASONS = {
    "DSPy": (
        (("hyperparameter",), "its optimizers announce no hyperparameters"),
        (("stderr",), "it has no such log"),
    ),
    "LogiLLM": (
        (("interpreter",), "it has no interpreter"),
        (("stderr",), "it has no such log"),
    ),
    "LLMProc": (
        (("interpreter",), "it has no interpreter"),
        (("adapter", "format", "parse"), "it has no adapters; its requests are `on_adapter_call_*`"),
        (("module",), "an agent is its only module"),
        (("evaluat", "optimiz", "compile", "hyperparameter", "candidate"), "it has no optimizers and evaluations"),
        (("stream", "token"), "release 0.9.5 does not stream"),
    ),
}


def heard_of(dialect, run):
    """Return the hooks of a system that a program makes heard, each subscribed by itself under its name."""
    heard = set()

    def noting(name):
        def hook(*_):
            heard.add(name)

        return hook

    hooks = {name: noting(name) for name in dialect.hooks}
    callback = ({**hooks}, None) if dialect.name == "dspy_ex" else type("All", (), {})()
    if dialect.name != "dspy_ex":
        vars(callback).update(hooks)
    with lmspan.subscribe(callback, dialect=dialect.name) as subscription:
        run()
        delivery.drain(10)
        assert subscription.failures == 0
    return heard


def cell(library, hook, heard):
    if hook in heard:
        return "kept"
    return next((why for words, why in REASONS[library] if any(word in hook for word in words)), "NOT KEPT")


@pytest.fixture(scope="module")
def table():
    """Every hook of every system, with what each library makes of it."""
    rows = []
    for system, dialect in SYSTEMS.items():
        heard = {library: heard_of(dialect, run) for library, run in LIBRARIES.items()}
        rows += [(system, hook, *(cell(name, hook, heard[name]) for name in LIBRARIES)) for hook in dialect.hooks]
    lmspan.unsubscribe_all()
    return rows


def test_every_hook_is_heard_or_the_library_has_no_such_moment(table):
    assert [row for row in table if "NOT KEPT" in row] == []


def test_the_page_says_what_the_tests_see(table):
    begin, end = "<!-- made by tests/contract/test_promises.py -->", "<!-- end -->"
    lines = [f"| system | hook | {' | '.join(LIBRARIES)} |", f"|---|---|{'---|' * len(LIBRARIES)}"]
    lines += [f"| {system} | `{hook}` | {' | '.join(cells)} |" for system, hook, *cells in table]
    before, _, rest = PAGE.read_text().partition(begin)
    page = f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{rest.partition(end)[2]}"
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
