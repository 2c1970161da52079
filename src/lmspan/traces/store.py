"""Find and read traces in files of OTLP JSON lines."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmspan.errors import TraceFileError
from lmspan.traces.trace import StoredSpan, Trace, spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

_TRACE_ID = re.compile(r"[0-9a-f]{4,32}")
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


@dataclass
class Reading:
    """The traces that a reader has read, and one message for each file that it could not read, or not completely."""

    traces: dict[str, Trace] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, span: StoredSpan) -> None:
        """Add a span to its trace."""
        self.traces.setdefault(span.trace_id, Trace(span.trace_id)).spans.append(span)

    def last(self) -> Trace | None:
        """Return the trace that ended last."""
        return max(self.traces.values(), key=lambda trace: trace.end_unix_nano, default=None)


def read_file(path: Path, reading: Reading | None = None, *, trace_id: str = "") -> Reading:
    """Read a file line by line, or all `*.jsonl` files of a directory. `troubles` names files and lines with errors.

    `trace_id` is the beginning of an id and limits the reading to traces with this beginning.

    Raises:
        TraceFileError: the file does not exist or cannot be opened.
    """
    reading = reading or Reading()
    if path.is_dir():
        _read_all(_newest_first(path.glob("*.jsonl")), reading, trace_id)
        return reading
    try:
        with open(path, "rb", opener=_open) as file:  # Path.open has no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TraceFileError(f"{path} cannot be read: it is neither a regular file nor a directory")
            _read_lines(file, path, reading, trace_id)
    except OSError as error:
        raise TraceFileError(f"{path} cannot be read: {error.strerror or error}") from error
    return reading


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a FIFO would wait for a writer


def _read_all(paths: Iterable[Path], reading: Reading, trace_id: str) -> None:
    for path in paths:
        try:
            read_file(path, reading, trace_id=trace_id)
        except TraceFileError as error:
            reading.troubles.append(str(error))


def _read_lines(file: BinaryIO, path: Path, reading: Reading, trace_id: str) -> None:
    spellings = (trace_id.lower().encode(), trace_id.upper().encode())
    unreadable = 0
    first = ""
    for number, line in enumerate(file, 1):
        text = line.strip(b"\0 \t\r\n")  # a loss of power can leave zeros in a file
        if not text or not any(spelling in text for spelling in spellings):
            continue
        if trouble := _read_line(reading, text, trace_id):
            unreadable += 1
            first = first or f"line {number}: {trouble}"
    if unreadable > 1:
        reading.troubles.append(f"{path}: {unreadable} lines cannot be read; the first is {first}")
    elif unreadable:
        reading.troubles.append(f"{path}, {first}")


def _read_line(reading: Reading, line: bytes, trace_id: str) -> str:
    """Add the spans of a line; return the error, or "" if there is none."""
    try:
        for span in spans_of(json.loads(line.decode("utf-8", "replace"))):
            if span.trace_id.startswith(trace_id):
                reading.add(span)
    except json.JSONDecodeError as error:
        return f"no JSON ({error})"
    except _UNREADABLE as error:
        return f"no OTLP export request ({type(error).__name__}: {error})"
    return ""


def read_requests(requests: Iterable[dict[str, Any]]) -> Reading:
    """Return the traces of export requests in memory."""
    reading = Reading()
    for request in requests:
        for span in spans_of(request):
            reading.add(span)
    return reading


def find(directory: Path, wanted: str = "last") -> tuple[Trace, list[str]]:
    """Return a whole trace of the file sink, by "last" or by the beginning of its id, and the errors of reading.

    Raises:
        TraceFileError: no trace, or more than one, has this beginning.
    """
    if wanted != "last" and not _TRACE_ID.fullmatch(wanted.lower()):
        raise TraceFileError(
            f"{wanted!r} is neither a file or directory, nor a trace id (4 to 32 hexadecimal digits), nor 'last'"
        )
    paths = _newest_first(directory.glob("traces*.jsonl"))
    return _find_last(directory, paths) if wanted == "last" else _find_by_id(directory, paths, wanted.lower())


def _newest_first(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order of their last writes; a file that another process has just removed comes last."""
    return sorted(paths, key=_write_time, reverse=True)


def _write_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _find_last(directory: Path, paths: list[Path]) -> tuple[Trace, list[str]]:
    reading = Reading()
    while paths and not reading.traces:
        _read_all([paths.pop(0)], reading, "")
    last = reading.last()
    if last is None:
        raise TraceFileError(
            f"no trace is stored in {directory}; run `lmspan demo`, or a program with lmspan.init(); "
            "where an exporter is set (OTEL_*), or the program has a TracerProvider of its own, spans go there "
            "and to no file"
        )
    for path in paths:  # the sink may have started a new file during the trace
        if last.is_whole and _write_time(path) < last.start_unix_nano / 1e9 - 1:
            break
        _read_all([path], reading, last.trace_id)
    return last, reading.troubles


def _find_by_id(directory: Path, paths: list[Path], wanted: str) -> tuple[Trace, list[str]]:
    reading = Reading()
    _read_all(paths, reading, wanted)
    if len(reading.traces) != 1:
        mistake = f"{len(reading.traces)} traces begin with it" if reading.traces else "no such trace"
        raise TraceFileError(f"trace {wanted}: {mistake} in {directory}")
    return next(iter(reading.traces.values())), reading.troubles
