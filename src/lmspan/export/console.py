"""Print each trace when it has ended, by a function `render` of the caller."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor

from lmspan.export.local import OpenCalls, with_content
from lmspan.export.otlp_json import lines
from lmspan.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

_MAX_TRACES: Final = 64
_MAX_SPANS: Final = 2_000


class ConsoleTraces(SpanProcessor):
    """Collect the spans of each trace and render them when its last local root has ended, on that span's thread.

    It keeps the first 2,000 spans of a trace, and at most 64 open traces: then it forgets the oldest.
    """

    def __init__(self, render: Callable[[list[dict[str, Any]]], None]) -> None:
        self._render = guarded(render)
        self._traces: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._calls = OpenCalls()

    @guarded
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember the call, which holds the local content."""
        self._calls.note(span, parent_context)

    @guarded
    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span; if it is a local root, print its trace."""
        call = self._calls.take(span.context.span_id) if span.context is not None else None
        if span.context is None or not span.context.trace_flags.sampled:
            return
        spans = self._traces.setdefault(span.context.trace_id, [])
        if len(spans) < _MAX_SPANS:
            spans.append(with_content(span, call.local if call is not None else None))
        if span.parent is None or span.parent.is_remote:
            self._render([json.loads(line.text) for line in lines(self._traces.pop(span.context.trace_id, []))])
        elif len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)

    def shutdown(self) -> None:
        """Forget the traces that have not ended."""
        self._traces.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True, because ended traces are printed at once."""
        del timeout_millis
        return True
