"""The server: its routes, and how it runs."""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lmspan.errors import LmspanError, TraceFileError
from lmspan.page import sending
from lmspan.page.access import Access, error, foreign, hosts
from lmspan.page.connections import Connection
from lmspan.page.document import STATIC, document
from lmspan.page.reader import ReaderEndsError
from lmspan.page.senders import Senders

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lmspan.page.entrance import Entrance
    from lmspan.page.reader import Reader

_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_RECEIVED: Final = ("/v1/traces", "/v1/metrics", "/v1/logs")
_MOST_CONNECTIONS: Final = 300
_CLOSING_S: Final = 1


def application(reader: Reader, entrance: Entrance, senders: Senders) -> ASGIApp:
    """Return the ASGI application for a server on a port of 127.0.0.1: the page, and the receiver of OTLP."""
    queries = cache(lambda: _queries(reader))  # loads what reads, when the browser has painted the page
    receiver = cache(lambda: _receiver(reader, senders, entrance.port))  # loads protobuf
    files = _application([Route(f"/{'' if name == 'index.html' else name}", _file(name)) for name in static_names()])

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await (queries() if scope["path"].startswith("/api/") else files)(scope, receive, send)

    guarded = Access(page, token=entrance.token, port=entrance.port)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await (receiver() if scope.get("path") in _RECEIVED else guarded)(scope, receive, send)

    return answer


def _receiver(reader: Reader, senders: Senders, port: int) -> ASGIApp:
    from lmspan.page.receiver import Receiver  # noqa: PLC0415 - see `application`

    return Receiver(reader.path, senders, lambda request: foreign(request, hosts(port)))


def _queries(reader: Reader) -> ASGIApp:
    from lmspan.page import api  # noqa: PLC0415 - see `application`

    queries = {path: partial(api.encoded, query, reader) for path, query in api.QUERIES.items()}
    return _application([
        Route("/api/version", _version(reader)),
        Route("/api/send", _endpoint),
        Route(sending.PATH, _sending(reader), methods=["POST"]),
        *(Route(path, _query(reader, query)) for path, query in queries.items()),
    ])  # fmt: skip


def _application(routes: list[Route]) -> Starlette:
    return Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: lambda _, refused: error(refused.status_code, refused.detail),
            TraceFileError: lambda _, refused: error(404, str(refused)),
            ReaderEndsError: lambda _, refused: error(503, str(refused)),
            LmspanError: lambda _, refused: error(400, str(refused)),
        },
    )


def static_names() -> list[str]:
    """Return the names of the files that a browser loads; the style is inside the document."""
    return sorted(path.name for path in STATIC.iterdir() if path.suffix in _TYPES)


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    path = STATIC / name
    body = document().encode() if name == "index.html" else path.read_bytes()
    tag = _tag(body)

    async def answer(request: Request) -> Response:
        return _unless_known(request, body, tag, _TYPES[path.suffix])

    return answer


def _tag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def _unless_known(request: Request, body: bytes, tag: str, media_type: str) -> Response:
    """Return a response that the browser keeps, without its body if it has it already."""
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _version(reader: Reader) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:  # not on the reader's thread, which a large trace can occupy
        return _json({"version": await asyncio.to_thread(reader.version)})

    return answer


async def _endpoint(_: Request) -> Response:
    return _json({"endpoint": sending.configured()})


def _sending(reader: Reader) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _json(await sending.send(reader.path, request))

    return answer


def _query(reader: Reader, query: Callable[[Request], bytes]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        body = await reader.run(query, request)
        return _unless_known(request, body, _tag(body), "application/json")

    return answer


def _json(value: Any) -> Response:
    return JSONResponse(value, headers={"Cache-Control": "no-store"})


class _Server(uvicorn.Server):
    """A server that ends although a request waits for the reader, which can take long for a large file."""

    def __init__(self, config: uvicorn.Config, reader: Reader) -> None:
        super().__init__(config)
        self._reader = reader

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._reader.end()
        await super().shutdown(sockets)


def server(reader: Reader, entrance: Entrance, senders: Senders | None = None) -> uvicorn.Server:
    """Return a server of the page, which `run(sockets=[entrance.listening])` starts."""
    config = uvicorn.Config(
        application(reader, entrance, senders or Senders(entrance.port)),
        http=Connection, ws="none", lifespan="off", loop="asyncio", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_CLOSING_S,
    )  # fmt: skip
    return _Server(config, reader)
