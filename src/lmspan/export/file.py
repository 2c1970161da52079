"""The file sink: OTLP JSON lines in the user's state directory, for `lmspan show`, Jaeger's upload or a Collector.

Several processes append to the same `traces.jsonl`: the file is opened for appending and every line is one write, so
lines never mix. Who finds it too large or too old renames it; the others notice that the name has moved on.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from lmspan.export.otlp_json import lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger("lmspan.export")

CURRENT_NAME: Final = "traces.jsonl"
_MAX_BYTES: Final = 64 * 1024 * 1024
_MAX_AGE_S: Final = 24 * 3600
_KEEP_FILES: Final = 16
_KEEP_AGE_S: Final = 30 * 24 * 3600


def trace_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where traces are kept: `LMSPAN_DIR`, else the platform's directory for the state of a user's programs."""
    asked = environ.get("LMSPAN_DIR")
    return (
        Path(asked).expanduser() if asked else Path(platformdirs.user_state_dir("lmspan", appauthor=False)) / "traces"
    )


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
        self.path = directory / CURRENT_NAME
        self.trouble = ""
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._keep_files = keep_files

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one batch, each line in one write."""
        try:
            file = self._open()
            try:
                for line in lines(spans):
                    _write(file, line.encode("ascii"))
            finally:
                os.close(file)
        except OSError as error:
            self.trouble = f"{self.path}: {error.strerror}"
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: no file stays open between batches."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True: nothing is kept here."""
        del timeout_millis
        return True

    def _open(self) -> int:
        file = self._open_current()
        if self._is_full(os.fstat(file)):
            os.close(file)
            self._rotate()
            file = self._open_current()
        return file

    def _open_current(self) -> int:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        no_follow = getattr(os, "O_NOFOLLOW", 0)
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | no_follow, 0o600)
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
            os.close(file)
            raise PermissionError(1, "is not a regular file of this user")
        return file

    def _is_full(self, found: os.stat_result) -> bool:
        if not found.st_size:
            return False
        return found.st_size >= self._max_bytes or time.time() - _born(self.path, found) >= self._max_age_s

    def _rotate(self) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        target = self.path.with_name(f"traces-{stamp}-{os.getpid()}-{time.time_ns() % 1_000_000:06d}.jsonl")
        os.rename(self.path, target)  # noqa: PTH104 - must not replace anything, and names are unique
        old = sorted(self.path.parent.glob("traces-*.jsonl"))
        too_old = time.time() - _KEEP_AGE_S
        for path in old[: -self._keep_files] + [each for each in old if each.stat().st_mtime < too_old]:
            path.unlink(missing_ok=True)


def _born(path: Path, found: os.stat_result) -> float:
    """Return when the file's first span ended: no file system tells a creation time everywhere."""
    try:
        with path.open("rb") as file:
            head = file.read(65_536)
        at = head.index(b'"endTimeUnixNano":"') + len(b'"endTimeUnixNano":"')
        return int(head[at : head.index(b'"', at)]) / 1e9
    except (OSError, ValueError):
        return found.st_mtime


def _write(file: int, line: bytes) -> None:
    """Write a line whole: the system may take less than all of it, when a disk fills up or a signal arrives."""
    written = os.write(file, line)
    while written < len(line):
        written += os.write(file, line[written:])
