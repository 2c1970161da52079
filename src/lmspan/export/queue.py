"""A span processor that passes ended spans to an exporter on its own thread; the size of its queue is in bytes.

    on_end (program's thread)      appends to a deque; wakes the worker when a batch is full; encodes content when
                                   three batches wait; pauses for a moment when the queue is more than half full,
                                   because a program that never waits keeps the interpreter lock from the worker
    worker (daemon thread)         takes batches of at most `batch_spans` and about `batch_bytes`, calls the exporter;
                                   writes what has not ended to the journal
    force_flush / shutdown         wait for the worker until one deadline, then return

The queue keeps a batch that it cannot deliver and tries again, after a longer pause each time. If the endpoint refuses
a batch for its content (`exporter.batch_refused`), the queue halves it until the refused span is alone, and drops that
span. It drops and counts spans that do not fit. It logs one line at the start of a failure and one at the end. The
limit of the queue is in bytes of memory, the limit of a batch in bytes of its encoded spans.

A signal handler or a finaliser may call any method while the same thread is inside another method. No method may wait
for a lock that its own thread holds: the locks are reentrant, and a `SimpleQueue` wakes the worker.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import TraceFlags

from lmspan import threads
from lmspan.export.closing import run_within
from lmspan.export.local import OpenCalls, encode, with_content
from lmspan.export.spans import slim
from lmspan.export.weight import OBJECT_BYTES, SLIM_BYTES, weigh, weigh_call
from lmspan.guard import dropped, ends_the_program, guarded, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.sdk.trace.export import SpanExporter

    from lmspan.export.journal import Journal
    from lmspan.lifecycle import LocalContent

    Batch = list["ReadableSpan"]

logger: Final = logging.getLogger("lmspan.export")

_SUPPRESSED: Final[str] = otel_context._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001 - every instrumentation reads it
_REFUSED_GRACE_S: Final = 0.3
_CLOSE_S: Final = 0.1
_CHILD_DELAY_S: Final = 0.05
"""In a forked child: many children exit by `os._exit` or by a signal as soon as their task is done."""
_LONGEST_PAUSE_S: Final = 30.0
_SHORTEST_GIVE_WAY_S: Final = 0.00005
_LONGEST_GIVE_WAY_S: Final = 0.001
_MOST_GIVE_WAY_S: Final = 0.05
"""For each batch, which needs less than half of it: a slow or hung endpoint must not hold the program."""
_MOST_UNENCODED: Final = 3
"""Batches whose content may wait to be encoded: the end has two seconds, and slow texts take 0.2 s a megabyte."""
_MOST_REQUESTS: Final = 128
"""The limit of requests in the search for refused spans of one batch."""

_queues: weakref.WeakSet[ExportQueue] = weakref.WeakSet()


class _Queued(NamedTuple):
    span: ReadableSpan
    size: int
    """The bytes of the encoded span."""
    memory: int
    content: LocalContent | None


class ExportQueue(SpanProcessor):
    """Queue, batch and export sampled spans. `on_end` never blocks and never raises."""

    def __init__(
        self,
        exporter: SpanExporter,
        name: str,
        *,
        delay_s: float = 0.4,
        batch_spans: int = 512,
        batch_bytes: int = 2_000_000,
        queue_bytes: int = 48_000_000,
        pause_s: float = 1.0,
        is_local: bool = False,
        journal: Journal | None = None,
    ) -> None:
        """Export spans after at most `delay_s`; after a failure wait `pause_s`, then twice as long each time.

        `is_local` states that the exporter keeps the spans on this machine: it receives them with their local content.
        The worker writes the spans that have not ended to `journal`.
        """
        self.exporter = exporter
        self.name = name
        self.dropped: int = 0
        self._delay_s = delay_s
        self._batch_spans = batch_spans
        self._batch_bytes = batch_bytes
        self._queue_bytes = queue_bytes
        self._pause_s = pause_s
        self._is_local = is_local
        self._journal = journal
        self._reset()
        _queues.add(self)

    def _reset(self) -> None:
        """Set the initial state: at construction, and in a forked child, because the parent exports its own queue."""
        self._queue: deque[_Queued] = deque()
        self._calls = OpenCalls()
        self._bytes = 0  # of the encoded spans
        self._memory = 0  # of the spans
        self._gave_way_s = 0.0  # since the last batch
        self._count = threading.RLock()
        self._under_way = 0  # spans of the batch that the worker exports now
        self._taken = 0  # spans that it has delivered or dropped
        self._failed = 0  # spans that it has dropped
        self._attempts_failed = 0  # batches that go back to the queue
        self._due = 0  # the worker does not wait for a full batch until `_taken` reaches this number
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._progress = threading.Condition()
        self._worker: threading.Thread | None = None
        self._own_thread = 0  # the worker's number, once it runs
        self._role: list[None] = [None]  # the thread that takes it is the worker
        self._starting = False
        self._stopping = False
        self._closes_itself = False  # the worker, because the exporter has called `shutdown`
        self._troubled = False  # a warning is logged, and the export has not recovered since
        self._refused = False  # the endpoint has refused the last batch for its content
        self._refuses_all = False  # the endpoint has refused every part of the last batch
        self.failing: bool = False

    # the program's threads ---------------------------------------------------------------------------------------

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember the call of a span: it counts the content of its span, and `weigh` is slow."""
        self._calls.note(span, parent_context)
        if self._worker is None and self._journal is not None and not self._stopping:
            self._start()

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Queue a sampled span, or drop it when the queue is full."""
        context = span.context
        if context is None:
            return
        call = self._calls.take(context.span_id)
        if self._stopping or not context.trace_flags & TraceFlags.SAMPLED:
            return
        content = call.local if call is not None and self._is_local else None
        is_behind = self._bytes >= _MOST_UNENCODED * self._batch_bytes
        size = weigh_call(span, call) if call is not None else weigh(span)
        memory = size + OBJECT_BYTES
        if len(self._queue) >= self._batch_spans:  # it is to wait
            span, memory = slim(span), size + SLIM_BYTES
        with self._count:
            room = self._memory + memory <= self._queue_bytes
            if room:
                self._queue.append(_Queued(span, size, memory, content))
                self._bytes += size
                self._memory += memory
        if not room:
            self._lose(1, "the queue is full")
        elif self._worker is None:
            self._start()
        elif (len(self._queue) >= self._batch_spans or self._bytes >= self._batch_bytes) and not self.failing:
            self._wake_worker()
        if is_behind and room:  # else a program that ends soon would lose what takes seconds to encode
            encode(span, content)
        if 2 * self._memory > self._queue_bytes:
            self._give_way()

    def _give_way(self) -> None:
        """Pause for a moment, longer the fuller the queue is."""
        if self.failing or self._gave_way_s > _MOST_GIVE_WAY_S:
            return
        excess = min(2 * self._memory / self._queue_bytes - 1, 1.0)
        pause = _SHORTEST_GIVE_WAY_S + excess * _LONGEST_GIVE_WAY_S
        self._gave_way_s += pause
        time.sleep(pause)

    @guarded
    def _start(self) -> None:
        """Start the worker. If no thread can start, the next span tries again, and a flush exports by itself."""
        with self._progress:
            if self._worker is not None or self._starting:
                return
            self._starting = True
            try:
                self._worker = threads.start(self.name, self._run)
            finally:
                self._starting = False

    def _wake_worker(self) -> None:
        if self._wake.empty():
            self._wake.put(None)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what has ended so far; True only if all of it was delivered before the deadline.

        False at once for the exporter that calls it from its own export: the worker cannot wait for itself.
        """
        if self._is_own_thread():
            return False
        deadline = time.monotonic() + timeout_millis / 1000
        wanted = self._put
        failed_before = self._failed
        attempts_before = self._attempts_failed
        self._work(deadline, wanted)
        with self._progress:
            while self._taken < wanted and self._attempts_failed == attempts_before and time.monotonic() < deadline:
                self._progress.wait(max(deadline - time.monotonic(), 0))
        return self._taken >= wanted and self._failed == failed_before

    def shutdown(self, timeout_millis: int = 2_000) -> None:
        """Export the queued spans until the deadline, or for a short time only if the last export failed.

        If the exporter calls it from its own export, the worker exports the rest after that.
        """
        if self._stopping:
            return
        self._stopping = True
        if self._is_own_thread():
            self._due = self._put
            self._closes_itself = True
            return
        deadline = time.monotonic() + timeout_millis / 1000
        self._work(deadline, self._put)
        with self._progress:
            while self._taken < self._put and time.monotonic() < deadline:
                if self.failing:
                    deadline = min(deadline, time.monotonic() + _REFUSED_GRACE_S)
                self._progress.wait(min(max(deadline - time.monotonic(), 0), 0.05))
        self._close()

    def _close(self) -> None:
        if left := self._put - self._taken:
            self._lose(left, "the program ended before they were delivered")
        if self._journal is not None:
            self._journal.close(remove=not left)
        run_within(_CLOSE_S, lambda: self._outside(self.exporter.shutdown))  # a hung connection must not hold the exit

    @property
    def _put(self) -> int:
        """The number of spans that the queue has received, as a sum: an interrupt would leave a counter wrong."""
        with self._count:
            return self._taken + self._under_way + len(self._queue)

    def _is_own_thread(self) -> bool:
        return threading.get_ident() == self._own_thread

    def _work(self, deadline: float, wanted: int) -> None:
        """Make the worker export at once; if no worker can start, export on this thread."""
        if self._worker is None and self._taken < wanted:
            self._start()
        self._due = max(self._due, wanted)
        if self._worker is not None:
            self._wake.put(None)
        while self._worker is None and self._queue and time.monotonic() < deadline and self._step():
            pass

    # the worker --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._role.pop()
        except IndexError:  # an interrupt has kept `_start` from noting the first thread
            return
        self._worker = threading.current_thread()
        self._own_thread = threading.get_ident()
        try:
            self._export_all()
        finally:
            self._own_thread = 0  # the number of an ended thread is given to another one
        if self._closes_itself:
            self._close()

    def _export_all(self) -> None:
        pause = 0.0
        while self._queue or not self._stopping:
            if pause or (self._taken >= self._due and len(self._queue) < self._batch_spans):
                _wait(self._wake, pause or self._delay_s)
            delivered = self._step()
            if self._journal is not None and delivered:
                self._journal.write(self._calls.open(), settled=not self._queue)
            if not delivered and self._stopping:
                return
            longer = min(2 * pause or self._pause_s, _LONGEST_PAUSE_S)
            pause = 0.0 if delivered else max(longer, getattr(self.exporter, "retry_after_s", None) or 0.0)

    def _step(self) -> bool:
        """Export one batch; return False if a part of it goes back to the head of the queue, to be tried again."""
        batch = self._take()
        done = 0
        try:
            if batch:
                spans = [with_content(each.span, each.content) for each in threads.in_slices(batch)]
                done = len(batch) - len(self._export(spans))
        finally:  # an interrupt on the program's thread costs no span
            with self._count:
                self._bytes -= sum(each.size for each in batch[:done])
                self._memory -= sum(each.memory for each in batch[:done])
                self._gave_way_s = 0.0
                self._queue.extendleft(reversed(batch[done:]))
                self._under_way -= len(batch)
                self._taken += done
                if not self._queue:
                    self._bytes = self._memory = 0  # also what an interrupt on the program's thread has left uncounted
            with self._progress:
                self._attempts_failed += done < len(batch)
                self._progress.notify_all()
        return done == len(batch)

    def _take(self) -> list[_Queued]:
        batch: list[_Queued] = []
        total = 0
        with self._count:
            while self._queue and len(batch) < self._batch_spans:
                size = self._queue[0].size
                if batch and total + size > self._batch_bytes:
                    break
                batch.append(self._queue.popleft())
                total += size
            self._under_way += len(batch)
        return batch

    def _export(self, batch: Batch) -> Batch:
        """Export a batch; return the last part of it, which the queue is to try again."""
        if self._delivers(batch):
            self._recover()
            return []
        if self._refused:
            return self._export_parts(batch)
        self.failing = True
        self._warn("they are kept and tried again until the queue is full or the program ends")
        return batch

    def _export_parts(self, batch: Batch) -> Batch:
        """Drop the spans for which an endpoint refuses a batch, or all spans if it refuses everything."""
        parts = [batch]
        requests = 0
        accepted = False
        while parts:
            part = parts.pop()
            middle = len(part) // 2
            requests += part is not batch
            if part is not batch and self._delivers(part):
                accepted = True
                self._refuses_all = False
            elif not self._refused:
                return [span for each in (part, *reversed(parts)) for span in each]
            elif len(part) > 1 and requests < _MOST_REQUESTS and not self._refuses_all:
                parts += [part[middle:], part[:middle]]
            else:
                self._lose(len(part), "the endpoint refuses them")
                self._refuses_all = not accepted
        return []

    def _delivers(self, batch: Batch) -> bool:
        result = self._outside(self.exporter.export, batch)
        # An exporter that raises cannot encode the batch; an exporter without `batch_refused` has retried by itself.
        self._refused = result is None or getattr(self.exporter, "batch_refused", True)
        return result is SpanExportResult.SUCCESS

    def _outside(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call the exporter; its requests make no spans, and nothing that it raises ends the worker."""
        token = otel_context.attach(otel_context.set_value(_SUPPRESSED, True))
        try:
            return function(*args)
        except BaseException as error:
            if not self._is_own_thread() and ends_the_program(error):
                raise
            report(f"{type(self.exporter).__module__}.{type(self.exporter).__qualname__}", error)
            return None
        finally:
            otel_context.detach(token)

    # trouble -----------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        self.failing = False
        self._refuses_all = False
        is_short = len(self._queue) < self._batch_spans and 2 * self._memory < self._queue_bytes
        if self._troubled and is_short:  # a slow endpoint would log two lines for each batch
            self._troubled = False
            logger.info("lmspan: %s: exporting again, %d spans were lost", self.name, self.dropped)

    def _lose(self, count: int, reason: str) -> None:
        with self._count:
            self.dropped += count
            self._failed += count
        dropped[reason] += count
        self._warn(f"they are being lost: {reason}")

    def _warn(self, consequence: str) -> None:
        if not self._troubled:
            self._troubled = True
            cause = getattr(self.exporter, "trouble", "")
            logger.warning(
                "lmspan: %s: spans cannot be delivered, %s%s", self.name, consequence, cause and f" ({cause})"
            )


def _wait(wake: SimpleQueue[None], timeout_s: float) -> None:
    """Wait for a wake-up or the timeout, and drop further wake-ups."""
    try:
        wake.get(timeout=timeout_s)
        while True:
            wake.get_nowait()
    except Empty:
        return


def _reset_in_child() -> None:
    for queue in list(_queues):
        queue._reset()  # noqa: SLF001 - a class of this module
        queue._delay_s = min(queue._delay_s, _CHILD_DELAY_S)  # noqa: SLF001 - the same


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)
