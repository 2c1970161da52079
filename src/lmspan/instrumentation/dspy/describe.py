"""How DSPy's own objects are described: by what they store, without running their code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lmspan import semconv as sc
from lmspan.content import describe_as

if TYPE_CHECKING:
    from collections.abc import Iterator

_get = object.__getattribute__
_signature_facts: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def register() -> None:
    """Tell `content` how to describe an Example, a Prediction, a Tool. Called when DSPy is patched."""
    example = _loaded("dspy.primitives.example", "Example")
    if example is not None:
        describe_as(example, _store)
    tool = _loaded("dspy.adapters.types.tool", "Tool")
    if tool is not None:
        describe_as(tool, tool_definition)


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _store(example: Any) -> dict[str, Any]:
    fields = _get(example, "__dict__").get("_store")
    return dict(fields) if type(fields) is dict else {}


def tool_definition(tool: Any) -> dict[str, Any]:
    """Return what a DSPy tool is, in the conventions' form of a tool definition."""
    stored = _get(tool, "__dict__")
    return {
        "type": "function",
        "name": stored.get("name"),
        "description": stored.get("desc"),
        "parameters": {"type": "object", "properties": stored.get("args")},
    }


def submodules(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules that a module stores, in attributes or one list, tuple or dict deep, with where they are."""
    base = sys.modules["dspy.primitives.module"].Module
    for name, value in _get(module, "__dict__").items():
        if issubclass(type(value), base):
            yield name, value
        elif type(value) in (list, tuple):
            yield from ((f"{name}[{index}]", each) for index, each in enumerate(value) if issubclass(type(each), base))
        elif type(value) is dict:
            yield from (
                (f"{name}[{key!r}]", each)
                for key, each in value.items()
                if type(key) in (str, int) and issubclass(type(each), base)
            )


def predictors(module: Any) -> dict[str, Any]:
    """Return the predictors of a program by where they are; a bare predictor is "self"."""
    found: dict[str, Any] = {}
    waiting, seen = [("", module)], {id(module)}
    while waiting:
        path, each = waiting.pop(0)
        if "Predict" in (base.__name__ for base in type(each).__mro__):
            found[path or "self"] = each
        for name, child in submodules(each):
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append((f"{path}.{name}" if path else name, child))
    return found


def signature_facts(signature: Any) -> dict[str, Any]:
    """Return name and fields of a signature class; read once per class, since every predictor call asks."""
    if not issubclass(type(signature), type):
        return {}
    facts = _signature_facts.get(signature)
    if facts is None:
        facts = {
            sc.SIGNATURE_NAME: signature.__name__,
            sc.SIGNATURE_INPUT_FIELDS: [str(name) for name in getattr(signature, "input_fields", ())],
            sc.SIGNATURE_OUTPUT_FIELDS: [str(name) for name in getattr(signature, "output_fields", ())],
        }
        _signature_facts[signature] = facts
    return facts


def signature_name(signature: Any) -> dict[str, str]:
    """Return the name of a signature class alone: its fields are on the module's span."""
    return {sc.SIGNATURE_NAME: signature.__name__} if issubclass(type(signature), type) else {}
