"""How LogiLLM's own objects are described: by what they store, without running their code."""

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
    """Return a dict as it is, and an empty one for anything else."""
    return value if type(value) is dict else {}


def base() -> type:
    """Return the class that every module of LogiLLM derives from."""
    found: type = sys.modules["logillm.core.modules"].Module
    return found


def tool_definition(tool: Any) -> dict[str, Any]:
    """Return what a tool is, in the conventions' form of a tool definition."""
    fields = stored(tool)
    return {
        "type": "function",
        "name": fields.get("name"),
        "description": fields.get("desc"),
        "parameters": {"type": "object", "properties": fields.get("args")},
    }


def signature_of(module: Any) -> Any:
    """Return a module's signature; `Retry` stores the one it wraps under another name."""
    fields = stored(module)
    return fields.get("signature", fields.get("_signature"))


def signature_facts(signature: Any) -> dict[str, Any]:
    """Return name and fields of a signature. One that was written as a string is named by its fields."""
    inputs, outputs = _names(signature, "input_fields"), _names(signature, "output_fields")
    if not inputs and not outputs:
        return {}
    return {
        sc.SIGNATURE_NAME: signature_name(signature),
        sc.SIGNATURE_INPUT_FIELDS: inputs,
        sc.SIGNATURE_OUTPUT_FIELDS: outputs,
    }


def signature_name(signature: Any) -> str:
    """Return a signature's name, "" for what is none."""
    if not _is_logillms(signature):
        return ""
    if issubclass(type(signature), type):
        return text(signature.__name__)
    if type(signature).__name__ != "BaseSignature":
        return type(signature).__name__
    inputs, outputs = _names(signature, "input_fields"), _names(signature, "output_fields")
    return f"{', '.join(inputs)} -> {', '.join(outputs)}"


def signature_fields(signature: Any) -> dict[str, Any]:
    """Return a signature's fields by name, input first, as LogiLLM has them."""
    return {
        name: field for kind in ("input_fields", "output_fields") for name, field in _fields(signature, kind).items()
    }


def instructions(signature: Any) -> str:
    """Return what a signature tells the model to do."""
    return text(getattr(signature, "instructions", None)) if _is_logillms(signature) else ""


def _names(signature: Any, kind: str) -> list[str]:
    return [str(name) for name in _fields(signature, kind) if type(name) is str]


def _fields(signature: Any, kind: str) -> dict[Any, Any]:
    fields = getattr(signature, kind, None) if _is_logillms(signature) else None
    return fields if type(fields) is dict else {}


def _is_logillms(signature: Any) -> bool:
    """Tell whether this is a signature of LogiLLM's, an object or a class, whose attributes may be asked for."""
    kind = signature if issubclass(type(signature), type) else type(signature)
    mro = type.__dict__["__mro__"].__get__(kind)
    return any(qualified_name(each).startswith("logillm.core.signatures.") for each in mro)


def _prediction(prediction: Any) -> dict[str, Any]:
    """Return a prediction's outputs; of one that says it failed, also why."""
    fields = stored(prediction)
    outputs = fields.get("outputs")
    if fields.get("success") is False:
        return {"outputs": outputs, "success": False, "error": fields.get("error")}
    return outputs if type(outputs) is dict else {}


def _media(media: Any) -> dict[str, Any]:
    """Return an image or a sound as the conventions have a blob, without its bytes."""
    data = stored(media).get("data")
    size = len(data) if type(data) is bytes else 0
    return {"type": "blob", "modality": type(media).__name__.lower(), "content": f"<{size} bytes>"}


_DESCRIBED: Final = (
    ("logillm.core.types", "Prediction", _prediction),
    ("logillm.core.tools.base", "Tool", tool_definition),
    ("logillm.core.signatures.types", "Image", _media),
    ("logillm.core.signatures.types", "Audio", _media),
    ("logillm.core.demos", "DemoManager", lambda manager: stored(manager).get("demos", [])),
)
