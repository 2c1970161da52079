"""What dspy.ex' document promises of its adapter callbacks, for handlers carried over from Elixir.

    from lmspan.callbacks.dspy_ex import attach, configure, with_callbacks

    configure(callbacks=[(Handler, 0)])                     # of the process, in the place of those before
    attach(program, callbacks=[(Mine, 0)])                  # of one predictor or program: heard after those
    with with_callbacks([(Other, [])]): ...                 # of what runs inside: heard last

A callback is a `(handler, state)` tuple; the handler an object, a class of static functions or a module. Each hook is
called with `(meta, payload, state)`; what it returns is the next state, unless that is None or "ok". As in the document
payloads are summaries, attempts are numbered from 1 under one `call_id`, and a hook that raises changes no result; it
is logged once, where the release is silent.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lmspan.subscribers import subscriptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lmspan.subscribers.subscriptions import Subscription

__all__ = ["Callback", "attach", "configure", "with_callbacks"]


class Callback:
    """Base of a handler, with all that it may hear; to derive from it is not needed."""

    def on_adapter_format_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear that a prompt is made: `inputs_keys`."""

    def on_adapter_format_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear that it was made: `request`."""

    def on_adapter_call_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear that the LM is called: `request` with `messages_count`, `provider`, `model`."""

    def on_adapter_call_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear that it answered: `request` and `usage`, None where none was told."""

    def on_adapter_parse_start(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear that an answer is parsed: `response_chars`."""

    def on_adapter_parse_end(self, meta: dict[str, Any], payload: dict[str, Any], state: Any) -> Any:
        """Hear what came of it: `outputs_keys`, or `error`."""


_lock = threading.Lock()
_configured: list[Subscription] = []


def configure(*, callbacks: Iterable[tuple[Any, Any]] = ()) -> None:
    """Have these callbacks hear every program of the process, in the place of those configured before."""
    made = [subscriptions.subscribe(each, dialect="dspy_ex") for each in callbacks]
    with _lock:
        for subscription in _configured:
            subscription.cancel()
        _configured[:] = made


def attach(program: Any, *, callbacks: Iterable[tuple[Any, Any]]) -> None:
    """Have these callbacks hear one predictor or program, and what runs below it, as long as it lives."""
    for each in callbacks:
        subscriptions.subscribe(each, dialect="dspy_ex", scope=program)


@contextmanager
def with_callbacks(callbacks: Iterable[tuple[Any, Any]]) -> Iterator[None]:
    """Have these callbacks hear what runs under the `with`, after all others, those of an outer `with` included."""
    with ExitStack() as scope:
        for each in callbacks:
            scope.enter_context(subscriptions.subscribed(each, dialect="dspy_ex"))
        yield
