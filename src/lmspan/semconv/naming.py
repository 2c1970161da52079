"""Define a name: `attribute`, `event` and `metric` enter it into their table and return it as a plain `str`."""

from __future__ import annotations

from typing import Final, NamedTuple

STRING: Final = "string"
INT: Final = "int"
DOUBLE: Final = "double"
BOOL: Final = "boolean"
JSON: Final = "string (JSON)"
STRINGS: Final = "string[]"
INTS: Final = "int[]"
SCALAR: Final = "string, int, double or boolean"

OWN: Final = "lmspan"
GENAI: Final = "GenAI conventions"
_OTEL: Final = "OpenTelemetry conventions"
_OPENINFERENCE: Final = "OpenInference"

_SOURCES: Final = {
    # the first part of a name -> the document that defines it
    "lmspan": OWN,
    "gen_ai": GENAI,
    "mcp": "MCP conventions",
    "aws": _OTEL,
    "code": _OTEL,
    "error": _OTEL,
    "exception": _OTEL,
    "openai": _OTEL,
    "server": _OTEL,
    "session": _OTEL,
    "user": _OTEL,
    "input": _OPENINFERENCE,
    "llm": _OPENINFERENCE,
    "openinference": _OPENINFERENCE,
    "output": _OPENINFERENCE,
}


class Attribute(NamedTuple):
    """The meaning of an attribute's name. Attributes of content are recorded only where content is captured."""

    type: str
    source: str
    brief: str
    unit: str
    content: bool


ATTRIBUTES: Final[dict[str, Attribute]] = {}
"""The meaning of every attribute. A key that ends in a dot stands for every name that begins with it."""

EVENTS: Final[dict[str, str]] = {}
"""What every event reports."""

METRICS: Final[dict[str, tuple[str, str]]] = {}
"""The unit of every metric, and what it measures."""


def attribute(name: str, value_type: str, brief: str, unit: str = "", *, content: bool = False) -> str:
    """Enter an attribute into its table and return its name."""
    ATTRIBUTES[name] = Attribute(value_type, _SOURCES[name.partition(".")[0]], brief, unit, content)
    return name


def event(name: str, brief: str) -> str:
    """Enter an event into its table and return its name."""
    EVENTS[name] = brief
    return name


def metric(name: str, unit: str, brief: str) -> str:
    """Enter a metric into its table and return its name."""
    METRICS[name] = unit, brief
    return name


def attribute_of(name: str) -> Attribute | None:
    """Return the meaning of a name that a span carries, or None for a name that is not of the table."""
    family = (known for known in ATTRIBUTES if known.endswith(".") and name.startswith(known))
    return ATTRIBUTES.get(name) or ATTRIBUTES.get(next(family, ""))
