"""Locate secrets in a text: one finder for each form in which a text contains one.

A finder searches a copy of the text in lower case, one byte for each character, because `bytes.find` is fast. It looks
for short markers there; a pattern runs only from a marker on, or over a word that is long enough to be a token. No
pattern can fail after an unbounded repetition, or else its next attempt starts behind the characters that it consumed.
Therefore the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect
from string import ascii_lowercase
from typing import TYPE_CHECKING, Final

from lmspan.content.secret_names import Proof, is_secret, letters_after, looks_like_key, may_be_key, proof_of
from lmspan.content.token_shapes import SECRET_PATH, SECRET_PATH_STEMS, SHORTEST, token_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    Spans = Iterator[tuple[int, int]]

# The characters that end a word; `read` replaces a character outside ASCII by "?".
_BETWEEN: Final = bytes.maketrans(bytes(range(256)), bytes(32 if chr(i) in " \t\r\n\v\f\"'`,;()[]{}<>|\\?" else 120
                                                           for i in range(256)))  # fmt: skip
_LONG: Final = b"x" * SHORTEST
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def read(text: str) -> bytes:
    """Return a text for the search of markers: in lower case, with one byte at the index of each character."""
    return text.encode("ascii", "replace").lower()


# The rest of an escape at the beginning of a word: of backslash n, of backslash u0027, of a terminal's color; also %20.
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|\A(?:[nrtbf]|u00[0-9a-f]{2}|[0-9]{1,2}m)")


def _tokens(text: str, look: bytes) -> Spans:
    """Find tokens of well-known shapes, in words that are long enough."""
    words = look.translate(_BETWEEN)
    start = words.find(_LONG)
    while start >= 0:
        end = words.find(b" ", start)
        word = text[start : end if end >= 0 else None]
        if "%" in word or text[max(start - 1, 0) : start] in ("\\", "[", ";"):
            word = _ESCAPE.sub(lambda escape: "%" * len(escape[0]), word)
        for token in () if _UUID.fullmatch(word) else token_pattern().finditer(word):
            yield start + token.start(), start + token.end()
        start = words.find(_LONG, end) if end >= 0 else -1


def _secret_paths(text: str, look: bytes) -> Spans:
    """Find the secret part of an address, after a well-known prefix."""
    for stem in SECRET_PATH_STEMS:
        at = look.find(stem)
        while at >= 0:
            address = SECRET_PATH.match(text, at)
            if address:
                yield address.span("rest")
            at = look.find(stem, address.end() if address else at + 1)


_BLOCK_MARKER: Final = b"-----begin"
_BLOCK: Final = re.compile(r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.IGNORECASE)
_BLOCK_END: Final = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.IGNORECASE)
_BLOCK_BODY: Final = re.compile(r"[\s\\nr\"'+,]{0,16}(?:[A-Za-z0-9+/=]{16}|[A-Z][A-Za-z-]{2,20}: )")


def _blocks(text: str, look: bytes) -> Spans:
    """Find PEM and PGP blocks of private keys; a block without an end reaches to the end of the text."""
    start = look.find(_BLOCK_MARKER)
    ends = [line.end() for line in _BLOCK_END.finditer(text)] if start >= 0 else []
    while start >= 0:
        end = start + 1
        first_line = _BLOCK.match(text, start)
        if first_line:
            after = bisect(ends, first_line.end())
            if after < len(ends) or _BLOCK_BODY.match(text, first_line.end()):
                end = ends[after] if after < len(ends) else len(text)
                yield start, end
        start = look.find(_BLOCK_MARKER, end)


# Each with the letters that never follow it in the name of a secret, because the name of a count is more frequent.
_STEMS: Final = {
    stem.encode(): "".join(sorted(set(ascii_lowercase) - letters_after(stem))).encode()
    for stem in ("pass", "pwd", "secret", "token", "key", "auth", "cookie", "cred", "bearer")
}
_LONGEST_NAME: Final = 64  # characters before, and from, the beginning of a stem
# The characters that a name does not have.
_BETWEEN_NAMES: Final = bytes.maketrans(bytes(range(256)), bytes(
    120 if chr(i) in "abcdefghijklmnopqrstuvwxyz0123456789_-" else 32 for i in range(256)))  # fmt: skip
_ASSIGNMENT: Final = re.compile(
    r"""
    (?:\\{0,3}["'`])?\]?                                       # the end of a quoted name, or of an index
    (?P<sign>
        (?:[ ]{0,4}:[ ]{0,4}[A-Za-z_]{1,16}(?=[ ]{1,4}=[^=]|=[ ]{0,2}["']))?  # the type in "name: str = ..."
        \s{0,8}(?:=>|:=|={1,3}|:)\s{0,8} | > | \s{1,8}
    )
    (?:[bfru]{1,2}(?=["']))?(?P<quote>\\{0,3}["'`])?
    (?P<scheme>(?:bearer|basic|token|apikey|digest|key)\s{1,4})?
    (?P<value>[^\s"'`,;&<>(){}\[\]\\|]{1,512})
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_REST: Final = {
    "phrase": re.compile(r"[^\r\n\"'`\\]*+"),
    "line": re.compile(r"[^\s\"'`]*+"),
    "cookie": re.compile(r"[^\r\n\"'`]*+"),
    "bare": re.compile(r"[^\s\"'`,;&<>(){}\[\]\\|]*+"),
}
_PASSWORDS: Final = ("password", "passwd", "passphrase", "pass", "pwd")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


def _assigned(text: str, look: bytes) -> Spans:
    """Find the values of assignments, of fields in JSON or YAML, of headers, options and parameters of addresses."""
    names = look.translate(_BETWEEN_NAMES)
    for stem in _STEMS:
        start = _next(look, stem, 0)
        while start >= 0:
            begin, end = _bounds(names, start)
            proof = _proof(text, begin, end)
            assignment = _ASSIGNMENT.match(text, end) if proof is not Proof.NONE else None
            span = _value(text, begin, end, proof, assignment) if assignment else None
            if span:
                yield span
            start = _next(look, stem, span[1] if span else max(end, start + 1))


def _next(look: bytes, stem: bytes, at: int) -> int:
    """Return the next index where the name of a secret may have a stem, -1 if there is none."""
    others = _STEMS[stem]
    at = look.find(stem, at)
    while at >= 0 and look[(after := at + len(stem)) : after + 1] in others:  # nothing follows at the end of the text
        at = look.find(stem, after)
    return at


def _bounds(names: bytes, at: int) -> tuple[int, int]:
    """Return the bounds of the name around an index."""
    first, last = max(at - _LONGEST_NAME, 0), at + _LONGEST_NAME
    begin, end = names.rfind(b" ", first, at) + 1, names.find(b" ", at, last)
    return begin or first, end if end >= 0 else min(last, len(names))


def _proof(text: str, begin: int, end: int) -> Proof:
    name = text[begin:end]
    if name in ("key", "KEY") and text[begin - 1 : begin] in ("?", "&"):
        return Proof.KEY  # a parameter of an address
    return proof_of(name)


def _value(text: str, begin: int, end: int, proof: Proof, assignment: re.Match[str]) -> tuple[int, int] | None:
    """Return the span of a name's value if it is a secret."""
    name = text[begin:end].lower()
    sign = assignment["sign"]
    if sign.isspace() and not name.startswith("--") and name != "bearer":
        return None
    if sign == ">" and text[begin - 1 : begin] != "<":
        return None
    kind = "phrase" if assignment["quote"] else "bare"
    if "cookie" in name and "=" in assignment["value"]:
        kind = "cookie"
    elif kind == "bare" and sign == "=" and text[begin:end].isupper():
        kind = "line"
    if kind != "cookie" and not _is_assigned_secret(text, name, proof, assignment, kind):
        return None
    start = assignment.start("value")
    return start, start + len(_REST[kind].match(text, start)[0])  # type: ignore[index] # it matches the value at least


def _is_assigned_secret(text: str, name: str, proof: Proof, assignment: re.Match[str], kind: str) -> bool:
    value = assignment["value"]
    following = text[assignment.end() : assignment.end() + 1]
    if assignment["quote"]:
        if value.isupper() and "_" in value and proof_of(value) is not Proof.NONE:
            return False  # the name of a variable
        if following == " " and not name.endswith("passphrase"):
            return looks_like_key(value)  # the first word of a sentence
        return may_be_key(value) if proof is Proof.ANY else is_secret(min(proof, Proof.KEY), value)
    if following in ("(", "[") or _ATTRIBUTE.fullmatch(value):
        return False  # code that reads the value
    if proof_of(value) is not Proof.NONE and not looks_like_key(value):
        return False  # password=password
    strict = assignment["sign"] not in ("=", ":=", ">") and not assignment["sign"].isspace()
    if kind == "line" or (not strict and name.endswith(_PASSWORDS)):
        return may_be_key(value)
    certain = proof is Proof.ANY or (proof is Proof.WORD and ("-" in name or "_" in name))
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return (certain and mixed and may_be_key(value)) or looks_like_key(value)


USERINFO: Final = re.compile(r"://([^\s/\"'<>\\]{1,1024})@")
_NO_SCHEME: Final = re.compile(r"(?<![\w.+%/@-])([\w.+%-]{1,64}):([^\s/:@\"'<>(),;]{1,256})\Z", re.ASCII)
_HOST: Final = re.compile(
    r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|[\w.-]{1,253}:\d{2,5})(?![\w.])", re.ASCII | re.IGNORECASE
)


def _credentials(text: str, look: bytes) -> Spans:
    """Find the password in the user's part of an address, or a key in place of the user."""
    at = look.find(b"@")
    if at < 0:
        return
    for userinfo in USERINFO.finditer(text):
        start = userinfo.start(1)
        user, _, password = userinfo[1].partition(":")
        if looks_like_key(user):
            yield start, start + len(user)
        if password and password[0] not in "{$<[*%" and not re.match(r"\d+[?#]", password):
            yield start + len(user) + 1, userinfo.end(1)
    done = 0
    while at >= 0:
        userinfo_before = _NO_SCHEME.search(text[max(done, at - 324) : at])
        if userinfo_before and _HOST.match(text, at + 1):
            yield at - len(userinfo_before[2]), at
        done = at + 1
        at = look.find(b"@", done)


FINDERS: Final = (_tokens, _secret_paths, _blocks, _assigned, _credentials)

# For a short text one pattern is faster than all the searches. It contains the markers of every finder.
_SHORT: Final = 96
_MARKED: Final = re.compile(
    b"|".join((*_STEMS, *SECRET_PATH_STEMS, _BLOCK_MARKER, b"@"))
    + rb"|[^ \t\r\n\v\f\"'`,;()\[\]{}<>|\\?]{%d}" % SHORTEST
)


def find(text: str) -> list[tuple[int, int]]:
    """Return the spans of secrets, in no order; they may overlap. Never raises."""
    look = read(text)
    if len(text) <= _SHORT and not _MARKED.search(look):
        return []
    return [span for finder in FINDERS for span in finder(text, look)]


_LONG_SECRET: Final = 20


def known(text: str, secret: str) -> Spans:
    """Find a known secret: a short one only as a whole word, because a longer word may contain it by chance."""
    at = text.find(secret)
    while at >= 0:
        end = at + len(secret)
        if len(secret) >= _LONG_SECRET or (_begins_word(text, at) and not _is_inside_word(text, end)):
            yield at, end
        at = text.find(secret, end)


def _begins_word(text: str, at: int) -> bool:
    """Return whether a word begins here; the letter of an escape (backslash n, %3D) is no part of it."""
    escaped = text[max(at - 2, 0) : at].startswith("\\") or text[max(at - 3, 0) : at].startswith("%")
    return escaped or not _is_inside_word(text, at)


def _is_inside_word(text: str, at: int) -> bool:
    return text[max(at - 1, 0) : at].isalnum() and text[at : at + 1].isalnum()
