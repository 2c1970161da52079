"""The journal: operations that have not ended, so that a reader can see what runs, and what a killed program was doing.

    open-<process id>-<start time in ns>.jsonl     beside the trace file, one for each process, mode 0600

Each line is an OTLP JSON export request, as in the trace file, with spans that have `"endTimeUnixNano":"0"`. The export
thread appends an operation when it has been open for 0.3 s, and again when it has new attributes or events; the last
line of a span is in force, and an ended span of the trace file supersedes it. The program's threads do no work for it.

The process holds a lock on the file while it lives (`lmspan.liveness`). A new file is locked before it gets its name,
and so is the one that replaces a large file: no reader sees a journal of a running process without the lock. A forked
child closes the descriptor that it inherits, because the lock lasts until all descriptors are closed.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import liveness
from lmspan.export.directory import make_private, write_time
from lmspan.export.local import with_content
from lmspan.export.otlp_json import lines
from lmspan.guard import guarded
from lmspan.lifecycle import LocalContent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from lmspan.lifecycle import LiveCall

logger: Final = logging.getLogger("lmspan.export")

_TURN_S: Final = 0.25
_OPEN_S: Final = 0.3  # readers show it within a second of its start
_AGAIN_S: Final = 5.0
_AGAIN_BYTES_PER_S: Final = 100_000  # a large span that changes all the time is written less often
_FAILED_PAUSE_S: Final = 30.0
_MAX_BYTES: Final = 8_000_000
_MOST_DEAD: Final = 256
_STALE_NEW_S: Final = 3_600.0
_NO_CONTENT: Final = LocalContent()
_CREATE: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)

_journals: weakref.WeakSet[Journal] = weakref.WeakSet()
_descriptors: Any = threading.RLock()
"""Held while a descriptor is opened or closed, and during a fork: a child closes every descriptor that it inherits."""
_LONGEST_WAIT_S: Final = 1.0


class _OpenSpan(NamedTuple):
    """A span that has not ended, and its call."""

    span: Any
    call: LiveCall

    def state(self) -> tuple[int, ...]:
        """Return numbers that are others when the span has got attributes or events."""
        events = self.span.events
        return len(self.span.attributes), len(events), events[-1].timestamp if events else 0, self.call.content_size

    def copy(self) -> ReadableSpan | None:
        """Return a copy of the span as it is now, with its local content; None if it has ended, or changes just now."""
        with suppress(KeyError, RuntimeError):
            copy = with_content(self.span, self.call.local or _NO_CONTENT)
            return copy if copy.end_time is None else None
        return None


class _Entry(NamedTuple):
    """The state in which a span is in the file, and the time from which a new state may be written."""

    state: tuple[int, ...]
    due_s: float


_Spans = dict[int, _OpenSpan]


class Journal:
    """The journal of this process for one trace directory. Only the export thread writes it. Nothing here raises."""

    def __init__(self, directory: Path, *, max_bytes: int = _MAX_BYTES, again_s: float = _AGAIN_S) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._again_s = again_s
        self._file: int | None = None  # open for appending, and locked
        self._reset()
        _journals.add(self)

    def _reset(self) -> None:
        """Set the initial state: at construction, and in a forked child, which has a journal of its own."""
        self.path: Path = self._directory / f"open-{os.getpid()}-{time.time_ns()}.jsonl"
        self._entries: dict[int, _Entry] = {}
        self._size = 0
        self._compact_size = 0
        self._was_idle = False
        self._turn_due_s = 0.0
        self._touched_s = 0.0
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False

    @guarded
    def write(self, calls: Mapping[int, LiveCall], *, settled: bool) -> None:
        """Write the calls that have been open for 0.3 s; `settled` states that every ended span is exported."""
        now_s = time.monotonic()
        if now_s < self._turn_due_s or self._closed or not self._lock.acquire(blocking=False):
            return
        try:
            self._turn_due_s = now_s + _TURN_S
            self._turn(_long_open(calls), now_s, settled=settled)
        except OSError as error:
            self._turn_due_s = now_s + _FAILED_PAUSE_S
            self._entries.clear()
            self._warn(error)
        finally:
            self._lock.release()

    def close(self, *, remove: bool = True) -> None:
        """Write nothing more; remove the file, or leave it to state what has not ended."""
        self._closed = True
        if not self._lock.acquire(timeout=_LONGEST_WAIT_S):  # the export thread hangs in a file system
            return
        try:
            if remove:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            self._warn(error)
        finally:
            self._release()
            self._lock.release()

    # a turn of the export thread ----------------------------------------------------------------------------------

    def _turn(self, spans: _Spans, now_s: float, *, settled: bool) -> None:
        self._entries = {span_id: entry for span_id, entry in self._entries.items() if span_id in spans}
        changed = [each for span_id, each in spans.items() if self._is_due(span_id, each, now_s)]
        if changed:
            self._add(spans, changed, now_s)
        elif not self._entries and self._size and self._was_idle and settled:
            self._empty()
        elif self._entries and self._file is None and now_s - self._touched_s >= liveness.TOUCH_S:
            self._touched_s = now_s
            os.utime(self.path)
        self._was_idle = not self._entries  # a span that has just ended may not be in the queue yet

    def _is_due(self, span_id: int, each: _OpenSpan, now_s: float) -> bool:
        entry = self._entries.get(span_id)
        return entry is None or (now_s >= entry.due_s and entry.state != each.state())

    def _add(self, spans: _Spans, changed: list[_OpenSpan], now_s: float) -> None:
        if self._size < max(self._max_bytes, 2 * self._compact_size) and self._is_in_place():
            self._append(self._encoded(changed, now_s))
        else:
            self._replace(self._encoded(spans.values(), now_s))
            self._compact_size = self._size
        self._touched_s = now_s

    def _encoded(self, spans: Collection[_OpenSpan], now_s: float) -> bytes:
        """Return the lines of open spans, and note the state in which each is written."""
        states = {each.span.context.span_id: each.state() for each in spans}
        copies = [copy for each in spans if (copy := each.copy()) is not None]
        text = []
        for line in lines(copies):
            text.append(line.text)
            due_s = now_s + max(self._again_s, len(line.text) / len(line.span_ids) / _AGAIN_BYTES_PER_S)
            self._entries.update({span_id: _Entry(states[span_id], due_s) for span_id in line.span_ids})
        return "".join(text).encode("ascii")

    # the file ------------------------------------------------------------------------------------------------------

    def _is_in_place(self) -> bool:
        """Return whether the file is still there: somebody may have removed the directory."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or os.path.samestat(os.fstat(self._file), status)

    def _append(self, data: bytes) -> None:
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND) if self._file is None else self._file
        try:
            _write(file, data)
            self._size += len(data)
        finally:
            if self._file is None:
                os.close(file)

    def _empty(self) -> None:
        os.truncate(self.path if self._file is None else self._file, 0)
        self._size = self._compact_size = 0

    def _replace(self, data: bytes) -> None:
        """Put a new file, which is locked already, in the place of the one before."""
        make_private(self._directory)
        if self._file is None:
            remove_dead(self._directory)
        new = self.path.with_name(f"{self.path.name}.new")
        with _descriptors:
            try:
                file = _locked_file(new, data)
                try:
                    new.replace(self.path)
                finally:
                    self._release()
                    self._file = file
            except BaseException:
                new.unlink(missing_ok=True)
                raise
        self._size = len(data)

    def _release(self) -> None:
        with _descriptors:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "lmspan: file: operations that have not ended cannot be written (%s: %s)", self.path, error.strerror
            )


def _long_open(calls: Mapping[int, LiveCall]) -> _Spans:
    """Return the sampled spans that have been open for 0.3 s."""
    latest = time.time_ns() - int(_OPEN_S * 1e9)
    return {
        span_id: _OpenSpan(call.span, call)
        for span_id, call in calls.items()
        if call.span is not None and call.start_time_unix_nano <= latest and call.span.context.trace_flags.sampled
    }


def _locked_file(path: Path, data: bytes) -> int | None:
    """Write a new file; return it open and locked, or None where files have no locks: Windows renames no open file."""
    file = os.open(path, _CREATE, 0o600)
    kept = False
    try:
        is_locked = liveness.lock(file)
        _write(file, data)
        kept = is_locked
    finally:
        if not kept:
            os.close(file)
    return file if kept else None


def _write(file: int, data: bytes) -> None:
    """Append data, completely or not at all: nobody else writes to the file.

    Raises:
        OSError: it cannot be written.
    """
    before = os.fstat(file).st_size
    if os.write(file, data) < len(data):
        os.truncate(file, before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def remove_dead(directory: Path, oldest_s: float = 0.0) -> None:
    """Remove journals of ended processes: the empty ones, those before a time, and more than the last 256.

    Raises:
        OSError: the directory cannot be read, or a file cannot be removed.
    """
    for path in directory.glob("open-*.jsonl.new"):  # its process was killed while it wrote the file
        if time.time() - write_time(path) > _STALE_NEW_S:
            path.unlink(missing_ok=True)
    newest_first = sorted(((write_time(path), path) for path in directory.glob(liveness.JOURNAL_GLOB)), reverse=True)
    for index, (written_s, path) in enumerate(newest_first):
        unneeded = index >= _MOST_DEAD or written_s < oldest_s or not _size(path)
        if unneeded and not liveness.is_alive(path):
            path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _before_fork() -> None:
    _descriptors.acquire(timeout=_LONGEST_WAIT_S)


def _after_fork() -> None:
    if _descriptors._is_owned():  # noqa: SLF001 - `threading.Condition` relies on it
        _descriptors.release()


def _leave_to_the_parent() -> None:
    """Close the descriptors that a child has inherited, and give the child journals of its own."""
    global _descriptors  # noqa: PLW0603 - one lock for the process
    _descriptors = threading.RLock()
    for journal in list(_journals):
        with suppress(OSError):
            journal._release()  # noqa: SLF001 - a class of this module
        journal._reset()  # noqa: SLF001 - the same


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_leave_to_the_parent)
