"""The names of dsrs' documentation of its callbacks, for callbacks that are translated from Rust line by line.

    from lmspan.callbacks.dsrs import DspyCallback, LoggingCallback, CollectingCallback, set_callback

Where the document and the crate disagree, the document's promise is kept: `on_event` hears every variant of
`CallbackEvent`, and `LoggingCallback.with_prefix` and `CompositeCallback([...])` exist. The crate's `new()`, `add` and
`+` work too. A call has the same id at its start and its end, the id of its span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from lmspan.locks import Lock
from lmspan.subscribers import subscriptions
from lmspan.subscribers.dialects.dsrs_events import CallbackEvent, Graph, LmUsage, Node, Prediction, Result

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lmspan.subscribers.subscriptions import Subscription


__all__ = [
    "CallbackEvent",
    "CollectingCallback",
    "CompositeCallback",
    "DspyCallback",
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
    """The base of dsrs' callbacks. Override the hooks you need."""

    def on_module_start(self, call_id: str, module_name: str, inputs: Any) -> None:
        """Handle the start of a module."""

    def on_module_end(self, call_id: str, result: Result) -> None:
        """Handle the end of a module. The value of a successful result is a `Prediction`."""

    def on_lm_start(self, call_id: str, model: str, prompt_tokens: int) -> None:
        """Handle the start of an LM call. `prompt_tokens` is an estimate."""

    def on_lm_end(self, call_id: str, result: Result, usage: LmUsage) -> None:
        """Handle the end of an LM call."""

    def on_optimizer_candidate(self, candidate_id: str, metrics: dict[str, float]) -> None:
        """Handle a candidate that an optimizer has scored."""

    def on_trace_complete(self, graph: Graph, manifest: Any = None) -> None:
        """Handle the end of the outermost operation. `manifest` is always None."""

    def on_event(self, event: Any) -> None:
        """Handle any event, as a variant of `CallbackEvent`."""


class NoopCallback(DspyCallback):
    """A callback without hooks."""


class LoggingCallback(DspyCallback):
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


class CollectingCallback(DspyCallback):
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

    def __len__(self) -> int:
        return len(self._events)


class CompositeCallback(DspyCallback):
    """Several callbacks as one, in their order. A callback that fails does not affect the others."""

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

    def __add__(self, callback: Any) -> Self:
        return self.add(callback)


_lock = Lock()
_current: tuple[Any, list[Subscription]] = (NoopCallback(), [])


def set_callback(callback: Any) -> None:
    """Set the callback of the process, in place of the previous one."""
    global _current  # noqa: PLW0603 - one for the process, as in dsrs
    with _lock:
        for subscription in _current[1]:
            subscription.cancel()
        parts = callback.callbacks if isinstance(callback, CompositeCallback) else [callback]
        without_hooks = (NoopCallback, DspyCallback)
        _current = (
            callback,
            [subscriptions.subscribe(each, dialect="dsrs") for each in parts if type(each) not in without_hooks],
        )


def get_callback() -> Any:
    """Return the callback of the process; a `NoopCallback` if none was set."""
    return _current[0]


def configure_with_callback(lm: Any, adapter: Any, callback: Any) -> None:
    """Configure DSPy with an LM and an adapter, and set the callback."""
    # dspy ships no types, and may not be installed; importing this module must not load it
    import dspy  # type: ignore[import-untyped,import-not-found,unused-ignore] # noqa: PLC0415

    dspy.configure(lm=lm, adapter=adapter)
    set_callback(callback)
