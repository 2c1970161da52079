"""Find and read traces in files of OTLP JSON lines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lmspan.errors import TraceFileError
from lmspan.viewer.trace import StoredSpan, Trace, spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TRACE_ID = re.compile(r"[0-9a-f]{4,32}")


@dataclass
class Reading:
    """What was read: the traces, and for each line that could not be read, which one and why."""

    traces: dict[str, Trace] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def add(self, span: StoredSpan) -> None:
        """Put a span into its trace."""
        self.traces.setdefault(span.trace_id, Trace(span.trace_id)).spans.append(span)

    def last(self) -> Trace | None:
        """Return the trace whose last span ended last."""
        return max(self.traces.values(), key=lambda trace: trace.end_unix_nano, default=None)


def read_file(path: Path, reading: Reading | None = None) -> Reading:
    """Read a file line by line; a line that is no OTLP JSON is told in `troubles` and the rest is still read.

    Raises `TraceFileError` when the file cannot be opened.
    """
    reading = reading or Reading()
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    _read_line(reading, line, f"{path}, line {number}")
    except OSError as error:
        raise TraceFileError(f"{path} cannot be read: {error.strerror or error}") from error
    return reading


def read_requests(requests: Iterable[dict[str, Any]]) -> Reading:
    """Return the traces of export requests that are at hand."""
    reading = Reading()
    for request in requests:
        for span in spans_of(request):
            reading.add(span)
    return reading


def _read_line(reading: Reading, line: str, where: str) -> None:
    try:
        for span in spans_of(json.loads(line)):
            reading.add(span)
    except ValueError as error:
        reading.troubles.append(
            f"{where}: no JSON ({error})" if isinstance(error, json.JSONDecodeError) else f"{where}: {error}"
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        reading.troubles.append(f"{where}: no OTLP export request ({type(error).__name__}: {error})")


def find(directory: Path, wanted: str = "last") -> tuple[Trace, list[str]]:
    """Return a trace of the file sink by "last" or by the beginning of its id, and what could not be read.

    Raises `TraceFileError` when there is no such trace, or when the id's beginning fits several.
    """
    paths = sorted(directory.glob("traces*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    if wanted != "last" and not _TRACE_ID.fullmatch(wanted.lower()):
        raise TraceFileError(f"{wanted!r} is neither a file, nor a trace id (4 to 32 hexadecimal digits), nor 'last'")
    reading = Reading()
    for path in paths:
        read_file(path, reading)
        if wanted == "last" and reading.traces:
            break
    if wanted == "last":
        last = reading.last()
        if last is None:
            raise TraceFileError(
                f"no trace is stored in {directory}; run `lmspan demo`, or a program with lmspan.init(); "
                "where an exporter is set (OTEL_*), spans go there and to no file"
            )
        return last, reading.troubles
    fitting = [trace for trace_id, trace in reading.traces.items() if trace_id.startswith(wanted.lower())]
    if len(fitting) != 1:
        told = f"{len(fitting)} traces begin with it" if fitting else "no such trace"
        raise TraceFileError(f"trace {wanted}: {told} in {directory}")
    return fitting[0], reading.troubles
