"""Decide which programs may send traces: those of the same user, and those that have the token for sending.

An exporter sends no cookie, and `OTEL_EXPORTER_OTLP_ENDPOINT` is all that most programs have. Therefore a program of
the user needs no token where the kernel names the user of a connection: Linux does, in /proc/net. Root can write to the
user's files anyway. A program of another user, and every program on another system, sends the token in `HEADER`.
Without this rule each user of the machine could fill the directory until the rotation removes the user's own traces.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

HEADER: Final = "x-lmspan-token"
_CONNECTIONS: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _USER = 1, 2, 7  # columns of these files
_ROOT: Final = 0
_TOKEN_BYTES: Final = 24


class Senders:
    """The programs that may send traces to a port."""

    def __init__(self, port: int, connections: tuple[Path, ...] = _CONNECTIONS) -> None:
        self.token: str = secrets.token_urlsafe(_TOKEN_BYTES)
        self._port = port
        self._connections = connections

    @property
    def need_token(self) -> bool:
        """Whether the system does not name the user of a connection."""
        return not any(os.access(path, os.R_OK) for path in self._connections)

    def may_send(self, request: Request) -> bool:
        """Return whether a request comes from a program that may send."""
        token = request.headers.get(HEADER, "")
        if hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
            return True
        user = self._user(request.client.port) if request.client is not None else None
        return user is not None and user in (os.getuid(), _ROOT)

    def _user(self, port: int) -> int | None:
        """Return the user whose program has connected from a port, None if the system does not name it."""
        wanted = {f"{_address(host, port)} {_address(host, self._port)}" for host in ("127.0.0.1", "::ffff:127.0.0.1")}
        for path in self._connections:
            try:
                rows = [line.split() for line in path.read_text("ascii").splitlines()[1:]]
            except OSError:
                continue
            for row in rows:
                if f"{row[_LOCAL]} {row[_REMOTE]}" in wanted:
                    return int(row[_USER])
        return None


def _address(host: str, port: int) -> str:
    """Return an address as the kernel prints it: words of 32 bits in the order of the machine's bytes."""
    packed = ipaddress.ip_address(host).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{port:04X}"
