"""The trace across processes: into children of multiprocessing, and out of the environment of this process.

A forked child has the context by itself. To a spawned child, and with each task of a process pool, the function is
sent together with the context as W3C headers, if a span or a session is current; the child attaches it while the
function runs. Any other process joins by `TRACEPARENT` and its like in its environment, which `environ()` returns.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lmspan.context import attributes
from lmspan.context.current import is_carried
from lmspan.context.hearing import inside
from lmspan.guard import guarded
from lmspan.lifecycle import LISTENING

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

    def __init__(self, function: Callable[..., Any], carrier: dict[str, str]) -> None:
        self.function: Callable[..., Any] = function
        self.carrier = carrier

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it, in the child. Of a context that a fork has left there, only the subscriptions stay."""
        before = otel_context.get_current()
        stays = {LISTENING: before[LISTENING]} if LISTENING in before else {}
        otel_context.attach(otel_context.Context({**context_of(self.carrier), **stays}))
        try:
            return self.function(*args, **kwargs)
        finally:
            otel_context.attach(before)


@guarded
def _sent(function: Callable[..., Any]) -> Sent | None:
    """Return a function to send in place of another; None if no span and no session is current."""
    carrier = headers()
    return Sent(function, carrier) if carrier else None


def _send(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send the first argument, a function, with the context."""
    if args:
        args = (_sent(args[0]) or args[0], *args[1:])
    return wrapped(*args, **kwargs)


def _give(wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send the context with a task to a process pool; hand it directly to a ThreadPool, which has the same methods."""
    if "ThreadPool" not in (each.__name__ for each in type(pool).__mro__):
        return _send(wrapped, pool, args, kwargs)
    context = otel_context.get_current()
    if args and (is_carried(context) or inside.get()):
        args = (Carried(args[0], context), *args[1:])
    return wrapped(*args, **kwargs)


def _start(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Send the target with the context when a process starts, unless it is forked and has the context by itself."""
    target = getattr(process, "_target", None)
    forked = type(process).__name__ == "ForkProcess" or _default_is_fork(process)
    if target is not None and not forked:
        process._target = _sent(target) or target  # noqa: SLF001 - there is no public way before it starts
    return wrapped(*args, **kwargs)


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
    methods = "apply_async", "_map_async", "imap", "imap_unordered"
    patches.when_imported("multiprocessing.pool", lambda module: _wrap(patches, module.Pool, _give, *methods))


def _wrap(patches: Patches, owner: type, wrapper: Callable[..., Any], *names: str) -> None:
    for name in names:
        patches.wrap(owner, name, wrapper)
