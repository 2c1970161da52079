"""The query language of spans: `model:gpt cost>0.1 (failed or retries>2) not under:judge`.

A query becomes a condition in SQL on the rows of the index. A term that the rows cannot answer, which is a word or an
attribute, widens that condition, and is decided on the span itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lmspan.errors import LmspanError
from lmspan.traces.terms import ANY, Condition, Term, of_attribute, of_field, of_word, of_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<parenthesis> [()] )
    | (?P<field> \.?[A-Za-z_][\w.-]* ) \s* (?P<sign> [!<>=]= | [:=<>] ) \s* (?:
        "(?P<quoted> [^"]* )" | (?P<value> -?[\d.]+\s*(?:ms|µs|us|s|min|[mhdw])(?![^\s()]) | (?!(?:and|or|not)(?![^\s()]))[^\s()":<>=][^\s()"]* ) )
    | "(?P<phrase> [^"]* )"
    | (?P<word> [^\s()"]+ ) )""",  # noqa: E501 - one line an alternative
    re.VERBOSE,
)
_MOST_TERMS: Final = 50
_DEEPEST: Final = 20


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
        return containing(term.word) if term.word and not negated else ANY
    return Condition(f"NOT {term.row.sql}", term.row.values) if negated else term.row


# Reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads a query from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        if sum(_is_term(token) for token in self._tokens) > _MOST_TERMS:
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


def _is_term(token: re.Match[str]) -> bool:
    return token["parenthesis"] is None and (token["word"] or "").lower() not in ("and", "or", "not")


def _tokens(text: str) -> Iterator[re.Match[str]]:
    position, end = 0, len(text.rstrip())
    while position < end:
        token = _TOKEN.match(text, position, end)
        if token is None:
            raise LmspanError("a quotation mark of the query has no second one")
        yield token
        position = token.end()


def _term(token: re.Match[str]) -> Term:
    if token["word"] is not None:
        return of_word(token["word"])
    if token["phrase"] is not None:
        return of_words(token["phrase"])
    name, sign = token["field"], token["sign"]
    value = token["value"] if token["quoted"] is None else token["quoted"]
    return of_attribute(name.removeprefix("."), sign, value) if "." in name else of_field(name.lower(), sign, value)
