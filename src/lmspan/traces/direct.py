"""Read whole files, and requests in memory, without an index."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from lmspan.errors import TraceFileError
from lmspan.traces.files import Troubles, newest_first, open_file, pieces, spans_in
from lmspan.traces.locations import ANY
from lmspan.traces.otlp import spans_of
from lmspan.traces.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lmspan.traces.spans import StoredSpan


def read_file(path: Path, trace_id: str = "") -> tuple[list[Trace], list[str]]:
    """Return the traces of a file, or of all files of a directory, in order of time, and the errors of reading.

    Every line is read, without an index; `trace_id` is the beginning of an id and limits the traces.

    Raises:
        TraceFileError: the file does not exist or cannot be opened.
    """
    spans: list[StoredSpan] = []
    messages: list[str] = []
    paths = newest_first(each for pattern in ANY for each in path.glob(pattern)) if path.is_dir() else [path]
    for each in paths:
        try:
            messages += _read_whole(each, trace_id, spans)
        except TraceFileError as error:
            if not path.is_dir():
                raise
            messages.append(str(error))
    return traces_of(spans), messages


def _read_whole(path: Path, trace_id: str, spans: list[StoredSpan]) -> list[str]:
    """Add the spans of a file; return the errors of reading."""
    troubles = Troubles(path)
    with closing(open_file(path)) as file:
        for piece in pieces(file, containing=trace_id):
            read, trouble = spans_in(piece, trace_id)
            spans += read
            if trouble:
                troubles.add(piece.number, trouble)
    return troubles.messages()


def traces_of(spans: Iterable[StoredSpan]) -> list[Trace]:
    """Return the traces of spans, in order of time."""
    by_trace: dict[str, list[StoredSpan]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    traces = [Trace(trace_id, each) for trace_id, each in by_trace.items()]
    return sorted(traces, key=lambda trace: trace.start_unix_nano)


def read_requests(requests: Iterable[Any]) -> list[Trace]:
    """Return the traces of export requests in memory, in order of time."""
    return traces_of(span for request in requests for span in spans_of(request))
