"""Encode a program's payload for a span: whether content is recorded, how much of it, and in which JSON.

Describing a value runs none of the program's code: it calls no `repr`, `str`, `len` or `iter` and reads no attribute of
an unknown object. Values of built-in types are read directly, those of their subclasses by the base class's methods,
those of a few known types by their stored fields. Any other value becomes `<module.Class>`.
"""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import EnumType
from types import GetSetDescriptorType
from typing import TYPE_CHECKING, Any, Final

from lmspan import guard
from lmspan import semconv as sc
from lmspan.content.clipping import Texts, clip, cut, well_formed
from lmspan.content.encoded import MARK, measure
from lmspan.content.media import part_of
from lmspan.content.numbers import plain_number
from lmspan.content.redaction import FAILED, REDACTED, Redactor
from lmspan.content.secret_names import hides, hides_named
from lmspan.content.snapshot import Recorded, snapshot
from lmspan.lifecycle import Deferred

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_INT: Final = 2**63
_SHORT: Final = 64  # keys, roles and names are shorter: most of the strings, with few different values
_NUMBERS: Final = frozenset((int, float, bool))
_BUILT_IN: Final = (str, dict, list, tuple, set, frozenset)
_PAIRS: Final = (("name", "value"), ("key", "value"), ("header", "value"), ("Name", "Value"), ("Key", "Value"))
# lmspan sets these values itself: they contain no secret, and a hook must not change them.
_OWN_VALUES: Final = frozenset(
    (
        sc.CALL_ID, sc.CALL_PARENT_ID, sc.SOURCE, sc.OPERATION_NAME, sc.OI_SPAN_KIND, sc.TOOL_TYPE, sc.TOOL_CALLER,
        sc.OUTPUT_TYPE, sc.ADAPTER_PHASE, sc.EVALUATION_SCOPE, sc.COST_UNIT, sc.COST_SOURCE, sc.MCP_METHOD,
    )
)  # fmt: skip
_PLAIN_BY_STR = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID,
                 pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)  # fmt: skip

_fields_of: dict[int, tuple[type, Callable[[Any], Any]]] = {}


def describe_as(cls: type, fields: Callable[[Any], Any]) -> None:
    """Describe instances of exactly this class by the built-in values that `fields` returns. Sources call it."""
    _fields_of[id(cls)] = (cls, fields)  # by id, because hashing a class may run the program's code


@dataclass(frozen=True)
class Capture:
    """The destinations of content: spans, log events, or (`local`) only those that keep it on this machine."""

    span: bool = False
    event: bool = False
    local: bool = False

    def __bool__(self) -> bool:
        return self.span or self.event or self.local


CAPTURE_MODES: Final = {
    "none": Capture(),
    "span": Capture(span=True),
    "event": Capture(event=True),
    "both": Capture(span=True, event=True),
    "local": Capture(local=True),
}


class Content:
    """Turn payloads into attribute values, within the mode and the budget. Never raises for any value."""

    def __init__(
        self,
        capture: Capture = CAPTURE_MODES["none"],
        redactor: Redactor | None = None,
        *,
        max_bytes: int = 262_144,
        max_nodes: int = 5_000,
    ) -> None:
        self.capture = capture
        self.redactor: Redactor = redactor or Redactor()
        self.max_bytes = max_bytes
        self.max_nodes = max_nodes
        texts = (sc.INTERPRETER_CODE, sc.RETRIEVAL_QUERY, sc.CANDIDATE_DIFF, sc.STDERR_TEXT)
        self._encoders: dict[str, _Encode] = {
            **dict.fromkeys((sc.TOOL_CALL_ARGUMENTS, sc.TOOL_CALL_RESULT), self.object_json),
            **dict.fromkeys(texts, self.text),
        }

    def attributes(
        self,
        payload: Mapping[str, Any],
        texts: Texts | None = None,
        *,
        deferred: bool = False,
        openinference: bool = False,
    ) -> dict[str, Any]:
        """Return a payload (attribute name -> value) as attributes; `openinference` adds OpenInference's names.

        With `deferred`, a value is copied, if it can be, and encoded when a reader needs it. Where there is a `redact=`
        hook, every value is encoded at once, because the hook is called on the thread of the program.
        """
        self.redactor.read_environment()
        make = self._defer if deferred and not self.redactor.has_hook else self._encode
        encoded = {name: make(self._encoders.get(name, self.json), value, texts) for name, value in payload.items()}
        for name in payload if openinference else ():
            if name in sc.OPENINFERENCE_CONTENT:
                value_name, mime_name = sc.OPENINFERENCE_CONTENT[name]
                encoded[value_name] = encoded[name]
                encoded[mime_name] = "text/plain" if self._encoders.get(name) == self.text else "application/json"
        return encoded

    def _encode(self, encode: _Encode, value: Any, texts: Texts | None) -> str:
        return encode(value, texts)

    def _defer(self, encode: _Encode, value: Any, texts: Texts | None) -> str | Deferred:
        copy = snapshot(_fields(value) if encode == self.json else value, self.max_bytes, self.max_nodes)
        return encode(value, texts) if copy is None else Deferred(copy.size, _text, encode, copy.value, texts)

    def facts(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return attributes other than content, without secrets, as a span has them: see `_fact`. Never raises."""
        redactor = self.redactor
        known = redactor.known_values
        return {
            name: each
            if (kind := type(each)) in _NUMBERS or name in _OWN_VALUES
            else (known.get((name, each)) if kind is str else None) or self._fact(name, each)
            for name, each in attributes.items()
        }

    def _fact(self, name: str, value: Any) -> Any:
        """Return the value of an attribute as a string, a number, None, or a tuple of these: a span checks no more."""
        kind = type(value)
        if value is None or kind in _NUMBERS:
            return value
        if issubclass(kind, str):
            return self.redactor.value(name, str.__str__(value))
        if kind is list or kind is tuple:
            return tuple(self._fact("", each) for each in self.redactor.value(name, value))
        number = plain_number(value)
        return type_name(kind) if number is None else number

    def text(self, value: Any, texts: Texts | None = None) -> str:
        """Return one string: redacted, cut to half the budget, valid Unicode."""
        return self.redactor.hook(clip(_exact(value), self.max_bytes // 2, self.redactor, texts))

    def json(self, value: Any, texts: Texts | None = None) -> str:
        """Return a value as compact JSON within the budget; strings are cut inside, so the JSON stays valid."""
        return self._json(value, self.max_bytes, texts)

    def brief(self, value: Any) -> Recorded:
        """Return a value as JSON within a quarter of the budget, for use as text inside a larger value."""
        return Recorded(self._json(value, self.max_bytes // 4))

    def _json(self, value: Any, max_bytes: int, texts: Texts | None = None) -> str:
        walk = _Walk(self.redactor, max_bytes, self.max_nodes, texts)
        return json.dumps(walk.describe(value, ()), ensure_ascii=False, separators=(",", ":"))

    def object_json(self, value: Any, texts: Texts | None = None) -> str:
        """Return a JSON object; any other value becomes `{"result": value}`, as the conventions require of tools."""
        return self.json(value if issubclass(type(value), dict) else {"result": value}, texts)

    def exception(self, error: BaseException, *, with_content: bool) -> dict[str, str]:
        """Return the attributes of an exception: its type and, if `with_content`, its message and its traceback."""
        facts = {sc.EXCEPTION_TYPE: self.redactor.name(qualified_name(type(error)))}
        if with_content:
            message = self.message(error)
            facts[sc.EXCEPTION_MESSAGE] = message
            frames = self.text("".join(traceback.format_tb(error.__traceback__))).rstrip()
            last = f"{facts[sc.EXCEPTION_TYPE]}: {message}" if message else facts[sc.EXCEPTION_TYPE]
            facts[sc.EXCEPTION_STACKTRACE] = f"Traceback (most recent call last):\n{frames}\n{last}"
        return facts

    def message(self, error: BaseException) -> str:
        """Return the message of an exception, built from its arguments: its `__str__` does not run."""
        self.redactor.read_environment()
        arguments = BaseException.__dict__["args"].__get__(error)
        if len(arguments) == 1 and issubclass(type(arguments[0]), str):
            return self.redactor.hook(clip(_exact(arguments[0]), 4096, self.redactor))
        return cut(self.json(list(arguments)), 4096) if arguments else ""


_Encode = Callable[[Any, Texts | None], str]


@guard.guarded
def _encode_late(encode: _Encode, value: Any, texts: Texts | None) -> str:
    return encode(value, texts)


def _text(encode: _Encode, value: Any, texts: Texts | None) -> str:
    """Encode on an export thread, where an exception would cost the whole batch."""
    text = _encode_late(encode, value, texts)
    return FAILED if text is None else text


class _Walk:
    """One walk over one value, with the rest of its budget."""

    max_depth = 24

    def __init__(self, redactor: Redactor, max_bytes: int, max_nodes: int, texts: Texts | None) -> None:
        self.redactor = redactor
        self.texts = texts
        self.bytes_left = max_bytes
        self.string_limit = max(max_bytes // 4, 256)
        self.nodes_left = max_nodes

    def describe(self, value: Any, path: tuple[int, ...]) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self.string(value)
        if kind is int:
            return value if -_LARGEST_INT <= value < _LARGEST_INT else f"<int of {value.bit_length()} bits>"
        if kind is float:
            return value if value - value == 0 else f"{value}"  # JSON has no NaN and no infinities
        if len(path) >= self.max_depth:
            return "<deeper>"
        if id(value) in path:
            return "<cycle>"
        return self.compound(value, kind, (*path, id(value)))

    def compound(self, value: Any, kind: type, path: tuple[int, ...]) -> Any:
        if issubclass(kind, dict):
            return self.mapping(dict.items(value), path)
        for base in (list, tuple, set, frozenset):
            if issubclass(kind, base):
                return self.sequence(base.__iter__(value), base.__len__(value), path)
        fields = stored_fields(value, kind)
        if fields is not None:
            return self.describe(fields, path) if type(fields) is not dict else self.mapping(fields.items(), path)
        return self.scalar(value, kind)

    def scalar(self, value: Any, kind: type) -> Any:
        if kind is Recorded:
            return self.cut(value)
        if issubclass(kind, str):
            return self.string(str.__str__(value))
        if issubclass(kind, (bytes, bytearray)):
            return _bytes(value)
        if type(kind) is EnumType:
            return self.describe(value.__dict__.get("_value_"), (id(value),))
        if any(kind is known for known in _PLAIN_BY_STR):
            return self.string(str(value))
        number = plain_number(value)
        if number is not None:
            return self.describe(number, ())
        return type_name(kind)

    def mapping(self, items: Any, path: tuple[int, ...]) -> dict[str, Any]:
        described: dict[str, Any] = {}
        part = part_of(items, _read)
        for key, item in items if part is None else part.items():
            if not self.node():
                described["..."] = "<more>"
                break
            name = self.string(key) if type(key) is str else str(self.describe(key, path))
            hidden = hides(key if type(key) is str else name, item)
            described[name] = REDACTED if hidden else self.describe(item, path)
        for name_key, value_key in _PAIRS:
            if value_key in described and hides_named(described.get(name_key), described[value_key]):
                described[value_key] = REDACTED
        return described

    def sequence(self, items: Any, length: int, path: tuple[int, ...]) -> list[Any]:
        described: list[Any] = []
        for item in items:
            if not self.node():
                described.append(f"<{length - len(described)} more>")
                break
            described.append(self.describe(item, path))
        if length == len(described) == 2 and hides_named(*described):  # noqa: PLR2004 - a header is a pair
            described[1] = REDACTED
        return described

    def node(self) -> bool:
        self.nodes_left -= 1
        return self.nodes_left >= 0

    def string(self, value: str) -> str:
        if len(value) > min(_SHORT, self.bytes_left) or MARK in value:
            return self.redactor.hook(self.cut(value))
        self.bytes_left -= len(value)
        return well_formed(self.redactor.name(value))

    def cut(self, value: str) -> str:
        text = clip(value, min(self.string_limit, max(self.bytes_left, 0)), self.redactor, self.texts)
        self.bytes_left -= len(text)
        return text


def _bytes(value: bytes | bytearray) -> str:
    """Describe bytes; a short value is no medium, and a digest would give it away."""
    payload = measure(value)
    if payload.size < _SHORT:
        return f"<{'bytes' if isinstance(value, bytes) else 'bytearray'} of {payload.size}>"
    return payload.phrase(payload.mime_type)


def _read(value: Any) -> Any:
    return stored_fields(value, type(value))


def _fields(value: Any) -> Any:
    """Return the stored fields of an object, as the walk over it would begin, or the value itself."""
    kind = type(value)
    fields = None if issubclass(kind, _BUILT_IN) else stored_fields(value, kind)
    return value if fields is None else fields


def stored_fields(value: Any, kind: type) -> Any:
    """Return the stored fields of an object of a known type as built-in values, else None. Runs none of its code."""
    known = _fields_of.get(id(kind))
    if known is not None and known[0] is kind:
        return known[1](value)
    for base in type.__dict__["__mro__"].__get__(kind):
        known = _fields_of.get(id(base))
        if known is not None and known[0] is base:
            return known[1](value)
        if base.__name__ == "BaseModel" and base.__module__ == "pydantic.main":
            return stored_dict(value, kind)
    return stored_dict(value, kind) if "__dataclass_fields__" in type.__dict__["__dict__"].__get__(kind) else None


def stored_dict(value: Any, kind: type) -> dict[str, Any] | None:
    """Return a copy of the instance's own dict, or None if a class puts something of its own in its place."""
    for base in type.__dict__["__mro__"].__get__(kind):
        defined = type.__dict__["__dict__"].__get__(base)
        if "__dict__" in defined:
            place = defined["__dict__"]
            return dict(place.__get__(value)) if type(place) is GetSetDescriptorType else None
    return None


def type_name(kind: type) -> str:
    """Return `<module.Class>`, the description of an unknown object."""
    return f"<{qualified_name(kind)}>"


def qualified_name(kind: type) -> str:
    """Return the name of a class with its module, and of a built-in class without."""
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    return f"{name}" if module == "builtins" else f"{module}.{name}"


def plain_text(value: Any) -> str:
    """Return a number or a text as text, and the type of any other value. Runs no code of the value."""
    return str(value) if type(value) in _NUMBERS else _exact(value)


def _exact(value: Any) -> str:
    return str.__str__(value) if issubclass(type(value), str) else type_name(type(value))
