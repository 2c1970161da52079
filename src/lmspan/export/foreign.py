"""Call a span processor that the program passes to `init(exporters=...)`, and that may fail, re-enter or hang.

Its exceptions do not reach the program, its own spans do not reach it, and its flush and its shutdown end at the
caller's deadline. OpenTelemetry's SDK calls a processor on the program's thread without any of these guards.
"""

from __future__ import annotations

import threading
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor

from lmspan.export.closing import run_within
from lmspan.guard import isolated

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

_flushing: Final[ContextVar[tuple[ForeignProcessor, ...]]] = ContextVar("lmspan-flushing", default=())
"""The processors whose flush has led to the code that runs now, on the threads that carry the context."""

_MOST_FLUSHES: Final = 16
"""At the same time, of one processor: a flush that hangs keeps its thread, and a plain thread carries no context."""


class ForeignProcessor(SpanProcessor):
    """Calls a processor so that it cannot harm the program."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._inside = threading.local()
        self._permits: list[None] = [None] * _MOST_FLUSHES  # a list has no lock that a signal handler could wait for

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on a span that starts. Called on the program's thread."""
        self._call("on_start", span, parent_context)

    def _on_ending(self, span: Span) -> None:
        self._call("_on_ending", span)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass on a span that has ended. Called on the program's thread."""
        self._call("on_end", span)

    def _call(self, name: str, *args: Any) -> None:
        if getattr(self._inside, "now", False):
            return
        self._inside.now = True
        try:
            self._isolated(name, *args)
        finally:
            self._inside.now = False

    @isolated
    def _isolated(self, name: str, *args: Any) -> Any:
        method = getattr(self._processor, name, None)
        return method(*args) if method is not None else None

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the processor; return False if it returns False or None, fails, or takes longer.

        A flush that the processor's own flush calls, through the session, returns True at once. False is also the
        result at once while too many flushes of the processor run.
        """
        if self in _flushing.get():
            return True
        try:
            self._permits.pop()
        except IndexError:
            return False
        results: list[Any] = []
        context = copy_context()  # the flush runs on another thread, and may lead to further flushes there
        run_within(timeout_millis / 1000, lambda: results.append(context.run(self._flush, timeout_millis)))
        return bool(results and results[0] is not False and results[0] is not None)

    def _flush(self, timeout_millis: int) -> Any:
        _flushing.set((*_flushing.get(), self))
        try:
            return self._isolated("force_flush", timeout_millis)
        finally:
            self._permits.append(None)

    def shutdown(self) -> None:
        """Shut down the processor; the caller bounds the time."""
        self._isolated("shutdown")
