"""The event objects that LogiLLM's callbacks take, and the base class that they derive from."""

from __future__ import annotations

import datetime
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from lmspan.subscribers.hooks import Priority


class CallbackType(StrEnum):
    """The events that a callback can be registered for."""

    MODULE_START = "module_start"
    MODULE_END = "module_end"
    OPTIMIZATION_START = "optimization_start"
    OPTIMIZATION_END = "optimization_end"
    ERROR = "error"
    PROVIDER_REQUEST = "provider_request"
    PROVIDER_RESPONSE = "provider_response"
    PROVIDER_ERROR = "provider_error"
    EVALUATION_START = "evaluation_start"
    EVALUATION_END = "evaluation_end"
    HYPERPARAMETER_UPDATE = "hyperparameter_update"


@dataclass
class CallbackContext:
    """The id of a call and of its parent, and data that start hooks leave for end hooks."""

    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    parent_call_id: str | None = None
    start_time_unix_nano: int = field(default_factory=time.time_ns, repr=False, kw_only=True)
    metadata: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def start_time(self) -> datetime.datetime:
        """The local time of the start."""
        return datetime.datetime.fromtimestamp(self.start_time_unix_nano / 1e9)  # noqa: DTZ006 - as in LogiLLM

    def add_data(self, key: str, value: Any) -> None:
        """Leave a value for a later hook of the same call."""
        self.data[key] = value

    def get_data(self, key: str, default: Any = None) -> Any:
        """Return the value that an earlier hook of the same call left."""
        return self.data.get(key, default)


@dataclass
class TokenUsage:
    """Tokens of one LM call."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens


@dataclass
class Usage:
    """Tokens, cost and latency of one LM call."""

    tokens: TokenUsage
    cost: float | None = None
    latency: float | None = None
    provider: str | None = None
    model: str | None = None


@dataclass
class OptimizationResult:
    """The program that an optimizer returns, with the scores of its run."""

    optimized_module: Any
    improvement: float = 0.0
    iterations: int = 0
    best_score: float = 0.0
    optimization_time: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class CallbackEvent:
    """The fields of every event."""

    context: CallbackContext
    timestamp: datetime.datetime = field(default_factory=datetime.datetime.now, kw_only=True)


@dataclass
class ModuleStartEvent(CallbackEvent):
    """A module starts."""

    module: Any
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModuleEndEvent(CallbackEvent):
    """A module has ended without an exception; `success` is that of its prediction."""

    module: Any
    outputs: Any = None
    prediction: Any = None
    success: bool = True
    duration: float | None = None
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass
class ErrorEvent(CallbackEvent):
    """A module has raised an exception: one event for each module that the exception passes, the innermost first."""

    error: BaseException | None
    module: Any = None
    stage: str = "unknown"
    recoverable: bool = False


@dataclass
class ProviderRequestEvent(CallbackEvent):
    """An LM call starts."""

    provider: Any
    messages: list[Any]
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class ProviderResponseEvent(CallbackEvent):
    """An LM call has ended with an answer."""

    provider: Any
    request_messages: list[Any]
    response: Any
    usage: Usage | None = None
    duration: float | None = None


@dataclass
class ProviderErrorEvent(CallbackEvent):
    """An attempt of an LM call has failed."""

    provider: Any
    error: BaseException | None
    messages: list[Any] = field(default_factory=list)


@dataclass
class OptimizationStartEvent(CallbackEvent):
    """An optimizer run starts."""

    optimizer: Any
    module: Any
    dataset: list[Any] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


@dataclass
class OptimizationEndEvent(CallbackEvent):
    """An optimizer run has ended."""

    optimizer: Any
    result: Any
    success: bool = True
    duration: float | None = None
    error: BaseException | None = None


@dataclass
class EvaluationStartEvent(CallbackEvent):
    """An evaluation starts."""

    optimizer: Any
    module: Any
    dataset: list[Any] = field(default_factory=list)


@dataclass
class EvaluationEndEvent(CallbackEvent):
    """An evaluation has ended with a score."""

    optimizer: Any
    module: Any
    score: float = 0.0
    duration: float | None = None


@dataclass
class HyperparameterUpdateEvent(CallbackEvent):
    """An optimizer has chosen the parameters of its next trial."""

    optimizer: Any
    module: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    iteration: int = 0


CallbackEventType = (
    ModuleStartEvent
    | ModuleEndEvent
    | OptimizationStartEvent
    | OptimizationEndEvent
    | ErrorEvent
    | ProviderRequestEvent
    | ProviderResponseEvent
    | ProviderErrorEvent
    | EvaluationStartEvent
    | EvaluationEndEvent
    | HyperparameterUpdateEvent
)

_TYPES: Final = {f"{''.join(map(str.capitalize, kind.value.split('_')))}Event": kind for kind in CallbackType}


def handler_of(event: CallbackEvent) -> CallbackType:
    """Return the type of an event, by the name of its class or of the class that this derives from.

    An event of LogiLLM's own has the same name.
    """
    return next(
        (_TYPES[base.__name__] for base in type(event).__mro__ if base.__name__ in _TYPES), CallbackType.MODULE_START
    )


class BaseCallback(Protocol):
    """What the manager takes: any object with some of the handlers of `AbstractCallback`."""


class AbstractCallback:
    """The base of LogiLLM's callbacks. Override the handlers you need, `on_<CallbackType>(event)`, sync or async."""

    @property
    def priority(self) -> Priority:
        """The order among callbacks: the highest hears first."""
        return Priority.NORMAL

    @property
    def name(self) -> str:
        """The name in messages and ids."""
        return type(self).__name__

    def on_module_start(self, event: ModuleStartEvent) -> Any:
        """Handle the start of a module."""

    def on_module_end(self, event: ModuleEndEvent) -> Any:
        """Handle the end of a module."""

    def on_optimization_start(self, event: OptimizationStartEvent) -> Any:
        """Handle the start of an optimizer run."""

    def on_optimization_end(self, event: OptimizationEndEvent) -> Any:
        """Handle the end of an optimizer run."""

    def on_evaluation_start(self, event: EvaluationStartEvent) -> Any:
        """Handle the start of an evaluation."""

    def on_evaluation_end(self, event: EvaluationEndEvent) -> Any:
        """Handle the end of an evaluation."""

    def on_provider_request(self, event: ProviderRequestEvent) -> Any:
        """Handle the start of an LM call."""

    def on_provider_response(self, event: ProviderResponseEvent) -> Any:
        """Handle the answer of an LM."""

    def on_provider_error(self, event: ProviderErrorEvent) -> Any:
        """Handle the failure of an LM call."""

    def on_hyperparameter_update(self, event: HyperparameterUpdateEvent) -> Any:
        """Handle the parameters that an optimizer tries next."""

    def on_error(self, event: ErrorEvent) -> Any:
        """Handle the failure of a module, which has no end."""
