"""What is never recorded: keys, tokens, passwords; and the user's own `redact=` hook.

Every string that would be recorded passes through one `Redactor`. Looking for a short marker first keeps long texts
cheap: a pattern only runs over a text that holds its marker. The patterns may run over a text or over the JSON made of
it: what they take out never holds a quotation mark or a backslash, so JSON stays JSON.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from lmspan import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REDACTED = "[redacted]"
FAILED = "[redaction failed]"
_SHORTEST_SECRET = 8

_SECRET_FIELDS = frozenset(
    [
        "accesstoken",
        "apikey",
        "apitoken",
        "authorization",
        "awssecretaccesskey",
        "awssessiontoken",
        "bearertoken",
        "clientsecret",
        "cookie",
        "credential",
        "credentials",
        "idtoken",
        "passphrase",
        "passwd",
        "password",
        "privatekey",
        "proxyauthorization",
        "pwd",
        "refreshtoken",
        "secret",
        "secretaccesskey",
        "secretkey",
        "sessiontoken",
        "setcookie",
        "vaulttoken",
        "xapikey",
    ]
)
_SECRET_VARIABLE = re.compile(r"(API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PRIVATE_KEY|ACCESS_KEY)$")

_PATTERNS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (marker, re.compile(pattern), replacement)
    for markers, pattern, replacement in (
        (
            ("PRIVATE KEY",),
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^\"]*?(-----END [A-Z ]*PRIVATE KEY-----|(?=\")|\Z)",
            REDACTED,
        ),
        (("sk-",), r"\bsk-[A-Za-z0-9_-]{8,}", REDACTED),
        (("earer ",), r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}", r"\1" + REDACTED),
        (("AKIA",), r"\bAKIA[0-9A-Z]{16}\b", REDACTED),
        (("AIza",), r"\bAIza[0-9A-Za-z_-]{30,}", REDACTED),
        (("ghp_", "github_pat_"), r"\b(?:ghp|github_pat)_[A-Za-z0-9_]{20,}", REDACTED),
        (("xox",), r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", REDACTED),
        (("hf_",), r"\bhf_[A-Za-z0-9]{20,}", REDACTED),
        (("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}", REDACTED),
        (("://",), r"(://[^/\s:@\"\\]{0,256}:)[^/\s@\"\\]{1,512}@", r"\1" + REDACTED + "@"),
        (
            ("pi_key", "PI_KEY", "pi-key", "assword", "uthorization", "ecret"),
            (
                r"(?i)\b((?:[\w-]{0,32}[_-])?(?:api[_-]?key|password|authorization|secret(?:[_-]key)?)"
                r"\\?[\"']?\s{0,4}[:=]\s{0,4}\\?[\"']?(?:basic\s+)?)(?!\[redacted\]|bearer|basic)[^\s\"',;)}\]\\]{6,}"
            ),
            r"\1" + REDACTED,
        ),
    )
    for marker in markers
)


def is_secret_field(name: str) -> bool:
    """Tell whether a field of this name holds a secret whatever its value is; case, `_` and `-` do not matter."""
    return name.replace("_", "").replace("-", "").lower() in _SECRET_FIELDS


class Redactor:
    """Take the secrets out of what would be recorded, and let the user's hook have its say."""

    def __init__(self, hook: Callable[[str], str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._hook = guard.guarded(hook) if hook is not None else None
        self._known: frozenset[str] = frozenset()
        for name, value in (environ or {}).items():
            if _SECRET_VARIABLE.search(name.upper()):
                self.know(value)

    def know(self, secret: object) -> None:
        """Remember a value that a program uses as a key, so that it is taken out wherever it shows up."""
        if type(secret) is str and len(secret) >= _SHORTEST_SECRET and secret not in self._known:
            self._known |= {secret, json.dumps(secret)[1:-1]}

    def secrets(self, text: str) -> str:
        """Return the text, or the JSON, without what is known or looks like a secret. Never raises."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, REDACTED)
        for marker, pattern, replacement in _PATTERNS:
            if marker in text:
                text = pattern.sub(replacement, text)
        return text

    def hook(self, text: str) -> str:
        """Return what the user's hook makes of one string; a hook that fails costs the whole string. Never raises."""
        if self._hook is None:
            return text
        changed = self._hook(text)
        return changed if type(changed) is str else FAILED

    def __call__(self, text: str) -> str:
        """Return one string as it may be recorded. Never raises."""
        return self.hook(self.secrets(text))
