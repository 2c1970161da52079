"""What LogiLLM's callbacks are handed, and the base class that they derive from."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from lmspan.subscribers.hooks import Priority


class CallbackType(StrEnum):
    """What a callback may be registered for."""

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
    """Of one call: its id and its parent's, and data that start hooks leave for end hooks."""

    call_id: str
    parent_call_id: str | None = None
    start_time: float = 0.0
    metadata: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    def add_data(self, key: str, value: Any) -> None:
        """Leave something for a later hook of the same call."""
        self.data[key] = value

    def get_data(self, key: str, default: Any = None) -> Any:
        """Return what an earlier hook of the same call left."""
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
        """Input and output."""
        return self.input_tokens + self.output_tokens


@dataclass
class Usage:
    """What one LM call used."""

    tokens: TokenUsage
    cost: float | None = None
    latency: float | None = None
    provider: str | None = None
    model: str | None = None


@dataclass
class OptimizationResult:
    """What an optimizer gave, with the scores of its run."""

    optimized_module: Any
    improvement: float = 0.0
    iterations: int = 0
    best_score: float = 0.0


@dataclass
class CallbackEvent:
    """What every event has."""

    context: CallbackContext
    timestamp: datetime.datetime = field(default_factory=datetime.datetime.now, kw_only=True)


@dataclass
class ModuleStartEvent(CallbackEvent):
    """A module begins."""

    module: Any
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass
class ModuleEndEvent(CallbackEvent):
    """A module has ended, or failed."""

    module: Any
    outputs: Any = None
    prediction: Any = None
    success: bool = True
    duration: float | None = None
    inputs: dict[str, Any] = field(default_factory=dict)


@dataclass
class ErrorEvent(CallbackEvent):
    """Something failed: told once, where it happened."""

    error: BaseException | None
    module: Any = None
    stage: str = "unknown"
    recoverable: bool = False


@dataclass
class ProviderRequestEvent(CallbackEvent):
    """An LM is asked."""

    provider: Any
    messages: list[Any]
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass
class ProviderResponseEvent(CallbackEvent):
    """An LM has answered."""

    provider: Any
    request_messages: list[Any]
    response: Any
    usage: Usage | None = None
    duration: float | None = None


@dataclass
class ProviderErrorEvent(CallbackEvent):
    """An LM has not answered."""

    provider: Any
    error: BaseException | None
    messages: list[Any] = field(default_factory=list)


@dataclass
class OptimizationStartEvent(CallbackEvent):
    """An optimizer run begins."""

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
    """An evaluation begins."""

    optimizer: Any
    module: Any
    dataset: list[Any] = field(default_factory=list)


@dataclass
class EvaluationEndEvent(CallbackEvent):
    """An evaluation has ended."""

    optimizer: Any
    module: Any
    score: float = 0.0
    duration: float | None = None


@dataclass
class HyperparameterUpdateEvent(CallbackEvent):
    """An optimizer has chosen what to try next."""

    optimizer: Any
    module: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    iteration: int = 0


class AbstractCallback:
    """A callback that hears nothing: write the handlers you want, sync or async. All are `on_<CallbackType>(event)`."""

    @property
    def priority(self) -> Priority:
        """When it hears: the highest first."""
        return Priority.NORMAL

    @property
    def name(self) -> str:
        """What it is called."""
        return type(self).__name__

    def on_module_start(self, event: ModuleStartEvent) -> Any:
        """Hear that a module begins."""

    def on_module_end(self, event: ModuleEndEvent) -> Any:
        """Hear that a module has ended."""

    def on_optimization_start(self, event: OptimizationStartEvent) -> Any:
        """Hear that an optimizer run begins."""

    def on_optimization_end(self, event: OptimizationEndEvent) -> Any:
        """Hear that an optimizer run has ended."""

    def on_evaluation_start(self, event: EvaluationStartEvent) -> Any:
        """Hear that an evaluation begins."""

    def on_evaluation_end(self, event: EvaluationEndEvent) -> Any:
        """Hear that an evaluation has ended."""

    def on_provider_request(self, event: ProviderRequestEvent) -> Any:
        """Hear that an LM is asked."""

    def on_provider_response(self, event: ProviderResponseEvent) -> Any:
        """Hear that an LM has answered."""

    def on_provider_error(self, event: ProviderErrorEvent) -> Any:
        """Hear that an LM has not answered."""

    def on_hyperparameter_update(self, event: HyperparameterUpdateEvent) -> Any:
        """Hear what an optimizer tries next."""

    def on_error(self, event: ErrorEvent) -> Any:
        """Hear of a failure."""
