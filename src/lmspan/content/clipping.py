"""Long texts cut to a length: the part that is shown holds no half of a secret, and the length of the whole is said."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lmspan.content.redaction import Redactor

_DIGEST_WINDOW: Final = 65_536
_OVERLAP: Final = 8_192  # a secret that begins before a cut is still seen whole


def clip(text: str, limit: int, redactor: Redactor) -> str:
    """Return valid Unicode without secrets, of about `limit` characters at most."""
    if len(text) <= limit:
        return well_formed(redactor.secrets(text))
    return cut(text, limit, redactor.secrets(text[: limit + _OVERLAP]) if limit else "")


def cut(text: str, limit: int, shown: str | None = None) -> str:
    """Return valid Unicode of about `limit` characters; a longer text, or what is `shown` of it, says its length."""
    if len(text) > limit:
        text = f"{(text if shown is None else shown)[:limit]}…[{len(text)} characters, blake2b {digest(text)}]"
    return well_formed(text)


def well_formed(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no encoder takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def digest(text: str) -> str:
    """Return 16 hexadecimal digits that tell equal texts; of a very long text its two ends and its length count."""
    if len(text) > 2 * _DIGEST_WINDOW:
        text = f"{text[:_DIGEST_WINDOW]}{len(text)}{text[-_DIGEST_WINDOW:]}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
