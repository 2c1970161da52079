"""The content of a span as a person reads it: inputs, outputs, and messages as a conversation."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lmspan.traces.spans import StoredSpan

_INPUTS: Final = (
    sc.MODULE_INPUTS, sc.OPERATION_INPUTS, sc.TOOL_CALL_ARGUMENTS, sc.RETRIEVAL_QUERY, sc.INTERPRETER_CODE,
    sc.INPUT_MESSAGES, sc.OI_INPUT,
)  # fmt: skip
_OUTPUTS: Final = (
    sc.MODULE_OUTPUTS, sc.OPERATION_OUTPUTS, sc.TOOL_CALL_RESULT, sc.RETRIEVAL_DOCUMENTS, sc.INTERPRETER_OUTPUT,
    sc.OUTPUT_MESSAGES, sc.OI_OUTPUT,
)  # fmt: skip
_MESSAGES: Final = (sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES)
_TEXT_OF: Final = ("content", "text", "result", "response", "arguments", "uri", "file_id")
_MOST_FACTS: Final = 16
_WORDS: Final = 200
_JSON: Final = ("{", "[", '"')
_ESCAPES: Final = (("\\\\", "\0"), ("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ('\\"', '"'), ("\0", "\\"))
_MEDIA: Final = {"blob": "content", "uri": "uri", "file": "file_id"}
_BLOB: Final = re.compile(r"<(\d+) bytes, (sha256:[0-9a-f]{8})[0-9a-f]*>")


class Part(NamedTuple):
    """One part of a message. `kind` is the conventions' type: text, reasoning, tool_call, tool_call_response, ...

    `facts` are the other fields of a medium (blob, uri, file): modality, mime_type and what describes it.
    """

    kind: str
    text: str
    name: str = ""
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def shown(self) -> str:
        """The text; of a medium also its media type or modality, as one short phrase."""
        facts = dict(self.facts)
        kind = facts.get("mime_type") or facts.get("modality")
        return f"{kind}, {self.text}" if kind and self.kind in _MEDIA else self.text


class Message(NamedTuple):
    """One message of a conversation."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts."""
        return "\n".join(part.text for part in self.parts if part.kind == "text")


def value_of(text: Any) -> Any:
    """Return the value of a JSON text, and any other text unchanged."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):  # no JSON, or too deep
        return text


def inputs_of(span: StoredSpan) -> Any:
    """Return the inputs of a span, None if it has none."""
    return _first(span.facts, _INPUTS)


def outputs_of(span: StoredSpan) -> Any:
    """Return the outputs of a span, None if it has none."""
    return _first(span.facts, _OUTPUTS)


def _first(facts: Mapping[str, Any], names: Sequence[str]) -> Any:
    name = next((name for name in names if name in facts), None)
    if name is None:
        return None
    value = value_of(facts[name])
    if name in _MESSAGES:
        return "\n".join(message.text for message in _messages(value) if message.role != "system") or None
    return value["result"] if type(value) is dict and list(value) == ["result"] else value


def conversation(span: StoredSpan) -> list[Message]:
    """Return the messages of a model call: system instructions, request and response, in this order."""
    facts = span.facts
    messages: list[Message] = []
    if sc.SYSTEM_INSTRUCTIONS in facts:
        messages.append(Message("system", tuple(_parts(value_of(facts[sc.SYSTEM_INSTRUCTIONS])))))
    for name in _MESSAGES:
        messages += _messages(value_of(facts.get(name)))
    return messages


def _messages(value: Any) -> list[Message]:
    listed = value if type(value) is list else []
    return [_message(each) for each in listed if type(each) is dict]


def _message(message: dict[str, Any]) -> Message:
    parts = message.get("parts", message.get("content"))
    return Message(str(message.get("role", "")), tuple(_parts(parts)))


def _parts(value: Any) -> Iterator[Part]:
    for part in value if type(value) is list else [value]:
        if type(part) is dict:
            kind = str(part.get("type", ""))
            name = part.get("name") or (kind not in _MEDIA and part.get("mime_type")) or part.get("id")
            text = _part_text(part)
            facts = _facts(part) if kind in _MEDIA else ()
            yield Part(kind, _size_of(text) if kind == "blob" else text, name if type(name) is str else "", facts)
        elif part is not None:
            yield Part("text", part if type(part) is str else as_text(part))


def _facts(part: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    others = ((name, each) for name, each in part.items() if name not in ("type", *_TEXT_OF))
    return tuple((name, as_text(each)[:_WORDS]) for name, each in islice(others, _MOST_FACTS))


def _part_text(part: dict[str, Any]) -> str:
    name = next((name for name in _TEXT_OF if name in part), None)
    if name is not None:
        return part[name] if type(part[name]) is str else as_text(part[name])
    return as_text({key: each for key, each in part.items() if key != "type"})


def medium_of(part: dict[str, Any]) -> str | None:
    """Return an image, a sound or a file of a message as a short phrase, None for another part."""
    value = part.get(_MEDIA.get(str(part.get("type")), ""))
    if type(value) is not str or "modality" not in part:
        return None
    return f"{part.get('mime_type') or part['modality']}, {_size_of(value)}"


def _size_of(content: str) -> str:
    """Return the size and the beginning of the digest for a payload that lmspan describes; other content as it is."""
    blob = _BLOB.fullmatch(content)
    return f"{_size(int(blob[1]))}, {blob[2]}…" if blob else content


def _size(size: int) -> str:
    """Return a number of bytes in the largest unit that it fills: 12 kB."""
    power = min((len(str(size)) - 1) // 3, 3)
    return f"{round(size / 1000**power, 1):g} {('bytes', 'kB', 'MB', 'GB')[power]}"


def _with_phrases(value: Any) -> Any:
    if type(value) is list:
        return [_with_phrases(each) for each in value]
    if type(value) is not dict:
        return value
    medium = medium_of(value)
    return {name: _with_phrases(each) for name, each in value.items()} if medium is None else medium


def as_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as text: strings and media as they are read, other values as JSON."""
    try:
        value = _with_phrases(value)
        if isinstance(value, str):
            return value
        return json.dumps(value, ensure_ascii=False, indent=indent)
    except (ValueError, RecursionError):
        return "<too deep>"


def fields(value: Any) -> list[tuple[str, str]]:
    """Return the fields of an object with their values as text; a single pair with the name "" for another value."""
    if type(value) is dict and medium_of(value) is None:
        return [(name, as_text(each)) for name, each in value.items()]
    return [] if value is None else [("", as_text(value))]


def readable(value: Any) -> str:
    """Return an object as `name: value`, and any other value as text."""
    return "  ".join(f"{name}: {text}" if name else text for name, text in fields(value))


def first_words(span: StoredSpan) -> str:
    """Return the beginning of a span's inputs, without the names of fields.

    A list or an object is left out, unless the inputs have nothing else.
    """
    inputs = inputs_of(span)
    if type(inputs) is dict:
        inputs = {name: value for name, value in inputs.items() if type(value) not in (dict, list)} or inputs
    return " ".join(" ".join(text[:_WORDS] for _, text in fields(inputs)).split())[:_WORDS]


def texts_of(span: StoredSpan) -> list[str]:
    """Return every text of a span that a search finds: its name, its content and its errors."""
    texts = [span.name, span.message, *_searched(span.facts)]
    for event in span.events:
        texts += _searched(event.facts)
    return texts


def _searched(facts: Mapping[str, Any]) -> list[str]:
    return [_unescaped(value) for name, value in facts.items() if name in _SEARCHED and type(value) is str]


def _unescaped(text: str) -> str:
    """Return JSON with its letters, lines and tabs as they are, so that words begin where they begin."""
    if "\\" not in text or not text.startswith(_JSON):
        return text
    if "\\u" in text:  # as other instrumentations write it
        text = as_text(value_of(text))
    for escape, letter in _ESCAPES:
        text = text.replace(escape, letter)
    return text


_SEARCHED: Final = sc.CONTENT | {
    sc.ERROR_TYPE, sc.EXCEPTION_TYPE, sc.MODULE_NAME, sc.MODULE_PATH, sc.CANDIDATE_REASON, sc.SESSION_ID, sc.USER_ID,
}  # fmt: skip
