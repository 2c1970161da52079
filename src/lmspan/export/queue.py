"""A span processor that hands ended spans to an exporter on a thread of its own, counted in bytes.

    on_end (program's thread)      one deque append
    worker (daemon thread)         takes batches of at most `batch_spans` and about `batch_bytes`, calls the exporter
    force_flush / shutdown         wait for the worker until one deadline, then let it be

What does not fit in the queue is dropped and counted; one line on the log when loss begins and one when it ends.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from lmspan.guard import dropped, guarded
from lmspan.lifecycle import STARTING

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.export import SpanExporter

    from lmspan.lifecycle import Call

logger = logging.getLogger("lmspan.export")

_SPAN_BYTES: Final = 1_024  # ids, times, names, small attributes: about what an encoded span has beside its texts
_SHORT: Final = 64
_REFUSED_GRACE_S: Final = 0.3

_queues: weakref.WeakSet[ExportQueue] = weakref.WeakSet()


class ExportQueue(SpanProcessor):
    """Queue, batch and export sampled spans. `on_end` never blocks and never raises; a failed batch is lost."""

    def __init__(
        self,
        exporter: SpanExporter,
        name: str,
        *,
        delay_s: float = 1.0,
        batch_spans: int = 512,
        batch_bytes: int = 2_000_000,
        queue_bytes: int = 48_000_000,
    ) -> None:
        self.exporter = exporter
        self.name = name
        self.dropped = 0
        self._delay_s = delay_s
        self._batch_spans = batch_spans
        self._batch_bytes = batch_bytes
        self._queue_bytes = queue_bytes
        self._losing = False
        self._reset()
        _queues.add(self)

    def _reset(self) -> None:
        """Begin anew: at construction, and in a forked child, whose parent exports what was queued."""
        self._queue: deque[tuple[ReadableSpan, int]] = deque()
        self._calls: dict[int, Call] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self._taken = self._put = self._failed = 0
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._worker: threading.Thread | None = None
        self._stopping = False
        self.failing = False

    # the program's threads ---------------------------------------------------------------------------------------

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember a call of ours: it knows how much content its span carries, and weighing a span is slow."""
        call: Any = parent_context.get(STARTING) if parent_context is not None else None
        if call is not None and span.context is not None:
            self._calls[span.context.span_id] = call

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or drop it when the queue is full."""
        context = span.context
        if context is None:
            return
        call = self._calls.pop(context.span_id, None)
        if self._stopping or not context.trace_flags.sampled:
            return
        size = _SPAN_BYTES + call.content_size if call is not None else weigh(span)
        with self._lock:
            room = self._bytes + size <= self._queue_bytes
            if room:
                self._bytes += size
                self._put += 1
                self._queue.append((span, size))
        if not room:
            self._lose(1, "the queue is full")
        elif self._worker is None:
            self._start()
        elif len(self._queue) >= self._batch_spans or self._bytes >= self._batch_bytes:
            self._wake.set()

    def _start(self) -> None:
        with self._progress:
            if self._worker is None:
                self._worker = threading.Thread(target=self._run, name=f"lmspan-{self.name}", daemon=True)
                self._worker.start()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what has ended so far; True only if all of it was delivered before the deadline."""
        wanted, failed = self._put, self._failed
        self._wake.set()
        deadline = time.monotonic() + timeout_millis / 1000
        with self._progress:
            while self._taken < wanted and time.monotonic() < deadline:
                self._progress.wait(max(deadline - time.monotonic(), 0))
        return self._taken >= wanted and self._failed == failed

    def shutdown(self, timeout_millis: int = 2_000) -> None:
        """Export what is queued until the deadline; give up sooner when the endpoint is known to refuse."""
        if self._stopping:
            return
        self._stopping = True
        self._wake.set()
        deadline = time.monotonic() + timeout_millis / 1000
        with self._progress:
            while self._taken < self._put and time.monotonic() < deadline:
                if self.failing:
                    deadline = min(deadline, time.monotonic() + _REFUSED_GRACE_S)
                self._progress.wait(min(max(deadline - time.monotonic(), 0), 0.05))
        if self._put - self._taken:
            self._lose(self._put - self._taken, "the program ended before they were delivered")
        closing = threading.Thread(target=guarded(self.exporter.shutdown), name="lmspan-close", daemon=True)
        closing.start()  # a hung connection must not hold the exit
        closing.join(0.1)

    # the worker --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._queue or not self._stopping:
            if not self._stopping and len(self._queue) < self._batch_spans:
                self._wake.wait(self._delay_s)
                self._wake.clear()
            batch, size = self._take()
            if batch:
                self._export(batch)
            with self._lock:
                self._bytes -= size
            with self._progress:
                self._taken += len(batch)
                self._progress.notify_all()

    def _take(self) -> tuple[list[ReadableSpan], int]:
        batch: list[ReadableSpan] = []
        total = 0
        while self._queue and len(batch) < self._batch_spans:
            size = self._queue[0][1]
            if batch and total + size > self._batch_bytes:
                break
            batch.append(self._queue.popleft()[0])
            total += size
        return batch, total

    def _export(self, batch: list[ReadableSpan]) -> None:
        result = guarded(self.exporter.export)(batch)
        if result is not SpanExportResult.SUCCESS and len(batch) > 1 and not self.failing and not self._stopping:
            # One span that cannot be sent must not cost the others: try the halves.
            middle = len(batch) // 2
            self._export(batch[:middle])
            self._export(batch[middle:])
        elif result is not SpanExportResult.SUCCESS:
            self._lose(len(batch), "the exporter could not deliver them")
        else:
            self.failing = False
            if self._losing:
                self._losing = False
                logger.info("lmspan: %s: exporting again, %d spans were lost", self.name, self.dropped)

    def _lose(self, count: int, reason: str) -> None:
        self.dropped += count
        self._failed += count
        dropped[reason] += count
        if not self._losing:
            self._losing = True
            told = getattr(self.exporter, "trouble", "")
            logger.warning("lmspan: %s: spans are being lost: %s%s", self.name, reason, told and f" ({told})")


def weigh(span: ReadableSpan) -> int:
    """Return about how many bytes a span will be on the wire: its long texts, and a constant for the rest."""
    total = _SPAN_BYTES
    for value in (span.attributes or {}).values():
        if type(value) is str and len(value) > _SHORT:
            total += len(value) if value.isascii() else 3 * len(value)
        elif type(value) is tuple:
            total += sum(len(each) for each in value if type(each) is str)
    for event in span.events:
        total += _SHORT + sum(3 * len(value) for value in (event.attributes or {}).values() if type(value) is str)
    return total


def _reset_in_child() -> None:
    for queue in list(_queues):
        queue._reset()  # noqa: SLF001 - our own class, after a fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
