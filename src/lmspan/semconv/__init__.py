"""Every attribute, event and metric name that lmspan emits, once: its type, its unit and where it comes from.

`gen_ai.*` names follow the OpenTelemetry GenAI conventions (status: Development) as of October 2026; names of our own
are under `lmspan.*` and never under another's namespace. Each constant is a plain `str`; what it means is in its
annotation, which `table()` reads for the tests and for the reference page.
"""

# The parts are one namespace to everybody else: `from lmspan import semconv as sc`.
# ruff: noqa: F403, F405

from __future__ import annotations

from typing import Final, get_type_hints

from lmspan.semconv import client, content, events, program
from lmspan.semconv.client import *
from lmspan.semconv.content import *
from lmspan.semconv.events import *
from lmspan.semconv.naming import *
from lmspan.semconv.naming import Entry, Meta
from lmspan.semconv.program import *

CONTENT: Final = frozenset(
    (
        EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, STDERR_TEXT, EVALUATION_METADATA, EVALUATION_EXPLANATION,
        INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS, TOOL_DEFINITIONS, TOOL_CALL_ARGUMENTS, TOOL_CALL_RESULT,
        RETRIEVAL_QUERY, RETRIEVAL_DOCUMENTS, CANDIDATE_INSTRUCTIONS, CANDIDATE_DEMOS, CANDIDATE_DIFF,
        ASSERTION_MESSAGE, MODULE_INPUTS, MODULE_OUTPUTS, OPERATION_INPUTS, OPERATION_OUTPUTS,
        INTERPRETER_CODE, INTERPRETER_OUTPUT, OI_INPUT, OI_INPUT_MIME, OI_OUTPUT, OI_OUTPUT_MIME,
    )
)  # fmt: skip
"""The names of content: a span carries them only if content may leave this machine."""


def table() -> dict[str, Entry]:
    """Return every name with its meaning, keyed by name, in the order they are written."""
    entries = {}
    for part in (client, program, events, content):
        for constant, hint in get_type_hints(part, include_extras=True).items():
            meta = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Meta)), None)
            if meta is not None:
                name = getattr(part, constant)
                entries[name] = Entry(name, meta)
    return entries


def entry(name: str, entries: dict[str, Entry]) -> Entry | None:
    """Return the row of a table that a name falls under, if one does."""
    found = entries.get(name)
    return found or next((each for key, each in entries.items() if key.endswith(".") and name.startswith(key)), None)
