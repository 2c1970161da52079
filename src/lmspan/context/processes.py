"""The trace across processes: into children of multiprocessing, and out of the environment of this process.

A forked child has the context by itself. To a spawned child, and with each task of a process pool, the function is
sent together with the context as W3C headers, if a span or a session is current. The child attaches it while the
function runs, and the figures of a task come back with its result (`elsewhere`). Any other process joins by
`TRACEPARENT` and its like in its environment, which `environ()` returns.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lmspan.context import attributes, elsewhere
from lmspan.context.current import is_carried
from lmspan.context.hearing import inside
from lmspan.guard import guarded
from lmspan.lifecycle import GATHERED, LISTENING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from lmspan.patching import Patches

_PROPAGATORS: Final = (TraceContextTextMapPropagator(), W3CBaggagePropagator())
_VARIABLES: Final = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "LMSPAN_ATTRIBUTES")


def headers() -> dict[str, str]:
    """Return the current context as W3C headers."""
    carrier: dict[str, str] = {}
    for propagator in _PROPAGATORS:
        propagator.inject(carrier)
    attributes.inject(carrier)
    return carrier


def context_of(carrier: Mapping[str, str]) -> Context:
    """Return the context that headers describe; an empty one if they describe no valid one."""
    context = otel_context.Context()
    for propagator in _PROPAGATORS:
        context = propagator.extract(carrier, context)
    return attributes.extract(carrier, context)


def from_environment(environ: Mapping[str, str]) -> Context:
    """Return the context that this process was started in, from its environment."""
    return context_of({name.lower(): environ[name] for name in _VARIABLES if environ.get(name)})


def environ() -> dict[str, str]:
    """Return the environment for a process that is to join the current trace.

        subprocess.run(command, env=lmspan.environ())

    A copy of this process' own environment with `TRACEPARENT`, and with `BAGGAGE` and `LMSPAN_ATTRIBUTES` if there are
    any.
    """
    carrier = guarded(headers)() or {}
    return {**os.environ, **{name.upper(): value for name, value in carrier.items()}}


class Carried:
    """A function that runs in the OpenTelemetry context in which it was submitted."""

    __slots__ = ("context", "function", "within")

    def __init__(self, function: Callable[..., Any], context: Context) -> None:
        self.function: Callable[..., Any] = function
        self.context: Context = context
        self.within: frozenset[int] = inside.get()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, as a part of the hook that has submitted it, if one has."""
        before, hooks = otel_context.get_current(), inside.get()
        otel_context.attach(self.context)
        inside.set(self.within)
        try:
            return self.function(*args, **kwargs)
        finally:
            inside.set(hooks)
            otel_context.attach(before)  # by value: a token could not be reset if the function changed threads


class Sent:
    """A function that runs in the context of the process that sent it."""

    def __init__(self, function: Callable[..., Any], carrier: dict[str, str], ticket: str = "") -> None:
        """The figures of a call come back with its result if it has a ticket."""
        self.function: Callable[..., Any] = function
        self.carrier = carrier
        self.ticket = ticket
        self.sender: int = os.getpid()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, in the child. Of a context that a fork has left there, only the subscriptions stay."""
        if not self.ticket or os.getpid() == self.sender:
            return self._run(args, kwargs, {})
        gathered = elsewhere.Gathered()
        try:
            result = self._run(args, kwargs, {GATHERED: gathered})
        finally:
            elsewhere.ended(self.ticket, gathered)
        return elsewhere.Returned(result)

    def _run(self, args: tuple[Any, ...], kwargs: dict[str, Any], entries: dict[str, Any]) -> Any:
        before = otel_context.get_current()
        stays = {LISTENING: before[LISTENING]} if LISTENING in before else {}
        otel_context.attach(otel_context.Context({**context_of(self.carrier), **stays, **entries}))
        try:
            return self.function(*args, **kwargs)
        finally:
            otel_context.attach(before)


@guarded
def _sent(function: Callable[..., Any], ticket: str | None = "") -> Sent | None:
    """Return a function to send in place of another; None if no span and no session is current."""
    carrier = headers()
    return Sent(function, carrier, ticket or "") if carrier else None


def _one(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send a task with the context to a process pool; hand it directly to a ThreadPool, which has the same methods."""
    return _give(wrapped, pool, args, kwargs) if _is_of_threads(pool) else _send(wrapped, pool, args, kwargs)


def _many(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send `(function, items, ...)` with the context: a process pool makes a task of each item."""
    if _is_of_threads(pool):
        return _give(wrapped, pool, args, kwargs)
    ticket, items = elsewhere.departing(_argument(args, kwargs, "iterable")) or ("", None)
    if items is not None:
        args, kwargs = _with(args, kwargs, "iterable", items)
    return _send(wrapped, pool, args, kwargs, ticket)


def _send(
    wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any], ticket: str | None = None
) -> Any:
    """Send the first argument, a function, with the context."""
    ticket = elsewhere.depart() if ticket is None else ticket
    function = _argument(args, kwargs, "func")
    sent = _sent(function, ticket) if function is not None and _has_lmspan(pool) else None
    if sent is not None:
        args, kwargs = _with(args, kwargs, "func", sent)
    return wrapped(*args, **kwargs)


def _give(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    context = otel_context.get_current()
    function = _argument(args, kwargs, "func")
    if function is not None and (is_carried(context) or inside.get()):
        args, kwargs = _with(args, kwargs, "func", Carried(function, context))
    return wrapped(*args, **kwargs)


_PLACES: Final = {"func": 0, "iterable": 1}


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    place = _PLACES[name]
    return args[place] if place < len(args) else kwargs.get(name)


def _with(
    args: tuple[Any, ...], kwargs: dict[str, Any], name: str, value: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments with another value for one of them."""
    place = _PLACES[name]
    if place < len(args):
        return (*args[:place], value, *args[place + 1 :]), kwargs
    return args, {**kwargs, name: value}


def _is_of_threads(pool: Any) -> bool:
    return "ThreadPool" in (each.__name__ for each in type(pool).__mro__)


@guarded
def _has_lmspan(pool: Any) -> bool:
    """Tell whether the processes of a pool can import lmspan: they are forked, or run this very interpreter."""
    import multiprocessing  # noqa: PLC0415 - it is imported already where there is a pool

    context = getattr(pool, "_ctx", None) or getattr(pool, "_mp_context", None) or multiprocessing
    return context.get_start_method() == "fork" or bool(_is_this_interpreter())


@guarded
def _is_this_interpreter() -> bool:
    """Tell whether a process that is not forked runs the interpreter of this one."""
    from multiprocessing import spawn  # noqa: PLC0415 - it is imported already where processes are started

    executable: Any = spawn.get_executable()
    return executable is None or os.fsdecode(executable) == sys.executable


def _start(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send the target with the context when a process starts, unless it is forked and has the context by itself."""
    target = getattr(process, "_target", None)
    _count(type(process) if target is None else target)
    forked = type(process).__name__ == "ForkProcess" or _default_is_fork(process)
    if target is not None and not forked and _is_this_interpreter():
        process._target = _sent(target) or target  # noqa: SLF001 - there is no public way before it starts
    return wrapped(*args, **kwargs)


@guarded
def _count(target: Any) -> None:
    """Count a process of the program's own: it has no result that could bring its figures back."""
    module = getattr(target, "__module__", None)
    if type(module) is not str or not module.startswith(("multiprocessing.", "concurrent.futures.")):
        elsewhere.depart()


def _default_is_fork(process: Any) -> bool:
    import multiprocessing  # noqa: PLC0415 - it is imported already where a process starts

    return type(process).__name__ == "Process" and multiprocessing.get_start_method() == "fork"


def when_a_child_exits(patches: Patches, owner: Any, leave: Callable[[Any], Any]) -> None:
    """Register `leave(owner)` for the end of each child of multiprocessing, which does not run `atexit`.

    A forked child drops the finalizers of its parent and then runs this registration again. The registration does not
    keep the owner alive. In a process that is such a child already, it takes effect at once.
    """

    def register(util: Any) -> None:
        def at_exit(session: Any) -> None:
            util.Finalize(None, leave, (session,), exitpriority=0)

        util.register_after_fork(owner, at_exit)
        if util.process.parent_process() is not None:
            at_exit(owner)

    patches.when_imported("multiprocessing.util", register)


def patch(patches: Patches) -> None:
    """Patch the classes that start processes and send them tasks, when the program imports them."""
    patches.when_imported("multiprocessing.process", lambda module: _wrap(patches, module.BaseProcess, _start, "start"))
    patches.when_imported(
        "concurrent.futures.process", lambda module: _wrap(patches, module.ProcessPoolExecutor, _send, "submit")
    )
    patches.when_imported("multiprocessing.pool", lambda module: _wrap(patches, module.Pool, _one, "apply_async"))
    methods = "_map_async", "imap", "imap_unordered"
    patches.when_imported("multiprocessing.pool", lambda module: _wrap(patches, module.Pool, _many, *methods))


def _wrap(patches: Patches, owner: type, wrapper: Callable[..., Any], *names: str) -> None:
    for name in names:
        patches.wrap(owner, name, wrapper)
