"""Read files of OTLP JSON: one request object a line, as the file sink writes them, or one object in several lines.

A line can be half written, because the disk was full or the process was killed, and a file can grow, be renamed or
vanish while it is read. Nothing here raises for the content of a file.
"""

from __future__ import annotations

import gc
import json
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import TraceFileError
from lmspan.traces.otlp import spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from lmspan.traces.spans import StoredSpan

UNREADABLE: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
_BUFFER: Final = 2**18  # bytes; a line is a batch of spans, which is longer than the usual buffer
_BLANK: Final = b"\0 \t\r\n"  # a loss of power can leave zeros in a file
_LARGEST_DOCUMENT: Final = 256 * 1024 * 1024
_OPENINGS: Final = (b"{", b"[")


class Piece(NamedTuple):
    """A line of a file: its place, and its request object or the error of reading it."""

    offset: int
    length: int
    number: int
    request: Any
    trouble: str
    finished: bool = True
    """False for a last line that a writer may not have finished."""


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        TraceFileError: the file does not exist, cannot be opened or is not regular.
    """
    try:
        file = open(path, "rb", buffering=_BUFFER, opener=_open)  # noqa: SIM115 - Path.open has no opener; the caller closes
    except OSError as error:
        raise TraceFileError(f"{path} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise TraceFileError(f"{path} cannot be read: it is neither a regular file nor a directory")
    return file


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a FIFO would wait for a writer


def pieces(file: BinaryIO, start: int = 0, containing: str = "") -> Iterator[Piece]:
    """Yield the lines of a file from an offset on; with `containing`, only those with this beginning of an id."""
    offset = start
    file.seek(start)
    spellings = tuple({containing.lower().encode(), containing.upper().encode()})
    is_first = not start
    for number, line in enumerate(file, 1):
        text = line.strip(_BLANK)
        if text and any(spelling in text for spelling in spellings):
            request, trouble = _parsed(text)
            if trouble and is_first and text.startswith(_OPENINGS) and (document := _document(file, offset)):
                yield document
                return
            yield Piece(offset, len(line), number, request, trouble, not trouble or line.endswith(b"\n"))
        is_first = is_first and not text
        offset += len(line)


def _parsed(text: bytes) -> tuple[Any, str]:
    try:
        return json.loads(text.decode("utf-8", "replace")), ""
    except json.JSONDecodeError as error:
        return None, f"no JSON ({error})"
    except UNREADABLE as error:  # too deep, or a number that is too long
        return None, f"no OTLP export request ({type(error).__name__}: {error})"


def _document(file: BinaryIO, offset: int) -> Piece | None:
    """Return the rest of a file as one object, None if it is not one; the file continues where it was."""
    after = file.tell()
    size = os.fstat(file.fileno()).st_size - offset
    document = None
    if size <= _LARGEST_DOCUMENT:
        file.seek(offset)
        request, trouble = _parsed(file.read(size).strip(_BLANK))
        document = None if trouble else Piece(offset, size, 1, request, "")
    file.seek(after)
    return document


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the garbage collector for a bounded piece of work that makes no reference cycles.

    It would visit the many new objects of each line again and again, which doubles the time of `json`.
    """
    is_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_enabled:
            gc.enable()


def spans_in(piece: Piece, trace_id: str = "") -> tuple[list[StoredSpan], str]:
    """Return the spans of a line, of the traces whose id begins with `trace_id`, and the error of reading it, or ""."""
    if piece.trouble:
        return [], piece.trouble
    try:
        return [span for request in requests_of(piece) for span in spans_of(request, trace_id)], ""
    except UNREADABLE as error:
        return [], f"no OTLP export request ({type(error).__name__}: {error})"


def read_chunk(line: bytes, trace_id: str | None = None) -> list[StoredSpan]:
    """Return the spans in a line that was read before without an error, or of one trace, whose id is `storable`."""
    request, trouble = _parsed(line.strip(_BLANK))
    spans, _ = spans_in(Piece(0, len(line), 1, request, trouble), (trace_id or "").partition("?")[0])
    return [span for span in spans if trace_id is None or storable(span.trace_id) == trace_id]


def storable(text: str) -> str:
    """Return a text that a database can keep: with `?` in place of halves of surrogate pairs."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def requests_of(piece: Piece) -> Iterable[Any]:
    """Return the request objects of a piece: a file may hold them as a list."""
    return piece.request if isinstance(piece.request, list) and piece.request else (piece.request,)


class Troubles:
    """The lines of a file that cannot be read."""

    def __init__(self, path: Path, count: int = 0, first: str = "") -> None:
        self._path = path
        self.count = count
        self.first = first

    def add(self, number: int, trouble: str) -> None:
        """Count a line, and keep the message of the first one."""
        self.count += 1
        self.first = self.first or f"line {number}: {trouble}"

    def messages(self) -> list[str]:
        """Return one message for the file, or none."""
        if not self.count:
            return []
        if self.count == 1:
            return [f"{self._path}, {self.first}"]
        return [f"{self._path}: {self.count} lines cannot be read; the first is {self.first}"]


def identity(status: os.stat_result) -> tuple[int, int]:
    """Return the device and the number of a file; SQLite has signed integers of 64 bits."""
    return status.st_dev & (2**63 - 1), status.st_ino & (2**63 - 1)


def newest_first(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order of their last writes; a file that another process has just removed comes last."""
    return sorted(paths, key=write_time, reverse=True)


def write_time(path: Path) -> float:
    """Return the time of the last write, 0 for a file that does not exist."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
