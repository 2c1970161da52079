"""One trace as one file: the page with the answers that it would get from the server, to send to a colleague.

The modules are data: addresses of an import map, because a file has no other files beside it. Nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmspan.page import api, optimizers, spans
from lmspan.traces.spans import as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmspan.page.reader import Reader
    from lmspan.traces.trace import Trace

_STATIC: Final = Path(__file__).parent / "static"
_IMPORT: Final = re.compile(r"""(["`])\./([a-z${.}]+)\.js""")
_LOADED: Final = re.compile(r"<(?:link|script)[^\n]*\n")
_START: Final = 'import "lmspan/main.js";'


def page(reader: Reader, reference: str) -> str:
    """Return a page that shows a trace, which is named as `Store.find` takes it.

    Raises:
        TraceFileError: no trace, or more than one, is meant.
    """
    trace = reader.trace(reader.store.find(reference).trace_id)
    answers = as_json({"only": trace.trace_id, "answers": dict(_answers(reader, trace))}).replace("<", "\\u003c")
    style = (_STATIC / "style.css").read_text("utf-8")
    modules = json.dumps({"imports": {f"lmspan/{path.name}": _module(path) for path in sorted(_STATIC.glob("*.js"))}})
    head = (
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, modules)}">\n<style>{style}</style>\n'
        f'<script type="application/json" id="stored">{answers}</script>\n'
        f'<script type="importmap">{modules}</script>\n<script type="module">{_START}</script>\n</head>'
    )
    return _LOADED.sub("", (_STATIC / "index.html").read_text("utf-8")).replace("</head>", head)


def _policy(style: str, modules: str) -> str:
    scripts = " ".join(map(_digest, (modules, _START)))
    return (
        f"default-src 'none'; script-src {scripts} data:; style-src {_digest(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _module(path: Path) -> str:
    source = _IMPORT.sub(r"\1lmspan/\2.js", path.read_text("utf-8"))
    return f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"


def _answers(reader: Reader, trace: Trace) -> Iterator[tuple[str, Any]]:
    """Yield what the page asks for about a trace, by address."""
    address = f"traces/{trace.trace_id}"
    yield address, api.trace_document(reader, trace)
    for span in trace.spans:
        yield f"{address}/spans/{span.span_id}", spans.document(trace, span)
    for each in trace.evaluations:
        yield f"{address}/evaluations/{each.span.span_id}", spans.evaluation_document(trace, each.span)
    for run in trace.optimizer_runs:
        document = optimizers.document(trace, run.span)
        yield f"{address}/runs/{run.span.span_id}", document
        for after, candidate in enumerate(document["candidates"]):
            before = candidate["parent"] if candidate["parent"] is not None else (0 if after else None)
            query = f"after={after}" + ("" if before is None else f"&before={before}")
            difference = optimizers.difference(trace, run.span, -1 if before is None else before, after)
            yield f"{address}/runs/{run.span.span_id}/difference?{query}", difference
