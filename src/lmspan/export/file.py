"""The file sink: OTLP JSON lines in the user's state directory, for `lmspan show`, Jaeger's upload or a Collector.

Several processes append to the same `traces.jsonl`. Lines never mix, because each process opens the file for appending
and writes each line in one write. A process renames the file when it is too large or too old; the others then open the
new file of this name.

A full disk or a killed process leaves half a line. No other line is lost, because the next writer adds a line break
first. It does not remove the half line, because another process may have appended to the file in the meantime. Two
processes that see the same half line leave an empty line, which readers skip.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.directories import CURRENT_NAME, own_directory
from lmspan.export.directory import make_private, write_time
from lmspan.export.journal import remove_dead
from lmspan.export.otlp_json import lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_AGE_S: Final = 24 * 3600
_KEEP_FILES: Final = 16
_KEEP_AGE_S: Final = 30 * 24 * 3600
_turns: Final = itertools.count()  # a process may rotate twice in one tick of its clock
_OTHERS: Final = 0o077
# O_NOFOLLOW refuses a symbolic link of another user; O_NONBLOCK keeps a FIFO from waiting for a reader.
_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class FileSink(SpanExporter):
    """Append spans to the current trace file. Called on the export queue's thread."""

    batch_refused: Final = False
    """No failure depends on the spans: the queue keeps the batch and tries again."""

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = _MAX_BYTES,
        max_age_s: float = _MAX_AGE_S,
        keep_files: int = _KEEP_FILES,
    ) -> None:
        self.path: Path = directory / CURRENT_NAME
        self.trouble: str = ""
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._keep_files = keep_files
        self._private = directory == own_directory()  # lmspan changes no modes in a directory that the user names
        self._written: set[int] = set()  # the written spans of a batch whose export has failed
        self._birth: tuple[tuple[int, int], float] = ((0, 0), 0.0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one batch, each line in one write. A second attempt leaves out the spans that the first has written."""
        try:
            file = self._open()
            try:
                for line in lines(span for span in spans if not self._has(span)):
                    _append(file, line.text.encode("ascii"))
                    self._written.update(line.span_ids)
            finally:
                os.close(file)
        except OSError as error:
            self.trouble = f"{self.path}: {error.strerror}"
            return SpanExportResult.FAILURE
        self._written.clear()
        return SpanExportResult.SUCCESS

    def _has(self, span: ReadableSpan) -> bool:
        return span.context is not None and span.context.span_id in self._written

    def shutdown(self) -> None:
        """Do nothing: no file stays open between batches."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True, because `export` buffers nothing."""
        del timeout_millis
        return True

    def _open(self) -> int:
        """Open the current file, at the start of a line."""
        file = self._open_current()
        status = os.fstat(file)
        if self._is_full(file, status):
            os.close(file)
            self._rotate(status)
            file = self._open_current()
            status = os.fstat(file)
        if not status.st_size:  # spans that another program sends may be old, or have a wrong time
            self._birth = _identity(status), time.time()
        if not _begins_line(file, os.fstat(file).st_size):
            os.write(file, b"\n")
        return file

    def _open_current(self) -> int:
        try:
            file = os.open(self.path, _FLAGS, 0o600)
        except FileNotFoundError:
            make_private(self.path.parent)
            file = os.open(self.path, _FLAGS, 0o600)
        try:
            self._check(file)
        except OSError:
            os.close(file)
            raise
        return file

    def _check(self, file: int) -> None:
        """Refuse anything but a regular file of this user. Remove other users' access in lmspan's own directory."""
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
            raise PermissionError(errno.EPERM, "is not a regular file of this user")
        if self._private and hasattr(os, "fchmod") and status.st_mode & _OTHERS:
            os.fchmod(file, 0o600)
        if self._private and self.path.parent.stat().st_mode & _OTHERS:
            self.path.parent.chmod(0o700)

    def _is_full(self, file: int, status: os.stat_result) -> bool:
        if not status.st_size:
            return False
        return status.st_size >= self._max_bytes or time.time() - self._birth_time(file, status) >= self._max_age_s

    def _birth_time(self, file: int, status: os.stat_result) -> float:
        """Return when this sink has begun the file, else the end time of its first span.

        Not every file system has a time of creation.
        """
        if self._birth[0] != _identity(status):
            self._birth = _identity(status), _first_end(file) or status.st_mtime
        return self._birth[1]

    def _rotate(self, full: os.stat_result) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        target = self.path.with_name(
            f"traces-{stamp}-{os.getpid()}-{next(_turns)}-{time.time_ns() % 1_000_000:06d}.jsonl"
        )
        with suppress(FileNotFoundError):  # another process was faster
            if os.path.samestat(self.path.stat(), full):
                os.rename(self.path, target)  # noqa: PTH104 - must not replace anything, and names are unique
        self._remove_old_files()

    def _remove_old_files(self) -> None:
        oldest = time.time() - _KEEP_AGE_S
        times = {path: write_time(path) for path in self.path.parent.glob("traces-*.jsonl")}
        files = sorted((path for path in times if times[path]), key=lambda path: (times[path], path))
        for index, path in enumerate(files):
            if index < len(files) - self._keep_files or times[path] < oldest:
                path.unlink(missing_ok=True)
        remove_dead(self.path.parent, oldest)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _first_end(file: int) -> float:
    """Return the end time of the first span of a file in seconds, or 0 if the file contains none."""
    os.lseek(file, 0, os.SEEK_SET)
    end = re.search(rb'"endTimeUnixNano":"(\d{1,20})"', os.read(file, 65_536))
    return int(end[1]) / 1e9 if end else 0.0


def _append(file: int, line: bytes) -> None:
    """Append a line; try again after a line break if the write was incomplete or did not start a line.

    Raises:
        OSError: the second attempt was incomplete as well.
    """
    for attempt in (line, b"\n" + line):
        written = os.write(file, attempt)
        begin = os.lseek(file, 0, os.SEEK_CUR) - written
        if written == len(attempt) and (attempt is not line or _begins_line(file, begin)):
            return
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _begins_line(file: int, at: int) -> bool:
    """Return whether a line begins at an offset."""
    if not at:
        return True
    os.lseek(file, at - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"
