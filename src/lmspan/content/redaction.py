"""Remove secrets from strings (keys, tokens, passwords), and call the user's own `redact=` hook.

Every string passes through one `Redactor` before it becomes part of any JSON, so that no replacement breaks the JSON.
`secret_finders` locates secrets in a text, `secret_names` decides which names and values are secret, and `token_shapes`
describes well-known tokens.
"""

from __future__ import annotations

import base64
import contextvars
import functools
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from lmspan import guard
from lmspan.content.secret_finders import USERINFO, find, known
from lmspan.content.secret_names import Proof, hides, is_distinct, looks_like_key, proof_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REDACTED = "[redacted]"
FAILED = "[redaction failed]"
WITHHELD = "[not recorded inside redact]"
_LONGEST_NAME: Final = 128
_MOST_NAMES: Final = 4096
_MOST_SECRETS: Final = 256

_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("lmspan.redact", default=False)


class Redactor:
    """Remove secrets from strings, then pass the strings to the user's hook."""

    def __init__(self, hook: Callable[[str], str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._hook = hook
        self._of_environment: list[str] = []
        self._configured: list[str] = []
        self.known: tuple[str, ...] = ()
        """The secrets of both, the longest first: another object when another one is learned."""
        self._names: dict[str, str] = {}
        self.known_values: dict[tuple[str, str], str] = {}
        """The results of `value()` for short strings. It stays empty while there is a hook, which sees every string."""
        self._environ = {} if environ is None else environ
        self._seen: Any = None
        self.read_environment()

    @guard.guarded
    def read_environment(self) -> None:
        """Learn the keys in the environment, which a program may load after `init()`. Cheap if nothing changed."""
        stored = getattr(self._environ, "_data", self._environ)  # os.environ decodes a value at every access
        if stored == self._seen:
            return
        seen = dict(stored)
        for name, value in dict(self._environ).items():
            if proof_of(name) >= Proof.WORD or name.upper().endswith("_KEY"):
                self._learn(self._of_environment, _forms(value))
            self._learn(self._of_environment, _forms_in(value))
        self._seen = seen

    @property
    def has_hook(self) -> bool:
        """Whether there is a hook, which is called on the thread of the program that has the string."""
        return self._hook is not None

    def set_hook(self, hook: Callable[[str], str]) -> None:
        """Pass each string to this hook from now on."""
        self._hook = hook
        self.known_values = {}

    def know(self, secret: object) -> None:
        """Remember a key that the program uses, to remove it wherever it occurs as a word.

        A value that an ordinary text may contain ("not-needed", "postgres") is no key. Never raises.
        """
        if type(secret) is str:
            self._learn(self._configured, _forms(secret))

    def know_address(self, address: str) -> None:
        """Remember the credentials in an address: both together, and each that looks like a key. Never raises."""
        self._learn(self._configured, _forms_in(address))

    def _learn(self, secrets: list[str], forms: tuple[str, ...]) -> None:
        new = [each for each in forms if each not in self.known]
        if new:
            secrets += new
            del secrets[:-_MOST_SECRETS]  # a program may have a key for each of its users: the latest remain
            self.known = tuple(sorted({*self._of_environment, *self._configured}, key=len, reverse=True))
            self._names, self.known_values = {}, {}

    def secrets(self, text: str) -> str:
        """Return a text without known secrets and without parts that look like a secret. Never raises."""
        spans = find(text)
        for secret in self.known:
            spans += known(text, secret)
        return _without(text, spans) if spans else text

    def hook(self, text: str) -> str:
        """Return the user's hook's replacement of one string, or `FAILED` if the hook fails. Never raises.

        A hook may run instrumented code. The hook is not called for the strings of that code: `WITHHELD` replaces
        them, because they may contain the very text that the hook is to redact. The mark of a running hook is in
        the context, which follows the code into its tasks. A plain thread that the hook starts has its own context,
        without the mark.
        """
        if self._hook is None:
            return text
        if _inside.get():
            return WITHHELD
        mark = _inside.set(True)
        try:
            changed = self._redact(text)
        finally:
            _inside.reset(mark)
        return changed if type(changed) is str else FAILED

    @guard.guarded
    def _redact(self, text: str) -> Any:
        return self._hook(text) if self._hook is not None else text

    def __call__(self, text: str) -> str:
        """Return one string without secrets, as the hook changes it. Never raises."""
        return self.hook(self.secrets(text))

    def name(self, text: str) -> str:
        """Return a string of the kind that recurs (a model, a key, a role) without secrets, as the hook changes it.

        The result of the search for secrets in a short string is cached; the hook is called each time.
        """
        names = self._names  # another thread may learn a secret now, and put an empty cache in its place
        redacted = names.get(text)
        if redacted is None:
            redacted = self.secrets(text)
            if len(text) <= _LONGEST_NAME:
                if len(names) >= _MOST_NAMES:
                    self._names = names = {}
                names[text] = redacted
        return redacted if self._hook is None else self.hook(redacted)

    def value(self, name: str, value: Any) -> Any:
        """Return the value of an attribute without secrets: a string, or strings in a list. Never raises."""
        kind = type(value)
        if kind is str:
            return self._text(name, value)
        if kind is list or kind is tuple:
            return [self.name(each) if type(each) is str else each for each in value]
        return value

    def _text(self, name: str, value: str) -> str:
        """Return the text of an attribute without secrets; cache it, unless there is a hook to be called each time."""
        values = self.known_values
        text = self.name(value) if not hides(name, value) else REDACTED
        if self._hook is None and len(value) <= _LONGEST_NAME:
            if len(values) >= _MOST_NAMES:
                self.known_values = values = {}
            values[name, value] = text
        return text


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += (text[done:start], REDACTED)
        done = max(done, end)
    return "".join((*parts, text[done:]))


@functools.lru_cache(256)
def _forms(secret: str) -> tuple[str, ...]:
    """Return a configured key as texts, JSON and addresses spell it; no form of a value that is an ordinary word."""
    plain = secret.strip()
    if not is_distinct(plain):
        return ()
    return tuple(dict.fromkeys((plain, json.dumps(plain)[1:-1], quote(plain, safe="", errors="replace"))))


@functools.lru_cache(256)
def _forms_in(address: str) -> tuple[str, ...]:
    """Return the credentials in an address as texts and headers spell them."""
    credentials = USERINFO.search(address)
    if credentials is None:
        return ()
    user, _, password = map(unquote, credentials[1].partition(":"))
    forms = _forms(user) if looks_like_key(user) else ()
    if not password:
        return forms
    pair = f"{user}:{password}"
    basic = base64.b64encode(pair.encode("utf-8", "replace")).decode()
    return (credentials[1], pair, basic, *forms, *_forms(password))
