"""Text of a trace as it may be written to a terminal."""

from __future__ import annotations

import re
from typing import Final

# C0 and C1 controls, line and paragraph separators, zero-width and bidirectional marks.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_VALUE_LENGTH: Final = 120


def safe_text(value: str, length: int = _VALUE_LENGTH) -> str:
    """Return a text in one line without control characters, cut to `length` with its full length told."""
    shown = _UNSAFE.sub(lambda found: {"\n": "⏎", "\t": " "}.get(found[0], "·"), value[: length + 1])
    return shown if len(value) <= length else f"{shown[:length]}… ({len(value)} characters)"
