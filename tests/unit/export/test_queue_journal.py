"""When the worker of a queue writes the operations that have not ended to the journal, and how the journal ends."""

import threading

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.export.queue import ExportQueue
from lmspan.lifecycle import STARTING, LiveCall, Operation
from support.spans import some_spans

LATER = 3_600  # a delay that no test waits for


class Written:
    """A journal that keeps the names of the operations of each turn, and whether every ended span was exported."""

    def __init__(self):
        self.turns, self.closed = [], []
        self.received = threading.Event()

    def write(self, calls, *, settled):
        self.turns.append(([call.name for call in calls.values()], settled))
        self.received.set()

    def close(self, *, remove):
        self.closed.append(remove)


class Endpoint(SpanExporter):
    """An exporter with one result, which does not blame the batch for a failure."""

    batch_refused = False

    def __init__(self, result=SpanExportResult.SUCCESS):
        self.result = result

    def export(self, spans):
        return self.result

    def shutdown(self):
        pass


def start(queue, name="open"):
    span = TracerProvider(shutdown_on_exit=False).get_tracer("t").start_span(name)
    queue.on_start(span, Context({STARTING: LiveCall(Operation.TOOL, name, "test")}))
    return span


def test_an_operation_is_written_although_none_has_ended():
    journal = Written()
    queue = ExportQueue(Endpoint(), "test", delay_s=0.01, journal=journal)
    span = start(queue)
    assert journal.received.wait(20)
    assert journal.turns[0] == (["open"], True)
    queue.shutdown()
    span.end()


@pytest.mark.parametrize("ended", [False, True])
def test_no_thread_starts_with_an_operation_without_a_journal_or_after_the_end(ended):
    queue = ExportQueue(Endpoint(), "test", delay_s=0.01, journal=Written() if ended else None)
    if ended:
        queue.shutdown()
    span = start(queue)
    assert queue._worker is None
    span.end()


def test_the_journal_is_told_when_every_ended_span_is_exported():
    journal = Written()
    queue = ExportQueue(Endpoint(), "test", delay_s=LATER, batch_spans=3, journal=journal)
    for span in some_spans(2)[:2] + some_spans(2)[:2]:
        queue.on_end(span)
    queue.shutdown()
    queue._worker.join(20)
    assert journal.turns == [([], False), ([], True)]
    assert journal.closed == [True]


def test_a_journal_stays_where_spans_are_lost_at_the_end():
    journal = Written()
    queue = ExportQueue(Endpoint(SpanExportResult.FAILURE), "test", delay_s=LATER, journal=journal)
    queue.on_end(some_spans(1)[0])
    queue.shutdown()
    assert (journal.turns, journal.closed) == ([], [False])
