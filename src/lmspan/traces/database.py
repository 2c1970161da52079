"""The database of an index: its tables, and how it is opened, made again and removed.

    files       one row a file, with the number of bytes that are indexed
    traces      one row a trace, computed from its spans: what a list shows and is filtered by
    chunks      which lines of which file hold spans of a trace
    spans       one row a span
    words_N     the words of file N, for searching in full text; a row for each chunk, without the text itself

It is a cache. One that is broken, or of another version, is removed and made again; where none can be made beside the
files, a temporary one takes its place.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lmspan.traces.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_S: Final = 5.0
_SCHEMA: Final = f"""
CREATE TABLE files (id INTEGER PRIMARY KEY, device INTEGER, inode INTEGER, name TEXT, head TEXT, indexed INTEGER,
    lines INTEGER, unreadable INTEGER, trouble TEXT);
CREATE TABLE traces (id INTEGER PRIMARY KEY, trace_id TEXT UNIQUE, start INTEGER, end INTEGER, service TEXT, name TEXT,
    words TEXT, whole INTEGER, spans INTEGER, lm_calls INTEGER, input_tokens INTEGER, output_tokens INTEGER, cost REAL,
    score REAL, first_score REAL, root_failed INTEGER, failed INTEGER, recovered INTEGER, session TEXT);
CREATE INDEX traces_by_start ON traces (start);
CREATE INDEX traces_to_sum_up ON traces (id) WHERE spans IS NULL;
CREATE TABLE chunks (id INTEGER PRIMARY KEY, trace INTEGER, file INTEGER, offset INTEGER, length INTEGER);
CREATE INDEX chunks_by_trace ON chunks (trace);
CREATE INDEX chunks_by_file ON chunks (file);
CREATE TABLE spans (trace INTEGER, file INTEGER, {", ".join(Row._fields[1:])},
    PRIMARY KEY (trace, span_id)) WITHOUT ROWID;
"""
_CONTENT: Final = "words of 27 November 2026"  # changes with what the tables hold
_VERSION: Final = zlib.crc32(_SCHEMA.encode() + _CONTENT.encode()) >> 1  # an index of another version is made again


def opened(path: Path) -> sqlite3.Connection:
    """Open an index beside the files; make it again if it is of another version or broken; else a temporary one."""
    for _ in range(2):
        try:
            if path.is_symlink():  # it could lead to a file of another program
                break
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return _prepared(_connected(path, timeout=_BUSY_S))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                break
            remove(path)
        except sqlite3.DatabaseError:
            remove(path)
        except OSError:
            break
    return temporary()


def temporary() -> sqlite3.Connection:
    """Return a database in a file that SQLite removes."""
    return _prepared(_connected(""))


def _connected(path: Path | str, timeout: float = 0.0) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    database.create_function("casefold", 1, str.casefold, deterministic=True)
    return database


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    """Return a database with the tables of this version."""
    try:
        database.execute("PRAGMA page_size = 16384")  # rows come in no order of their keys: fewer pages to split
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = OFF")  # a broken cache is made again
        database.execute("PRAGMA cache_size = -16000")
        if _version(database) == 0:
            with suppress(sqlite3.OperationalError):  # another process was faster
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            if database.in_transaction:
                database.execute("ROLLBACK")
        _check(database)
    except BaseException:
        database.close()
        raise
    return database


def _check(database: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError for a database of another version."""
    if _version(database) != _VERSION:
        raise sqlite3.DatabaseError("of another version")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def remove(path: Path) -> None:
    """Remove an index."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink()
