"""The messages of a request in the shape of the GenAI conventions. Values are passed on, never copied."""

from __future__ import annotations

from typing import Any, Final

from lmspan.content.messages import input_messages

# type of a content block of Anthropic's -> type of the conventions' part, and the name of each field
_PARTS: Final = {
    "text": ("text", {"content": "text"}),
    "thinking": ("reasoning", {"content": "thinking"}),
    "tool_use": ("tool_call", {"id": "id", "name": "name", "arguments": "input"}),
    "tool_result": ("tool_call_response", {"id": "tool_use_id", "response": "content"}),
}


def request_messages(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a request to Anthropic, OpenAI or Gemini."""
    messages = request.get("messages", request.get("contents"))
    if "params" in request or type(messages) is not list:
        return input_messages(messages, None)
    return [_message(each) for each in messages if type(each) is dict]


def instructions_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the system prompt if the request has it beside the messages."""
    prompt = request.get("system") or request.get("system_instruction")
    return [{"type": "text", "content": prompt}] if prompt else []


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content", message.get("parts"))
    blocks = content if type(content) is list else [content]
    parts = [_part(block) for block in blocks]
    results = parts and all(type(part) is dict and part.get("type") == "tool_call_response" for part in parts)
    return {"role": "tool" if results else message.get("role", "user"), "parts": parts}


def _part(block: Any) -> Any:
    if type(block) is not dict:
        return {"type": "text", "content": block}
    kind = block.get("type", "text")
    if type(kind) is not str or kind not in _PARTS:
        return block
    word, fields = _PARTS[kind]
    return {"type": word, **{name: block.get(theirs) for name, theirs in fields.items()}}
