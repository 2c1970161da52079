"""The subscriptions of the process, and their hooks in one table, by the moments that they hear.

Hooks run in order of priority, then of reach, then of subscription. The first event after a change builds a new table,
so that a look-up needs no lock, and many changes in a row cost one table.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lmspan.lifecycle import Operation, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.hooks import Moment
    from lmspan.subscribers.subscriptions import Subscription

_Key = TypeVar("_Key")


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
    wants_usage: bool = False

    def hears(self, operation: Operation) -> bool:
        """Tell whether a hook hears a call of this operation, or sums it up."""
        if self.wants_usage and operation is Operation.LM:
            return True
        return bool(self.events) or operation in self.starts or operation in self.ends


class Registry:
    """The subscriptions of the process. Changed and read without a lock, also by a finaliser: each step is atomic."""

    def __init__(self) -> None:
        self.subscriptions: dict[int, Subscription] = {}
        self.scopes: dict[int, Subscription] = {}
        self.version = object()
        self.built = _Built(object(), _table(()), {})

    def add(self, subscription: Subscription) -> None:
        """Add a subscription of the process."""
        self.subscriptions[subscription.number] = subscription
        self.version = object()

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription, of the process or of a scope."""
        self.subscriptions.pop(subscription.number, None)
        self.scopes.pop(subscription.number, None)
        self.version = object()

    def open(self, subscription: Subscription) -> None:
        """Count a scope, whose subscription is in a context."""
        self.scopes[subscription.number] = subscription
        self.version = object()

    def all(self) -> tuple[Subscription, ...]:
        """Return the subscriptions of the process, in order."""
        return tuple(sorted(self.subscriptions.copy().values(), key=_order))

    def build(self) -> _Built:
        """Look the hooks up, after a change."""
        version = self.version
        self.built = built = _Built(version, _table(self.all()), {})
        return built

    def build_with(self, scopes: tuple[Subscription, ...]) -> Table:
        """Look the hooks of the process and of some scopes up."""
        active = {each for each in (*self.all(), *scopes) if each.active}
        return _table(sorted(active, key=_order))


class _Built(NamedTuple):
    """The tables of one version of the registry."""

    version: object
    table: Table
    with_scopes: dict[tuple[Subscription, ...], Table]


def _order(subscription: Subscription) -> tuple[int, int, int]:
    return -subscription.priority, subscription.reach, subscription.number


def _table(subscriptions: Iterable[Subscription]) -> Table:
    starts: defaultdict[Operation, list[SubscribedHook]] = defaultdict(list)
    ends: defaultdict[Operation, list[SubscribedHook]] = defaultdict(list)
    events: defaultdict[str, list[SubscribedHook]] = defaultdict(list)
    wants_result = wants_usage = False
    for subscription in subscriptions:
        wants_result |= subscription.wants_result
        wants_usage |= subscription.wants_usage
        for name, hook, call in subscription.hooks:
            subscribed_hook = SubscribedHook(subscription, name, call, hook.when)
            if hook.phase is Phase.EVENT:
                events[hook.event].append(subscribed_hook)
                continue
            phase = starts if hook.phase is Phase.START else ends
            for operation in hook.operations:
                phase[operation].append(subscribed_hook)
    return Table(_frozen(starts), _frozen(ends), _frozen(events), wants_result, wants_usage)


def _frozen(hooks: Mapping[_Key, list[SubscribedHook]]) -> dict[_Key, tuple[SubscribedHook, ...]]:
    return {key: tuple(several) for key, several in hooks.items()}


registry = Registry()


def table(scopes: tuple[Subscription, ...]) -> Table:
    """Return the hooks of all subscriptions of the process, and of the scopes that are open here."""
    built = registry.built
    if built.version is not registry.version:
        built = registry.build()
    if not scopes:
        return built.table
    if scopes not in built.with_scopes:
        built.with_scopes[scopes] = registry.build_with(scopes)
    return built.with_scopes[scopes]


def listed() -> tuple[Subscription, ...]:
    """Return the subscriptions of the process, in order; those of a `with` are not among them."""
    return registry.all()


def anybody() -> bool:
    """Tell whether the process has any subscription, in any scope."""
    return bool(registry.subscriptions or registry.scopes)
