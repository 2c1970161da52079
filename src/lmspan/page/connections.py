"""Close connections on which no request arrives: uvicorn would keep one that sends nothing, or half a head.

Without this bound, a program that opens connections and sends nothing would keep the page from the browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_S: Final = 10.0


class Connection(H11Protocol):
    """A connection that is closed if no head of a request arrives."""

    head_s: float = HEAD_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start to wait for the first request."""
        super().connection_made(transport)
        self.loop.call_later(self.head_s, self._check, None)

    def _check(self, seen: Any) -> None:
        """Close the connection if it has been waiting for a request since the last check."""
        if self.transport.is_closing():
            return
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self.cycle is seen:
            self.transport.close()
        else:
            self.loop.call_later(self.head_s, self._check, self.cycle)
