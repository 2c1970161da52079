"""Cut long texts to a length: the remaining part contains no half of a secret, and a note gives the whole length."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

from lmspan.content.encoded import without_payloads
from lmspan.lifecycle import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.content.redaction import Redactor

_DIGEST_WINDOW: Final = 65_536
_OVERLAP: Final = 8_192  # the search for secrets reads past a cut, to find a secret that crosses it

_SHORTEST_KEPT: Final = 512
_LONGEST_KEPT: Final = 262_144
_MOST_KEPT: Final = 16


class Clipped(NamedTuple):
    """A text, how it was clipped, and the result."""

    text: str
    limit: int
    secrets: tuple[str, ...]
    shown: str


Texts = dict[int, Clipped]
"""The last long texts of a trace, by their id. A program passes the same text on: to a module, an adapter, a model."""


def clip(text: str, limit: int, redactor: Redactor, texts: Texts | None = None) -> str:
    """Return valid Unicode without secrets and without base64 of binary data, of about `limit` characters at most.

    A text that is in `texts` is not searched again; a long one is put there.
    """
    if texts is None or not _SHORTEST_KEPT <= len(text) <= _LONGEST_KEPT:
        return _clip(text, limit, redactor)
    secrets = redactor.known  # a text was searched without those that are learned later
    seen = texts.get(id(text))
    if seen is not None and seen.text is text and seen.limit == limit and seen.secrets is secrets:
        return seen.shown
    shown = _clip(text, limit, redactor)
    if len(texts) >= _MOST_KEPT:
        texts.clear()
    texts[id(text)] = Clipped(text, limit, secrets, shown)
    return shown


def _clip(text: str, limit: int, redactor: Redactor) -> str:
    shown, is_whole = without_payloads(text, limit + _OVERLAP)
    if is_whole and len(shown) <= limit:
        return well_formed(redactor.secrets(shown))
    return cut(text, limit, redactor.secrets(shown) if limit else "")


def cut(text: str, limit: int, shown: str | None = None) -> str:
    """Return valid Unicode of about `limit` characters; a text that is cut ends in a note of its length and digest.

    `shown` is the beginning of the text without secrets, to be cut in place of the text itself.
    """
    if shown is not None or len(text) > limit:
        text = f"{(text if shown is None else shown)[:limit]}…[{len(text)} characters, blake2b {digest(text)}]"
    return well_formed(text)


def text_bytes(text: str) -> int:
    """Return about the largest number of bytes that a text takes in UTF-8."""
    return len(text) if text.isascii() else 3 * len(text)


def content_bytes(values: Iterable[str | Deferred]) -> int:
    """Return about how many bytes attributes of content take: as texts, and those that are deferred as they wait."""
    return sum(each.size if isinstance(each, Deferred) else text_bytes(each) for each in values)


def well_formed(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no encoder accepts."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def digest(text: str) -> str:
    """Return 16 hexadecimal digits that are the same for equal texts; of a very long text from its ends and length."""
    if len(text) > 2 * _DIGEST_WINDOW:
        text = f"{text[:_DIGEST_WINDOW]}{len(text)}{text[-_DIGEST_WINDOW:]}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
