"""Read the spans in the lines of files that the index names."""

from __future__ import annotations

import os
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from lmspan.errors import TraceFileError
from lmspan.traces.files import identity, open_file, read_chunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lmspan.traces.index import Chunk
    from lmspan.traces.spans import StoredSpan

    Part = tuple[tuple[int, int], int, int]  # the identity of a file, an offset and a length
    Parts = Mapping[Part, Sequence[StoredSpan]]


def read_parts(chunks: Iterable[Chunk], trace_id: str, known: Parts) -> dict[Part, Sequence[StoredSpan]]:
    """Return the spans of a trace by the parts of files that hold them; those of `known` parts are not read again.

    Raises:
        TraceFileError: a file is no longer in its place.
    """
    parts: dict[Part, Sequence[StoredSpan]] = {}
    for path, group in groupby(chunks, key=lambda chunk: chunk.path):
        places = {chunk[1:]: chunk for chunk in group}
        parts.update((part, known[part]) for part in places if part in known)
        new = [chunk for part, chunk in places.items() if part not in known]
        if new:
            parts.update(_parts_of(path, new, trace_id))
    return parts


def _parts_of(
    path: Path, chunks: Iterable[Chunk], trace_id: str | None = None
) -> Iterator[tuple[Part, Sequence[StoredSpan]]]:
    with closing(open_file(path)) as file:
        for chunk in chunks:
            if identity(os.fstat(file.fileno())) != chunk.identity:
                raise TraceFileError(f"{path} is another file now")
            file.seek(chunk.offset)
            yield chunk[1:], read_chunk(file.read(chunk.length), trace_id)


def read_lines(lines: Iterable[Chunk]) -> Iterator[StoredSpan]:
    """Yield the spans in lines. Raises TraceFileError if a file is no longer in its place."""
    for path, group in groupby(lines, key=lambda line: line.path):
        for _, spans in _parts_of(path, group):
            yield from spans
