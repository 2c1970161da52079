"""The names of dsrs' documentation of its callbacks, for callbacks that are translated from Rust line by line.

    from lmspan.callbacks.dsrs import DspyCallback, LoggingCallback, CollectingCallback, set_callback

Where the document and the crate disagree, the document's promise is kept: `on_event` hears every variant of
`CallbackEvent` that no other hook of the callback hears, and `LoggingCallback.with_prefix` and
`CompositeCallback([...])` exist. The crate's `new()`, `add`, `+` and its hooks of streams work too. A call has the same
id at its start and its end, the id of its span.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

from lmspan import guard
from lmspan.locks import Lock
from lmspan.subscribers import subscriptions
from lmspan.subscribers.composite import Composite
from lmspan.subscribers.dialects.dsrs_events import CallbackEvent, Graph, LmUsage, Node, Prediction, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.subscribers.subscriptions import Subscription


__all__ = [
    "CallbackEvent",
    "CollectingCallback",
    "CompositeCallback",
    "DspyCallback",
    "EventCallback",
    "Graph",
    "LmUsage",
    "LoggingCallback",
    "Node",
    "NoopCallback",
    "Prediction",
    "Result",
    "configure_with_callback",
    "get_callback",
    "set_callback",
]


class DspyCallback:
    """The base of dsrs' callbacks. Override the hooks you need.

    `on_event` hears what no other hook of the callback hears, so that each moment is heard once.
    """

    def on_module_start(self, call_id: str, module_name: str, inputs: Any) -> None:
        """Handle the start of a module."""

    def on_module_end(self, call_id: str, result: Result) -> None:
        """Handle the end of a module. The value of a successful result is a `Prediction`."""

    def on_lm_start(self, call_id: str, model: str, prompt_tokens: int) -> None:
        """Handle the start of an LM call. `prompt_tokens` is an estimate."""

    def on_lm_end(self, call_id: str, result: Result, usage: LmUsage) -> None:
        """Handle the end of an LM call."""

    def on_lm_stream_start(self, call_id: str, model: str) -> None:
        """Handle the first chunk of an answer."""

    def on_lm_token(self, call_id: str, token: str) -> None:
        """Handle a chunk of an answer, the first one included."""

    def on_lm_stream_end(self, call_id: str) -> None:
        """Handle the end of an answer that came in chunks."""

    def on_optimizer_candidate(self, candidate_id: str, metrics: dict[str, float]) -> None:
        """Handle a candidate that an optimizer has scored."""

    def on_trace_complete(self, graph: Graph, manifest: Any = None) -> None:
        """Handle the end of the outermost operation. `manifest` is always None."""

    def on_event(self, event: Any) -> None:
        """Handle any other event, as a variant of `CallbackEvent`."""


class NoopCallback(DspyCallback):
    """A callback without hooks."""


class EventCallback(DspyCallback):
    """The base of callbacks that take every event in `on_event`; their other methods may be called directly."""

    def on_module_start(self, call_id: str, module_name: str, inputs: Any) -> None:
        del inputs
        self.on_event(CallbackEvent.ModuleStart(call_id, module_name, time.time_ns() // 1_000_000))

    def on_module_end(self, call_id: str, result: Result) -> None:
        usage = getattr(result.ok(), "lm_usage", None)
        tokens = usage.total_tokens if usage is not None else None
        self.on_event(CallbackEvent.ModuleEnd(call_id, result.is_ok(), 0, tokens))

    def on_lm_start(self, call_id: str, model: str, prompt_tokens: int) -> None:
        self.on_event(CallbackEvent.LmStart(call_id, model, prompt_tokens))

    def on_lm_end(self, call_id: str, result: Result, usage: LmUsage) -> None:
        self.on_event(CallbackEvent.LmEnd(call_id, result.is_ok(), usage))

    def on_lm_stream_start(self, call_id: str, model: str) -> None:
        self.on_event(CallbackEvent.LmStreamStart(call_id, model))

    def on_lm_token(self, call_id: str, token: str) -> None:
        self.on_event(CallbackEvent.LmToken(call_id, token))

    def on_lm_stream_end(self, call_id: str) -> None:
        self.on_event(CallbackEvent.LmStreamEnd(call_id))

    def on_optimizer_candidate(self, candidate_id: str, metrics: dict[str, float]) -> None:
        self.on_event(CallbackEvent.OptimizerCandidate(candidate_id, metrics))

    def on_trace_complete(self, graph: Graph, manifest: Any = None) -> None:
        del manifest
        self.on_event(CallbackEvent.TraceComplete(len(graph.nodes), 0, 0))


class LoggingCallback(EventCallback):
    """Prints the start and the end of modules and LM calls."""

    def __init__(self, prefix: str = "[DSRS]") -> None:
        self.prefix = prefix

    @classmethod
    def new(cls) -> Self:
        """Return a callback with the default prefix."""
        return cls()

    @classmethod
    def with_prefix(cls, prefix: str) -> Self:
        """Return a callback with this prefix."""
        return cls(prefix)

    def verbose(self) -> Self:
        """Return the callback itself, which prints every line in any case."""
        return self

    def on_event(self, event: Any) -> None:
        match event:
            case CallbackEvent.ModuleStart():
                self._print(f"module_start call_id={event.call_id} module={event.module_name}")
            case CallbackEvent.ModuleEnd():
                tokens = f" tokens={event.tokens}" if event.tokens is not None else ""
                self._print(f"module_end call_id={event.call_id} success={str(event.success).lower()}{tokens}")
            case CallbackEvent.LmStart():
                self._print(f"lm_start call_id={event.call_id} model={event.model}")
            case CallbackEvent.LmEnd():
                self._print(f"lm_end call_id={event.call_id} success={str(event.success).lower()}")

    def _print(self, text: str) -> None:
        print(f"{self.prefix} {text}")  # noqa: T201 - the document's callback prints


class CollectingCallback(EventCallback):
    """Keeps every event until `clear()`."""

    def __init__(self) -> None:
        self._events: list[Any] = []

    @classmethod
    def new(cls) -> Self:
        """Return a callback without events."""
        return cls()

    def on_event(self, event: Any) -> None:
        self._events.append(event)

    def events(self) -> list[Any]:
        """Return the events so far, in order."""
        return list(self._events)

    def clear(self) -> None:
        """Remove all events."""
        self._events.clear()

    def is_empty(self) -> bool:
        """Tell whether there is no event."""
        return not self._events

    def __len__(self) -> int:
        return len(self._events)

    def __bool__(self) -> bool:
        return True  # a callback without events is a callback


class CompositeCallback(DspyCallback, Composite):
    """Several callbacks as one, in their order. A callback that fails does not affect the others.

    One may be added at any time. Its methods may be called directly: each calls that method of all callbacks.
    """

    def __init__(self, callbacks: Iterable[Any] = ()) -> None:
        self.callbacks: list[Any] = list(callbacks)

    @classmethod
    def new(cls, callbacks: Iterable[Any] = ()) -> Self:
        """Return a composite of these callbacks."""
        return cls(callbacks)

    def add(self, callback: Any) -> Self:
        """Append a callback and return the composite."""
        self.callbacks.append(callback)
        return self

    add_arc = add

    def __add__(self, callback: Any) -> CompositeCallback:
        """Return a new composite of these callbacks and another one."""
        return CompositeCallback([*self.callbacks, callback])

    def on_module_start(self, call_id: str, module_name: str, inputs: Any) -> None:
        self._each("on_module_start", call_id, module_name, inputs)

    def on_module_end(self, call_id: str, result: Result) -> None:
        self._each("on_module_end", call_id, result)

    def on_lm_start(self, call_id: str, model: str, prompt_tokens: int) -> None:
        self._each("on_lm_start", call_id, model, prompt_tokens)

    def on_lm_end(self, call_id: str, result: Result, usage: LmUsage) -> None:
        self._each("on_lm_end", call_id, result, usage)

    def on_lm_stream_start(self, call_id: str, model: str) -> None:
        self._each("on_lm_stream_start", call_id, model)

    def on_lm_token(self, call_id: str, token: str) -> None:
        self._each("on_lm_token", call_id, token)

    def on_lm_stream_end(self, call_id: str) -> None:
        self._each("on_lm_stream_end", call_id)

    def on_optimizer_candidate(self, candidate_id: str, metrics: dict[str, float]) -> None:
        self._each("on_optimizer_candidate", candidate_id, metrics)

    def on_trace_complete(self, graph: Graph, manifest: Any = None) -> None:
        self._each("on_trace_complete", graph, manifest)

    def on_event(self, event: Any) -> None:
        self._each("on_event", event)

    def _each(self, hook: str, *arguments: Any) -> None:
        for callback in tuple(self.callbacks):
            method = getattr(callback, hook, None)
            if method is not None:
                guard.guarded(method)(*arguments)


_lock = Lock()
_current: tuple[Any, Subscription | None] = (NoopCallback(), None)


def set_callback(callback: Any) -> None:
    """Set the callback of the process, in place of the previous one, which stays if this one is refused."""
    global _current
    with _lock:
        subscription = subscriptions.subscribe(callback, dialect="dsrs")
        before, _current = _current[1], (callback, subscription)
    if before is not None:
        before.cancel()


def get_callback() -> Any:
    """Return the callback of the process; a `NoopCallback` if none was set."""
    return _current[0]


def configure_with_callback(lm: Any, adapter: Any, callback: Any) -> None:
    """Configure DSPy with an LM and an adapter, and set the callback."""
    # dspy ships no types, and may not be installed; importing this module must not load it
    import dspy  # type: ignore[import-untyped,import-not-found,unused-ignore] # noqa: PLC0415

    dspy.configure(lm=lm, adapter=adapter)
    set_callback(callback)
