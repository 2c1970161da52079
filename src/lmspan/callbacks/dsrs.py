"""The names that dsrs' documentation of its callbacks has, for callbacks carried over from Rust line by line.

    from lmspan.callbacks.dsrs import DspyCallback, LoggingCallback, CollectingCallback, set_callback

Where the document and the crate disagree the document's promise is kept: `CallbackEvent` has all its variants and
`on_event` hears each of them, `LoggingCallback.with_prefix` and `CompositeCallback([...])` exist; `new()`, `add` and
`+`, as in the crate, work too. A call's id is the same at its start and its end, and is the id of its span.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

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
    """A callback that hears nothing: write the hooks you want."""

    def on_module_start(self, call_id: str, module_name: str, inputs: Any) -> None:
        """Hear that a module begins."""

    def on_module_end(self, call_id: str, result: Result) -> None:
        """Hear that a module has ended; a value is a `Prediction`."""

    def on_lm_start(self, call_id: str, model: str, prompt_tokens: int) -> None:
        """Hear that an LM is asked."""

    def on_lm_end(self, call_id: str, result: Result, usage: LmUsage) -> None:
        """Hear that an LM has answered."""

    def on_optimizer_candidate(self, candidate_id: str, metrics: dict[str, float]) -> None:
        """Hear of a program that an optimizer has tried."""

    def on_trace_complete(self, graph: Graph, manifest: Any = None) -> None:
        """Hear that the outermost operation has ended."""

    def on_event(self, event: Any) -> None:
        """Hear of everything, as a variant of `CallbackEvent`."""


class NoopCallback(DspyCallback):
    """Hear nothing."""


class LoggingCallback(DspyCallback):
    """Print modules and LM calls as they begin and end."""

    def __init__(self, prefix: str = "[DSRS]") -> None:
        self.prefix = prefix

    @classmethod
    def new(cls) -> Self:
        """Return one with the usual prefix."""
        return cls()

    @classmethod
    def with_prefix(cls, prefix: str) -> Self:
        """Return one with a prefix of its own."""
        return cls(prefix)

    def on_event(self, event: Any) -> None:
        """Print it."""
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
        print(f"{self.prefix} {text}")  # noqa: T201 - that is what it is for


class CollectingCallback(DspyCallback):
    """Keep every event until `clear()`."""

    def __init__(self) -> None:
        self._events: list[Any] = []

    @classmethod
    def new(cls) -> Self:
        """Return an empty one."""
        return cls()

    def on_event(self, event: Any) -> None:
        """Keep it."""
        self._events.append(event)

    def events(self) -> list[Any]:
        """Return what was heard, in order."""
        return list(self._events)

    def clear(self) -> None:
        """Forget what was heard."""
        self._events.clear()

    def __len__(self) -> int:
        return len(self._events)


class CompositeCallback(DspyCallback):
    """Several callbacks as one, in their order. One that fails does not keep the others from hearing."""

    def __init__(self, callbacks: Iterable[Any] = ()) -> None:
        self.callbacks = list(callbacks)

    @classmethod
    def new(cls, callbacks: Iterable[Any] = ()) -> Self:
        """Return one of several callbacks."""
        return cls(callbacks)

    def add(self, callback: Any) -> Self:
        """Add one more."""
        self.callbacks.append(callback)
        return self

    add_arc = add

    def __add__(self, callback: Any) -> Self:
        return self.add(callback)


_lock = threading.Lock()
_current: tuple[Any, list[Subscription]] = (NoopCallback(), [])


def set_callback(callback: Any) -> None:
    """Make this the callback of the process; the one before hears nothing more."""
    global _current  # noqa: PLW0603 - one for the process, as in dsrs
    with _lock:
        for subscription in _current[1]:
            subscription.cancel()
        hearing = callback.callbacks if isinstance(callback, CompositeCallback) else [callback]
        silent = (NoopCallback, DspyCallback)
        _current = (
            callback,
            [subscriptions.subscribe(each, dialect="dsrs") for each in hearing if type(each) not in silent],
        )


def get_callback() -> Any:
    """Return the callback of the process; one that hears nothing when none was set."""
    return _current[0]


def configure_with_callback(lm: Any, adapter: Any, callback: Any) -> None:
    """Configure DSPy with an LM and an adapter, and set the callback."""
    import dspy  # type: ignore[import-untyped,import-not-found,unused-ignore] # noqa: PLC0415

    dspy.configure(lm=lm, adapter=adapter)
    set_callback(callback)
