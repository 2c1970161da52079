"""Subscriptions: bind a callback once, and look its hooks up in one table at each moment.

subscribe(callback) -> detect the dialect -> bind the hooks -> one table, from operation and phase to hooks
"""

from __future__ import annotations

import itertools
import math
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from opentelemetry import context as otel_context

from lmspan.config import hook_timeout
from lmspan.errors import CallbackError
from lmspan.lifecycle import LISTENING
from lmspan.subscribers.hooks import Priority, name_of
from lmspan.subscribers.patience import Patience
from lmspan.subscribers.queued import HookQueue
from lmspan.subscribers.registry import registry
from lmspan.subscribers.scope import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from lmspan.subscribers.hooks import BoundHook

OnError = Literal["log", "stop"]
Delivery = Literal["inline", "queued"]
DialectName = Literal["dspy", "logillm", "llmproc", "dsrs", "dspy_ex"]

_PROCESS, _OBJECT, _SCOPE = range(3)


class Subscription:
    """A callback that hears the calls of the program. Leaving it as a context manager cancels it.

    A deep copy of a program that holds a subscription, as optimizers make, holds the same subscription.
    """

    def __init__(
        self, hooks: tuple[BoundHook, ...], callback: Any, priority: int, on_error: OnError, name: str
    ) -> None:
        self.callback = callback
        self.priority = priority
        self.on_error: OnError = on_error
        self.name = name
        self.failures = 0
        """The number of exceptions that hooks of this callback have raised."""
        self.dropped = 0
        """The number of hooks that did not run to their end, because too many waited or ran."""
        self.hooks: tuple[BoundHook, ...] = hooks
        self.wants_result: bool = any(argument.wants_result for each in hooks for argument in each.hook.arguments)
        """Whether the result of each run is filled for this subscription."""
        self.wants_usage: bool = any(argument.wants_usage for each in hooks for argument in each.hook.arguments)
        """Whether the usage below each module is summed up for this subscription."""
        self.queue: HookQueue | None = None
        self.timeout_s: float = 5.0
        """For how many seconds a run waits for an async hook."""
        self.waited_for: bool = True
        """Whether runs wait for its async hooks; no longer when one has not ended in time."""
        self.patience: Patience = Patience(name)
        self.number: int = next(_numbers)
        self.alone: frozenset[int] = frozenset((self.number,))
        self.active: bool = True
        self.reach: int = _PROCESS
        """Orders subscriptions of equal priority: the process first, then an object, then a scope."""
        self.gate: Callable[[], bool] | None = None
        """Called at each moment, if set; the callback hears the moment only if it returns True."""

    def cancel(self) -> None:
        """Hear nothing more, at once and on every thread; queued hooks still run. A second call has no effect."""
        self.active = False
        registry.remove(self)
        if self.queue is not None:
            self.queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.cancel()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _cancelled, (self.name,)

    def __repr__(self) -> str:
        state = "" if self.active else ", cancelled"
        return f"<Subscription {self.name!r}, priority {self.priority}, {self.failures} failures{state}>"


_numbers = itertools.count()


def _cancelled(name: str) -> Subscription:
    """Return the subscription that another process unpickles; it is cancelled and has no hooks."""
    subscription = Subscription((), None, Priority.NORMAL, "log", name)
    subscription.active = False
    return subscription


def _record() -> None:
    """Record for callbacks alone, where nothing is recorded. The session, a row above, loads here at the earliest."""
    import_module("lmspan.session.init").listen()


_listen: Callable[[], Any] | None = _record


def before_each(listen: Callable[[], Any] | None) -> None:
    """Set the function that starts to record before a callback is subscribed; None: a callback starts nothing."""
    global _listen  # noqa: PLW0603 - one for the process
    _listen = listen


def subscribe(
    callback: Any,
    *,
    hooks: Iterable[str] | None = None,
    priority: int | None = None,
    on_error: OnError = "log",
    dialect: DialectName | None = None,
    name: str | None = None,
    scope: Any = None,
    delivery: Delivery = "inline",
    timeout_s: float | None = None,
) -> Subscription:
    """Have a callback hear every instrumented program of this process, from the next operation on.

    If nothing is recorded in the process, lmspan starts to record for callbacks alone; it exports nothing.

    Args:
        callback: an object with hooks as any supported system names them; a function `(event, *args)`; a dict of
            functions by hook; a `(handler, state)` tuple. Sync or async.
        hooks: only these of its hooks, by name.
        priority: the highest hears first; among equals the order of subscription. None: the callback's own `priority`,
            else `Priority.NORMAL`.
        on_error: "log" a hook's exception once and go on; or "stop" the run when a start hook raises.
        dialect: the system that the callback is written for, where it could be several.
        name: its name in messages; by default the name of its class.
        scope: an object of the program, such as an LLMProc process or a DSPy module: hear only its calls and the calls
            below them, and those of processes forked from it. The object is not kept alive; the subscription ends with
            it.
        delivery: "inline" runs its sync hooks on the program's thread, where they can stop a run. "queued" runs them in
            order on a thread of lmspan, so that the program never waits; hooks beyond a full queue are dropped and
            counted. `force_flush()` and the end of the session wait for them.
        timeout_s: for how long a run waits for an async hook, in seconds. A hook that takes longer is reported once and
            runs on, and no later run waits for the async hooks of this subscription. None: `LMSPAN_HOOK_TIMEOUT_S`,
            else 5.

    Raises:
        CallbackError: a callback without hooks, with a hook that could never be called, or that fits two systems.
    """
    subscription = _subscription(callback, hooks, priority, on_error, dialect, name, scope, delivery, timeout_s)
    if _listen is not None:
        _listen()
    registry.add(subscription)
    return subscription


def subscribed(
    callback: Any,
    *,
    hooks: Iterable[str] | None = None,
    priority: int | None = None,
    on_error: OnError = "log",
    dialect: DialectName | None = None,
    name: str | None = None,
    scope: Any = None,
    delivery: Delivery = "inline",
    timeout_s: float | None = None,
) -> AbstractContextManager[Subscription]:
    """Have a callback hear only what runs under the `with`: across `await`, and on threads that carry its context.

    Arguments and errors are those of `subscribe`.
    """
    subscription = _subscription(callback, hooks, priority, on_error, dialect, name, scope, delivery, timeout_s)
    if _listen is not None:
        _listen()
    return _scoped(subscription)


def result_filled() -> AbstractContextManager[Subscription]:
    """Have the result of each run under the `with` filled, although no hook takes it."""
    subscription = Subscription((), None, Priority.NORMAL, "log", "lmspan.run")
    subscription.wants_result = True
    return _scoped(subscription)


def unsubscribe_all() -> None:
    """Cancel every subscription of the process."""
    for each in registry.all():
        each.cancel()


@contextmanager
def _scoped(subscription: Subscription) -> Iterator[Subscription]:
    subscription.reach = _SCOPE
    before = otel_context.get_current()
    scopes: Any = before.get(LISTENING, ())
    otel_context.attach(otel_context.Context({**before, LISTENING: (*scopes, subscription)}))
    registry.open(subscription)
    try:
        yield subscription
    finally:
        subscription.cancel()
        otel_context.attach(before)


def _subscription(
    callback: Any,
    hooks: Iterable[str] | None,
    priority: int | None,
    on_error: OnError,
    dialect: DialectName | None,
    name: str | None,
    scope: Any,
    delivery: Delivery,
    timeout_s: float | None,
) -> Subscription:
    _check("delivery", delivery, get_args(Delivery))
    if delivery == "queued" and on_error == "stop":
        raise CallbackError('on_error="stop": a queued hook runs when it is too late to stop; use delivery="inline"')
    _check("on_error", on_error, get_args(OnError))
    seconds = hook_timeout() if timeout_s is None else timeout_s
    if type(seconds) not in (int, float) or not 0 < seconds < math.inf:
        raise CallbackError(f"timeout_s: {timeout_s!r} is not a number of seconds above 0")
    from lmspan.subscribers.detection import bound_hooks  # noqa: PLC0415 - it loads every callback system

    bound = bound_hooks(callback, dialect, frozenset(hooks) if hooks is not None else None)
    own = getattr(callback, "priority", None) if priority is None else priority
    chosen = own if isinstance(own, int) else Priority.NORMAL
    subscription = Subscription(bound, callback, int(chosen), on_error, name or name_of(callback))
    subscription.timeout_s = seconds
    if scope is not None:
        subscription.reach = _OBJECT
        subscription.hooks = within(scope, bound, subscription.cancel)
    subscription.queue = HookQueue(subscription.alone) if delivery == "queued" else None
    return subscription


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise CallbackError(f"{option}: {value!r} is not known; use {' or '.join(known)}")
