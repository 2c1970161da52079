"""OpenTelemetry for LLM programs: one call, and every step of the program is a span.

    import lmspan
    lmspan.init()

Importing the package loads no exporter and no LLM framework; `init()` does what it needs, when it is called. In the
process of the command `lmspan` a name loads at its first use, because most commands only read traces.
"""

import sys
from importlib import import_module
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from lmspan._version import __version__

if TYPE_CHECKING:
    from lmspan import traces
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
    from lmspan.session.init import Session, disable, enable, init, is_enabled
    from lmspan.session.run import run
    from lmspan.subscribers.budget import Budget
    from lmspan.subscribers.hooks import Priority
    from lmspan.subscribers.result import RunResult
    from lmspan.subscribers.subscriptions import Subscription, subscribe, subscribed, unsubscribe_all

_DECORATORS = "add_event agent evaluate lm module operation optimize tool turn"
_ERRORS = "CallbackError ConfigurationError InstrumentationError LmspanError StopRun TraceFileError"
_NAMES: Final = {
    "context.attributes": "attributes",
    "context.processes": "environ",
    "errors": _ERRORS,
    "instrumentation.python.decorators": _DECORATORS,
    "instrumentation.python.responses": "add_response",
    "lifecycle": "Call Event Operation",
    "session.init": "Session disable enable init is_enabled",
    "session.run": "run",
    "subscribers.budget": "Budget",
    "subscribers.hooks": "Priority",
    "subscribers.result": "RunResult",
    "subscribers.subscriptions": "Subscription subscribe subscribed unsubscribe_all",
}
_MODULES: Final = {name: f"lmspan.{module}" for module, names in _NAMES.items() for name in names.split()}

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
    """Load the module of a public name that is not loaded yet."""
    if name == "traces":
        return import_module("lmspan.traces")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _is_command() -> bool:
    """Return whether this process is probably the command `lmspan`; Python runs a module that it looks for as "-m"."""
    return PurePath("".join(sys.argv[:1])).name in ("lmspan", "lmspan.exe", "-m")


if not _is_command():  # a program may lack descriptors or time at the first use of a name
    for _name in _MODULES:
        __getattr__(_name)
