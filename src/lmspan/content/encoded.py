"""Describe binary data in place of recording it, by media type, size and digest; locate it in a text as base64.

The digest is the beginning of the SHA-256 of the decoded bytes. So a file has the same digest as bytes, as base64 and
in a data URL, and `sha256sum` prints it. Encoded data is decoded and hashed in chunks: 10 MB take about 30 ms.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = ";base64,"
_DIGITS: Final = 16
_CHUNK: Final = 262_144  # a multiple of 4: each chunk of base64 is decoded by itself
_HEAD: Final = 64
# offset -> the bytes that a file of a media type has there
_SIGNATURES: Final = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb\x90", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
)


class Payload(NamedTuple):
    """What is recorded of binary data."""

    size: int
    digest: str
    mime_type: str
    """The media type that the first bytes show, "" if they show none."""

    def phrase(self, mime_type: str = "") -> str:
        """Return the description that replaces the data, with a media type if it is to name one."""
        return f"<{mime_type}{', ' if mime_type else ''}{self.size} bytes, sha256:{self.digest}>"


_PHRASE: Final = re.compile(r"<(?:[^<>,]{1,100}, )?\d{1,20} bytes, sha256:[0-9a-f]{16}>")


def is_phrase(text: object) -> bool:
    """Return whether a value is the description of a payload."""
    return type(text) is str and _PHRASE.fullmatch(text) is not None


def measure(data: bytes | bytearray) -> Payload:
    """Describe bytes. Runs no code of a subclass."""
    whole = slice(None)
    plain = bytes.__getitem__(data, whole) if isinstance(data, bytes) else bytearray.__getitem__(data, whole)
    return Payload(len(plain), hashlib.sha256(plain).hexdigest()[:_DIGITS], _type_of(bytes(plain[:_HEAD])))


def decode(text: str) -> Payload | None:
    """Describe the bytes that a base64 text stands for, also without padding, in lines, or in the alphabet of URLs."""
    try:
        return _decode(text)
    except (ValueError, binascii.Error):
        pass
    try:
        return _decode(text.translate(_CLEANED))
    except (ValueError, binascii.Error):  # no base64
        return None


_CLEANED: Final = str.maketrans("-_", "+/", "\r\n")


def _decode(text: str) -> Payload:
    body = text.rstrip("=")
    missing = -len(body) % 4
    if missing == 3:  # noqa: PLR2004 - one character of four stands for no whole byte: the text was cut
        body = body[:-1]
    elif missing:
        body += "=" * missing
    digest = hashlib.sha256()
    size = 0
    for at in range(0, len(body), _CHUNK):
        data = binascii.a2b_base64(body[at : at + _CHUNK], strict_mode=True)
        digest.update(data)
        size += len(data)
    return Payload(size, digest.hexdigest()[:_DIGITS], _type_of(binascii.a2b_base64(body[:_HEAD])))


def _type_of(head: bytes) -> str:
    return next((name for at, mark, name in _SIGNATURES if head.startswith(mark, at)), "")


def without_payloads(text: str, most: int) -> tuple[str, bool]:
    """Return a text with a description in place of each payload, and whether that is the whole text.

    The search ends where the result has about `most` characters, because a caller shows no more.
    """
    parts: list[str] = []
    at = 0
    left = most
    while left > 0 and (found := _first(text, at, min(len(text), at + left))) is not None:
        start, end, phrase = found
        parts += (text[at:start], phrase)
        left -= start - at + len(phrase)
        at = end
    rest = text[at : at + max(left, 0)]
    return "".join((*parts, rest)), at + len(rest) == len(text)


def _first(text: str, at: int, stop: int) -> tuple[int, int, str] | None:
    """Return the first payload that starts in a part of a text: its bounds, and its description."""
    for start, run, end, named in _candidates(text, at, stop):
        payload = decode(text[run:end])
        if payload is not None:
            return start, end, payload.phrase(named or payload.mime_type)
    return None


def _candidates(text: str, at: int, stop: int) -> Iterator[tuple[int, int, int, str]]:
    """Yield the start of a payload, the start and the end of its base64, and the media type of its data URL."""
    while at < stop:
        mark = text.find(MARK, at, stop + len(MARK))
        before = mark if mark >= 0 else stop
        for start, end in _runs(text, at, before):
            yield start, start, end, ""
        if mark < 0:
            return
        run = mark + len(MARK)
        end = _end(text, run)
        scheme = _SCHEME.search(text, max(at, mark - _LONGEST_SCHEME), mark)
        if scheme is not None and end - run >= _FEWEST:
            yield scheme.start(), run, end, (scheme[1] or "").lower()
        elif _is_payload(text, run, end):
            yield run, run, end, ""
        at = max(end, run)


_LONGEST_SCHEME: Final = 200
_SCHEME: Final = re.compile(r"data:([A-Za-z]+/[\w.+-]+)?(?:;[\w-]+=[^;,\s\"']*)*\Z", re.ASCII)
_FEWEST: Final = 8  # characters: a shorter word after the mark is an ellipsis in a text about data URLs
_SHORTEST: Final = 64  # a payload that no data URL announces is longer
_RUN: Final = re.compile(r"[A-Za-z0-9+/]*+={0,2}")
_LAST_OTHER: Final = re.compile(r"(?s:.*)[^A-Za-z0-9+/]")


def _end(text: str, start: int) -> int:
    return _RUN.match(text, start).end()  # type: ignore[union-attr] # it always matches


def _runs(text: str, at: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of long words that are base64 of binary data.

    A word of 64 characters has none of another kind in it, so the search looks for the last one of those in the next 64
    and goes on behind it: for an ordinary text, one step for nearly 64 characters.
    """
    while at + _SHORTEST <= stop:
        space = text.rfind(" ", at, at + _SHORTEST)
        if space >= 0:
            at = space + 1
            continue
        other = _LAST_OTHER.match(text, at, at + _SHORTEST)
        if other is not None:
            at = other.end()
            continue
        end = _end(text, at)
        if _is_payload(text, at, end):
            yield at, end
        at = end


_LONG: Final = 512
_DISTINCT: Final = 40


def _is_payload(text: str, start: int, end: int) -> bool:
    """Return whether a run of base64 characters is binary data: by its first bytes, or by its characters.

    An id, a hash or a path stays: it is short, or lacks a kind of the characters that compressed data has all of.
    """
    if end - start < _SHORTEST:
        return False
    head = text[start : start + _HEAD]
    if _type_of(binascii.a2b_base64(head)):
        return True
    if end - start < _LONG:
        return False
    sample = set(text[start : start + 4 * _LONG])
    kinds = (str.islower, str.isupper, str.isdigit, "+/".__contains__)
    return len(sample) >= _DISTINCT and all(any(map(kind, sample)) for kind in kinds)
