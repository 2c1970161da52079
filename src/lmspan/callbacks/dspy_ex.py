"""The adapter callbacks that dspy.ex' document promises, for handlers that are translated from Elixir.

    from lmspan.callbacks.dspy_ex import attach, configure, with_callbacks

    configure(callbacks=[(Handler, 0)])                     # the process: they replace those before, and hear first
    attach(program, callbacks=[(Mine, 0)])                  # one predictor or program: these hear next
    with with_callbacks([(Other, [])]): ...                 # the code under the `with`: these hear last

A callback is a `(handler, state)` tuple; the handler is an object, a class of static functions or a module. Each hook
takes `(meta, payload, state)`; the value that it returns is the next state, unless that is None or "ok". As in the
document, payloads are summaries, attempts are numbered from 1 under one `call_id`, and a hook that raises changes no
result. Its first exception is logged, where the release is silent.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lmspan.locks import Lock
from lmspan.subscribers import subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmspan.subscribers.subscriptions import Subscription

__all__ = ["Callback", "attach", "configure", "with_callbacks"]


class Callback:
    """The hooks that a handler may have. A handler need not derive from this class."""

    def on_adapter_format_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the start of formatting a prompt; the payload has `inputs_keys`."""

    def on_adapter_format_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the formatted prompt; the payload has `request`."""

    def on_adapter_call_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the start of an LM call; the payload has `request` with `messages_count`, `provider`, `model`."""

    def on_adapter_call_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the answer of the LM; the payload has `request` and `usage`, None if the provider reports none."""

    def on_adapter_parse_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the start of parsing an answer; the payload has `response_chars`."""

    def on_adapter_parse_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Handle the parsed answer; the payload has `outputs_keys`, or `error`."""


_lock = Lock()
_configured: list[Subscription] = []


def configure(*, callbacks: Iterable[tuple[Any, Any]] | None = ()) -> None:
    """Subscribe callbacks to every program of the process, in place of the callbacks configured before."""
    subscribed = [subscriptions.subscribe(each, dialect="dspy_ex") for each in callbacks or ()]
    with _lock:
        for subscription in _configured:
            subscription.cancel()
        _configured[:] = subscribed


def attach(program: Any, *, callbacks: Iterable[tuple[Any, Any]]) -> None:
    """Subscribe callbacks to one predictor or program, and the calls below it, as long as it lives."""
    for each in callbacks:
        subscriptions.subscribe(each, dialect="dspy_ex", scope=program)


@contextmanager
def with_callbacks(callbacks: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """Subscribe callbacks to the code under the `with`, after all others, those of an outer `with` included."""
    with ExitStack() as scope:
        for each in callbacks:
            scope.enter_context(subscriptions.subscribed(each, dialect="dspy_ex"))
        yield
