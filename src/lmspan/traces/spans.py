"""A stored span, as plain data."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.semconv.spans import OPERATION_OF_WORD, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ERROR: Final = 2

_HAS_TYPE: Final[dict[str, Callable[[Any], bool]]] = {
    sc.STRING: lambda value: isinstance(value, str),
    sc.JSON: lambda value: isinstance(value, str),
    sc.BOOL: lambda value: isinstance(value, bool),
    sc.INT: lambda value: type(value) is int,
    sc.DOUBLE: lambda value: type(value) is int or (type(value) is float and math.isfinite(value)),
    sc.STRINGS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    sc.INTS: lambda value: isinstance(value, list) and all(type(each) is int for each in value),
    sc.SCALAR: lambda value: isinstance(value, str | int | float),
}
_CHECKS: Final = {name: _HAS_TYPE[meaning.type] for name, meaning in sc.ATTRIBUTES.items()}
_CLASSES: Final = {sc.STRING: str, sc.JSON: str, sc.INT: int}  # of most values: no check is called for them
_CLASS_OF: Final = {name: _CLASSES[meaning.type] for name, meaning in sc.ATTRIBUTES.items() if meaning.type in _CLASSES}
_OPENINFERENCE: Final = {
    "LLM": Operation.LM,
    "EMBEDDING": Operation.EMBEDDING,
    "RETRIEVER": Operation.RETRIEVAL,
    "TOOL": Operation.TOOL,
    "AGENT": Operation.AGENT,
}
_OPENLLMETRY: Final = {
    "agent": Operation.AGENT,
    "task": Operation.MODULE,
    "tool": Operation.TOOL,
    "workflow": Operation.WORKFLOW,
}
MODEL_CALLS: Final = (Operation.LM, Operation.EMBEDDING)
"""The operations that a model answers."""


def _well_typed(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that have the type of their name; a name of another library may have any type."""
    wrong = [
        name
        for name, value in attributes.items()
        if type(value) is not _CLASS_OF.get(name) and name in _CHECKS and not _CHECKS[name](value)
    ]
    return {name: value for name, value in attributes.items() if name not in wrong} if wrong else attributes


def _with_aliases(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of another instrumentation, with the conventions' names beside its own."""
    if sc.SOURCE in attributes:
        return attributes
    known = {sc.ALIASES[name]: value for name, value in attributes.items() if name in sc.ALIASES}
    return {**known, **attributes} if known else attributes


class State(StrEnum):
    """Whether an operation has ended."""

    ENDED = "ended"
    RUNNING = "running"
    NOT_ENDED = "not ended"
    """Its process has ended without it, for example because it was killed."""


@dataclass(frozen=True)
class StoredEvent:
    """One event of a span."""

    name: str
    time_unix_nano: int
    attributes: dict[str, Any]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The attributes that have the type of their name."""
        return _well_typed(self.attributes)


@dataclass(frozen=True)
class StoredLink:
    """A link to another span."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class StoredSpan:
    """One span of a file, with attributes as Python values. `service` is the service.name of its resource.

    Ids, name and message are text, times are from 0 to 2**64 - 1. A file may hold an attribute of any type under any
    name: `attributes` holds all of them, `facts` the attributes that have the type of their name. The end of an
    operation that has not ended is the last time at which it was seen open.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start_unix_nano: int
    end_unix_nano: int
    status: int
    message: str
    attributes: dict[str, Any]
    events: tuple[StoredEvent, ...]
    service: str
    links: tuple[StoredLink, ...] = ()
    state: State = State.ENDED
    has_remote_parent: bool = False
    """Whether its parent is in another process, whose spans this file may not have."""
    dropped_events: int = 0
    """The number of events that the limit of the SDK has cut: `events` are the last ones."""

    @property
    def duration_s(self) -> float:
        """The duration, 0 for a span that ends before its start."""
        return max(self.end_unix_nano - self.start_unix_nano, 0) / 1e9

    @property
    def failed(self) -> bool:
        """Whether the status is ERROR."""
        return self.status == ERROR

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The attributes that have the type of their name; those of other instrumentations also by lmspan's names."""
        return facts_of(self.attributes)

    @cached_property
    def operation(self) -> Operation | None:
        """The operation that its attributes or its name state, also in the words of other instrumentations."""
        return operation_of(self.name, self.facts)

    @property
    def is_outermost(self) -> bool:
        """Whether nothing of its own process is above it."""
        return not self.parent_id or self.has_remote_parent

    def as_dict(self) -> dict[str, Any]:
        """Return the span as plain data, as `as_json` writes it."""
        return dataclasses.asdict(self)

    def as_json(self) -> str:
        """Return the span as a JSON object in ASCII, with OTLP's spelling of numbers that JSON does not have."""
        return as_json(self.as_dict())


def facts_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a span with these attributes."""
    return _well_typed(_with_aliases(attributes))


def operation_of(name: str, facts: Mapping[str, Any]) -> Operation | None:
    """Return the operation of a span of this name with these facts."""
    named = OPERATIONS.get(facts.get(sc.OPERATION_NAME, "")) or OPERATION_OF_WORD.get(name.partition(" ")[0])
    return named if named is not None or sc.SOURCE in facts else _kind_of_others(facts)


def _kind_of_others(facts: Mapping[str, Any]) -> Operation | None:
    kind = _OPENINFERENCE.get(str(facts.get(sc.OI_SPAN_KIND)))
    kind = kind or _OPENLLMETRY.get(str(facts.get(sc.TRACELOOP_SPAN_KIND)))
    return kind or (Operation.LM if facts.get(sc.TRACELOOP_REQUEST_TYPE) in ("chat", "completion") else None)


_SPELLINGS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def as_json(data: Any) -> str:
    """Return data as JSON in ASCII, with OTLP's spelling of numbers that JSON does not have."""
    try:
        return json.dumps(data, allow_nan=False)
    except ValueError:
        return json.dumps(_with_spelled_numbers(data))


def _with_spelled_numbers(value: Any) -> Any:
    """Return JSON data with OTLP's strings in place of infinities and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _SPELLINGS[str(value)]
    if isinstance(value, dict):
        return {name: _with_spelled_numbers(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_spelled_numbers(each) for each in value]
    return value
