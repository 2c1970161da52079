"""The recorder of a program that never calls `init()`: it uses the global providers and records no content by default.

Therefore `opentelemetry-instrument` and an application's own provider work without a line of lmspan. While the process
has no provider, the recorder records no call at all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import NoOpTracerProvider, ProxyTracerProvider

from lmspan._version import __version__
from lmspan.config import capture_from_environment
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor
from lmspan.environment import without_wrong_variables
from lmspan.recording.metrics import global_metrics
from lmspan.recording.recorder import Recorder

if TYPE_CHECKING:
    from opentelemetry.context import Context

_PLACEHOLDERS = (ProxyTracerProvider, NoOpTracerProvider)


class DefaultRecorder(Recorder):
    """Records while the process has a provider, which the program may set at any time."""

    def ready(self) -> Context | None:
        """Return the current context if there is a provider, and recording is neither disabled nor suppressed."""
        return super().ready() if self.enabled and type(self._provider()) not in _PLACEHOLDERS else None

    def _provider(self) -> object:
        try:
            return trace.get_tracer_provider()
        except Exception:  # noqa: BLE001 - OTEL_PYTHON_TRACER_PROVIDER is wrong; the API has logged the reason
            self.enabled = False
            return None


def recorder() -> DefaultRecorder:
    """Return a recorder as the environment configures it now."""
    capture = CAPTURE_MODES[capture_from_environment(os.environ) or "none"]
    content = Content(capture, Redactor(environ=os.environ))
    with without_wrong_variables(warn=False):  # the API raises for a wrong name of a provider
        return DefaultRecorder(trace.get_tracer("lmspan", __version__), content=content, metrics=global_metrics())
