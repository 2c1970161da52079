"""Make text of a trace safe for a terminal."""

from __future__ import annotations

import codecs
import unicodedata
from typing import Any, Final

_VALUE_LENGTH: Final = 120
_IN_ASCII: Final = dict(zip("├└│─█▏→✗×…µ·⏎", "|`|-#|>xx.u. ", strict=True))
PLAIN: Final = "lmspan-plain"
"""The name of an error handler for encodings: it replaces a missing character by a similar one in ASCII, or by `?`."""


def safe_text(value: Any, length: int = _VALUE_LENGTH) -> str:
    """Return a value in one line, without control characters, cut to `length`; a cut value ends in its full length."""
    text = value if isinstance(value, str) else str(value)
    shown = text[:length]
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else _replacement(each) for each in shown)
    return shown if len(text) <= length else f"{shown}… ({len(text)} characters)"


def _replacement(character: str) -> str:
    """Return the replacement of a control or unknown character, a bidirectional mark or half of a surrogate pair."""
    if character == "\n":
        return "⏎"
    return " " if character == "\t" or unicodedata.category(character) == "Zs" else "·"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(each, "?") for each in missing), error.end


codecs.register_error(PLAIN, _plain)
