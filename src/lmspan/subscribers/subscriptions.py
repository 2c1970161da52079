"""Who is subscribed: bound when subscribed, heard in order of priority, then of reach, then of subscription.

    subscribe(callback) -> hooks found by dialect -> bound -> one table (operation, phase) -> hooks, swapped as a whole

So an event looks its hooks up in one table that nobody changes under it.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from opentelemetry import context as otel_context

from lmspan.errors import CallbackError
from lmspan.lifecycle import LISTENING, Operation, Phase
from lmspan.subscribers import detection
from lmspan.subscribers.hooks import Priority, name_of
from lmspan.subscribers.patience import Patience
from lmspan.subscribers.queued import HookQueue
from lmspan.subscribers.scope import within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from lmspan.lifecycle import Call
    from lmspan.subscribers.hooks import Found, Heard

_ON_ERROR: Final = ("log", "stop")
_DELIVERY: Final = ("inline", "queued")
_PROCESS, _OBJECT, _SCOPE = range(3)


class Bound(NamedTuple):
    """One hook of one subscription, ready to be called."""

    subscription: Subscription
    name: str
    call: Callable[[Heard], Any]
    when: Callable[[Call], bool] | None


class Table(NamedTuple):
    """The hooks of some subscriptions by what they hear, each in order."""

    starts: dict[Operation, tuple[Bound, ...]]
    ends: dict[Operation, tuple[Bound, ...]]
    events: dict[str, tuple[Bound, ...]]
    wants_result: bool = False

    def hears(self, operation: Operation) -> bool:
        """Tell whether anything of a call of this operation is heard."""
        return bool(self.events) or operation in self.starts or operation in self.ends


class Subscription:
    """One callback, subscribed. A context manager: leaving it cancels.

    It is one object for ever: a deep copy of a program that holds it, as optimizers make, holds the same one.
    """

    def __init__(self, found: tuple[Found, ...], callback: Any, priority: int, on_error: str, name: str) -> None:
        self.callback = callback
        self.priority = priority
        self.on_error = on_error
        self.name = name
        self.failures = 0
        """How often a hook of this callback has raised."""
        self.dropped = 0
        """How many of its hooks were not run, because those before them take too long; only where they are queued."""
        self.queue: HookQueue | None = None
        self.patience = Patience(name)
        self.number = next(_numbers)
        self.alone = frozenset((self.number,))
        self.active = True
        self.reach = _PROCESS
        """Among those of one priority, whoever hears more hears first: the process, an object, what runs in a scope."""
        self.gate: Callable[[], bool] | None = None
        """Asked at each event, if there is one: while it says False the callback hears nothing."""
        self.table = _table([(self, found)])
        self._found = found

    def cancel(self) -> None:
        """Hear nothing more, on any thread, from now on. Harmless when done twice."""
        self.active = False
        _registry.remove(self)

    def found(self) -> tuple[Found, ...]:
        """Return its hooks as they were found."""
        return self._found

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
        return _elsewhere, (self.name,)

    def __repr__(self) -> str:
        state = "" if self.active else ", cancelled"
        return f"<Subscription {self.name!r}, priority {self.priority}, {self.failures} failures{state}>"


_numbers = itertools.count()


def _elsewhere(name: str) -> Subscription:
    """Return what a subscription is in another process that unpickles it: one that hears nothing."""
    gone = Subscription((), None, Priority.NORMAL, "log", name)
    gone.active = False
    return gone


class _Registry:
    """The subscriptions of the process. Changed under a lock, read without."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self.scoped = 0
        self.table = _table([])
        self._with_scopes: dict[tuple[Subscription, ...], Table] = {}

    def add(self, subscription: Subscription) -> None:
        with self._lock:
            self._set((*self._subscriptions, subscription))

    def remove(self, subscription: Subscription) -> None:
        with self._lock:
            self._set(tuple(each for each in self._subscriptions if each is not subscription))

    def all(self) -> tuple[Subscription, ...]:
        return self._subscriptions

    def scope(self, change: int) -> None:
        with self._lock:
            self.scoped += change
            self._with_scopes = {}

    def with_scopes(self, scopes: tuple[Subscription, ...]) -> Table:
        """Return who hears in some scopes: made at the first operation there, until a subscription or scope changes."""
        made = self._with_scopes
        if scopes not in made:
            heard = sorted({each for each in (*self._subscriptions, *scopes) if each.active}, key=_order)
            made[scopes] = _table([(each, each.found()) for each in heard])
        return made[scopes]

    def _set(self, subscriptions: tuple[Subscription, ...]) -> None:
        self._subscriptions = tuple(sorted(subscriptions, key=_order))
        self.table = _table([(each, each.found()) for each in self._subscriptions])
        self._with_scopes = {}


def _order(subscription: Subscription) -> tuple[int, int, int]:
    return -subscription.priority, subscription.reach, subscription.number


def _table(found: Iterable[tuple[Subscription, tuple[Found, ...]]]) -> Table:
    starts: dict[Operation, tuple[Bound, ...]] = {}
    ends: dict[Operation, tuple[Bound, ...]] = {}
    events: dict[str, tuple[Bound, ...]] = {}
    wants_result = False
    for subscription, hooks in found:
        for each in hooks:
            bound = Bound(subscription, each.name, each.call, each.hook.when)
            wants_result |= any(argument.name in ("run_result", "graph") for argument in each.hook.arguments)
            if each.hook.phase is Phase.EVENT:
                events[each.hook.event] = (*events.get(each.hook.event, ()), bound)
                continue
            phase = starts if each.hook.phase is Phase.START else ends
            for operation in each.hook.operations:
                phase[operation] = (*phase.get(operation, ()), bound)
    return Table(starts, ends, events, wants_result)


_registry = _Registry()


def table(scopes: tuple[Subscription, ...]) -> Table:
    """Return who hears: all that are subscribed for the process, and those of the scopes that are open here."""
    return _registry.with_scopes(scopes) if scopes else _registry.table


def anybody() -> bool:
    """Tell whether anybody is subscribed at all, anywhere in the process."""
    return bool(_registry.all()) or _registry.scoped > 0


def subscribe(
    callback: Any,
    *,
    hooks: Iterable[str] | None = None,
    priority: int | None = None,
    on_error: str = "log",
    dialect: str | None = None,
    name: str | None = None,
    scope: Any = None,
    delivery: str = "inline",
) -> Subscription:
    """Have a callback hear every instrumented program of this process, from the next operation on.

    Args:
        callback: an object with hooks as any supported system names them; a function `(event, *args)`; a dict of
            functions by hook; a `(handler, state)` tuple. Sync or async.
        hooks: only these of its hooks, by name.
        priority: the higher hears first; among equals the order of subscription. None: the callback's own `priority`,
            else `Priority.NORMAL`.
        on_error: "log" a hook's exception once and go on; or "stop" the run when a start hook raises.
        dialect: the system that the callback is written for, where it could be several.
        name: what it is called in messages; its class's name by default.
        scope: an object of the program, such as an LLMProc process or a DSPy module: hear only what it does and what
            runs below that, and the same of processes forked from it. It is not kept alive.
        delivery: "inline" runs its sync hooks on the program's thread, where they can stop a run. "queued" runs them on
            a thread of lmspan, in order, so that the program never waits; what they cannot keep up with is dropped and
            counted. `force_flush()` and the end of the session wait for them.

    Raises:
        CallbackError: nothing to call, a hook that could never be called, or a callback that could mean two systems.
    """
    subscription = _make(callback, hooks, priority, on_error, dialect, name, scope, delivery)
    _registry.add(subscription)
    return subscription


@contextmanager
def subscribed(callback: Any, **options: Any) -> Iterator[Subscription]:
    """Have a callback hear only what runs under the `with`: across `await`, and on threads that carry its context.

    Options and errors are those of `subscribe`.
    """
    subscription = _make(callback, **options)
    subscription.reach = _SCOPE
    before = otel_context.get_current()
    scopes: Any = before.get(LISTENING, ())
    otel_context.attach(otel_context.Context({**before, LISTENING: (*scopes, subscription)}))
    _registry.scope(1)
    try:
        yield subscription
    finally:
        _registry.scope(-1)
        subscription.active = False
        otel_context.attach(before)


def unsubscribe_all() -> None:
    """Cancel every subscription of the process."""
    for each in _registry.all():
        each.cancel()


def _make(
    callback: Any,
    hooks: Iterable[str] | None = None,
    priority: int | None = None,
    on_error: str = "log",
    dialect: str | None = None,
    name: str | None = None,
    scope: Any = None,
    delivery: str = "inline",
) -> Subscription:
    if delivery not in _DELIVERY:
        raise CallbackError(f"delivery: {delivery!r} is not known; use {' or '.join(_DELIVERY)}")
    if delivery == "queued" and on_error == "stop":
        raise CallbackError('on_error="stop": a queued hook runs when it is too late to stop; use delivery="inline"')
    if on_error not in _ON_ERROR:
        raise CallbackError(f"on_error: {on_error!r} is not known; use {' or '.join(_ON_ERROR)}")
    found = detection.find(callback, dialect, frozenset(hooks) if hooks is not None else None)
    if scope is not None:
        found = within(scope, found)
    own = getattr(callback, "priority", None) if priority is None else priority
    chosen = Priority.NORMAL if not isinstance(own, int) else own
    made = Subscription(found, callback, int(chosen), on_error, name or name_of(callback))
    made.reach = _PROCESS if scope is None else _OBJECT
    made.queue = HookQueue(made.alone) if delivery == "queued" else None
    return made
