"""Make text of a trace safe for a terminal."""

from __future__ import annotations

import codecs
import unicodedata
from typing import Any, Final

_VALUE_LENGTH: Final = 120
_LINES_LENGTH: Final = 100_000
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


def safe_lines(value: str, length: int = _LINES_LENGTH) -> str:
    """Return a text of several lines without control characters; a text that is longer ends in its full length."""
    shown = value[:length].replace("\r\n", "\n")
    if not shown.isprintable():
        shown = "".join(each if each == "\n" or each.isprintable() else _replacement(each) for each in shown)
    return shown if len(value) <= length else f"{shown}… ({len(value)} characters)"


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
