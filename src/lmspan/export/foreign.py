"""A span processor of the program's own that was given to `init(exporters=...)`: it may fail, re-enter or hang.

What it raises stays with it, it does not hear the spans that it makes itself, and its flush and its shutdown are
bounded by the caller's deadline. OpenTelemetry's SDK calls a processor in the program's thread and guards none of this.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor

from lmspan.export.closing import run_within
from lmspan.guard import isolated

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span


class ForeignProcessor(SpanProcessor):
    """Calls a processor so that it cannot harm the program."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._inside = threading.local()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass a span on that starts; on the program's thread."""
        self._call("on_start", span, parent_context)

    def _on_ending(self, span: Span) -> None:
        self._call("_on_ending", span)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on that has ended; on the program's thread."""
        self._call("on_end", span)

    def _call(self, name: str, *given: Any) -> None:
        if getattr(self._inside, "now", False):
            return
        self._inside.now = True
        try:
            self._isolated(name, *given)
        finally:
            self._inside.now = False

    @isolated
    def _isolated(self, name: str, *given: Any) -> Any:
        method = getattr(self._processor, name, None)
        return method(*given) if method is not None else None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the processor; False when it says so, fails, or takes longer."""
        flushed: list[Any] = []
        run_within(timeout_millis / 1000, lambda: flushed.append(self._isolated("force_flush", timeout_millis)))
        return bool(flushed and flushed[0] is not False and flushed[0] is not None)

    def shutdown(self) -> None:
        """Shut the processor down; the caller bounds the time."""
        self._isolated("shutdown")
