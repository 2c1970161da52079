"""Describe DSPy's own objects by the attributes that they store, without running their code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from lmspan import semconv as sc
from lmspan.content.payload import describe_as
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.structure import walk

if TYPE_CHECKING:
    from lmspan.patching import Patches

_signature_facts: WeakKeyDictionary[type, dict[str, Any]] = WeakKeyDictionary()


def patch(_: Patches) -> None:
    """Register how `content` describes an Example, a Prediction, a Tool and media."""
    for module, name, fields in _DESCRIBED:
        known = _loaded(module, name)
        if known is not None:
            describe_as(known, fields)


def _loaded(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _store(example: Any) -> dict[str, Any]:
    fields = stored(example).get("_store")
    return dict(fields) if type(fields) is dict else {}


def tool_definition(tool: Any) -> dict[str, Any]:
    """Return a tool in the conventions' form of a tool definition."""
    fields = stored(tool)
    return {
        "type": "function",
        "name": fields.get("name"),
        "description": fields.get("desc"),
        "parameters": {"type": "object", "properties": fields.get("args")},
    }


def _image(image: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": stored(image).get("url")}}


def _audio(audio: Any) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": dict(stored(audio))}


def _file(file: Any) -> dict[str, Any]:
    return {"type": "file", "file": dict(stored(file))}


_DESCRIBED: Final = (
    ("dspy.primitives.example", "Example", _store),
    ("dspy.adapters.types.tool", "Tool", tool_definition),
    ("dspy.adapters.types.image", "Image", _image),
    ("dspy.adapters.types.audio", "Audio", _audio),
    ("dspy.adapters.types.file", "File", _file),
)


def base() -> type:
    """Return the base class of all modules of DSPy."""
    module: type = sys.modules["dspy.primitives.module"].Module
    return module


def predictors(module: Any) -> dict[str, Any]:
    """Return the predictors of a program by their path; a program that is a predictor itself is "self"."""
    return {
        path or "self": each
        for path, each in walk(module, base())
        if "Predict" in (kind.__name__ for kind in type(each).__mro__)
    }


def signature_facts(signature: Any) -> dict[str, Any]:
    """Return the name and the fields of a signature class; cached, since every call of a predictor needs them."""
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
    """Return only the name of a signature class; its fields are on the module's span."""
    return {sc.SIGNATURE_NAME: signature.__name__} if issubclass(type(signature), type) else {}
