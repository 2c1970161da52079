"""The terms of a query for spans: fields and flags in SQL on a row of the index, attributes and words on a span."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import LmspanError
from lmspan.lifecycle import Operation
from lmspan.traces.content import as_text, texts_of
from lmspan.traces.filters import nanoseconds
from lmspan.traces.spans import State
from lmspan.traces.words import LONGEST, asked, contains, finder

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
_OTHER_SIGNS: Final = frozenset("<>=~≥≤≠“”„")
_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?)([kM]?)")
_FACTORS: Final = {"": 1, "k": 1_000, "M": 1_000_000}
_LOGIC: Final = {"&": "nothing, or and", "&&": "nothing, or and", "|": "or", "||": "or", "!": "not"}
_LONGEST_NAME: Final = 200  # of a row
_LONGEST_SHOWN: Final = 60  # of a query in a message
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
    "retries": "iif(operation IN ('lm', 'embedding'), retries, NULL)",
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
_VALUES: Final = {"operation": tuple(map(str, Operation)), "state": tuple(map(str, State))}
_OF_ATTRIBUTES: Final = {"service.name": "service"}  # of the resource
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
        _expect(sign == ":" and value != "", name, f"under:{value or 'answer'}")
        return Term(Condition(_UNDER, (value,)), above=value)
    return Term(_of_field(name, sign, value))


def _of_field(name: str, sign: str, value: str) -> Condition:
    if name in _TEXTS:
        return _of_text(name, sign, value)
    if name in _FLAGS:
        raise LmspanError(f"write {name} by itself in a query, or not {name}")
    if name not in FIELDS:
        raise LmspanError(
            f"{_short(name)} is no field of a query; the fields are {', '.join(FIELDS)}. An attribute has a dot in its "
            'name or before it; a text with punctuation is written in quotation marks: "https://example.com"'
        )
    _expect(sign in _COMPARE, name, f"{name}>{_short(value, quoted=False)}")
    if name in _DURATIONS:
        number = float(value) if _number(value) is not None and value[-1:] not in _FACTORS else None
        return Condition(_known(f"{FIGURES[name]} {sign} ?"), (nanoseconds(value if number is None else number),))
    number = _number(value)
    if number is None:
        raise LmspanError(f"{_short(value)} is no number; write for example {name}>0.5 or {name}>10k")
    return Condition(_known(f"{FIGURES[name]} {sign} ?"), (float(number),))


def _known(comparison: str) -> str:
    """Return a comparison that does not hold for an absent figure."""
    return f"ifnull({comparison}, 0)"


def _of_text(name: str, sign: str, value: str) -> Condition:
    shown = _short(value, quoted=False)
    _expect(sign in (":", "=", "==", "!="), name, f"{name}:{shown}, {name}={shown} or {name}!={shown}")
    if sign == ":":
        _expect(value != "", name, f'{name}:text, or {name}="" where there is none')
    _check_value(name, sign, value)
    sql = {":": contains(name, value), "!=": f"{name} NOT IN ('', ?)"}.get(sign, f"{name} = ?")
    in_traces = f"trace IN (SELECT trace FROM every_span WHERE {sql})"  # noqa: S608 - a constant
    return Condition(in_traces if name in _OF_TRACES else sql, (value[:_LONGEST_NAME],))


def _check_value(name: str, sign: str, value: str) -> None:
    """Raise LmspanError for a value that the field never has."""
    values = _VALUES.get(name, ())
    possible = [each for each in values if (value.lower() in each if sign == ":" else value == each)]
    if values and value and not possible:
        raise LmspanError(f"{_short(value)} is no {name}; it is one of {', '.join(values)}")


def _expect(is_right: bool, name: str, example: str) -> None:
    if not is_right:
        raise LmspanError(f"the field {name!r} of a query is compared as in {example}")


def _short(text: str, *, quoted: bool = True) -> str:
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return repr(shown) if quoted else shown


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match[1]
    return (int(digits) if digits.lstrip("+-").isdecimal() else float(digits)) * _FACTORS[match[2]]


def of_attribute(name: str, sign: str, text: str) -> Term:
    """Return the term that compares an attribute of a span or of one of its events."""
    if name in _OF_ATTRIBUTES:
        return of_field(_OF_ATTRIBUTES[name], sign, text)
    number = _number(text)

    def holds(span: StoredSpan) -> bool:
        values = [span.facts.get(name, span.attributes.get(name)), *(each.attributes.get(name) for each in span.events)]
        return any(_holds(value, sign, text, number) for value in values if value is not None)

    return Term(holds=holds)


def _holds(value: Any, sign: str, text: str, number: float | None) -> bool:
    """Return whether the value of an attribute compares so with a text, which can be a number."""
    if sign == ":":
        return text.casefold() in as_text(value).casefold()
    if number is not None and type(value) in (int, float):
        return bool(_COMPARE[sign](value, number))
    if type(value) is bool:
        text = text.lower()
    is_ordered = sign in ("=", "==", "!=") or (number is None and type(value) is str)
    return is_ordered and bool(_COMPARE[sign](as_text(value), text))


def of_word(word: str) -> Term:
    """Return the term of a bare word: a flag, or a word to search.

    Raises:
        LmspanError: it is a part of a comparison, or nothing that can be searched.
    """
    if word.lower() in _FLAGS:
        return Term(Condition(_FLAGS[word.lower()]))
    if word in _LOGIC:
        raise LmspanError(f"write {_LOGIC[word]} in a query in place of {word}")
    if word[0] in "!-":
        raise LmspanError(f"{_short(word)}: write not in a query, or a text in quotation marks")
    if ":" in word or not _OTHER_SIGNS.isdisjoint(word):
        raise LmspanError(f"{_short(word)} is no comparison; write for example cost>0.1, and a text in quotation marks")
    if not _FLAGS.keys().isdisjoint(re.split(r"\W+", word.lower())):
        raise LmspanError(f"{_short(word)}: write blanks between terms, and a text in quotation marks")
    return of_words(word)


def of_words(text: str) -> Term:
    """Return the term for words that follow each other, the last one perhaps continued, as in the full text search.

    Raises:
        LmspanError: there is no word in it.
    """
    word = asked(text)
    if word is None:
        raise LmspanError(f"{_short(text)} has no letter or digit that can be searched")
    is_in = finder(text)
    return Term(holds=lambda span: any(is_in(each[:LONGEST]) for each in texts_of(span)), word=word)
