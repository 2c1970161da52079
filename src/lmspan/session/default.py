"""The recorder of a program that never calls `init()`: the global providers, and no content unless asked.

So `opentelemetry-instrument` and an application's own provider work without a line of lmspan; and while nobody has
set a provider, no call is announced at all.
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

_NOBODY = (ProxyTracerProvider, NoOpTracerProvider)


class DefaultRecorder(Recorder):
    """Records when the process has a provider, which may be set at any time."""

    def ready(self) -> Context | None:
        """Return the current context if there is a provider, and recording is neither off nor suppressed."""
        return super().ready() if self.enabled and type(self._provider()) not in _NOBODY else None

    def _provider(self) -> object:
        try:
            return trace.get_tracer_provider()
        except Exception:  # noqa: BLE001 - OTEL_PYTHON_TRACER_PROVIDER names nothing; the API has logged why
            self.enabled = False
            return None


def recorder() -> DefaultRecorder:
    """Return the recorder, from the environment as it is now."""
    capture = CAPTURE_MODES[capture_from_environment(os.environ) or "none"]
    content = Content(capture, Redactor(environ=os.environ))
    with without_wrong_variables(warn=False):  # the API raises where the name of a provider is wrong
        return DefaultRecorder(trace.get_tracer("lmspan", __version__), content=content, metrics=global_metrics())
