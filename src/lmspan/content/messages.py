"""Translate messages into the form of the GenAI conventions, a role and parts.

The parts hold the program's values unchanged. Only the inputs and outputs of an agent become text.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from lmspan.content.payload import stored_dict, stored_fields
from lmspan.content.secret_names import hides

if TYPE_CHECKING:
    from collections.abc import Callable

_TRAJECTORY: Final = "trajectory"
_TRANSLATED: Final = ("role", "content", "tool_calls", "finish_reason", "name", "tool_call_id")
_TEXT: Final = ("text", {"content": "text"})
# type of a block, of OpenAI's or Anthropic's -> type of the conventions' part, and the name of each field
_PARTS: Final = {
    "text": _TEXT,
    "input_text": _TEXT,
    "output_text": _TEXT,
    "thinking": ("reasoning", {"content": "thinking"}),
    "tool_use": ("tool_call", {"id": "id", "name": "name", "arguments": "input"}),
    "tool_result": ("tool_call_response", {"id": "tool_use_id", "response": "content"}),
}
_CLIENTS: Final = ("litellm.types.", "openai.types.")  # reading an attribute of theirs runs no code of the program
_MOST: Final = 1_000  # messages or fields: a larger value is described like any other, not as a conversation
_FINISHED: Final = {"finish_reason": "stop"}  # the conventions require a reason, and an agent that returns has ended


def input_messages(messages: Any, prompt: Any) -> list[dict[str, Any]]:
    """Return OpenAI's messages, or a bare prompt, in the form of the conventions."""
    if type(messages) is not list:
        return [{"role": "user", "parts": _content(prompt)}] if prompt is not None else []
    return [
        _message(message) if type(message) is dict else {"role": "user", "parts": _content(message)}
        for message in messages
    ]


def output_messages(outputs: Any, finish_reasons: list[str]) -> list[dict[str, Any]]:
    """Return one message for each candidate of an LM call: a text, or a dict with text, reasoning and tool calls."""
    candidates = outputs if type(outputs) is list else [outputs]
    messages = []
    for index, candidate in enumerate(candidates):
        message: dict[str, Any] = {"role": "assistant", "parts": _answer(candidate)}
        if index < len(finish_reasons):
            message["finish_reason"] = finish_reasons[index]
        messages.append(message)
    return messages


def tool_definitions(tools: Any) -> Any:
    """Return tools of a provider's API in the form of the conventions, and any other value unchanged."""
    return [_definition(tool) for tool in tools] if type(tools) is list else tools


def _definition(tool: Any) -> Any:
    if type(tool) is not dict:
        return tool
    fields = {"type": "function", **tool}
    if type(fields.get("function")) is dict:
        fields.update(fields.pop("function"))
    if "name" not in fields:
        return tool
    if "input_schema" in fields:
        fields["parameters"] = fields.pop("input_schema")
    return fields


def split_inputs(inputs: Any) -> tuple[list[dict[str, Any]] | None, Any]:
    """Separate the inputs of a plain function into messages, in the form of the conventions, and the other inputs.

    Messages are a list of dicts with a role, alone or named `messages`, or a string, alone or named `prompt`.
    """
    if _are_messages(inputs):
        return input_messages(inputs, None), None
    if type(inputs) is str:
        return input_messages(None, inputs), None
    if _is_plain(inputs):
        rest = dict(inputs)
        if _are_messages(inputs.get("messages")):
            return input_messages(rest.pop("messages"), None), rest or None
        if type(inputs.get("prompt")) is str:
            return input_messages(None, rest.pop("prompt")), rest or None
    return None, inputs


def split_outputs(outputs: Any) -> tuple[list[dict[str, Any]] | None, Any]:
    """Separate the outputs of a plain function into messages (strings, or one dict with a role) and the rest."""
    texts = [outputs] if type(outputs) is str else outputs
    if type(texts) is list and 0 < len(texts) <= _MOST and all(type(each) is str for each in texts):
        return output_messages(texts, ["stop"] * len(texts)), None
    if not _are_messages([outputs]):
        return None, outputs
    rest = {name: value for name, value in outputs.items() if name not in _TRANSLATED}
    return [{**_message(outputs), "finish_reason": _finish_reason(outputs)}], rest or None


def _finish_reason(message: dict[str, Any]) -> str:
    reason: Any = message.get("finish_reason")
    if type(reason) is str:
        return reason
    calls = message.get("tool_calls")
    return "tool_call" if type(calls) is list and calls else "stop"


def agent_message(role: str, fields: Any, as_text: Callable[[Any], str]) -> list[dict[str, Any]]:
    """Return the inputs or outputs of an agent as one message: the only field if it is a string, else all as text.

    The message omits the trajectory, because the spans below hold it. Empty inputs or outputs make no message.
    """
    kind = type(fields)
    stored = fields if kind is dict or kind is str else stored_fields(fields, kind)
    if _is_plain(stored):
        stored = {name: value for name, value in stored.items() if name != _TRAJECTORY}
    stored = fields if stored is None else stored
    if stored is None or (type(stored) is dict and not stored):
        return []
    text = _text(stored)
    parts = _content(as_text(stored) if text is None else text)
    return [{"role": role, "parts": parts, **(_FINISHED if role == "assistant" else {})}]


def _text(stored: Any) -> str | None:
    """Return a string, or the only field if it is a string and its name does not make it a secret."""
    if type(stored) is str:
        return stored
    if not _is_plain(stored) or len(stored) > 1:
        return None
    ((name, value),) = stored.items()
    return value if type(value) is str and not hides(name, value) else None


def _is_plain(value: Any) -> bool:
    """Return whether a value is a dict of limited size whose keys are plain strings."""
    return type(value) is dict and len(value) <= _MOST and all(type(name) is str for name in value)


def _are_messages(value: Any) -> bool:
    if type(value) is not list or not 0 < len(value) <= _MOST:
        return False
    return all(_is_plain(each) and type(each.get("role")) is str for each in value)


def _message(message: dict[str, Any]) -> dict[str, Any]:
    role = message.get("role", "user")
    if type(role) is str and role == "tool":
        response = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": message.get("content")}
        return {"role": role, "parts": [response]}
    parts = _content(message.get("content"))
    calls = message.get("tool_calls")
    if type(calls) is list:
        parts += [_tool_call(call) for call in calls]
    translated = {"role": role, "parts": parts}
    if type(message.get("name")) is str:
        translated["name"] = message["name"]
    return translated


def _content(content: Any) -> list[Any]:
    if type(content) is list:
        return [part_of(part) for part in content]
    return [] if content is None else [part_of(content)]


def part_of(block: Any) -> Any:
    """Return a block of a message in the form of the conventions; media stay as they are, for `content.media`."""
    if type(block) is not dict:
        is_object = type(block) is not str and type(stored_fields(block, type(block))) is dict
        return block if is_object else {"type": "text", "content": block}
    kind = block.get("type", "text" if "text" in block else None)  # Gemini's parts have no type
    if type(kind) is not str or kind not in _PARTS:
        return block
    word, fields = _PARTS[kind]
    return {"type": word, **{name: block.get(theirs) for name, theirs in fields.items()}}


def _answer(candidate: Any) -> list[Any]:
    if not issubclass(type(candidate), dict):
        return _content(candidate)
    fields = dict(dict.items(candidate))
    parts: list[Any] = []
    if fields.get("reasoning_content"):
        parts.append({"type": "reasoning", "content": fields["reasoning_content"]})
    parts += _content(fields.get("text"))
    if type(fields.get("media")) is list:
        parts += fields["media"]  # `content.media` describes them
    calls: Any = fields.get("tool_calls")
    if issubclass(type(calls), list):
        parts += [_tool_call(call) for call in calls]
    return parts


def _tool_call(call: Any) -> dict[str, Any]:
    fields = _fields(call)
    function = _fields(fields.get("function"))
    arguments = function.get("arguments")
    if type(arguments) is str:
        with contextlib.suppress(ValueError):  # malformed arguments of a model stay as they are
            arguments = json.loads(arguments)
    return {"type": "tool_call", "id": fields.get("id"), "name": function.get("name"), "arguments": arguments}


def _fields(value: Any) -> dict[str, Any]:
    if issubclass(type(value), dict):
        return dict(dict.items(value))
    fields = stored_dict(value, type(value)) or {}
    return {**fields, **_undeclared(value)} if type(value).__module__.startswith(_CLIENTS) else fields


def _undeclared(value: Any) -> dict[str, Any]:
    """Return the fields that the class of a client's object does not declare: pydantic keeps them apart."""
    fields = getattr(value, "__pydantic_extra__", None)
    return fields if type(fields) is dict else {}
