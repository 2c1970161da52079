"""Receive OTLP over HTTP from any OpenTelemetry program, into the files of the trace directory.

    allowed (Host, Origin, sender)? -> body, bounded in bytes and time -> inflated, bounded -> decoded, without secrets
    -> FileSink, which `lmspan.init()` uses as well -> response

Each error is an OTLP Status in the encoding of the request; the HTTP status states whether to try again.
Metrics and log records are counted and refused by a partial success, because the page has no view of them. After that
an exporter neither tries again nor fails.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped] # protobuf ships no types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # the same
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lmspan.content.redaction import Redactor
from lmspan.export.file import FileSink
from lmspan.export.otlp_parse import MalformedRequestError, parse
from lmspan.export.otlp_requests import decode
from lmspan.page.bodies import Bodies, RefusedError, inflate
from lmspan.page.senders import HEADER, Senders
from lmspan.page.signals import SIGNALS, VARIABLES, Signal, count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_CODES: Final = {400: 3, 401: 16, 403: 7, 405: 12, 408: 4, 413: 8, 415: 3, 503: 14}  # of google.rpc.Code


class Receiver:
    """An ASGI application for the paths of `SIGNALS`."""

    def __init__(
        self,
        path: Path,
        senders: Senders,
        refusal: Callable[[Request], str],
        bodies: Bodies | None = None,
    ) -> None:
        """Write to the directory `path`; for a file, refuse everything. `refusal` refuses requests of web pages."""
        self._sink = None if path.is_file() else FileSink(path)
        self._path = path
        self._senders = senders
        self._refusal = refusal
        self._bodies = bodies or Bodies()
        self._redactor = Redactor(environ=os.environ)
        self._turn = asyncio.Semaphore(1)  # decoding takes a multiple of a body's memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            answer = await self._answer(request, kind)
        except RefusedError as refused:
            answer = _refused(refused, kind)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request, kind: str) -> Response:
        self._check(request, kind)
        signal, encoding = SIGNALS[request.url.path], request.headers.get("content-encoding", "")
        with self._bodies.holding() as body:
            await self._bodies.read(request, body)
            async with self._turn:
                message = await asyncio.to_thread(self._store, signal, body, encoding, is_json=kind == _JSON)
        return _encoded(message, 200, kind)

    def _check(self, request: Request, kind: str) -> None:
        """Raise RefusedError for a request whose body is not read."""
        if refusal := self._refusal(request):
            raise RefusedError(403, refusal)
        if request.method != "POST":
            raise RefusedError(405, f"{request.method} is not allowed; POST is", {"Allow": "POST"})
        if not self._senders.may_send(request):
            raise RefusedError(401, f"a program of another user needs the header {HEADER}, which `lmspan ui` prints")
        if kind not in (_PROTOBUF, _JSON):
            raise RefusedError(415, f"the Content-Type is neither {_PROTOBUF} nor {_JSON}")
        if self._sink is None:
            raise RefusedError(403, f"`lmspan ui` shows the file {self._path}; it receives traces for a directory only")

    def _store(self, signal: Signal, body: bytearray, encoding: str, *, is_json: bool) -> Any:
        """Store a body; return the response. Runs on a thread of its own.

        Raises:
            RefusedError: the body is malformed or too large, or cannot be written.
        """
        try:
            plain = inflate(body, encoding)
            if signal.name == "spans":
                return self._store_spans(signal, plain, is_json=is_json)
            left_out = count(signal, plain, is_json=is_json)
        except MalformedRequestError as error:
            raise RefusedError(400, f"the body is no OTLP export request ({error})") from error
        reason = f"lmspan ui keeps traces only; {VARIABLES[signal.name]}=none stops the export of {signal.name}"
        return _response(signal, left_out, reason)

    def _store_spans(self, signal: Signal, body: bytes, *, is_json: bool) -> Any:
        self._redactor.read_environment()
        decoded = decode(parse(body, is_json=is_json), self._redactor.value)
        if decoded.spans and self._sink is not None and self._sink.export(decoded.spans).value:
            raise RefusedError(503, f"the spans cannot be written: {self._sink.trouble}", {"Retry-After": "5"})
        return _response(signal, decoded.refused, decoded.reason)


def _response(signal: Signal, refused: int, reason: str) -> Any:
    """Return the response to an accepted request, with a partial success if a part is refused."""
    response = signal.response()
    if refused:
        setattr(response.partial_success, signal.refused, refused)
        response.partial_success.error_message = reason
    return response


def _refused(refused: RefusedError, kind: str) -> Response:
    answer = _encoded(Status(code=_CODES[refused.status], message=str(refused)), refused.status, kind)
    answer.headers.update(refused.headers)
    return answer


def _encoded(message: Any, status: int, kind: str) -> Response:
    """Return a message in the encoding of the request; in JSON if that has another one."""
    body = message.SerializeToString() if kind == _PROTOBUF else json.dumps(MessageToDict(message)).encode()
    headers = {"Cache-Control": "no-store"}
    return Response(body, status, headers, media_type=_PROTOBUF if kind == _PROTOBUF else _JSON)
