"""A local HTTP server that speaks the OpenAI chat wire format from a script: usage, tool calls, streaming, faults.

A *script* is a function from the request's JSON to a `Reply`; it is the only thing that differs between the demo and
the tests. Listens on the loopback only.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

_CHARACTERS_PER_TOKEN: Final = 4
_LARGEST_REQUEST: Final = 64_000_000


@dataclass
class Reply:
    """One answer: a text, or tool calls, or an HTTP error. `delay_s` is waited before it, and between chunks."""

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
    """Close the connection in the middle of the answer."""


@dataclass
class Exchange:
    """What was asked and how it was answered, as the server saw it."""

    path: str
    request: dict[str, Any]
    reply: Reply
    headers: dict[str, str]


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that hangs up early is part of the script."""


class ScriptedServer:
    """Serve a script on a free loopback port while the `with` lasts; `exchanges` is what happened, in order."""

    def __init__(self, script: Callable[[dict[str, Any]], Reply]) -> None:
        self.exchanges: list[Exchange] = []
        handler = type("Handler", (_Handler,), {"script": staticmethod(script), "exchanges": self.exchanges})
        self._http = _QuietServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base address, as `api_base` wants it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def answered(self) -> int:
        """Return how many requests were answered with a completion."""
        return sum(exchange.reply.status == 200 and not exchange.reply.cut for exchange in self.exchanges)  # noqa: PLR2004

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection. `script` and `exchanges` are the server's, set on a subclass of its own."""

    protocol_version = "HTTP/1.1"
    script: Callable[[dict[str, Any]], Reply]
    exchanges: list[Exchange]

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length", 0)), _LARGEST_REQUEST)
        request = json.loads(self.rfile.read(length) or b"{}")
        reply = type(self).script(request)
        self.exchanges.append(Exchange(self.path, request, reply, dict(self.headers)))
        time.sleep(reply.delay_s)
        if self.path.endswith("/embeddings"):
            self._send(200, reply.headers, _embeddings(request))
        elif reply.status != 200:  # noqa: PLR2004
            message = reply.text or "scripted failure"
            self._send(reply.status, reply.headers, {"error": {"message": message, "type": "scripted", "code": None}})
        elif request.get("stream"):
            self._stream(request, reply)
        else:
            self._send(200, reply.headers, completion(request, reply), cut=reply.cut)

    def _send(self, status: int, headers: dict[str, str], body: dict[str, Any], *, cut: bool = False) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(encoded)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded[: len(encoded) // 2] if cut else encoded)
        self.close_connection = cut

    def _stream(self, request: dict[str, Any], reply: Reply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number, event in enumerate(chunks(request, reply)):
            if reply.cut and number > 1:
                break
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
            time.sleep(reply.chunk_delay_s)
        else:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Stay silent: the terminal is the demo's."""


def completion(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return a `chat.completion` object with the reply in each of the `n` choices that were asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    return {
        "id": f"chatcmpl-{abs(hash(reply.text)) % 10**9:09d}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": reply.model or request.get("model", "scripted"),
        "choices": [{**choice, "index": index} for index in range(request.get("n") or 1)],
        "usage": usage(request, reply),
    }


def chunks(request: dict[str, Any], reply: Reply) -> Iterator[dict[str, Any]]:
    """Yield the reply as `chat.completion.chunk` objects: words, then the finish reason, then the usage."""
    whole = completion(request, reply)
    head = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in reply.text.replace(" ", " \0").split("\0") if word]
    if reply.tool_calls:
        deltas.append({"tool_calls": [{"index": index, **call} for index, call in enumerate(reply.tool_calls)]})
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish_reason(reply)}]}
    yield {**head, "choices": [], "usage": whole["usage"]}


def usage(request: dict[str, Any], reply: Reply) -> dict[str, Any]:
    """Return the usage that the reply says, or one counted at four characters a token."""
    if reply.usage is not None:
        return reply.usage
    asked = len(json.dumps(request.get("messages", ""))) // _CHARACTERS_PER_TOKEN
    answered = (len(reply.text) + len(json.dumps(reply.tool_calls))) // _CHARACTERS_PER_TOKEN
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _finish_reason(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _embeddings(request: dict[str, Any]) -> dict[str, Any]:
    texts = request.get("input", [])
    texts = [texts] if isinstance(texts, str) else texts
    data = [
        {"object": "embedding", "index": index, "embedding": [len(text) / 100, text.count("e") / 10, 1.0]}
        for index, text in enumerate(texts)
    ]
    tokens = sum(len(text) for text in texts) // _CHARACTERS_PER_TOKEN
    return {
        "object": "list",
        "data": data,
        "model": request.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
