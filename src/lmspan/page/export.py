"""One trace as one file: the page with the answers that it would get from the server, to send to a colleague.

The modules are data: addresses of an import map, because a file has no other files beside it. Nothing is loaded. The
answers are chunks of JSON, compressed, because a trace of 20,000 spans has 60 MB of them. The page inflates the chunk
that it needs. Where the chunks are too large together, the content of some spans is left out, and the page says so.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.page import api, optimizers, spans, tree
from lmspan.page.document import STATIC, digest, document, style
from lmspan.traces.spans import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lmspan.page.reader import Reader
    from lmspan.traces.trace import Trace

_IMPORT: Final = re.compile(r"""(["`])\./([a-z${.}]+)\.js""")
_LOADED: Final = re.compile(r"<(?:link|script)[^\n]*\n")
_CHUNK_SIZE: Final = 1_000_000  # characters of JSON
_LARGEST: Final = 20_000_000
"""The characters of all chunks from which on content is left out."""
_FEW: Final = 12
"""The candidates of a run whose differences are all in the file."""
_START: Final = 'import "lmspan/main.js";'


class Page(NamedTuple):
    """A page as a file, and a sentence about what it leaves out, or ""."""

    text: str
    left_out: str


def page(reader: Reader, reference: str) -> Page:
    """Return a page that shows a trace, which is named as `Store.find` takes it.

    Raises:
        TraceFileError: no trace, or more than one, is meant.
    """
    trace = reader.trace(reader.store.find(reference).trace_id)
    packed = _Packed()
    for address, answer in _answers(reader, trace):
        packed.add(address, answer)
    kept = packed.add_while_room((f"{_address(trace)}/spans/{each.span_id}", partial(spans.document, trace, each))
                                 for each in sorted(trace.spans, key=lambda each: not each.failed))  # fmt: skip
    total = len(trace.spans)
    sentence = f"This file has the content of {kept:,} of {total:,} spans; lmspan ui shows all of them."
    left_out = "" if kept == total else sentence
    return Page(_document(json.dumps({"only": trace.trace_id, "chunks": packed.chunks()}), left_out), left_out)


def _document(stored: str, left_out: str) -> str:
    modules = json.dumps({"imports": {f"lmspan/{path.name}": _module(path) for path in sorted(STATIC.glob("*.js"))}})
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(modules)}">\n'
        f'<script type="application/json" id="stored">{stored}</script>\n'
        f'<script type="importmap">{modules}</script>\n<script type="module">{_START}</script>\n</head>'
    )
    text = _LOADED.sub("", document()).replace("</head>", head)
    note = f'<p class="empty" role="note">{left_out}</p>\n<main' if left_out else "<main"
    return text.replace("<main", note)


class _Packed:
    """Answers in compressed chunks. The first chunk has the number of the chunk of each address."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._chunks: list[str] = []
        self._open: list[str] = []
        self._open_size = 0
        self._size = 0

    def add(self, address: str, answer: Any) -> None:
        """Add an answer to the open chunk."""
        text = f"{json.dumps(address)}:{as_json(answer)}"
        self._places[address] = len(self._chunks) + 1
        self._open.append(text)
        self._open_size += len(text)
        if self._open_size >= _CHUNK_SIZE:
            self._close()

    def add_while_room(self, answers: Iterable[tuple[str, Callable[[], Any]]]) -> int:
        """Add answers until the page would be too large; return their number."""
        count = 0
        for address, answer in answers:
            if self._size >= _LARGEST:
                break
            self.add(address, answer())
            count += 1
        return count

    def chunks(self) -> list[str]:
        """Return all chunks."""
        self._close()
        return [_compressed(json.dumps({"places": self._places})), *self._chunks]

    def _close(self) -> None:
        self._chunks.append(_compressed("{" + ",".join(self._open) + "}"))
        self._size += len(self._chunks[-1])
        self._open, self._open_size = [], 0


def _compressed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _address(trace: Trace) -> str:
    return f"traces/{trace.trace_id}"


def _policy(modules: str) -> str:
    scripts = " ".join(map(digest, (modules, _START)))
    return (
        f"default-src 'none'; script-src {scripts} data:; style-src {digest(style())}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _module(path: Path) -> str:
    source = _IMPORT.sub(r"\1lmspan/\2.js", path.read_text("utf-8"))
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"


def _answers(reader: Reader, trace: Trace) -> Iterator[tuple[str, Any]]:
    """Yield what the page asks for about a trace, by address, without the spans."""
    address = _address(trace)
    yield address, api.trace_document(reader, trace)
    yield f"{address}/results", {**tree.results(trace), "before": None}
    for each in trace.evaluations:
        yield f"{address}/evaluations/{each.span.span_id}", spans.evaluation_document(trace, each.span)
    for run in trace.optimizer_runs:
        document = optimizers.document(trace, run.span)
        yield f"{address}/runs/{run.span.span_id}", document
        for before, after in _compared(document["candidates"]):
            query = f"after={after}" + ("" if before is None else f"&before={before}")
            difference = optimizers.difference(trace, run.span, -1 if before is None else before, after)
            yield f"{address}/runs/{run.span.span_id}/difference?{query}", difference


def _compared(candidates: Sequence[dict[str, Any]]) -> Iterator[tuple[int | None, int]]:
    """Yield the places of the candidates that a person can compare: of few candidates every pair, else the parents."""
    for after, candidate in enumerate(candidates):
        if len(candidates) <= _FEW:
            yield from ((before, after) for before in range(len(candidates)) if before != after)
        elif candidate["parent"] is not None or after:
            yield candidate["parent"] or 0, after
        if not after and candidate["parent"] is None:
            yield None, after
