"""What is never recorded: keys, tokens, passwords; and the user's own `redact=` hook.

Every string that would be recorded passes through one `Redactor` before it becomes part of any JSON, so that no sign
of the JSON can be replaced. `secret_finders` says where in a text a secret is, `secret_names` which names and values
are secret, `token_shapes` how well-known tokens look.
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
    """Take the secrets out of what would be recorded, and let the user's hook have its say."""

    def __init__(self, hook: Callable[[str], str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._hook = hook
        self._of_environment: list[str] = []
        self._configured: list[str] = []
        self._known: tuple[str, ...] = ()  # both, the longest first
        self._names: dict[str, str] = {}
        self._environ = environ or {}
        self._seen: Any = None
        self.look_around()

    @guard.guarded
    def look_around(self) -> None:
        """Learn the keys in the environment, which a program may load after `init()`. Cheap if nothing changed."""
        stored = getattr(self._environ, "_data", self._environ)  # os.environ decodes each value that it is asked for
        if stored == self._seen:
            return
        seen = dict(stored)
        for name, value in dict(self._environ).items():
            if proof_of(name) >= Proof.WORD or name.upper().endswith("_KEY"):
                self._learn(self._of_environment, _forms(value))
            self._learn(self._of_environment, _forms_in(value))
        self._seen = seen

    def know(self, secret: object) -> None:
        """Remember a value that a program uses as a key, so that it is taken out wherever it shows up as a word.

        A value that an ordinary text may hold ("not-needed", "postgres") is no key. Never raises.
        """
        if type(secret) is str:
            self._learn(self._configured, _forms(secret))

    def know_address(self, address: str) -> None:
        """Remember the credentials in an address: both together, and each that looks like a key. Never raises."""
        self._learn(self._configured, _forms_in(address))

    def _learn(self, kept: list[str], secrets: tuple[str, ...]) -> None:
        new = [each for each in secrets if each not in self._known]
        if new:
            kept += new
            del kept[:-_MOST_SECRETS]  # of a program that has a key for each of its users, the latest
            self._known = tuple(sorted({*self._of_environment, *self._configured}, key=len, reverse=True))
            self._names = {}

    def secrets(self, text: str) -> str:
        """Return a text without what is known or looks like a secret. Never raises."""
        spans = find(text)
        for secret in self._known:
            spans += known(text, secret)
        return _without(text, spans) if spans else text

    def hook(self, text: str) -> str:
        """Return what the user's hook makes of one string; a hook that fails costs the whole string. Never raises.

        A hook that runs instrumented code does not hear of it. What such code would record is withheld: the hook has
        not seen it, and it may be the very text that it was given. The mark is in the context, which
        follows the code into its tasks. A plain thread that the hook starts has a context of its own, and no mark.
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
        """Return one string as it may be recorded. Never raises."""
        return self.hook(self.secrets(text))

    def name(self, text: str) -> str:
        """Return a string as it may be recorded, of the kind that comes again and again: a model, a key, a role.

        What is left of a short one without its secrets is remembered; the hook is called each time.
        """
        known = self._names.get(text)
        if known is None:
            known = self.secrets(text)
            if len(text) <= _LONGEST_NAME:
                if len(self._names) >= _MOST_NAMES:
                    self._names = {}
                self._names[text] = known
        return known if self._hook is None else self.hook(known)

    def value(self, name: str, value: Any) -> Any:
        """Return the value of an attribute as it may be recorded: a string, or strings in a list. Never raises."""
        kind = type(value)
        if kind is str:
            return self.name(value) if not hides(name, value) else REDACTED
        if kind is list or kind is tuple:
            return [self.name(each) if type(each) is str else each for each in value]
        return value


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
    """Return a configured key as texts, JSON and addresses spell it; nothing for a value that is an ordinary word."""
    plain = secret.strip()
    if not is_distinct(plain):
        return ()
    return tuple(dict.fromkeys((plain, json.dumps(plain)[1:-1], quote(plain, safe="", errors="replace"))))


@functools.lru_cache(256)
def _forms_in(address: str) -> tuple[str, ...]:
    """Return the credentials in an address as texts and headers spell them."""
    found = USERINFO.search(address)
    if found is None:
        return ()
    user, _, password = map(unquote, found[1].partition(":"))
    forms = _forms(user) if looks_like_key(user) else ()
    if not password:
        return forms
    pair = f"{user}:{password}"
    basic = base64.b64encode(pair.encode("utf-8", "replace")).decode()
    return (found[1], pair, basic, *forms, *_forms(password))
