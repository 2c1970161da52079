"""Describe LogiLLM's own objects by the attributes that they store, without running their code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.payload import describe_as, qualified_name
from lmspan.instrumentation.kit.facts import stored, text

if TYPE_CHECKING:
    from lmspan.patching import Patches


def patch(_: Patches) -> None:
    """Register how `content` describes the objects of LogiLLM."""
    for module, name, fields in _DESCRIBED:
        known = getattr(sys.modules.get(module), name, None)
        if known is not None:
            describe_as(known, fields)


def as_dict(value: Any) -> dict[str, Any]:
    """Return a dict as it is, an empty dict for another type."""
    return value if type(value) is dict else {}


def base() -> type:
    """Return the base class of all modules of LogiLLM."""
    module: type = sys.modules["logillm.core.modules"].Module
    return module


def tool_definition(tool: Any) -> dict[str, Any]:
    """Return a tool in the conventions' form of a tool definition."""
    fields = stored(tool)
    return {
        "type": "function",
        "name": fields.get("name"),
        "description": fields.get("desc"),
        "parameters": {"type": "object", "properties": fields.get("args")},
    }


def signature_of(module: Any) -> Any:
    """Return the signature of a module; `Retry` stores it under another name."""
    fields = stored(module)
    return fields.get("signature", fields.get("_signature"))


def signature_facts(signature: Any) -> dict[str, Any]:
    """Return the name and the fields of a signature. The name of one from a string is made of its fields."""
    inputs = _names(signature, "input_fields")
    outputs = _names(signature, "output_fields")
    if not inputs and not outputs:
        return {}
    return {
        sc.SIGNATURE_NAME: signature_name(signature),
        sc.SIGNATURE_INPUT_FIELDS: inputs,
        sc.SIGNATURE_OUTPUT_FIELDS: outputs,
    }


def signature_name(signature: Any) -> str:
    """Return the name of a signature, "" for another value."""
    if not _is_logillms(signature):
        return ""
    if issubclass(type(signature), type):
        return text(signature.__name__)
    if type(signature).__name__ != "BaseSignature":
        return type(signature).__name__
    inputs = _names(signature, "input_fields")
    outputs = _names(signature, "output_fields")
    return f"{', '.join(inputs)} -> {', '.join(outputs)}"


def signature_fields(signature: Any) -> dict[str, Any]:
    """Return the fields of a signature by name, input fields first, as LogiLLM stores them."""
    return {
        name: field for kind in ("input_fields", "output_fields") for name, field in _fields(signature, kind).items()
    }


def instructions(signature: Any) -> str:
    """Return the instructions of a signature."""
    return text(getattr(signature, "instructions", None)) if _is_logillms(signature) else ""


def _names(signature: Any, kind: str) -> list[str]:
    return [str(name) for name in _fields(signature, kind) if type(name) is str]


def _fields(signature: Any, kind: str) -> dict[Any, Any]:
    fields = getattr(signature, kind, None) if _is_logillms(signature) else None
    return fields if type(fields) is dict else {}


def _is_logillms(signature: Any) -> bool:
    """Return whether a value is a signature of LogiLLM, an object or a class: `getattr` runs no code of those."""
    kind = signature if issubclass(type(signature), type) else type(signature)
    mro = type.__dict__["__mro__"].__get__(kind)
    return any(qualified_name(each).startswith("logillm.core.signatures.") for each in mro)


def _prediction(prediction: Any) -> dict[str, Any]:
    """Return the outputs of a prediction, and the error of one that has failed."""
    fields = stored(prediction)
    outputs = fields.get("outputs")
    if fields.get("success") is False:
        return {"outputs": outputs, "success": False, "error": fields.get("error")}
    return outputs if type(outputs) is dict else {}


def _media(media: Any) -> dict[str, Any]:
    """Return an image or a sound as a part of a message, which `content` describes without its bytes."""
    fields = {name: stored(media).get(name) for name in ("data", "format")}
    return {"type": type(media).__name__.lower(), **fields}


_DESCRIBED: Final = (
    ("logillm.core.types", "Prediction", _prediction),
    ("logillm.core.tools.base", "Tool", tool_definition),
    ("logillm.core.signatures.types", "Image", _media),
    ("logillm.core.signatures.types", "Audio", _media),
    ("logillm.core.demos", "DemoManager", lambda manager: stored(manager).get("demos", [])),
)
