"""Decide which names stand for a secret, and which values look like one: the rule for fields, assignments and headers.

A name is split into words, whatever its case and separators (`X-Api-Key`, `apiKey`, `API_KEY`, `apikey` are the same
two words), and its last word decides. `Proof` says how much the name alone proves:

    | last word                                  | proof | reason |
    |--------------------------------------------|-------|--------|
    | password, passwd, passphrase, secret,      | ANY   | the word has no other meaning |
    | credential, authorization, cookie, apikey  |       | |
    | api key, secret key, access key, private   | ANY   | the first word gives the purpose of the key |
    | key, connection string                     |       | |
    | token, auth, pass, pwd, jwt, bearer        | WORD  | also a part of a text, a flag, a count, a directory |
    | ssh key, signing key, account key, ...     | WORD  | also a number or a file |
    | any other key, sas                         | KEY   | `sort_key` is "date": a secret has to look like a key |
    | tokens, eos token, next token, ...         | NONE  | counts and parts of texts; pages of a listing |
    | primary key, public key, cache key, ...    | NONE  | no secrets, although they may look like one |
    | key alone                                  | NONE  | the ordinary word for half of a pair |
    | anything else (author, passed, tokenizer)  | NONE  | the rule compares whole words |
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final


class Proof(IntEnum):
    """The values that are a secret under a name."""

    NONE = 0  # no value
    KEY = 1  # a value that looks like a key
    WORD = 2  # one word that may be a key
    ANY = 3  # any value


_BY_LAST_WORD: Final[dict[str, Proof]] = {
    **dict.fromkeys(
        (
            "password", "passwords", "passwd", "passphrase", "passcode", "secret", "secrets", "credential",
            "credentials", "creds", "authorization", "cookie", "apikey", "apikeys", "userpass",
        ),
        Proof.ANY,
    ),
    **dict.fromkeys(("token", "auth", "pass", "pwd", "jwt", "bearer", "cookies", "authtoken"), Proof.WORD),
    **dict.fromkeys(("key", "sas"), Proof.KEY),
}  # fmt: skip
_ORDINARY_TOKENS: Final = frozenset(
    "eos bos pad unk mask sep cls stop end start special next page continuation per first last prompt completion image "
    "audio new max min input output cached reasoning thinking num sampled predicted text word sub previous current "
    "total".split()
)
_KEYS: Final = {
    **dict.fromkeys("api secret access private".split(), Proof.ANY),
    **dict.fromkeys(
        "ssh signing encryption decryption subscription account master auth shared service client admin storage app "
        "deploy license hmac aes rsa gpg pgp vault webhook server consumer session functions host age totp".split(),
        Proof.WORD,
    ),
    **dict.fromkeys(
        "public primary foreign sort partition cache idempotency group object row routing index lookup map dict config "
        "natural composite registry hot translation i18n message s3 dedupe range hash unique join data answer field "
        "input output metric state json".split(),
        Proof.NONE,
    ),
}
_PLURAL_KEYS: Final = frozenset(("api", "secret", "access", "private"))
_STRINGS: Final = frozenset(("connection", "conn"))
_QUALIFIERS: Final = frozenset(
    ("value", "header", "plain", "plaintext", "raw", "b64", "base64", "encoded", "encrypted")
)
_JOINED: Final = re.compile(
    r"(.{2,})(token|secret|password|passwd|passphrase|credentials?)"
    r"|(x?(?:api|access|secret|private|ssh|signing|encryption|subscription|account|master|auth|sharedaccess))(keys?)"
    r"|(connection|conn)(string|str)"
)
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LONGEST_NAME: Final = 128


@lru_cache(4096)
def proof_of(name: str) -> Proof:
    """Return how much the name of a field, a variable or a header proves. Never raises."""
    words = _words(name[-_LONGEST_NAME:])
    while len(words) > 1 and (words[-1].isdigit() or words[-1] in _QUALIFIERS):
        words.pop()
    before, last = ["", "", *words][-2:]
    if last == "key":
        return _KEYS.get(before, Proof.KEY) if before else Proof.NONE
    if last == "keys":
        return Proof.ANY if before in _PLURAL_KEYS else Proof.NONE
    if last in ("string", "str"):
        return Proof.ANY if before in _STRINGS else Proof.NONE
    if last == "token" and before in _ORDINARY_TOKENS:
        return Proof.NONE
    return _BY_LAST_WORD.get(last, Proof.NONE)


_SECRET_WORDS: Final = (*_BY_LAST_WORD, "keys")


def letters_after(stem: str) -> set[str]:
    """Return the letters that follow a stem in the names of secrets: of the rest of its word, or of a qualifier."""
    rests = [word.partition(stem)[2] for word in _SECRET_WORDS if stem in word]
    return {rest[0] for rest in (*rests, *_QUALIFIERS) if rest}


def _words(name: str) -> list[str]:
    words = [word.lower() for word in _WORD.findall(name)]
    joined = _JOINED.fullmatch(words[-1]) if words else None
    return [*words[:-1], *filter(None, joined.groups())] if joined else words


def hides(name: str, value: Any) -> bool:
    """Return whether a value is a secret in a field of this name. Runs none of the program's code. Never raises."""
    proof = proof_of(name)
    kind = type(value)
    if proof is Proof.NONE or value is None or kind is bool:
        return False
    if issubclass(kind, dict):
        return (proof is Proof.ANY or name.lower().endswith("cookies")) and not _is_schema(value)
    if proof is Proof.ANY:
        return not (issubclass(kind, str) and str.__str__(value) == "")
    if kind is list or kind is tuple:
        return any(issubclass(type(each), str) and is_secret(proof, str.__str__(each)) for each in value)
    return issubclass(kind, str) and is_secret(proof, str.__str__(value))


def _is_schema(value: dict[Any, Any]) -> bool:
    """Return whether a mapping is the schema of a tool's parameter, which has the name of a secret but holds none."""
    return any(type(name) is str and name in ("type", "$ref", "anyOf") for name in dict.__iter__(value))


def is_secret(proof: Proof, value: str) -> bool:
    """Return whether a string is a secret under a name with this proof."""
    return proof is not Proof.NONE and (looks_like_key(value) if proof is Proof.KEY else may_be_key(value))


_HEADERS: Final = frozenset(("authorization", "cookie"))


def hides_named(name: Any, value: Any) -> bool:
    """Return whether a name and a value, which are a pair or two fields, are a header or a setting that holds a secret.

    Two words in a list may be a pair by chance. Therefore the value must look like a key, or the name like a header's.
    """
    if type(name) is not str or type(value) is not str or proof_of(name) is Proof.NONE:
        return False
    certain = "-" in name or "_" in name or name.lower() in _HEADERS
    return hides(name, value) if certain else looks_like_key(value)


_SHORTEST_SECRET: Final = 6
_SHORTEST_KEY: Final = 8
_LONG_PART: Final = 12
_LONG_KEY: Final = 24  # letters alone: a word of a language is shorter
_LONG_WORDS: Final = 20  # characters of a key that consists of words: no text contains them by chance
_SHORTEST_BLOCK: Final = 64
_LONGEST_SECRET: Final = 16_384
_PLACEHOLDER: Final = re.compile(r"[<\[{$*%…(.]|[xX]{3,}|[*.•]+\Z|(?:~|\.{1,2})?[/\\]|[A-Za-z]:\\")
_ORDINARY: Final = frozenset(
    "required optional string integer number boolean object missing invalid expired unknown default disabled enabled "
    "bearer basic digest negotiate oauth oauth2 public private secret password passphrase token apikey api_key api-key "
    "authorization credential credentials undefined redacted hidden forbidden unauthorized anonymous false certificate "
    "certificates example placeholder changeme not-needed not-set empty your-key your-api-key your_api_key".split()
)


def may_be_key(value: str) -> bool:
    """Return whether a value is one word that may be a key: no placeholder, no path, no word that describes a key."""
    plain = value.strip()
    if not _SHORTEST_SECRET <= len(plain) <= _LONGEST_SECRET or _PLACEHOLDER.match(plain):
        return False
    scheme, _, rest = plain.partition(" ")
    if rest and scheme.lower() in ("bearer", "basic", "token", "apikey", "digest", "key"):
        return may_be_key(rest)
    return plain.lower() not in _ORDINARY and not any(character.isspace() for character in plain)


_SEPARATORS: Final = re.compile(r"[_\-./:@+=]+")
_ORDINARY_PART: Final = re.compile(r"(?:[A-Z]?[a-z]{2,}+|[A-Z]{2,}+|[A-Za-z])*+[0-9]{0,4}|[0-9]*")
_HEXADECIMAL: Final = re.compile(r"[a-f]{10,}|[A-F]{10,}")
_UNPRONOUNCEABLE: Final = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
_CASES: Final = re.compile(r"[a-z][A-Z]")


def looks_like_key(value: str) -> bool:
    """Return whether a value looks like a key: it mixes letters with digits or cases as no word or name does."""
    if not _SHORTEST_KEY <= len(value) <= _LONGEST_SECRET or not may_be_key(value):
        return False
    letters = value.isalnum() and (value.islower() or value.isupper())
    return any(map(_is_random, _SEPARATORS.split(value[:512]))) or (len(value) >= _LONG_KEY and letters)


def _is_random(part: str) -> bool:
    if len(part) < _SHORTEST_SECRET or part.isdigit():
        return False
    if not _ORDINARY_PART.fullmatch(part) or _HEXADECIMAL.fullmatch(part) or _UNPRONOUNCEABLE.search(part):
        return True
    return len(part) >= _LONG_PART and len(_CASES.findall(part)) * 4 > len(part)


def is_distinct(value: str) -> bool:
    """Return whether a configured key can be removed wherever it occurs, because no ordinary text contains it."""
    plain = value.strip()
    if len(plain) < _SHORTEST_KEY or _PLACEHOLDER.match(plain) or any(character.isspace() for character in plain):
        return looks_like_block(plain)
    letters = any(character.isalpha() for character in plain)
    return letters and (any(map(str.isdigit, plain)) or looks_like_key(plain) or len(plain) >= _LONG_WORDS)


def looks_like_block(value: str) -> bool:
    """Return whether a configured key is a whole document: a PEM block, the JSON of a service account."""
    return len(value) >= _SHORTEST_BLOCK and value.startswith(("{", "-----BEGIN"))
