"""What is never recorded: keys, tokens, passwords; and the user's own `redact=` hook.

Every string that would be recorded passes through one `Redactor` before it becomes part of any JSON, so that no sign
of the JSON can be replaced. `secret_finders` says where in a text a secret is, `secret_names` which names and values
are secret, `token_shapes` how well-known tokens look.
"""

from __future__ import annotations

import base64
import contextvars
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from lmspan import guard
from lmspan.secret_finders import USERINFO, find, known
from lmspan.secret_names import Proof, hides, is_distinct, looks_like_key, proof_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REDACTED = "[redacted]"
FAILED = "[redaction failed]"
WITHHELD = "[not recorded inside redact]"
_LONGEST_NAME: Final = 128
_MOST_NAMES: Final = 4096

_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("lmspan.redact", default=False)


class Redactor:
    """Take the secrets out of what would be recorded, and let the user's hook have its say."""

    def __init__(self, hook: Callable[[str], str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._hook = hook
        self._known: tuple[str, ...] = ()
        self._names: dict[str, str] = {}
        self._environ = environ or {}
        self._seen: Any = None
        self.look_around()

    def look_around(self) -> None:
        """Learn the keys in the environment, which a program may load after `init()`. Cheap if nothing changed."""
        stored = getattr(self._environ, "_data", self._environ)  # os.environ decodes each value that it is asked for
        if stored == self._seen:
            return
        self._seen = dict(stored)
        for name, value in dict(self._environ).items():
            if proof_of(name) >= Proof.WORD or name.upper().endswith("_KEY"):
                self.know(value)

    def know(self, secret: object) -> None:
        """Remember a value that a program uses as a key, so that it is taken out wherever it shows up as a word.

        A value that an ordinary text may hold ("not-needed", "postgres") is no key.
        """
        if type(secret) is str and is_distinct(secret):
            plain = secret.strip()
            self._learn(plain, json.dumps(plain)[1:-1], quote(plain, safe=""))

    def know_address(self, address: str) -> None:
        """Remember the credentials in an address, together and, where it looks like a key, the password alone."""
        found = USERINFO.search(address)
        if found is None:
            return
        user, _, password = found[1].partition(":")
        if password:
            plain = unquote(found[1])
            self._learn(found[1], plain, base64.b64encode(plain.encode("utf-8", "replace")).decode())
            self.know(unquote(password))
        if looks_like_key(user):
            self.know(user)

    def _learn(self, *secrets: str) -> None:
        new = [each for each in secrets if each not in self._known]
        if new:
            self._known = tuple(sorted({*self._known, *new}, key=len, reverse=True))
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
        not seen it, and it may be the very text that it was given. The mark is in the context, which follows the code
        into tasks and into the threads that lmspan propagates to.
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
