"""What is said of a name: its type, its unit, where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

STRING, INT, DOUBLE, BOOL, JSON = "string", "int", "double", "boolean", "string (JSON)"
STRINGS, INTS = "string[]", "int[]"
SCALAR = "string, int, double or boolean"

GENAI = "GenAI conventions"
MCP = "MCP conventions"
OTEL = "OpenTelemetry conventions"
OPENINFERENCE = "OpenInference"
OWN = "lmspan"


@dataclass(frozen=True)
class Meta:
    """What a name stands for. `content` marks what is only recorded when content is captured."""

    type: str
    source: str
    brief: str
    unit: str = ""
    content: bool = False


@dataclass(frozen=True)
class Entry:
    """One row of the table: the name with its meaning. A name that ends in a dot stands for all that begin with it."""

    name: str
    meta: Meta
