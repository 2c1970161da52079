"""Callbacks that write each event as one line of JSON, from any number of threads and processes.

The fields have LogiLLM's names. The id of the parent, errors, and data that other callbacks leave in the context of a
call are further ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lmspan.callbacks.logillm.builtin import kind_of, named
from lmspan.callbacks.logillm.manager import callback_manager
from lmspan.content.payload import Content, qualified_name
from lmspan.subscribers.dialects.logillm_events import AbstractCallback, CallbackEvent, handler_of
from lmspan.subscribers.hooks import DONE, Priority

if TYPE_CHECKING:
    from collections.abc import Sized

    from lmspan.subscribers.dialects import logillm_events

_WHOLE: Final = 2**40
"""No budget: a string is written whole."""


class JSONLCallback(AbstractCallback):
    """Writes each event as one line of a file. No code of the program runs to describe a value; secrets are redacted.

    Each line is one write to the file, opened in append mode, so that several processes may share the file. With
    `append_mode=False` the file is emptied first. The folder is made. A handler may be awaited, as those of LogiLLM.
    """

    def __init__(
        self,
        filepath: str | Path,
        include_module_events: bool = True,
        include_optimization_events: bool = True,
        include_provider_events: bool = False,
        include_metadata: bool = True,
        append_mode: bool = True,
    ) -> None:
        self.filepath: Path = Path(filepath)
        self.include_module_events = include_module_events
        self.include_optimization_events = include_optimization_events
        self.include_provider_events = include_provider_events
        self.include_metadata = include_metadata
        self.append_mode = append_mode
        self._content = Content(max_bytes=_WHOLE, max_nodes=_WHOLE)
        self.filepath.parent.mkdir(parents=True, exist_ok=True)
        if not append_mode:
            os.close(os.open(self.filepath, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))

    @property
    def priority(self) -> Priority:
        """Low, so that the data that other callbacks leave in the context of a call is written too."""
        return Priority.LOW

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> Any:
        return self._module(event, inputs=event.inputs)

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> Any:
        usage = getattr(event.prediction, "usage", None)
        return self._module(
            event, outputs=event.outputs, success=event.success, duration=event.duration, **_usage_of_module(usage)
        )

    def on_error(self, event: logillm_events.ErrorEvent) -> Any:
        return self._module(event, error=_error(event.error), stage=event.stage)

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> Any:
        config = {"config": event.config} if self.include_metadata and event.config else {}
        return self._optimizer(event, module_name=kind_of(event.module), dataset_size=_size(event.dataset), **config)

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> Any:
        result = {"result": self._result(event.result)} if event.result is not None else {}
        return self._optimizer(event, success=event.success, duration=event.duration, **result)

    def on_evaluation_start(self, event: logillm_events.EvaluationStartEvent) -> Any:
        return self._optimizer(event, module_name=kind_of(event.module), dataset_size=_size(event.dataset))

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> Any:
        return self._optimizer(event, module_name=kind_of(event.module), score=event.score, duration=event.duration)

    def on_hyperparameter_update(self, event: logillm_events.HyperparameterUpdateEvent) -> Any:
        return self._optimizer(event, parameters=event.parameters, iteration=event.iteration)

    def on_provider_request(self, event: logillm_events.ProviderRequestEvent) -> Any:
        content = {"messages": event.messages, "parameters": event.parameters} if self.include_metadata else {}
        return self._provider(event, message_count=len(event.messages), **content)

    def on_provider_response(self, event: logillm_events.ProviderResponseEvent) -> Any:
        text = getattr(event.response, "text", None) if self.include_metadata else None
        content = {"response_text": text} if text is not None else {}
        return self._provider(event, duration=event.duration, **_usage_of_request(event.usage), **content)

    def on_provider_error(self, event: logillm_events.ProviderErrorEvent) -> Any:
        return self._provider(event, error=_error(event.error))

    def _module(self, event: Any, **fields: Any) -> Any:
        return self._write(self.include_module_events, event, module_name=kind_of(event.module), **fields)

    def _optimizer(self, event: Any, **fields: Any) -> Any:
        return self._write(self.include_optimization_events, event, optimizer_name=kind_of(event.optimizer), **fields)

    def _provider(self, event: Any, **fields: Any) -> Any:
        provider = event.provider
        return self._write(
            self.include_provider_events, event, provider_name=named(provider),
            model=getattr(provider, "model", "unknown"), **fields,
        )  # fmt: skip

    def _result(self, result: Any) -> dict[str, Any]:
        names = ["best_score", "improvement", "iterations", "optimization_time"]
        if self.include_metadata and getattr(result, "metadata", None):
            names.append("metadata")
        return {name: getattr(result, name, None) for name in names}

    def _write(self, included: bool, event: CallbackEvent, **fields: Any) -> Any:
        if not included:
            return DONE
        context = event.context
        line = {
            "event_type": handler_of(event),
            "timestamp": event.timestamp.isoformat(),
            "call_id": context.call_id,
            "parent_call_id": context.parent_call_id,
            **fields,
        }
        if self.include_metadata and (context.metadata or context.data):
            line["metadata"] = {**context.metadata, **context.data}
        # ASCII only, so that no character of a value reads as the end of a line
        described = json.dumps(json.loads(self._content.json(line)))
        handle = os.open(self.filepath, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{described}\n".encode())
        finally:
            os.close(handle)
        return DONE


class OptimizationJSONLCallback(JSONLCallback):
    """Writes the events of optimizers and evaluations; `include_module_events` adds those of modules."""

    def __init__(self, filepath: str | Path, include_module_events: bool = False, **options: Any) -> None:
        super().__init__(filepath, include_module_events=include_module_events, **options)


def register_jsonl_logger(
    filepath: str | Path, callback_type: type[JSONLCallback] = JSONLCallback, **options: Any
) -> str:
    """Register a `JSONLCallback`, or another of its kind, with the manager; return its id."""
    return callback_manager.register(callback_type(filepath, **options))


def _error(error: BaseException | None) -> str:
    return qualified_name(type(error)) if error is not None else ""


def _size(dataset: Sized | None) -> int:
    return len(dataset) if dataset is not None else 0


def _usage_of_module(usage: Any) -> dict[str, Any]:
    tokens = getattr(usage, "tokens", None)
    if tokens is None:
        return {}
    counts = {"input": tokens.input_tokens, "output": tokens.output_tokens, "total": tokens.total_tokens}
    return {"usage": {"tokens": counts, "cost": usage.cost, "latency": usage.latency}}


def _usage_of_request(usage: Any) -> dict[str, Any]:
    tokens = getattr(usage, "tokens", None)
    if tokens is None:
        return {}
    names = ("input_tokens", "output_tokens", "total_tokens")
    return {"usage": {**{name: getattr(tokens, name) for name in names}, "cost": usage.cost}}
