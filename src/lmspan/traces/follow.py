"""Follow the traces of running programs: each span when its program has written it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lmspan.directories import CURRENT_NAME
from lmspan.errors import TraceFileError
from lmspan.traces.files import identity, open_file, pieces, spans_in
from lmspan.traces.journal import open_spans
from lmspan.traces.spans import State, StoredSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import BinaryIO

_INTERVAL_S: Final = 0.5
_MOST_KNOWN: Final = 100_000


class Follower:
    """Reads new lines of the current trace file, and the journals of operations that run."""

    def __init__(self, directory: Path) -> None:
        """Start at the end of the file."""
        self._directory = directory
        self._path = directory / CURRENT_NAME
        self._file: BinaryIO | None = None
        self._offset = 0
        self._announced: dict[str, None] = {}
        if self._reopen() and self._file is not None:
            self._offset = self._file.seek(0, os.SEEK_END)

    def new(self) -> list[StoredSpan]:
        """Return the spans that have ended since the last call, and running ones that no call has returned before."""
        ended = list(self._appended())
        if self._file is None or self._is_replaced():
            self._reopen()
            ended += self._appended()
        return self._starting({span.span_id for span in ended}) + ended

    def _appended(self) -> Iterator[StoredSpan]:
        if self._file is None:
            return
        for piece in pieces(self._file, self._offset):
            if not piece.finished:
                break
            self._offset = piece.offset + piece.length
            yield from spans_in(piece)[0]

    def _is_replaced(self) -> bool:
        """Return whether a program has started a new file."""
        with suppress(OSError):
            return self._file is None or identity(self._path.stat()) != identity(os.fstat(self._file.fileno()))
        return False

    def _reopen(self) -> bool:
        try:
            file = open_file(self._path)
        except TraceFileError:
            return False
        if self._file is not None:
            self._file.close()
        self._file, self._offset = file, 0
        return True

    def _starting(self, ended: set[str]) -> list[StoredSpan]:
        """Return the running spans that were not returned before."""
        running = [
            span
            for spans in open_spans(self._directory).values()
            for span in spans
            if span.state is State.RUNNING and span.span_id not in ended and span.span_id not in self._announced
        ]
        self._announced.update(dict.fromkeys(span.span_id for span in running))
        while len(self._announced) > _MOST_KNOWN:
            self._announced.pop(next(iter(self._announced)))
        return sorted(running, key=lambda span: span.start_unix_nano)


def follow(directory: Path, wait: Callable[[float], None] = time.sleep) -> Iterator[StoredSpan]:
    """Yield spans as programs write them, without end; a running one first as it is, then when it has ended."""
    follower = Follower(directory)
    while True:
        yield from follower.new()
        wait(_INTERVAL_S)
