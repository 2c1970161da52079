"""The facts and the messages of an answer, as the clients of OpenAI, Anthropic and Gemini return it.

An answer is the client's own object, whole or an event of its stream, so `getattr` runs no code of the program; or the
same as parsed JSON. Each event of a stream has some of the facts; later events replace what earlier ones report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.content.messages import output_messages
from lmspan.instrumentation.kit.facts import at, field, put, text_of
from lmspan.instrumentation.kit.usage import usage_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

# the module of a client's types -> the provider
_CLIENTS: Final = (
    ("openai.types.", "openai"),
    ("anthropic.types.", "anthropic"),
    ("google.genai.types", "gcp.gemini"),
    ("litellm.types.", ""),
)
_FACTS: Final = (
    (("id",), sc.RESPONSE_ID),
    (("response_id",), sc.RESPONSE_ID),
    (("responseId",), sc.RESPONSE_ID),
    (("model",), sc.RESPONSE_MODEL),
    (("model_version",), sc.RESPONSE_MODEL),
    (("modelVersion",), sc.RESPONSE_MODEL),
)
_USAGES: Final = ("usage", "usage_metadata", "usageMetadata")
# events of a stream that hold the answer: the beginning of their type, the field
_EVENTS: Final = (("message_start", "message"), ("response.", "response"))
_CANDIDATES: Final = ("choices", "candidates")
_REASONS: Final = ("finish_reason", "finishReason", "stop_reason")


def is_response(value: Any) -> bool:
    """Return whether a value is an object of one of the clients. Runs no code of the program."""
    return _client(value) is not None


def provider_of(response: Any) -> str:
    """Return the provider that a client's object belongs to; "" if its type does not say that."""
    return (_client(response) or ("", ""))[1]


def _client(value: Any) -> tuple[str, str] | None:
    module = type(value).__module__
    if type(module) is not str:
        return None
    return next((client for client in _CLIENTS if module.startswith(client[0])), None)


def is_whole(response: Any) -> bool:
    """Return whether an answer has messages, and is not an event of a stream."""
    first = candidates_of(response)[0]
    fields = ("message", "parts") if first is not response else ("content", "output")
    held = [field(first, name) for name in fields] + [at(first, ("content", "parts"))]
    return field(response, "delta") is None and any(each is not None for each in held)


def response_facts(response: Any) -> dict[str, Any]:
    """Return the attributes of an answer, or of one event of a stream: id, model, finish reasons, tokens."""
    answer = _whole(response)
    facts: dict[str, Any] = {}
    for path, name in _FACTS:
        put(facts, name, at(answer, path), str)
    for name in _USAGES:
        usage_facts(facts, field(answer, name))
    if answer is not response and field(response, "type") == "message_start":
        facts.pop(sc.USAGE_OUTPUT_TOKENS, None)  # a placeholder: a later event has the count
    if reasons := list(_reasons(answer)):
        facts[sc.RESPONSE_FINISH_REASONS] = reasons
    return facts


def _whole(response: Any) -> Any:
    kind = field(response, "type")
    if type(kind) is not str:
        return response
    name = next((name for prefix, name in _EVENTS if kind.startswith(prefix)), "")
    return (field(response, name) if name else None) or response


def _reasons(answer: Any) -> Iterator[str]:
    candidates = candidates_of(answer)
    for each in candidates:
        reason = next((reason for name in _REASONS if (reason := field(each, name))), None)
        reason = field(reason, "value") or reason  # Gemini's is an enumeration
        if type(reason) is str:
            yield reason
    if candidates[0] is answer:
        reason = at(answer, ("delta", "stop_reason"))  # the last event of Anthropic's stream
        if type(reason) is str:
            yield reason
        yield from _reason_of_a_status(answer)


def _reason_of_a_status(response: Any) -> Iterator[str]:
    """Yield the finish reason of OpenAI's Responses, which have a status in place of one."""
    output = field(response, "output")
    if type(output) is not list:
        return
    incomplete = at(response, ("incomplete_details", "reason"))
    if type(incomplete) is str:
        yield _INCOMPLETE.get(incomplete, incomplete)
    elif field(response, "status") == "completed":
        yield "tool_calls" if any(field(item, "type") == "function_call" for item in output) else "stop"


_INCOMPLETE: Final = {"max_output_tokens": "length"}


def candidates_of(response: Any) -> list[Any]:
    """Return the candidates of an answer; the answer itself where it is its only one."""
    return next((found for name in _CANDIDATES if (found := field(response, name))), [response])


def answers(response: Any) -> list[Any]:
    """Return an answer in the shape that LM calls of all libraries have: a text, or a dict with text and tool calls."""
    return [_answer(parts_of(each)) for each in candidates_of(response)]


def response_messages(response: Any, reasons: list[str]) -> list[dict[str, Any]]:
    """Return the messages of an answer, with one part for each of its blocks."""
    return output_messages([_spread(parts_of(each)) for each in candidates_of(response)], reasons)


class Parts(NamedTuple):
    """The parts of one candidate, by kind, each in the order of the answer."""

    texts: list[str]
    thoughts: list[str]
    calls: list[dict[str, Any]]
    media: list[dict[str, Any]]
    """Images, audio and files, each in a shape that `content.media` knows."""


def _answer(parts: Parts) -> Any:
    text = "".join(parts.texts)
    if not parts.thoughts and not parts.calls:
        return text
    return {"text": text, "reasoning_content": "\n".join(parts.thoughts), "tool_calls": parts.calls}


def _spread(parts: Parts) -> dict[str, Any]:
    answer = {"text": parts.texts, "reasoning_content": "\n".join(parts.thoughts), "tool_calls": parts.calls}
    return {**answer, "media": parts.media} if parts.media else answer


def parts_of(candidate: Any) -> Parts:
    """Return the parts of a candidate, a message or an answer."""
    message = field(candidate, "message") or candidate
    content = field(message, "content")
    parts = Parts([content] if type(content) is str and content else [], [], [], [])
    for block in _blocks(message, content):
        _sort(parts, block)
    parts.calls.extend(_of_openai(call) for call in field(message, "tool_calls") or ())
    parts.media.extend(_media_of(message))
    return parts


def _media_of(message: Any) -> Iterator[dict[str, Any]]:
    """Yield the audio of a message of OpenAI's, and the images that others put beside its text."""
    audio = field(message, "audio")
    if audio is not None:
        held = {name: field(audio, name) for name in ("id", "data", "transcript")}
        yield {"type": "input_audio", "input_audio": {name: each for name, each in held.items() if each is not None}}
    images = field(message, "images")
    for image in images if type(images) is list else ():
        yield {"type": "image_url", "image_url": {"url": at(image, ("image_url", "url"))}}


def _blocks(message: Any, content: Any) -> Any:
    blocks = content if type(content) is list else field(content, "parts") or field(message, "output")
    return blocks if type(blocks) is list else ()


def _sort(parts: Parts, block: Any) -> None:
    """Add a block of Anthropic's, a part of Gemini's, or an item of OpenAI's Responses."""
    kind = field(block, "type")
    called = field(block, "function_call") or field(block, "functionCall")
    text = field(block, "thinking") or field(block, "text")
    inline = field(block, "inline_data") or field(block, "inlineData")
    if kind == "message":
        for inner in field(block, "content") or ():
            _sort(parts, inner)
    elif kind == "reasoning":
        for summary in field(block, "summary") or ():
            parts.thoughts.append(text_of(field(summary, "text")))
    elif kind in _CALLS:
        parts.calls.append(_call(*(field(block, name) for name in _CALLS[kind])))
    elif called is not None:
        parts.calls.append(_call(*(field(called, name) for name in ("id", "name", "args"))))
    elif kind == "image_generation_call":
        parts.media.append({"type": "image", "data": field(block, "result"), "mime_type": _image_type(block)})
    elif inline is not None:
        mime_type = field(inline, "mime_type") or field(inline, "mimeType")
        parts.media.append({"inline_data": {"mime_type": mime_type, "data": field(inline, "data")}})
    elif type(text) is str and text:
        is_thought = kind == "thinking" or field(block, "thought") is True
        (parts.thoughts if is_thought else parts.texts).append(text)


def _image_type(block: Any) -> str:
    return f"image/{text_of(field(block, 'output_format')) or 'png'}"


# kind of a block that calls a tool -> the fields with the id, the name and the arguments
_CALLS: Final = {"tool_use": ("id", "name", "input"), "function_call": ("call_id", "name", "arguments")}


def _of_openai(call: Any) -> dict[str, Any]:
    return _call(field(call, "id"), at(call, ("function", "name")), at(call, ("function", "arguments")))


def _call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}
