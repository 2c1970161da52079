"""Record this process. The start hook of `lmspan run` calls it."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan.context import processes
from lmspan.context.current import innermost_call
from lmspan.guard import guarded, leave_no_trace
from lmspan.patching import Patches
from lmspan.session.init import init

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmspan.session.init import Session

logger: Final = logging.getLogger("lmspan")

RUN: Final = "LMSPAN_RUN"
_ENV_POSITION: Final = 10  # position of `env` among the arguments of Popen


def start(*, first: bool, quiet: bool = True) -> None:
    """Call `init()` for this process. Never raises; a child (not `first`) logs nothing about its configuration.

    Unless `quiet`, it prints at the exit of the process what was recorded.

    It removes `LMSPAN_RUN` during the call, so that lmspan does not record the processes that `init()` itself starts,
    for example those of a resource detector.
    """
    service_name = os.environ.pop(RUN)
    try:
        with _silent(not first):
            session = init(os.environ.get("OTEL_SERVICE_NAME") or service_name)
            session._is_of_command = True  # noqa: SLF001 - one package
            if not quiet:
                session._report_at_exit()  # noqa: SLF001 - one package
            _carry_into_subprocesses(session)
    except Exception as error:  # noqa: BLE001 - the program runs, recorded or not
        if first:
            logger.warning("lmspan: run: nothing is recorded (%s: %s)", type(error).__name__, error)
    finally:
        os.environ[RUN] = service_name


@contextmanager
def _silent(silent: bool) -> Iterator[None]:
    """Keep `init()` in a child from logging the messages of its parent again."""
    level = logger.level
    if silent:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _carry_into_subprocesses(session: Session) -> None:
    """Patch `subprocess` to start children in the current trace, until the session ends."""
    patches = Patches()

    def patch(module: Any) -> None:
        patches.wrap(module.Popen, "__init__", _popen)

    patches.when_imported("subprocess", patch)
    session._undo.append(patches.restore)  # noqa: SLF001 - the patch belongs to the session


def _popen(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Add the current context to the environment of a recorded child."""
    try:
        if len(args) <= _ENV_POSITION and innermost_call(otel_context.get_current()) is not None:
            kwargs = _with_context(kwargs) or kwargs
        return wrapped(*args, **kwargs)
    except BaseException as error:
        leave_no_trace(error)
        raise


@guarded
def _with_context(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of Popen with TRACEPARENT, unless the program sets it or keeps LMSPAN_RUN from the child."""
    environ: Mapping[str, str] | None = kwargs.get("env")
    if environ is None:
        return {**kwargs, "env": processes.environ()}
    if RUN not in environ or "TRACEPARENT" in environ:
        return kwargs
    context = {name.upper(): value for name, value in processes.headers().items()}
    return {**kwargs, "env": {**environ, **context}}
