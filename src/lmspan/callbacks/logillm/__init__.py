"""The names that LogiLLM's documentation of its callbacks imports. Its programs run when their import lines change.

    from lmspan.callbacks.logillm import CallbackManager, AbstractCallback, Priority

Where the document and the release disagree, handlers may be async, as in the document, or sync, as in the release. The
highest priority hears first, as in the release and in the document's reference. The events after a failure are those of
the release, and `success` of a `ModuleEndEvent` is that of the prediction, as in the document. `unregister` removes a
callback from all its events.
"""

from lmspan.callbacks.logillm.builtin import LoggingCallback, MetricsCallback, ProgressCallback
from lmspan.callbacks.logillm.context import CallbackContextManager, get_current_call_id
from lmspan.callbacks.logillm.jsonl import JSONLCallback, OptimizationJSONLCallback, register_jsonl_logger
from lmspan.callbacks.logillm.manager import (
    CallbackManager,
    RegisteredCallback,
    callback_manager,
    clear_callbacks,
    disable_callbacks,
    emit_callback_async,
    emit_callback_sync,
    enable_callbacks,
    register_callback,
    register_global_callback,
    unregister_callback,
)
from lmspan.subscribers.dialects.logillm_events import (
    AbstractCallback,
    BaseCallback,
    CallbackContext,
    CallbackEvent,
    CallbackEventType,
    CallbackType,
    ErrorEvent,
    EvaluationEndEvent,
    EvaluationStartEvent,
    HyperparameterUpdateEvent,
    ModuleEndEvent,
    ModuleStartEvent,
    OptimizationEndEvent,
    OptimizationResult,
    OptimizationStartEvent,
    ProviderErrorEvent,
    ProviderRequestEvent,
    ProviderResponseEvent,
    TokenUsage,
    Usage,
)
from lmspan.subscribers.hooks import Priority

__all__ = [
    "AbstractCallback",
    "BaseCallback",
    "CallbackContext",
    "CallbackContextManager",
    "CallbackEvent",
    "CallbackEventType",
    "CallbackManager",
    "CallbackType",
    "ErrorEvent",
    "EvaluationEndEvent",
    "EvaluationStartEvent",
    "HyperparameterUpdateEvent",
    "JSONLCallback",
    "LoggingCallback",
    "MetricsCallback",
    "ModuleEndEvent",
    "ModuleStartEvent",
    "OptimizationEndEvent",
    "OptimizationJSONLCallback",
    "OptimizationResult",
    "OptimizationStartEvent",
    "Priority",
    "ProgressCallback",
    "ProviderErrorEvent",
    "ProviderRequestEvent",
    "ProviderResponseEvent",
    "RegisteredCallback",
    "TokenUsage",
    "Usage",
    "callback_manager",
    "clear_callbacks",
    "disable_callbacks",
    "emit_callback_async",
    "emit_callback_sync",
    "enable_callbacks",
    "get_current_call_id",
    "register_callback",
    "register_global_callback",
    "register_jsonl_logger",
    "unregister_callback",
]
