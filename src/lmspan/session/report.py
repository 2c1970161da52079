"""The line with which `lmspan run` ends: how many traces, how many of them failed, how to look at them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from lmspan.locks import Lock

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan


class Report(SpanProcessor):
    """Counts the traces of this process."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._process = os.getpid()
        self._lock = Lock()
        self._traces = 0
        self._failed = 0
        self._last = ""

    def on_end(self, span: ReadableSpan) -> None:
        """Count the outermost span of a trace. Called on the program's thread."""
        if span.parent is None and span.context is not None and span.context.trace_flags.sampled:
            with self._lock:
                self._traces += 1
                self._failed += span.status.status_code is StatusCode.ERROR
                self._last = f"{span.context.trace_id:032x}"

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True, because nothing is exported."""
        del timeout_millis
        return True

    def print(self) -> None:
        """Print the line on stderr, in the process that `lmspan run` has started only. Never raises.

        Only a terminal gets it: what a script reads from the program's stderr is what the program wrote.
        """
        with suppress(OSError, ValueError, AttributeError):  # the program may have closed or replaced stderr
            if os.getpid() == self._process and sys.stderr.isatty():
                sys.stderr.write(f"lmspan: {self.line()}\n")

    def line(self) -> str:
        """Return what was recorded, and the command that shows it."""
        if not self._traces:
            return "no trace was recorded"
        traces = "1 trace" if self._traces == 1 else f"{self._traces} traces"
        failed = f", {self._failed} failed" if self._failed else ""
        command = f"lmspan show {self._last[:8]}" if self._traces == 1 else f"lmspan list -n {self._traces}"
        return f"{traces}{failed}" + (f"; look: {command}" if self._directory is not None else "")
