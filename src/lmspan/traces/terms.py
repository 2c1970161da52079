"""The terms of a query for spans: fields and flags in SQL on a row of the index, attributes and words on a span."""

from __future__ import annotations

import operator
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import LmspanError
from lmspan.traces.content import as_text, texts_of
from lmspan.traces.filters import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.traces.spans import StoredSpan

_COMPARE: Final = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS: Final = frozenset("<>=")
_NUMBER: Final = re.compile(r"(-?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?)([kM]?)")
_FACTORS: Final = {"": 1, "k": 1_000, "M": 1_000_000}
_PIECE: Final = re.compile(r"[^\W_]+")
_TEXTS: Final = ("name", "service", "operation", "model", "module", "tool", "session", "user", "error", "state")
_OF_TRACES: Final = ("session", "user")  # one span of a trace has it, often the outermost one
FIGURES: Final = {
    "duration": "duration",
    "first_chunk": "first_chunk_s * 1e9",
    "tokens": "coalesce(input_tokens + output_tokens, input_tokens, output_tokens)",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cost": "cost",
    "score": "score",
    "retries": "retries",
}
"""The figures of a span, in SQL on its row. Durations are nanoseconds."""
_DURATIONS: Final = ("duration", "first_chunk")
_FLAGS: Final = {"failed": "failed", "cached": "cache_hit", "running": "state = 'running'"}
_UNDER: Final = (  # SQLite finds no index for the opposite of (trace, span_id) IN ...
    "EXISTS (SELECT 1 FROM below WHERE above = ?"
    " AND below.trace = every_span.trace AND below.span_id = every_span.span_id)"
)
FIELDS: Final = (*_TEXTS, "under", *FIGURES)
"""The names of the fields of a query."""
FLAGS: Final = tuple(_FLAGS)
"""The words of a query that stand for a property."""


class Condition(NamedTuple):
    """A condition in SQL on the columns of `every_span` (`search.py`), which holds or not, with its values."""

    sql: str
    values: tuple[Any, ...] = ()


ANY: Final = Condition("1")


@dataclass(frozen=True)
class Term:
    """One term of a query: a condition on a row, or, with `holds`, on a span."""

    row: Condition = ANY
    holds: Callable[[StoredSpan], bool] | None = None
    word: str = ""
    """What the full text search takes, for a term that is a word."""
    above: str = ""
    """A part of a name above the spans, which `below` has to have first."""


def of_field(name: str, sign: str, value: str) -> Term:
    """Return the term that compares a field.

    Raises:
        LmspanError: there is no such field, or it is not compared so.
    """
    if name == "under":
        _expect(sign == ":", name, f"under:{value}")
        return Term(Condition(_UNDER, (value,)), above=value)
    return Term(_of_field(name, sign, value))


def _of_field(name: str, sign: str, value: str) -> Condition:
    if name in _TEXTS:
        return _of_text(name, sign, value)
    if name not in FIELDS:
        raise LmspanError(
            f"{name!r} is no field of a query; the fields are {', '.join(FIELDS)}. An attribute has a dot in its name "
            f'or before it; a text with punctuation is written in quotation marks: "{name}{sign}{value}"'
        )
    _expect(sign in _COMPARE, name, f"{name}>{value}")
    number = _number(value)
    if name in _DURATIONS:
        return Condition(_known(f"{FIGURES[name]} {sign} ?"), (nanoseconds(value if number is None else number),))
    if number is None:
        raise LmspanError(f"{value!r} is no number; write for example {name}>0.5 or {name}>10k")
    return Condition(_known(f"{FIGURES[name]} {sign} ?"), (number,))


def _known(comparison: str) -> str:
    """Return a comparison that does not hold for an absent figure."""
    return f"ifnull({comparison}, 0)"


def _of_text(name: str, sign: str, value: str) -> Condition:
    _expect(sign in (":", "=", "==", "!="), name, f"{name}:{value}, {name}={value} or {name}!={value}")
    sql = {":": f"instr(lower({name}), lower(?))", "!=": f"{name} NOT IN ('', ?)"}.get(sign, f"{name} = ?")
    in_traces = f"trace IN (SELECT trace FROM every_span WHERE {sql})"  # noqa: S608 - a constant
    return Condition(in_traces if name in _OF_TRACES else sql, (value,))


def _expect(is_right: bool, name: str, example: str) -> None:
    if not is_right:
        raise LmspanError(f"the field {name!r} of a query is compared as in {example}")


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return None if match is None else float(match[1]) * _FACTORS[match[2]]


def of_attribute(name: str, sign: str, text: str) -> Term:
    """Return the term that compares an attribute."""
    number, part = _number(text), text.lower()

    def holds(span: StoredSpan) -> bool:
        value = span.facts.get(name, span.attributes.get(name))
        if value is None:
            return False
        if sign == ":":
            return part in as_text(value).lower()
        if number is not None and type(value) in (int, float):
            return bool(_COMPARE[sign](value, number))
        is_ordered = sign in ("=", "==", "!=") or (number is None and type(value) is str)
        return is_ordered and bool(_COMPARE[sign](as_text(value), text))

    return Term(holds=holds)


def of_word(word: str) -> Term:
    """Return the term of a bare word: a flag, or a word to search.

    Raises:
        LmspanError: it is a part of a comparison, or nothing that can be searched.
    """
    if word.lower() in _FLAGS:
        return Term(Condition(_FLAGS[word.lower()]))
    if word.endswith(":") or not _SIGNS.isdisjoint(word):
        raise LmspanError(f"{word!r} is no comparison; write for example cost>0.1, and a text in quotation marks")
    return of_words(word)


def of_words(text: str) -> Term:
    """Return the term for words that follow each other, the last one perhaps continued, as in the full text search.

    Raises:
        LmspanError: there is no word in it.
    """
    pieces = _PIECE.findall(_plain(text))
    if not pieces:
        raise LmspanError(f"{text!r} has no letter or digit that can be searched")
    pattern = re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, pieces)))
    return Term(holds=lambda span: any(pattern.search(_plain(each)) for each in texts_of(span)), word=f'"{text}"*')


def _plain(text: str) -> str:
    """Return a text in lower case without accents."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFD", text)
    return "".join(each for each in parts if not unicodedata.combining(each)).lower()
