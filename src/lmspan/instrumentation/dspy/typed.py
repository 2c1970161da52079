"""Typed requests of DSPy 3.4: `lm(dspy.lm15.Request(...))` and its `Response`, read as the older spelling is.

Both are DSPy's own dataclasses and immutable, so reading an attribute runs no code of the program.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from lmspan.instrumentation.kit.facts import at, field

_SETTINGS: Final = (
    "max_tokens", "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "response_format",
)  # fmt: skip
_MODALITIES: Final = ("image", "audio", "video")
_MEDIUM: Final = ("media_type", "url", "file_id", "data", "path")


def request_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the typed request of a call, or None if it has none."""
    for value in (*args[:1], kwargs.get("request"), kwargs.get("prompt")):
        if _is(value, "Request"):
            return value
    return None


def is_response(value: Any) -> bool:
    """Return whether a value is a typed response."""
    return _is(value, "Response")


def _is(value: Any, name: str) -> bool:
    lm15 = getattr(sys.modules.get("dspy"), "lm15", None)
    return lm15 is not None and type(value) is getattr(lm15, name, None)


def settings_of(request: Any) -> dict[str, Any]:
    """Return the parameters of a request by the names that the older spelling has."""
    config = request.config
    settings = {name: value for name in _SETTINGS if (value := field(config, name)) is not None}
    if stops := field(config, "stop"):
        settings["stop"] = list(stops)
    if (effort := at(config, ("reasoning", "effort"))) is not None:
        settings["reasoning_effort"] = effort
    return settings


def instructions_of(request: Any) -> list[dict[str, Any]]:
    """Return the parts of the system prompt; none if there is none."""
    system = request.system
    if system is None:
        return []
    return [{"type": "text", "content": system}] if type(system) is str else [_part(part) for part in system]


def messages_of(request: Any) -> list[dict[str, Any]]:
    """Return the messages of a request in the form of the conventions."""
    return [{"role": _text(each.role), "parts": [_part(part) for part in each.parts]} for each in request.messages]


def tools_of(request: Any) -> list[dict[str, Any]]:
    """Return the definitions of the tools of a request, without what they leave out."""
    names = ("type", "name", "description", "parameters")
    return [{name: value for name in names if (value := field(tool, name)) is not None} for tool in request.tools]


def response_messages(response: Any, reasons: list[str]) -> list[dict[str, Any]]:
    """Return the message of a response in the form of the conventions."""
    message = {"role": "assistant", "parts": [_part(part) for part in response.message.parts]}
    return [{**message, "finish_reason": reasons[0]} if reasons else message]


def _part(part: Any) -> dict[str, Any]:
    kind = _text(field(part, "type"))
    if kind == "tool_call":
        return {"type": kind, "id": part.id, "name": part.name, "arguments": part.input}
    if kind == "tool_result":
        return {"type": "tool_call_response", "id": part.id, "response": _result(part.content)}
    if kind == "data":
        return {"type": "text", "content": part.value}
    if hasattr(part, "media_type"):
        return _media(part, kind)
    return {"type": "reasoning" if kind == "thinking" else "text", "content": field(part, "text")}


def _result(content: Any) -> Any:
    parts = [_part(part) for part in content]
    return parts[0]["content"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _media(part: Any, kind: str) -> dict[str, Any]:
    """Return a part with media in Anthropic's form, which `content` describes without its bytes."""
    medium = {name: value for name in _MEDIUM if (value := field(part, name)) is not None}
    return {"type": kind if kind in _MODALITIES else "document", "source": {"type": "file", **medium}}


def _text(value: Any) -> str:
    return str.__str__(value) if issubclass(type(value), str) else ""
