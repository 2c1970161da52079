"""An index of trace files in SQLite, beside the files: a cache that any reader makes, extends and may remove.

A reader first adds what programs have written since. Files only grow, are renamed, or vanish, so the index of a file
continues at the last byte; for a file that has changed otherwise, or whose format this version does not know, it is
made again. Several readers can do this at once: SQLite lets one of them write. Writers of traces do not use the index.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import TraceFileError
from lmspan.traces import database
from lmspan.traces.content import first_words, texts_of
from lmspan.traces.files import (
    Piece,
    Troubles,
    collector_paused,
    identity,
    open_file,
    pieces,
    read_chunk,
    spans_in,
    storable,
)
from lmspan.traces.rows import NULLABLE, Row, values_of
from lmspan.traces.spans import State
from lmspan.traces.summaries import sum_up
from lmspan.traces.words import LONGEST, searchable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from lmspan.traces.spans import StoredSpan

INDEX_NAME: Final = "index.sqlite"
_COMMIT_BYTES: Final = 32_000_000  # a commit lets other readers see what is indexed so far
_HEAD: Final = 4096  # bytes by which a file is recognised
# sqlite3 takes four times as long to bind None, and twice as long to bind "": an absent number is a number of its own
_ABSENT: Final = -(2**63)
_MARKS: Final = ", ".join(f"nullif(?, {_ABSENT})" if name in NULLABLE else "?" for name in Row._fields[1:])
_INSERT_SPAN: Final = f"INSERT OR IGNORE INTO spans VALUES (?, ?, {_MARKS})"


class Chunk(NamedTuple):
    """Where spans of a trace are."""

    path: Path
    identity: tuple[int, int]
    offset: int
    length: int


class Index:
    """The index of the trace files of a directory, or of one file. It is used on one thread at a time."""

    def __init__(self, directory: Path, patterns: Sequence[str], *, beside: bool) -> None:
        """Open the index, and make it if there is none. Without `beside` it is temporary.

        An index that cannot be made beside the files, for example in a directory that is read only, is temporary too.
        """
        self._directory = directory
        self._patterns = patterns
        self._beside = beside
        self._database = self._opened()
        self.troubles: list[str] = []

    def _opened(self) -> sqlite3.Connection:
        return database.opened(self._directory / INDEX_NAME) if self._beside else database.temporary()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __del__(self) -> None:
        """Close the database that a query in a notebook has left open."""
        with suppress(AttributeError, sqlite3.Error):  # its construction may have failed
            self._database.close()

    def rows(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        """Run a query."""
        return self._database.execute(statement, tuple(values))

    def script(self, statements: str) -> None:
        """Run statements without values."""
        self._database.executescript(statements)

    # Reading the files --------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Index the lines that programs have written since the last call, and forget files that have vanished."""
        self.troubles = []
        try:
            self._refresh()
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                self.troubles.append("another process makes the index; the newest traces may be missing")
            else:  # the disk is full, or fails
                self.close()
                self._database = database.temporary()
                self._refresh()
        except sqlite3.DatabaseError:
            self.discard()
            self._database = self._opened()
            self._refresh()
        self.troubles += self._unreadable()

    def discard(self) -> None:
        """Close a broken database and remove it."""
        self.close()
        if self._beside:
            database.remove(self._directory / INDEX_NAME)

    def _refresh(self) -> None:
        known = {(device, inode): (file, indexed) for file, device, inode, indexed in self.rows(
            "SELECT id, device, inode, indexed FROM files")}  # fmt: skip
        # after `known`: another reader may index a new file just now, which has not vanished
        paths = {identity(status): path for path, status in _with_status(self._files())}
        gone = [file for key, (file, _) in known.items() if key not in paths]
        grown = [
            path
            for key, path in sorted(paths.items(), key=lambda each: _time(each[1]))
            if key not in known or _size(path) != known[key][1] or self._is_renamed(known[key][0], path)
        ]
        if gone:
            with self._writing():
                for file in gone:
                    self._forget(file)
        for path in grown:
            with suppress(TraceFileError):  # it has vanished since, or may not be read
                self._extend(path)
        if self.rows("SELECT 1 FROM traces WHERE spans IS NULL LIMIT 1").fetchone():
            with self._writing():
                sum_up(self)

    def _files(self) -> Iterator[Path]:
        for pattern in self._patterns:
            yield from self._directory.glob(pattern)

    def _is_renamed(self, file: int, path: Path) -> bool:
        return bool(self.rows("SELECT name FROM files WHERE id = ?", (file,)).fetchone()[0] != path.name)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite itself ends it where the disk is full
                self._database.execute("ROLLBACK")
            raise

    def _extend(self, path: Path) -> None:
        """Index the lines of a file after those that are indexed."""
        with closing(open_file(path)) as opened:
            size = os.fstat(opened.fileno()).st_size
            file = self._enter(path, opened)
            while self._extend_once(path, opened, file) < size:
                pass

    def _extend_once(self, path: Path, opened: BinaryIO, file: int) -> float:
        """Index until a commit is due; return where the index ends, or infinity if nothing is left to index."""
        with self._writing(), collector_paused():  # another process may have indexed a part in the meantime
            row = self.rows("SELECT indexed, lines FROM files WHERE id = ?", (file,)).fetchone()
            if row is None:  # it has removed the file
                return math.inf
            begin, lines = row
            end, lines = self._index(path, opened, file, begin, lines)
            self.rows(
                "UPDATE files SET name = ?, head = ?, indexed = ?, lines = ? WHERE id = ?",
                (path.name, _head(opened, end), end, lines, file),
            )
        return end if end > begin else math.inf

    def _enter(self, path: Path, opened: BinaryIO) -> int:
        """Return the number of a file; a new file gets one, also if it has the inode of a file that has vanished."""
        device, inode = identity(os.fstat(opened.fileno()))
        with self._writing():
            where = "SELECT id, indexed, head FROM files WHERE device = ? AND inode = ?"
            for file, indexed, head in self.rows(where, (device, inode)).fetchall():
                if indexed <= os.fstat(opened.fileno()).st_size and (not indexed or head == _head(opened, indexed)):
                    return int(file)
                self._forget(file)
            number = self.rows(
                "INSERT INTO files VALUES (NULL, ?, ?, ?, '', 0, 0, 0, '')", (device, inode, path.name)
            ).lastrowid
            self._database.execute(f"CREATE VIRTUAL TABLE words_{number} USING fts5(text, content='')")
            self._database.execute(f"INSERT INTO words_{number} (words_{number}, rank) VALUES ('pgsz', 16000)")
        return int(number or 0)

    def _index(self, path: Path, opened: BinaryIO, file: int, begin: int, lines: int) -> tuple[int, int]:
        """Index lines until a commit is due; return the end of the last line, and the number of lines."""
        troubles = Troubles(path)
        end = begin
        number = 0
        for piece in pieces(opened, begin):
            if not piece.finished:
                break
            spans, trouble = spans_in(piece)
            number = piece.number
            if trouble:
                troubles.add(lines + number, trouble)
            for trace_id, each in _by_trace(spans).items():
                self._add(trace_id, each, file, piece)
            end = piece.offset + piece.length
            if end - begin > _COMMIT_BYTES:
                break
        if troubles.count:
            values = (troubles.count, troubles.first, file)
            self.rows(
                "UPDATE files SET unreadable = unreadable + ?, trouble = iif(trouble = '', ?, trouble) WHERE id = ?",
                values,
            )
        return end, lines + number

    def _add(self, trace_id: str, spans: list[StoredSpan], file: int, piece: Piece) -> None:
        """Add the spans of a trace that one line holds."""
        (trace,) = self.rows(
            "INSERT INTO traces (trace_id) VALUES (?) ON CONFLICT DO UPDATE SET spans = NULL RETURNING id", (trace_id,)
        ).fetchone()
        number = self.rows(
            "INSERT INTO chunks VALUES (NULL, ?, ?, ?, ?)", (trace, file, piece.offset, piece.length)
        ).lastrowid
        self._add_rows(trace, spans, file)
        texts = dict.fromkeys(chain.from_iterable(map(texts_of, spans)))
        text = storable("\n".join(searchable(text[:LONGEST]) for text in texts))
        self.rows(f"INSERT INTO words_{file} (rowid, text) VALUES (?, ?)", (number, text))
        for root in spans:
            if root.is_outermost:  # a part in another process does not replace the words of the root
                condition = "words IS NULL" if root.parent_id else "1"
                values = (storable(first_words(root)), trace)
                self.rows(f"UPDATE traces SET words = ? WHERE id = ? AND {condition}", values)

    def _add_rows(self, trace: int, spans: Iterable[StoredSpan], file: int) -> None:
        place = (trace, file)
        rows = [place + values_of(span, _ABSENT) for span in spans if span.state is State.ENDED]
        self._database.executemany(_INSERT_SPAN, rows)

    def _forget(self, file: int) -> None:
        """Remove a file."""
        traces = self.rows("SELECT DISTINCT trace FROM chunks WHERE file = ?", (file,)).fetchall()
        self._database.execute(f"DROP TABLE IF EXISTS words_{file}")
        self._database.executemany("DELETE FROM spans WHERE trace = ? AND file = ?", ((*each, file) for each in traces))
        self._database.executemany("UPDATE traces SET spans = NULL WHERE id = ?", traces)
        self.rows("DELETE FROM chunks WHERE file = ?", (file,))
        self.rows("DELETE FROM files WHERE id = ?", (file,))
        for (trace,) in traces:
            self._add_copies(trace)

    def _add_copies(self, trace: int) -> None:
        """Add the spans of a trace that another file holds, too."""
        (trace_id,) = self.rows("SELECT trace_id FROM traces WHERE id = ?", (trace,)).fetchone()
        chunks = "SELECT file, name, offset, length FROM chunks JOIN files ON files.id = file WHERE trace = ?"
        for file, name, offset, length in self.rows(chunks, (trace,)).fetchall():
            with suppress(TraceFileError), closing(open_file(self._directory / name)) as opened:
                opened.seek(offset)
                self._add_rows(trace, read_chunk(opened.read(length), trace_id), file)

    def span_rows(self, condition: str, values: Iterable[Any] = (), order: str = "") -> Iterator[Row]:
        """Yield the rows of spans; `condition` and `order` are SQL on the tables `spans` and `traces`."""
        columns = ", ".join(f"spans.{name}" for name in Row._fields[1:])
        statement = (
            f"SELECT traces.trace_id, {columns} FROM traces JOIN spans ON spans.trace = traces.id"
            f" WHERE {condition} {order}"
        )
        for each in self.rows(statement, values):
            yield Row(*each)

    # Queries ------------------------------------------------------------------------------------------------------

    def _unreadable(self) -> list[str]:
        rows = self.rows("SELECT name, unreadable, trouble FROM files WHERE unreadable > 0 ORDER BY name")
        return [
            each for name, count, first in rows for each in Troubles(self._directory / name, count, first).messages()
        ]

    def chunks(self, trace_id: str) -> list[Chunk]:
        """Return the places of a trace's spans."""
        return self._places("trace_id = ?", trace_id)

    def lines(self, traces: Sequence[int]) -> list[Chunk]:
        """Return the places of the spans of traces, which are named by their numbers, each line once."""
        return self._places("trace IN (SELECT value FROM json_each(?))", json.dumps(traces))

    def _places(self, condition: str, value: str) -> list[Chunk]:
        rows = self.rows(
            "SELECT DISTINCT file, files.name, device, inode, offset, length FROM chunks"
            f" JOIN files ON files.id = file JOIN traces ON traces.id = trace WHERE {condition} ORDER BY file, offset",
            (value,),
        )
        return [
            Chunk(self._directory / name, (device, inode), offset, length)
            for _, name, device, inode, offset, length in rows
        ]

    def containing(self, word: str) -> set[int]:
        """Return the numbers of the traces that contain a word; `word` is a query of the full text search."""
        traces: set[int] = set()
        for (file,) in self.rows("SELECT id FROM files").fetchall():
            source = f"words_{file} JOIN chunks ON chunks.id = words_{file}.rowid"
            try:
                rows = self.rows(f"SELECT DISTINCT trace FROM {source} WHERE words_{file} MATCH ?", (word,))
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                continue  # another reader has just removed the file from the index
            traces.update(trace for (trace,) in rows)
        return traces


def _by_trace(spans: Iterable[StoredSpan]) -> dict[str, list[StoredSpan]]:
    traces: dict[str, list[StoredSpan]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    return traces


def _head(opened: BinaryIO, indexed: int) -> str:
    opened.seek(0)
    return hashlib.blake2b(opened.read(min(indexed, _HEAD)), digest_size=8).hexdigest()


def _with_status(paths: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    for path in paths:
        with suppress(OSError):
            yield path, path.stat()


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return -1


def _time(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return time.time()
