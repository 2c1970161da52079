"""OpenTelemetry for LLM programs: one call, and every step of the program is a span.

    import lmspan
    lmspan.init()

Importing the package loads no exporter and no LLM framework; `init()` does what it needs, when it is called.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lmspan._version import __version__
from lmspan.context.attributes import attributes
from lmspan.context.processes import environ
from lmspan.errors import (
    CallbackError,
    ConfigurationError,
    InstrumentationError,
    LmspanError,
    StopRun,
    TraceFileError,
)
from lmspan.instrumentation.python.decorators import (
    add_event,
    agent,
    evaluate,
    lm,
    module,
    operation,
    optimize,
    tool,
    turn,
)
from lmspan.instrumentation.python.responses import add_response
from lmspan.lifecycle import Call, Event, Operation
from lmspan.recording import recorder
from lmspan.session import default
from lmspan.session.init import Session, disable, enable, init, is_enabled
from lmspan.session.run import run
from lmspan.subscribers.budget import Budget
from lmspan.subscribers.hooks import Priority
from lmspan.subscribers.result import RunResult
from lmspan.subscribers.subscriptions import Subscription, subscribe, subscribed, unsubscribe_all

if TYPE_CHECKING:
    from lmspan import traces

recorder.install(default.recorder())

__all__ = [
    "Budget",
    "Call",
    "CallbackError",
    "ConfigurationError",
    "Event",
    "InstrumentationError",
    "LmspanError",
    "Operation",
    "Priority",
    "RunResult",
    "Session",
    "StopRun",
    "Subscription",
    "TraceFileError",
    "__version__",
    "add_event",
    "add_response",
    "agent",
    "attributes",
    "disable",
    "enable",
    "environ",
    "evaluate",
    "init",
    "is_enabled",
    "lm",
    "module",
    "operation",
    "optimize",
    "run",
    "subscribe",
    "subscribed",
    "tool",
    "traces",
    "turn",
    "unsubscribe_all",
]


def __getattr__(name: str) -> Any:
    """Return `lmspan.traces`, which a program that only records does not load."""
    if name == "traces":
        return import_module("lmspan.traces")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
