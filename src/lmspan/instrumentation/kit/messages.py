"""The messages of a request in the shape of the GenAI conventions. Values are passed on, never copied."""

from __future__ import annotations

from typing import Any

from lmspan.content.messages import input_messages, part_of


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
    parts = [part_of(block) for block in blocks]
    results = parts and all(type(part) is dict and part.get("type") == "tool_call_response" for part in parts)
    return {"role": "tool" if results else message.get("role", "user"), "parts": parts}
