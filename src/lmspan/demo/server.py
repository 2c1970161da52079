"""A local HTTP server that replies like a model, from a script: usage, tool calls, streaming, faults.

A *script* is a function from the request's JSON to a `Reply`; the demo and the tests differ only in their scripts. A
`Wire` translates between requests, replies and an API over HTTP. The demo needs only OpenAI's API; a subclass of the
server adds others. The server listens on the loopback only.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from lmspan.demo.wires import Embeddings, Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_LARGEST_REQUEST: Final = 64_000_000


@dataclass
class Reply:
    """One reply: a text, tool calls, or an HTTP error. The server waits `delay_s` before it.

    A stream waits `chunk_delay_s` after each chunk. Tool calls, usage and finish reason are in OpenAI's terms; the
    wire of another API translates them.
    """

    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    usage: dict[str, Any] | None = None
    finish_reason: str = ""
    model: str = ""
    cut: bool = False
    """Close the connection in the middle of the reply."""
    garbage: str | None = None
    """A body to send in place of the reply."""


@dataclass
class Exchange:
    """A request that the server received, and the script's reply."""

    path: str
    request: dict[str, Any]
    reply: Reply
    headers: dict[str, str]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing, because a client may close a connection early on purpose."""


class ScriptedServer:
    """Serve a script on a free loopback port inside a `with`; `exchanges` holds the requests and replies in order."""

    wires: ClassVar[tuple[Wire, ...]] = (Embeddings(), Wire())
    """The APIs of the server; the first one whose path is part of the request's path serves the request."""

    def __init__(self, script: Callable[[dict[str, Any]], Reply]) -> None:
        self.exchanges: list[Exchange] = []
        bound = {"script": staticmethod(script), "exchanges": self.exchanges, "wires": self.wires}
        self._http = _QuietServer(("127.0.0.1", 0), type("Handler", (_Handler,), bound))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def address(self) -> str:
        """The address of the server itself."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def url(self) -> str:
        """The base address for `api_base`."""
        return f"{self.address}/v1"

    def answered(self) -> int:
        """Return the number of completions that the server has sent."""
        return sum(exchange.reply.status == HTTPStatus.OK and not exchange.reply.cut for exchange in self.exchanges)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection. Each server sets its `script`, `exchanges` and `wires` on its own subclass."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two packets: the second would wait for an acknowledgement
    script: Callable[[dict[str, Any]], Reply]
    exchanges: list[Exchange]
    wires: tuple[Wire, ...]

    def do_POST(self) -> None:
        wire = next(each for each in self.wires if each.path in self.path)
        length = min(int(self.headers.get("Content-Length", 0)), _LARGEST_REQUEST)
        request = wire.read(self.path, json.loads(self.rfile.read(length) or b"{}"))
        reply = type(self).script(request)
        self.exchanges.append(Exchange(self.path, request, reply, dict(self.headers)))
        time.sleep(reply.delay_s)
        if reply.garbage is not None:
            self._send(reply.status, reply.headers, reply.garbage, cut=reply.cut)
        elif reply.status != HTTPStatus.OK:
            self._send(reply.status, reply.headers, json.dumps(wire.failure(reply)))
        elif request.get("stream"):
            self._stream(wire, request, reply)
        else:
            self._send(200, reply.headers, json.dumps(wire.completion(request, reply)), cut=reply.cut)

    def _send(self, status: int, headers: dict[str, str], body: str, *, cut: bool = False) -> None:
        encoded = body.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(encoded)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded[: len(encoded) // 2] if cut else encoded)
        self.close_connection = cut

    def _stream(self, wire: Wire, request: dict[str, Any], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, event in enumerate(wire.chunks(request, reply)):
            if reply.cut and number > 1:
                break
            self.wfile.write(wire.frame(event).encode())
            self.wfile.flush()
            time.sleep(reply.chunk_delay_s)
        else:
            self.wfile.write(wire.end.encode())
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Print nothing, because the demo prints."""
