"""Where the page is served: a socket that listens, and its address with a token.

This module loads no web framework: a browser connects, and waits for the first response, while the server is loading.
"""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import Final, NamedTuple

from lmspan.errors import ConfigurationError

HOST: Final = "127.0.0.1"
USUAL_PORT: Final = 6868
_TOKEN_BYTES: Final = 24


class Entrance(NamedTuple):
    """A socket that listens on `HOST`, and the token that opens the page."""

    listening: socket.socket
    token: str

    @property
    def port(self) -> int:
        """The port of the socket."""
        return int(self.listening.getsockname()[1])

    @property
    def endpoint(self) -> str:
        """The address without the token: of exporters."""
        return f"http://{HOST}:{self.port}"

    @property
    def address(self) -> str:
        """The address to open in a browser."""
        return f"{self.endpoint}/?token={self.token}"


def listen_as_usual() -> Entrance:
    """Listen on the usual port, for which a browser keeps its choices, or on a free one if that is in use."""
    with suppress(ConfigurationError):
        return listen(USUAL_PORT)
    return listen()


def listen(port: int = 0) -> Entrance:
    """Listen on a port of 127.0.0.1; on a free one for 0.

    Raises:
        ConfigurationError: another program has the port.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as failed:
        raise ConfigurationError(f"port {port} of {HOST} cannot be used: {os.strerror(failed.errno or 0)}") from failed
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small response waits for 40 ms
    return Entrance(listening, secrets.token_urlsafe(_TOKEN_BYTES))
