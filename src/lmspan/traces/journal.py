"""The operations that have not ended: those that programs have written to their journals."""

from __future__ import annotations

import dataclasses
import time
from contextlib import closing
from typing import TYPE_CHECKING

from lmspan.errors import TraceFileError
from lmspan.liveness import JOURNAL_GLOB, is_alive
from lmspan.traces.files import open_file, pieces, spans_in, write_time
from lmspan.traces.spans import State, StoredSpan

if TYPE_CHECKING:
    from pathlib import Path


def open_spans(directory: Path, trace_id: str = "") -> dict[str, list[StoredSpan]]:
    """Return the spans in the journals of a directory, by trace; of two with the same id, the later one.

    Some may have ended since: the trace files have these.
    """
    traces: dict[str, dict[str, StoredSpan]] = {}
    for path in directory.glob(JOURNAL_GLOB):
        for span in _spans(path, trace_id):
            traces.setdefault(span.trace_id, {})[span.span_id] = span
    return {each: list(spans.values()) for each, spans in traces.items()}


def _spans(path: Path, trace_id: str) -> list[StoredSpan]:
    alive = is_alive(path)
    last_seen = time.time() if alive else write_time(path)
    state = State.RUNNING if alive else State.NOT_ENDED
    try:
        with closing(open_file(path)) as file:
            spans = [span for piece in pieces(file, containing=trace_id) for span in spans_in(piece, trace_id)[0]]
    except TraceFileError:  # its process has ended and removed it
        return []
    return [
        dataclasses.replace(span, state=state, end_unix_nano=max(int(last_seen * 1e9), span.start_unix_nano))
        for span in spans
    ]
