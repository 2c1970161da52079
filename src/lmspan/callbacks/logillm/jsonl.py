"""Callbacks that write each event as one line of JSON, from any number of threads and processes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from lmspan.callbacks.logillm.manager import CallbackManager
from lmspan.content.payload import Content, qualified_name
from lmspan.subscribers.dialects.logillm_events import AbstractCallback, CallbackEvent
from lmspan.subscribers.hooks import Priority

if TYPE_CHECKING:
    from pathlib import Path

    from lmspan.subscribers.dialects import logillm_events


class JSONLCallback(AbstractCallback):
    """Writes each event as one line of a file. No code of the program runs to describe a value; secrets are redacted.

    Each line is one write to the file, opened in append mode, so that several processes may share the file. With
    `append_mode=False` the file is emptied first.
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
        self.filepath: str = os.fspath(filepath)
        self.include_module_events = include_module_events
        self.include_optimization_events = include_optimization_events
        self.include_provider_events = include_provider_events
        self.include_metadata = include_metadata
        self._content = Content()
        if not append_mode:
            os.close(os.open(self.filepath, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))

    @property
    def priority(self) -> Priority:
        """Low, so that the data that other callbacks leave in the context of a call is written too."""
        return Priority.LOW

    def on_module_start(self, event: logillm_events.ModuleStartEvent) -> None:
        self._write(self.include_module_events, event, module=event.module, inputs=event.inputs)

    def on_module_end(self, event: logillm_events.ModuleEndEvent) -> None:
        self._write(
            self.include_module_events, event, module=event.module, outputs=event.outputs, success=event.success,
            duration=event.duration,
        )  # fmt: skip

    def on_error(self, event: logillm_events.ErrorEvent) -> None:
        self._write(
            self.include_module_events, event, module=event.module, error=_error(event.error), stage=event.stage
        )

    def on_optimization_start(self, event: logillm_events.OptimizationStartEvent) -> None:
        self._write(
            self.include_optimization_events, event, optimizer=event.optimizer, module=event.module,
            dataset_size=len(event.dataset),
        )  # fmt: skip

    def on_optimization_end(self, event: logillm_events.OptimizationEndEvent) -> None:
        result = event.result
        self._write(
            self.include_optimization_events, event, optimizer=event.optimizer, success=event.success,
            best_score=getattr(result, "best_score", None), improvement=getattr(result, "improvement", None),
            duration=event.duration,
        )  # fmt: skip

    def on_evaluation_start(self, event: logillm_events.EvaluationStartEvent) -> None:
        self._write(
            self.include_optimization_events, event, optimizer=event.optimizer, module=event.module,
            dataset_size=len(event.dataset),
        )  # fmt: skip

    def on_evaluation_end(self, event: logillm_events.EvaluationEndEvent) -> None:
        self._write(
            self.include_optimization_events, event, optimizer=event.optimizer, score=event.score,
            duration=event.duration,
        )  # fmt: skip

    def on_hyperparameter_update(self, event: logillm_events.HyperparameterUpdateEvent) -> None:
        self._write(
            self.include_optimization_events, event, optimizer=event.optimizer, parameters=event.parameters,
            iteration=event.iteration,
        )  # fmt: skip

    def on_provider_request(self, event: logillm_events.ProviderRequestEvent) -> None:
        self._write(
            self.include_provider_events, event, provider=event.provider, messages=event.messages,
            parameters=event.parameters,
        )  # fmt: skip

    def on_provider_response(self, event: logillm_events.ProviderResponseEvent) -> None:
        self._write(
            self.include_provider_events, event, provider=event.provider, response=event.response, usage=event.usage,
            duration=event.duration,
        )  # fmt: skip

    def on_provider_error(self, event: logillm_events.ProviderErrorEvent) -> None:
        self._write(self.include_provider_events, event, provider=event.provider, error=_error(event.error))

    def _write(self, included: bool, event: CallbackEvent, **fields: Any) -> None:
        if not included:
            return
        for role in ("module", "optimizer", "provider"):
            if role in fields:
                fields[role] = type(fields[role]).__name__
        kind = type(event).__name__.removesuffix("Event")
        line = {
            "event_type": "".join(f"_{each.lower()}" if each.isupper() else each for each in kind).lstrip("_"),
            "timestamp": event.timestamp.isoformat(),
            "call_id": event.context.call_id,
            "parent_call_id": event.context.parent_call_id,
            **fields,
        }
        if self.include_metadata and (event.context.metadata or event.context.data):
            line["metadata"] = {**event.context.metadata, **event.context.data}
        # ASCII only, so that no character of a value reads as the end of a line
        described = json.dumps(json.loads(self._content.json(line)))
        handle = os.open(self.filepath, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, f"{described}\n".encode())
        finally:
            os.close(handle)


class OptimizationJSONLCallback(JSONLCallback):
    """Writes the events of optimizers and evaluations; `include_module_events` adds those of modules."""

    def __init__(self, filepath: str | Path, append_mode: bool = True, include_module_events: bool = False) -> None:
        super().__init__(filepath, include_module_events=include_module_events, append_mode=append_mode)


def register_jsonl_logger(filepath: str | Path, **options: Any) -> str:
    """Register a `JSONLCallback` with the manager; return its id."""
    return CallbackManager().register(JSONLCallback(filepath, **options))


def _error(error: BaseException | None) -> str:
    return qualified_name(type(error)) if error is not None else ""
