"""Read the body of a request within bounds: bytes as sent, bytes inflated, time, and the bytes of all bodies together.

An upper bound for each body alone would not do: a hundred connections could hold a hundred bodies.
"""

from __future__ import annotations

import asyncio
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

MOST_BYTES: Final = 20 * 1024 * 1024
"""Of one body, compressed and inflated: the default of the OpenTelemetry Collector."""
_MOST_HELD: Final = 64 * 1024 * 1024
_LONGEST_S: Final = 30.0
_RETRY: Final = {"Retry-After": "1"}
_CLOSE: Final = {"Connection": "close"}
# The windows of zlib: gzip or zlib by the header, and a deflate without one, which some programs send.
_WINDOWS: Final = {"gzip": (zlib.MAX_WBITS | 32,), "deflate": (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS)}


class RefusedError(Exception):
    """A request is refused with an HTTP status and a sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status: int = status
        self.headers: dict[str, str] = dict(headers or {})


class Bodies:
    """Reads bodies. All methods run on the server's loop."""

    def __init__(self, *, most_held: int = _MOST_HELD, longest_s: float = _LONGEST_S) -> None:
        self._most_held = most_held
        self._longest_s = longest_s
        self._held = 0

    @contextmanager
    def holding(self) -> Iterator[bytearray]:
        """Yield a buffer for a body, which counts until the end of the block."""
        body = bytearray()
        try:
            yield body
        finally:
            self._held -= len(body)

    async def read(self, request: Request, body: bytearray) -> None:
        """Fill the buffer with the body of a request.

        Raises:
            RefusedError: the body is too large or takes too long, or too many bytes are held.
        """
        try:
            async with asyncio.timeout(self._longest_s):
                too_large = await self._fill(request, body)
        except TimeoutError:
            raise RefusedError(408, f"the body has not arrived within {self._longest_s:g} s", _CLOSE) from None
        if too_large:
            raise RefusedError(413, f"the body has more than {MOST_BYTES} bytes; send smaller batches")

    async def _fill(self, request: Request, body: bytearray) -> bool:
        """Return whether the body is too large: the rest is read and dropped, so that the client reads the response."""
        too_large = False
        async for part in request.stream():
            too_large = too_large or len(body) + len(part) > MOST_BYTES
            if too_large:
                continue
            if self._held + len(part) > self._most_held:
                raise RefusedError(503, "too many requests at a time", _RETRY | _CLOSE)
            body += part
            self._held += len(part)
        return too_large


def inflate(body: bytes | bytearray, encoding: str) -> bytes:
    """Return a body without its Content-Encoding.

    Raises:
        RefusedError: the encoding is unknown, the body has another one, or it is too large.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return bytes(body)
    if name not in _WINDOWS:
        raise RefusedError(415, "the Content-Encoding is none of gzip, deflate and identity")
    for window in _WINDOWS[name]:
        try:
            return _inflated(body, window)
        except zlib.error:
            continue
    raise RefusedError(400, f"the body is not compressed by {name}, or not complete")


def _inflated(body: bytes | bytearray, window: int) -> bytes:
    parts: list[bytes] = []
    room, rest = MOST_BYTES, bytes(body)
    while rest or not parts:  # gzip allows several members
        stream = zlib.decompressobj(window)
        part = stream.decompress(rest, room + 1)
        if len(part) > room:
            raise RefusedError(413, f"the inflated body has more than {MOST_BYTES} bytes; send smaller batches")
        if not stream.eof:
            raise zlib.error
        parts.append(part)
        room, rest = room - len(part), stream.unused_data
    return b"".join(parts)
