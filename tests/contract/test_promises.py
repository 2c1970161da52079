"""Which promise of which system holds for which library: `docs/reference/callbacks.md` is what these tests see.

`TEST_LMSPAN_WRITE_TABLE=1 pytest tests/contract/test_promises.py` writes the page again.
"""

import os
from pathlib import Path

import pytest
import test_documents

import lmspan
from lmspan.callbacks import dspy_ex, logillm
from lmspan.subscribers import delivery
from support import promises
from support.every_library import AGENTS, LIBRARIES
from support.promises import SYSTEMS
from support.scenarios.core import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="the page states what callbacks hear on DSPy 3.4")
PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "callbacks.md"
WRITE = "TEST_LMSPAN_WRITE_TABLE"
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


def rows_of_hooks():
    """Every hook of every system, with what each library makes of it."""
    for system, dialect in SYSTEMS.items():
        heard = {library: heard_of(dialect, run) for library, run in LIBRARIES.items()}
        for hook in dialect.hooks:
            yield system, f"`{hook}`", *(cell(name, hook, heard[name]) for name in LIBRARIES)
    lmspan.unsubscribe_all()


def verdict(promise, library, agent):
    try:
        return promise.verdict(library, agent)
    except Exception as error:  # noqa: BLE001 - whatever it is, the promise is not kept
        return f"NOT KEPT: {type(error).__name__}: {error}"
    finally:
        logillm.CallbackManager().clear()
        dspy_ex.configure()
        lmspan.unsubscribe_all()


DOCUMENTS = {"LogiLLM": ("logillm-callbacks",), "LLMProc": ("llmproc-callbacks", "llmproc-run-result")}


def rows_of_documents():
    """The examples of the documents, which are programs of the library that the document is of."""
    for system, documents in DOCUMENTS.items():
        examples = [each for each in test_documents.ALL if each[0] in documents]
        kept = sum(test_documents.prints_what_it_says(*each) for each in examples)
        verdict = "kept" if kept == len(examples) else f"NOT KEPT: {kept} of {len(examples)}"
        text = f"The {len(examples)} examples of its documents run when only their import lines change"
        yield system, text, *(verdict if library == system else "-" for library in AGENTS)


def rows_of_promises():
    """Every other promise of every system, with the verdict of its check for each library."""
    yield from rows_of_documents()
    for each in promises.ALL:
        yield each.system, each.text, *(verdict(each, library, agent) for library, agent in AGENTS.items())


TABLES = {"hook": rows_of_hooks, "promise": rows_of_promises}


@pytest.fixture(scope="module", params=TABLES)
def table(request):
    """A table of the page: its name and its rows."""
    return request.param, list(TABLES[request.param]())


def test_every_promise_is_kept_or_the_library_has_no_such_moment(table):
    _, rows = table
    assert [row for row in rows if "NOT KEPT" in str(row)] == []


def test_the_page_says_what_the_tests_see(table):
    name, rows = table
    begin, end = f"<!-- {name}s: made by tests/contract/test_promises.py -->", f"<!-- end of {name}s -->"
    lines = [f"| system | {name} | {' | '.join(LIBRARIES)} |", f"|---|---|{'---|' * len(LIBRARIES)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    before, _, rest = PAGE.read_text().partition(begin)
    page = f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{rest.partition(end)[2]}"
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
