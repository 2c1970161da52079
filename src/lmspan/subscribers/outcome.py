"""What follows from an exception of a hook: it is counted and logged, or it stops the run, or it passes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from lmspan import guard
from lmspan.content.payload import qualified_name
from lmspan.errors import StopRun

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.subscribers.registry import SubscribedHook

logger: Final = logging.getLogger("lmspan")

_STOP: Final = "stop"


def passes(bound: SubscribedHook, error: BaseException, call: LiveCall, *, starting: bool) -> bool:
    """Return whether to raise a hook's exception into the program now; else handle it.

    `call.raises` keeps the exception of a start hook until the call can be ended.
    """
    if isinstance(error, StopRun):
        call.root.stop = error
        call.raises = error if starting else None
    elif guard.ends_the_program(error):
        call.raises = error if starting else None
        return not starting
    elif starting and bound.subscription.on_error == _STOP:
        call.root.stop = call.raises = _counted_stop(bound, error)
    else:
        report(bound, error)
    return False


def note(bound: SubscribedHook, error: BaseException, call: LiveCall, *, starting: bool) -> None:
    """Handle the exception of a hook that ran beside the program: a stop takes effect at the next operation."""
    if isinstance(error, StopRun):
        call.root.stop = error
    elif starting and bound.subscription.on_error == _STOP and isinstance(error, Exception):
        call.root.stop = _counted_stop(bound, error)
    else:
        report(bound, error)


def report(bound: SubscribedHook, error: BaseException) -> None:
    """Count a failure of a hook; log the first one of its subscription."""
    subscription = bound.subscription
    subscription.failures += 1
    guard.failures["lmspan.callbacks"] += 1
    if subscription.failures == 1:
        guard.guarded(logger.warning)(
            "lmspan: hook %s of %s failed; the program is not affected, further failures are only counted",
            bound.name,
            subscription.name,
            exc_info=error,
        )


def _counted_stop(bound: SubscribedHook, error: BaseException) -> StopRun:
    bound.subscription.failures += 1
    stop = StopRun(f"{bound.subscription.name}.{bound.name} raised {qualified_name(type(error))}")
    stop.__cause__ = error
    return stop
