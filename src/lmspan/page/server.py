"""The server: its routes, and how it runs."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from lmspan.errors import ConfigurationError, LmspanError, TraceFileError
from lmspan.page import api, sending
from lmspan.page.access import Access, error, foreign, hosts
from lmspan.page.connections import Connection
from lmspan.page.reader import ReaderEndsError
from lmspan.page.receiver import Receiver
from lmspan.page.senders import Senders
from lmspan.page.signals import SIGNALS
from lmspan.traces.spans import as_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lmspan.page.reader import Reader

    Query = Callable[[Reader, Request], Any]

HOST: Final = "127.0.0.1"
_STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_TOKEN_BYTES: Final = 24
_MOST_CONNECTIONS: Final = 300
_CLOSING_S: Final = 1


def application(reader: Reader, *, token: str, senders: Senders, port: int) -> ASGIApp:
    """Return the ASGI application for a server on a port of 127.0.0.1: the page, and the receiver of OTLP."""
    page = Access(_page(reader), token=token, port=port)
    receiver = Receiver(reader.store.path, senders, lambda request: foreign(request, hosts(port)))

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (receiver if scope.get("path") in SIGNALS else page)(scope, receive, send)

    return answer


def _page(reader: Reader) -> Starlette:
    return Starlette(
        routes=[
            Route("/api/version", _version(reader)),
            Route("/api/send", lambda _: _json({"endpoint": sending.configured()})),
            Route(sending.PATH, _sending(reader), methods=["POST"]),
            *(Route(path, _query(reader, query)) for path, query in api.QUERIES.items()),
            *(Route(f"/{'' if name == 'index.html' else name}", _file(name)) for name in static_names()),
        ],
        exception_handlers={
            HTTPException: lambda _, refused: error(refused.status_code, refused.detail),
            TraceFileError: lambda _, refused: error(404, str(refused)),
            ReaderEndsError: lambda _, refused: error(503, str(refused)),
            LmspanError: lambda _, refused: error(400, str(refused)),
        },
    )


def static_names() -> list[str]:
    """Return the names of the page's files."""
    return sorted(path.name for path in _STATIC.iterdir() if path.suffix in _TYPES)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    path = _STATIC / name

    async def answer(_: Request) -> Response:
        return FileResponse(path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    return answer


def _version(reader: Reader) -> Callable[[Request], Response]:
    def answer(_: Request) -> Response:  # Starlette calls it on a thread: it reads the directory only
        return _json({"version": reader.version()})

    return answer


def _sending(reader: Reader) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _json(await sending.send(reader.store.path, request))

    return answer


def _query(reader: Reader, query: Query) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await reader.run(lambda: as_json(query(reader, request)).encode())
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
        return Response(body, media_type="application/json", headers={"ETag": tag, "Cache-Control": "no-cache"})

    return answer


def _json(value: Any) -> Response:
    return Response(as_json(value), media_type="application/json", headers={"Cache-Control": "no-store"})


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on a port of 127.0.0.1; on a free one for 0.

    Raises:
        ConfigurationError: another program has the port.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as failed:
        raise ConfigurationError(f"port {port} of {HOST} cannot be used: {os.strerror(failed.errno or 0)}") from failed
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a small response waits for 40 ms
    return listening


class _Server(uvicorn.Server):
    """A server that ends although a request waits for the reader, which can take long for a large file."""

    def __init__(self, config: uvicorn.Config, reader: Reader) -> None:
        super().__init__(config)
        self._reader = reader

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._reader.end()
        await super().shutdown(sockets)


def server(reader: Reader, listening: socket.socket, senders: Senders | None = None) -> tuple[uvicorn.Server, str]:
    """Return a server for a listening socket, and the address to open in a browser."""
    port = listening.getsockname()[1]
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    senders = senders or Senders(port)
    config = uvicorn.Config(
        application(reader, token=token, senders=senders, port=port),
        http=Connection, ws="none", lifespan="off", loop="asyncio", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_CLOSING_S,
    )  # fmt: skip
    return _Server(config, reader), f"http://{HOST}:{port}/?token={token}"
