"""The file sink: OTLP JSON lines in the user's state directory, for `lmspan show`, Jaeger's upload or a Collector.

Several processes append to the same `traces.jsonl`: the file is opened for appending and every line is one write, so
lines never mix. The process that finds it too large or too old renames it; the others find another file under the name.

A disk that fills up, or a process that is killed, leaves half a line. It costs itself only: the next line begins with a
line break. A half line is not cut off again, since another process may have appended to it in the meantime; and two
processes that see the same half line leave an empty line, which readers skip.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.export.otlp_json import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

CURRENT_NAME: Final = "traces.jsonl"
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_AGE_S: Final = 24 * 3600
_KEEP_FILES: Final = 16
_KEEP_AGE_S: Final = 30 * 24 * 3600
_OTHERS: Final = 0o077
# Not followed: a link that somebody else has put there. Not blocking: a FIFO would wait for a reader.
_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


def trace_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory of the traces: `LMSPAN_DIR`, else one in the platform's place for the state of programs."""
    asked = environ.get("LMSPAN_DIR")
    return Path(asked).expanduser() if asked else _own_directory()


def _own_directory() -> Path:
    return Path(platformdirs.user_state_dir("lmspan", appauthor=False)) / "traces"


class FileSink(SpanExporter):
    """Append spans to the current trace file. Called on the export queue's thread; a failing disk costs the batch."""

    batch_refused: Final = False
    """What fails here is never the fault of a span: the queue keeps the batch and tries again."""

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
        self._private = directory == _own_directory()  # the modes of a directory that the user names are the user's
        self._written: set[int] = set()  # the spans of a batch that has failed in the middle
        self._birth: tuple[tuple[int, int], float] = ((0, 0), 0.0)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one batch, each line in one write. Of a batch that comes again, only what was not written before."""
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
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def _open(self) -> int:
        """Return the current file, opened at the start of a line."""
        file = self._open_current()
        found = os.fstat(file)
        if self._is_full(file, found):
            os.close(file)
            self._rotate(found)
            file = self._open_current()
        if not _begins_line(file, os.fstat(file).st_size):
            os.write(file, b"\n")
        return file

    def _open_current(self) -> int:
        try:
            file = os.open(self.path, _FLAGS, 0o600)
        except FileNotFoundError:
            _make_private(self.path.parent)
            file = os.open(self.path, _FLAGS, 0o600)
        try:
            self._check(file)
        except OSError:
            os.close(file)
            raise
        return file

    def _check(self, file: int) -> None:
        """Refuse what is no regular file of this user. Take others' access away from what is ours alone."""
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
            raise PermissionError(errno.EPERM, "is not a regular file of this user")
        if self._private and hasattr(os, "fchmod") and found.st_mode & _OTHERS:
            os.fchmod(file, 0o600)
        if self._private and self.path.parent.stat().st_mode & _OTHERS:
            self.path.parent.chmod(0o700)

    def _is_full(self, file: int, found: os.stat_result) -> bool:
        if not found.st_size:
            return False
        return found.st_size >= self._max_bytes or time.time() - self._born(file, found) >= self._max_age_s

    def _born(self, file: int, found: os.stat_result) -> float:
        """Return when the first span of the file ended: not every file system has a time of creation."""
        identity = (found.st_dev, found.st_ino)
        if self._birth[0] != identity:
            self._birth = identity, _first_end(file) or found.st_mtime
        return self._birth[1]

    def _rotate(self, full: os.stat_result) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        target = self.path.with_name(f"traces-{stamp}-{os.getpid()}-{time.time_ns() % 1_000_000:06d}.jsonl")
        with suppress(FileNotFoundError):  # another process was faster
            if os.path.samestat(self.path.stat(), full):
                os.rename(self.path, target)  # noqa: PTH104 - must not replace anything, and names are unique
        old = sorted((written, path) for path in self.path.parent.glob("traces-*.jsonl") if (written := _written(path)))
        too_old = time.time() - _KEEP_AGE_S
        for path in [path for _, path in old[: -self._keep_files]] + [path for at, path in old if at < too_old]:
            path.unlink(missing_ok=True)


def _make_private(directory: Path) -> None:
    """Make a directory and what is missing above it, all of them for this user alone whatever the umask."""
    for path in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
        path.mkdir(mode=0o700, exist_ok=True)


def _written(path: Path) -> float:
    """Return when a file was last written; 0 if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _first_end(file: int) -> float:
    """Return when the first span of a file ended, in seconds; 0 where it does not say so."""
    os.lseek(file, 0, os.SEEK_SET)
    found = re.search(rb'"endTimeUnixNano":"(\d{1,20})"', os.read(file, 65_536))
    return int(found[1]) / 1e9 if found else 0.0


def _append(file: int, line: bytes) -> None:
    """Append a line, once more if it did not begin or end as a line does. Raises OSError if that did not help."""
    for attempt in (line, b"\n" + line):
        written = os.write(file, attempt)
        begin = os.lseek(file, 0, os.SEEK_CUR) - written
        if written == len(attempt) and (attempt is not line or _begins_line(file, begin)):
            return
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _begins_line(file: int, at: int) -> bool:
    """Tell whether a line begins at an offset."""
    if not at:
        return True
    os.lseek(file, at - 1, os.SEEK_SET)
    return os.read(file, 1) == b"\n"
