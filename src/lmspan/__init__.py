"""OpenTelemetry for LLM programs: one call, and every step of the program is a span.

    import lmspan
    lmspan.init()

Importing the package loads no exporter and no LLM framework; `init()` does what it needs, when it is called.
"""

from lmspan import default, recorder
from lmspan._init import Session, disable, enable, init, is_enabled
from lmspan._version import __version__
from lmspan.decorators import (
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
from lmspan.errors import ConfigurationError, InstrumentationError, LmspanError, TraceFileError
from lmspan.lifecycle import Call, Event, Operation

recorder.install(default.recorder())

__all__ = [
    "Call",
    "ConfigurationError",
    "Event",
    "InstrumentationError",
    "LmspanError",
    "Operation",
    "Session",
    "TraceFileError",
    "__version__",
    "add_event",
    "agent",
    "disable",
    "enable",
    "evaluate",
    "init",
    "is_enabled",
    "lm",
    "module",
    "operation",
    "optimize",
    "tool",
    "turn",
]
