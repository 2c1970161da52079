"""Read the store for the server: on one thread, because an index belongs to one, with the last traces kept.

The reading layer loads on that thread, at the first query: the browser paints the page before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from lmspan.directories import trace_directory
from lmspan.errors import LmspanError, TraceFileError
from lmspan.liveness import JOURNAL_GLOB, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lmspan.page.tree import Outline
    from lmspan.traces.store import Store, Summary
    from lmspan.traces.trace import Trace

    P = ParamSpec("P")
    R = TypeVar("R")

_MOST_KEPT: Final = 4
_SUFFIXES: Final = (".jsonl", ".json")


class ReaderEndsError(LmspanError):
    """The server ends before a result is there."""


class Reader:
    """The traces of a directory or a file. Functions that `run` calls use the store and all methods but `run`."""

    def __init__(self, path: Path | str | None = None) -> None:
        """Read a directory or file; without one, the directory where `lmspan.init()` stores traces.

        Raises:
            TraceFileError: there is no such file.
        """
        self._named = path
        self.path: Path = trace_directory() if path is None else self.store.path
        """The directory or file."""
        self.last_read: dict[str, tuple[Summary, Trace]] = {}
        """The last traces that were read, with the summaries that they had."""
        self._thread = ThreadPoolExecutor(1, "lmspan-reader")
        self._expected: set[asyncio.Future[Any]] = set()
        self._is_ending = False

    @cached_property
    def store(self) -> Store:
        """The traces, for the reader's thread."""
        from lmspan.traces.store import Store  # noqa: PLC0415 - see above

        return Store(self._named)

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function on the reader's thread.

        Raises:
            ReaderEndsError: the result is no longer expected.
        """
        if self._is_ending:
            raise ReaderEndsError("lmspan ui ends")
        loop = asyncio.get_running_loop()
        result = loop.run_in_executor(self._thread, partial(_call, function, *args, **kwargs))
        self._expected.add(result)
        try:
            return await result
        except asyncio.CancelledError as error:
            if self._is_ending:
                raise ReaderEndsError("lmspan ui ends") from error
            raise
        finally:
            self._expected.discard(result)

    def end(self) -> None:
        """Let no request wait for a result any longer. Called on the thread of the event loop."""
        self._is_ending = True
        for result in tuple(self._expected):
            result.cancel()

    def close(self) -> None:
        """Wait for what runs on the thread, and end it."""
        self._thread.shutdown(cancel_futures=True)

    def trace(self, trace_id: str) -> Trace:
        """Return a whole trace; of one that is kept, only what has been added since is read.

        Raises:
            TraceFileError: there is no such trace.
        """
        summary = self.summary(trace_id)
        kept = self.last_read.pop(trace_id, None)
        if kept is None:
            trace = self.store.find(trace_id)
        else:
            trace = kept[1] if kept[0] == summary else self.store.again(kept[1])
        self.last_read[trace_id] = summary, trace
        if len(self.last_read) > _MOST_KEPT:
            self.last_read.pop(next(iter(self.last_read)))
        return trace

    def outline(self, summary: Summary) -> Outline:
        """Return what the tree of a trace shows; of a large one, its content is not read for this.

        Raises:
            TraceFileError: there is no such trace.
        """
        from lmspan.page import tree  # noqa: PLC0415 - see above

        kept = self.last_read.get(summary.trace_id)
        has_more = kept is not None and len(kept[1]) > kept[0].spans  # spans without an end, which the index has not
        if summary.spans <= tree.MOST_WITH_WORDS or has_more:
            return tree.outline(self.trace(summary.trace_id))
        return tree.stored_outline(*self.store.outline(summary.trace_id))

    def summary(self, trace_id: str) -> Summary:
        """Return the row of a trace in the list, without its number.

        Raises:
            TraceFileError: there is no such trace.
        """
        from lmspan.traces.filters import Filter  # noqa: PLC0415 - see above

        listed = self.store.list(Filter(trace=trace_id))
        found = next((each for each in listed if each.trace_id == trace_id), None)
        if found is None:
            raise TraceFileError(f"trace {trace_id}: no such trace in {self.store.location}")
        return dataclasses.replace(found, number=None)

    def before(self, trace_id: str) -> Summary | None:
        """Return the trace of the same program before this one: of the same name and service.

        Raises:
            TraceFileError: there is no such trace.
        """
        from lmspan.traces.filters import Filter  # noqa: PLC0415 - see above

        this = self.summary(trace_id)
        wanted = Filter(root=this.name, service=this.service or None, until=this.start.timestamp())
        return next((each for each in self.store.list(wanted, limit=2) if each.trace_id != trace_id), None)

    def version(self) -> str:
        """Return a text that changes when a program has written, and each second while one runs an operation."""
        path = self.path
        parts: list[object] = []
        if path.is_dir():
            with suppress(OSError), os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.endswith(_SUFFIXES):
                        with suppress(OSError):
                            parts.append((entry.name, entry.stat().st_size, entry.stat().st_mtime_ns))
            alive = [is_alive(journal) for journal in path.glob(JOURNAL_GLOB)]
            parts += [*alive, int(time.time()) if any(alive) else 0]
        else:
            with suppress(OSError):
                parts.append((path.stat().st_size, path.stat().st_mtime_ns))
        return hashlib.blake2b(repr(sorted(map(str, parts))).encode(), digest_size=8).hexdigest()


def _call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with _without_collections():
        return function(*args, **kwargs)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Disable the garbage collector: looking for cycles would take a third of the time of reading a large trace."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
