"""Words: what the full text search indexes, what it is asked, and the same on a text in memory."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST: Final = 200_000
"""The number of characters at the beginning of a text that can be searched."""
NO_WORD: Final = '"?"'
"""A query that selects no text."""
_WORD: Final = re.compile(r"[^\W_]+")
_FOREIGN: Final = re.compile(r"[^\0-\x7f]{1,64}")
_SIGNS: Final = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Return a text in lower case, without accents, and with blanks for signs that are not of ASCII."""
    return (text if text.isascii() else _FOREIGN.sub(lambda found: _plain(found[0]), text)).lower()


@lru_cache(4096)  # of most texts these are a few quotation marks, dashes and letters
def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    if any(map(unicodedata.combining, parts)):
        parts = "".join(each for each in parts if not unicodedata.combining(each))
    return _SIGNS.sub(" ", parts)


def searchable(text: str) -> str:
    """Return what is indexed of a text. SQLite finds the words of ASCII by itself, and of other scripts other words."""
    return text if text.isascii() else plain(text)


def asked(text: str) -> str | None:
    """Return a query for texts that have these words one after the other, the last one perhaps continued.

    None for a text without a word.
    """
    words = _WORD.findall(plain(text))
    return f'"{" ".join(words)}"*' if words else None


def finder(text: str) -> Callable[[str], bool]:
    """Return a function that returns whether a text has what `asked` asks for."""
    words = _WORD.findall(plain(text))
    pattern = re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, words)))
    return lambda other: bool(words) and pattern.search(plain(other)) is not None


def contains(column: str, value: str) -> str:
    """Return the condition in SQL for a column that contains a text, in any case; its value is bound once."""
    return f"instr(lower({column}), lower(?))" if value.isascii() else f"instr(casefold({column}), casefold(?))"
