"""Subscriptions: bind a callback once, and look its hooks up in one table at each moment.

    subscribe(callback) -> detect the dialect -> bind the hooks -> one table, from operation and phase to hooks

Hooks run in order of priority, then of reach, then of subscription. The table is replaced as a whole, so that a lookup
needs no lock.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

from opentelemetry import context as otel_context

from lmspan.errors import CallbackError
from lmspan.lifecycle import LISTENING, Operation, Phase
from lmspan.locks import Lock
from lmspan.subscribers.detection import bound_hooks
from lmspan.subscribers.hooks import Priority, name_of
from lmspan.subscribers.patience import Patience
from lmspan.subscribers.queued import HookQueue
from lmspan.subscribers.scope import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.hooks import BoundHook, Moment

OnError = Literal["log", "stop"]
Delivery = Literal["inline", "queued"]
DialectName = Literal["dspy", "logillm", "llmproc", "dsrs", "dspy_ex"]

_PROCESS, _OBJECT, _SCOPE = range(3)


class SubscribedHook(NamedTuple):
    """One bound hook of one subscription, as the tables hold it."""

    subscription: Subscription
    name: str
    call: Callable[[Moment], Any]
    when: Callable[[LiveCall], bool] | None


class Table(NamedTuple):
    """The hooks of some subscriptions, by the moments that they hear, each in order."""

    starts: dict[Operation, tuple[SubscribedHook, ...]]
    ends: dict[Operation, tuple[SubscribedHook, ...]]
    events: dict[str, tuple[SubscribedHook, ...]]
    wants_result: bool = False

    def hears(self, operation: Operation) -> bool:
        """Tell whether a hook hears a call of this operation."""
        return bool(self.events) or operation in self.starts or operation in self.ends


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
        """The number of queued hooks that were dropped because the queue was full."""
        self.hooks: tuple[BoundHook, ...] = hooks
        self.wants_result: bool = any(argument.wants_result for each in hooks for argument in each.hook.arguments)
        """Whether the result of each run is filled for this subscription."""
        self.queue: HookQueue | None = None
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
        _registry.remove(self)
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


class _Registry:
    """The subscriptions of the process. Changed under a lock, read without one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self.scoped = 0
        self.table = _table(())
        self._with_scopes: dict[tuple[Subscription, ...], Table] = {}

    def add(self, subscription: Subscription) -> None:
        with self._lock:
            self._set((*self._subscriptions, subscription))

    def remove(self, subscription: Subscription) -> None:
        with self._lock:
            self._set(tuple(each for each in self._subscriptions if each is not subscription))

    def all(self) -> tuple[Subscription, ...]:
        return self._subscriptions

    def count_scopes(self, change: int) -> None:
        with self._lock:
            self.scoped += change
            self._with_scopes = {}

    def with_scopes(self, scopes: tuple[Subscription, ...]) -> Table:
        """Return the hooks of the process and of some scopes, cached until a subscription or a scope changes."""
        tables = self._with_scopes
        if scopes not in tables:
            active = {each for each in (*self._subscriptions, *scopes) if each.active}
            tables[scopes] = _table(sorted(active, key=_order))
        return tables[scopes]

    def _set(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._subscriptions = tuple(sorted(subscriptions, key=_order))
        self.table = _table(self._subscriptions)
        self._with_scopes = {}


def _order(subscription: Subscription) -> tuple[int, int, int]:
    return -subscription.priority, subscription.reach, subscription.number


def _table(subscriptions: Iterable[Subscription]) -> Table:
    starts: dict[Operation, tuple[SubscribedHook, ...]] = {}
    ends: dict[Operation, tuple[SubscribedHook, ...]] = {}
    events: dict[str, tuple[SubscribedHook, ...]] = {}
    wants_result = False
    for subscription in subscriptions:
        wants_result |= subscription.wants_result
        for name, hook, call in subscription.hooks:
            subscribed_hook = SubscribedHook(subscription, name, call, hook.when)
            if hook.phase is Phase.EVENT:
                events[hook.event] = (*events.get(hook.event, ()), subscribed_hook)
                continue
            phase = starts if hook.phase is Phase.START else ends
            for operation in hook.operations:
                phase[operation] = (*phase.get(operation, ()), subscribed_hook)
    return Table(starts, ends, events, wants_result)


_registry = _Registry()


def table(scopes: tuple[Subscription, ...]) -> Table:
    """Return the hooks of all subscriptions of the process, and of the scopes that are open here."""
    return _registry.with_scopes(scopes) if scopes else _registry.table


def anybody() -> bool:
    """Tell whether the process has any subscription, in any scope."""
    return bool(_registry.all()) or _registry.scoped > 0


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
) -> Subscription:
    """Have a callback hear every instrumented program of this process, from the next operation on.

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
            below them, and those of processes forked from it. The object is not kept alive.
        delivery: "inline" runs its sync hooks on the program's thread, where they can stop a run. "queued" runs them in
            order on a thread of lmspan, so that the program never waits; hooks beyond a full queue are dropped and
            counted. `force_flush()` and the end of the session wait for them.

    Raises:
        CallbackError: a callback without hooks, with a hook that could never be called, or that fits two systems.
    """
    subscription = _subscription(callback, hooks, priority, on_error, dialect, name, scope, delivery)
    _registry.add(subscription)
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
) -> AbstractContextManager[Subscription]:
    """Have a callback hear only what runs under the `with`: across `await`, and on threads that carry its context.

    Arguments and errors are those of `subscribe`.
    """
    return _scoped(_subscription(callback, hooks, priority, on_error, dialect, name, scope, delivery))


def result_filled() -> AbstractContextManager[Subscription]:
    """Have the result of each run under the `with` filled, although no hook takes it."""
    subscription = Subscription((), None, Priority.NORMAL, "log", "lmspan.run")
    subscription.wants_result = True
    return _scoped(subscription)


def unsubscribe_all() -> None:
    """Cancel every subscription of the process."""
    for each in _registry.all():
        each.cancel()


@contextmanager
def _scoped(subscription: Subscription) -> Iterator[Subscription]:
    subscription.reach = _SCOPE
    before = otel_context.get_current()
    scopes: Any = before.get(LISTENING, ())
    otel_context.attach(otel_context.Context({**before, LISTENING: (*scopes, subscription)}))
    _registry.count_scopes(1)
    try:
        yield subscription
    finally:
        _registry.count_scopes(-1)
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
) -> Subscription:
    _check("delivery", delivery, get_args(Delivery))
    if delivery == "queued" and on_error == "stop":
        raise CallbackError('on_error="stop": a queued hook runs when it is too late to stop; use delivery="inline"')
    _check("on_error", on_error, get_args(OnError))
    bound = bound_hooks(callback, dialect, frozenset(hooks) if hooks is not None else None)
    if scope is not None:
        bound = within(scope, bound)
    own = getattr(callback, "priority", None) if priority is None else priority
    chosen = own if isinstance(own, int) else Priority.NORMAL
    subscription = Subscription(bound, callback, int(chosen), on_error, name or name_of(callback))
    subscription.reach = _PROCESS if scope is None else _OBJECT
    subscription.queue = HookQueue(subscription.alone) if delivery == "queued" else None
    return subscription


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise CallbackError(f"{option}: {value!r} is not known; use {' or '.join(known)}")
