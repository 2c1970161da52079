"""The names that LLMProc's documentation of its callbacks imports.

    from lmspan.callbacks.llmproc import CallbackEvent

Where the documents and the releases disagree, a parameter may have any of their names. A callback that raises stops the
run if it is subscribed with `on_error="stop"`. Async callbacks have ended when an awaited run returns.
"""

from __future__ import annotations

from lmspan.subscribers.dialects.llmproc import CallbackEvent
from lmspan.subscribers.result import RunResult

__all__ = ["CallbackEvent", "RunResult"]
