"""The style of a span's name, by its operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.traces.spans import StoredSpan

_STYLES: Final = {
    Operation.LM: "cyan",
    Operation.EMBEDDING: "cyan",
    Operation.AGENT: "bold",
    Operation.WORKFLOW: "bold",
    Operation.OPTIMIZE: "bold",
    Operation.EVALUATE: "bold",
    Operation.TOOL: "magenta",
    Operation.RETRIEVAL: "magenta",
    Operation.ADAPTER_FORMAT: "dim",
    Operation.ADAPTER_PARSE: "dim",
    Operation.INTERPRETER_STARTUP: "dim",
    Operation.INTERPRETER_SHUTDOWN: "dim",
}


def style_of(span: StoredSpan) -> str:
    """Return the style of a span's name; a failed one is red."""
    if span.failed:
        return "bold red"
    return _STYLES.get(span.operation, "") if span.operation is not None else ""
