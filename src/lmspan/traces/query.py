"""The query language of spans: `model:gpt cost>0.1 (failed or retries>2) not under:judge`.

A query becomes a condition in SQL on the rows of the index. A term that the rows cannot answer, which is a word or an
attribute, widens that condition, and is decided on the span itself.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import LmspanError
from lmspan.traces.content import as_text, texts_of
from lmspan.traces.filters import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lmspan.traces.spans import StoredSpan

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<parenthesis> [()] )
    | (?P<field> \.?[A-Za-z_][\w.-]* ) \s* (?P<sign> [!<>=]= | [:=<>] ) \s* (?: "(?P<quoted> [^"]* )" | (?P<value> [^\s()":<>=][^\s()"]* ) )
    | "(?P<phrase> [^"]* )"
    | (?P<word> [^\s()"]+ ) )""",  # noqa: E501 - one line an alternative
    re.VERBOSE,
)
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
_MOST_TERMS: Final = 50
_DEEPEST: Final = 20

_TEXTS: Final = ("name", "service", "operation", "model", "module", "tool", "session", "user", "error", "state")
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
_UNDER: Final = """EXISTS (
    WITH RECURSIVE above (id) AS (SELECT this.parent_id UNION
        SELECT parent_id FROM every_span JOIN above ON trace = this.trace AND span_id = id)
    SELECT 1 FROM every_span JOIN above ON trace = this.trace AND span_id = id
    WHERE instr(lower(name), lower(?)) OR instr(lower(module), lower(?)))"""
FIELDS: Final = (*_TEXTS, "under", *FIGURES)
"""The names of the fields of a query."""
FLAGS: Final = tuple(_FLAGS)
"""The words of a query that stand for a property."""


class Condition(NamedTuple):
    """A condition in SQL on the columns of `every_span` (`search.py`), which is called `this`, with its values."""

    sql: str
    values: tuple[Any, ...] = ()


_ANY: Final = Condition("1")


@dataclass(frozen=True)
class Term:
    """One term of a query: a condition on a row, or, with `holds`, on a span."""

    row: Condition = _ANY
    holds: Callable[[StoredSpan], bool] | None = None
    word: str = ""
    """What the full text search takes, for a term that is a word."""


@dataclass(frozen=True)
class _Node:
    """The terms and groups that have to hold all (`and`), or of which one has to hold (`or`); or `not` its only one."""

    kind: str
    parts: Sequence[_Node | Term]


@dataclass
class Query:
    """A query that was read.

    Raises:
        LmspanError: it cannot be read.
    """

    text: str
    terms: list[Term] = field(default_factory=list, init=False)
    """Its terms from left to right."""
    _root: _Node | Term = field(init=False)

    def __post_init__(self) -> None:
        clean = self.text.encode("utf-8", "replace").decode().replace("\0", " ")  # SQLite takes neither
        self._root = _Reader(clean).query()
        self.terms = list(_terms(self._root))

    @property
    def is_of_rows(self) -> bool:
        """Whether rows answer the whole query."""
        return not any(term.holds for term in self.terms)

    def condition(self, containing: Callable[[str], Condition]) -> Condition:
        """Return a condition for every row that the query selects, and, unless it `is_of_rows`, perhaps for others.

        `containing` returns the condition for spans that can contain a word of the full text search.
        """
        return _condition(self._root, containing)

    def selects(self, decided: Sequence[bool]) -> bool:
        """Return whether a span is selected for which these `terms` hold."""
        return _value(self._root, iter(decided))


def _terms(node: _Node | Term) -> Iterator[Term]:
    if isinstance(node, Term):
        yield node
    else:
        for part in node.parts:
            yield from _terms(part)


def _value(node: _Node | Term, decided: Iterator[bool]) -> bool:
    if isinstance(node, Term):
        return next(decided)
    values = [_value(part, decided) for part in node.parts]
    return not values[0] if node.kind == "not" else (all if node.kind == "and" else any)(values)


def _condition(node: _Node | Term, containing: Callable[[str], Condition], *, negated: bool = False) -> Condition:
    if isinstance(node, Term):
        return _of_term(node, containing, negated=negated)
    if node.kind == "not":
        return _condition(node.parts[0], containing, negated=not negated)
    parts = [_condition(part, containing, negated=negated) for part in node.parts]
    word = "AND" if (node.kind == "and") is not negated else "OR"
    return Condition(f"({f' {word} '.join(part.sql for part in parts)})", sum((part.values for part in parts), ()))


def _of_term(term: Term, containing: Callable[[str], Condition], *, negated: bool) -> Condition:
    if term.holds is not None:  # either answer is possible, except that of a word which is nowhere
        return containing(term.word) if term.word and not negated else _ANY
    return Condition(f"{'NOT ' if negated else ''}ifnull({term.row.sql}, 0)", term.row.values)


# Reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads a query from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        if len(self._tokens) > _MOST_TERMS:
            raise LmspanError(f"a query has at most {_MOST_TERMS} terms")
        self._tokens.reverse()
        self._depth = 0

    def query(self) -> _Node | Term:
        """Return all of it."""
        root = self._either() if self._tokens else _Node("and", (Term(),))
        if self._tokens:
            raise LmspanError(f"{self._word!r} stands where a term is expected in the query")
        return root

    @property
    def _word(self) -> str:
        """The next token, if it is a bare word or a parenthesis; words of the language are in any case."""
        if not self._tokens:
            return ""
        token = self._tokens[-1]
        return (token["parenthesis"] or token["word"] or "").lower()

    def _take(self, word: str) -> bool:
        if self._word != word:
            return False
        self._tokens.pop()
        return True

    def _either(self) -> _Node | Term:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _Node("or", parts)

    def _all(self) -> _Node | Term:
        parts = [self._one()]
        while self._tokens and (self._take("and") or self._word not in ("or", ")")):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else _Node("and", parts)

    def _one(self) -> _Node | Term:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise LmspanError(f"a query has at most {_DEEPEST} levels")
        part = self._inner()
        self._depth -= 1
        return part

    def _inner(self) -> _Node | Term:
        if self._take("not"):
            return _Node("not", (self._one(),))
        if self._take("("):
            inner = self._either()
            if not self._take(")"):
                raise LmspanError("a '(' of the query has no ')'")
            return inner
        if not self._tokens or self._word in ("and", "or", ")"):
            place = f"before {self._word!r}" if self._word else "at its end"
            raise LmspanError(f"a term is expected in the query {place}")
        return _term(self._tokens.pop())


def _tokens(text: str) -> Iterator[re.Match[str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        token = _TOKEN.match(text, position, end)
        if token is None:
            raise LmspanError("a quotation mark of the query has no second one")
        yield token
        position = token.end()


def _term(token: re.Match[str]) -> Term:
    word, name = token["word"], token["field"]
    if word is not None and word.lower() in _FLAGS:
        return Term(Condition(_FLAGS[word.lower()]))
    if word is not None and (word.endswith(":") or not _SIGNS.isdisjoint(word)):
        raise LmspanError(f"{word!r} is no comparison; write for example cost>0.1, and a text in quotation marks")
    if name is None:
        return _of_words(word if word is not None else token["phrase"])
    value = token["quoted"] if token["quoted"] is not None else token["value"]
    if "." in name:
        return Term(holds=_of_attribute(name.removeprefix("."), token["sign"], value))
    return Term(_of_field(name.lower(), token["sign"], value))


def _of_field(name: str, sign: str, value: str) -> Condition:
    if name == "under":
        _expect(sign == ":", name, f"under:{value or 'module'}")
        return Condition(_UNDER, (value, value))
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
        return Condition(f"{FIGURES[name]} {sign} ?", (nanoseconds(value if number is None else number),))
    if number is None:
        raise LmspanError(f"{value!r} is no number; write for example {name}>0.5 or {name}>10k")
    return Condition(f"{FIGURES[name]} {sign} ?", (number,))


def _of_text(name: str, sign: str, value: str) -> Condition:
    _expect(sign in (":", "=", "==", "!="), name, f"{name}:{value}, {name}={value} or {name}!={value}")
    if sign == ":":
        return Condition(f"instr(lower({name}), lower(?))", (value,))
    return Condition(f"{name} NOT IN ('', ?)" if sign == "!=" else f"{name} = ?", (value,))


def _expect(is_right: bool, name: str, example: str) -> None:
    if not is_right:
        raise LmspanError(f"the field {name!r} of a query is compared as in {example}")


def _number(text: str) -> float | None:
    match = _NUMBER.fullmatch(text)
    return None if match is None else float(match[1]) * _FACTORS[match[2]]


def _of_attribute(name: str, sign: str, text: str) -> Callable[[StoredSpan], bool]:
    """Return whether a span has an attribute with a value of this kind."""
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

    return holds


def _of_words(text: str) -> Term:
    """Return the term for words that follow each other, the last one perhaps continued, as in the full text search."""
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
