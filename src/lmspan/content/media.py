"""Recognize images, audio and files in the dicts of the libraries, and make parts of the GenAI conventions of them.

A part with data becomes a `blob`, whose content is a description: the bytes are never recorded. A part with an address
becomes a `uri`, one with the id of a stored file a `file`. Fields that describe the part (a name, a title) stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

from lmspan.content.encoded import MARK, Payload, decode, is_phrase, measure

if TYPE_CHECKING:
    from collections.abc import Callable

    Fields = dict[str, Any]
    Read = Callable[[Any], Any]


class _Shape(NamedTuple):
    """Where a library puts a medium."""

    modality: str
    holder: str = ""
    """The field with the data or the address; "" if these are in the part itself."""
    flat: str = ""
    """The field that may have the data in the part itself, in a library that has no holder."""


# type of a part -> its shape
_TYPES: Final = {
    "image_url": _Shape("image", "image_url"),  # OpenAI's Chat Completions
    "audio_url": _Shape("audio", "audio_url"),
    "video_url": _Shape("video", "video_url"),
    "input_audio": _Shape("audio", "input_audio"),
    "file": _Shape("document", "file", "data"),
    "input_image": _Shape("image"),  # OpenAI's Responses
    "input_file": _Shape("document"),
    "computer_screenshot": _Shape("image"),
    "image": _Shape("image", "source", "image"),  # Anthropic; flat in MCP, LangChain and others
    "document": _Shape("document", "source", "data"),
    "audio": _Shape("audio", "source", "data"),
    "video": _Shape("video", "source", "data"),
    "container_upload": _Shape("document"),
    "resource": _Shape("document", "resource"),  # MCP
    "resource_link": _Shape("document"),
    "media": _Shape("document", "source", "data"),
    "blob": _Shape("document", "source", "content"),  # the conventions' own, with its data
}
_INLINE: Final = ("inlineData", "inline_data", "fileData", "file_data")  # Gemini: fields of a part without a type
_MODALITIES: Final = ("image", "audio", "video", "document")  # Bedrock: the only field of a part without a type
_HINTS: Final = frozenset(("type", *_INLINE, *_MODALITIES))
_SOURCES: Final = ("base64", "url", "file")  # Anthropic: types of a source; the others are text
_MOST_FIELDS: Final = 32

_DATA: Final = ("data", "file_data", "base64", "blob", "bytes")
_URI: Final = ("url", "uri", "image_url", "file_url", "fileUri", "file_uri")
_FILE_ID: Final = ("file_id", "fileId")
_MIME_TYPE: Final = ("mime_type", "mimeType", "media_type", "mediaType")
_FORMAT: Final = ("format", "audio_format")
_MIME_TYPES: Final = {
    "jpg": "image/jpeg", "svg": "image/svg+xml", "mp3": "audio/mpeg", "m4a": "audio/mp4", "mov": "video/quicktime",
    "pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
}  # fmt: skip


def part_of(items: Any, read: Read) -> Fields | None:
    """Return the conventions' part for the items of a dict, None for another dict. Runs no code of the values.

    `read` returns the stored fields of an object of a known type as a dict.
    """
    if not _is_candidate(items):
        return None
    fields = _named(items)
    kind = fields.pop("type", None)
    if kind is None:
        return _without_type(fields, read)
    shape = _TYPES.get(kind) if type(kind) is str else None
    if shape is None or (kind == "blob" and is_phrase(fields.get("content"))):
        return None
    if not shape.holder:
        return _part(fields, {}, shape.modality)
    held = _opened(fields.get(shape.holder), shape.holder, read)
    if held is not None:
        return _part(held, _others(fields, shape.holder), shape.modality)
    return _part(fields, {}, shape.modality, flat=shape.flat) if shape.flat else None


def _is_candidate(items: Any) -> bool:
    """Return whether a dict may be a medium: nearly all dicts are not, and this look is cheap."""
    if len(items) > _MOST_FIELDS:
        return False
    for name, value in items:
        if type(name) is str and name in _HINTS and (name != "type" or (type(value) is str and value in _TYPES)):
            return True
    return False


def _without_type(fields: Fields, read: Read) -> Fields | None:
    for name in _INLINE:
        held = _fields(fields.get(name), read)
        if held is not None and _name(held, _MIME_TYPE):
            return _part(held, _others(fields, name), "document")
    if len(fields) != 1:
        return None
    ((name, value),) = fields.items()
    held = _fields(value, read) if name in _MODALITIES and type(value) is dict else None
    source = _fields(held.pop("source", None), read) if held is not None and "format" in held else None
    if held is None or source is None:
        return None
    return _part({**held, **(_fields(source.get("s3Location"), read) or source)}, {}, name)


def _opened(value: Any, holder: str, read: Read) -> Fields | None:
    """Return the fields of the value that holds a medium, None if it holds another thing."""
    if issubclass(type(value), str):
        return {"url": value} if holder.endswith("_url") else None
    fields = _fields(value, read)
    if fields is None or "text" in fields:
        return None
    kind = fields.pop("type", None)
    return fields if holder != "source" or (type(kind) is str and kind in _SOURCES) else None


def _fields(value: Any, read: Read) -> Fields | None:
    stored = value if issubclass(type(value), dict) else read(value)
    return _named(dict.items(stored)) if issubclass(type(stored), dict) else None


def _named(items: Any) -> Fields:
    """Return the fields with plain names and a value; of a string of a subclass the plain string."""
    return {
        name: value if type(value) is str or not issubclass(type(value), str) else str.__str__(value)
        for name, value in items
        if value is not None and type(name) is str
    }


def _others(fields: Fields, name: str) -> Fields:
    return {key: value for key, value in fields.items() if key != name}


def _part(held: Fields, outer: Fields, modality: str, *, flat: str = "") -> Fields | None:
    """Return the part for the fields that hold a medium, with the other fields; of `flat` ones only data counts."""
    name, payload, named = _data(held, flat)
    if payload is not None:
        kind, own = "blob", {"content": payload.phrase()}
    elif not flat and (name := _name(held, _URI)):
        kind, own = "uri", {"uri": held[name]}
    elif not flat and (name := _name(held, _FILE_ID)):
        kind, own = "file", {"file_id": held[name]}
    else:
        return None
    mime_name = _name(held, _MIME_TYPE)
    mime_type = held.get(mime_name) or named or _of_format(held, modality) or (payload.mime_type if payload else "")
    part = {"type": kind, "modality": _modality(mime_type, held.get("modality", modality))}
    known = {**part, "mime_type": mime_type, **own} if mime_type else {**part, **own}
    rest = {**outer, **held}
    return {**known, **{key: value for key, value in rest.items() if key not in known and key not in (name, mime_name)}}


def _data(held: Fields, flat: str) -> tuple[str, Payload | None, str]:
    """Return the field with the data, the description of the data, and the media type that its data URL names."""
    for name in dict.fromkeys((*_DATA, flat, *_URI)):
        value: Any = held.get(name)
        if issubclass(type(value), (bytes, bytearray)):
            return name, measure(value), ""
        if type(value) is not str:
            continue
        if value.startswith("data:"):
            head, _, encoded = value.partition(",")
            if f"{head},".endswith(MARK):
                return name, decode(encoded), _named_by(head)
            return name, measure(unquote_to_bytes(encoded.encode("utf-8", "replace"))), _named_by(head)
        # a flat string may be anything: it is data where a media type stands beside it
        payload = decode(value) if name not in _URI and (not flat or _name(held, _MIME_TYPE)) else None
        if payload is not None:
            return name, payload, ""
    return "", None, ""


def _named_by(head: str) -> str:
    """Return the media type of a data URL."""
    return head.removeprefix("data:").partition(";")[0].lower()


def _name(held: Fields, names: tuple[str, ...]) -> str:
    return next((name for name in names if type(held.get(name)) is str), "")


def _of_format(held: Fields, modality: str) -> str:
    """Return the media type for the name of a format (`wav`), or for the suffix of a file's name."""
    written: str = held.get(_name(held, _FORMAT), "").lower()
    if "/" in written:  # LiteLLM's format is a media type
        return written
    if written and modality != "document":
        return _MIME_TYPES.get(written, f"{modality}/{written}")
    suffix = written or held.get(_name(held, ("filename", "name")), "").rpartition(".")[2].lower()
    return _MIME_TYPES.get(suffix, "")


def _modality(mime_type: str, otherwise: str) -> str:
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "audio", "video") else otherwise
