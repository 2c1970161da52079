"""The one broad `except Exception`: our own failure is logged the first time, counted after, and never the program's.

`BaseException` passes: a cancellation, an interrupt or an explicit stop of a run is not ours to swallow. Neither is an
exception that a signal handler of the program raises while our code happens to run, such as a timeout by `SIGALRM`.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
import traceback
from collections import Counter
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

logger: Final = logging.getLogger("lmspan")

failures: Counter[str] = Counter()
"""How often each guarded place has failed in this process."""

dropped: Counter[str] = Counter()
"""How many spans could not be delivered, by the reason, in this process."""

if hasattr(os, "register_at_fork"):  # a child has not failed yet
    os.register_at_fork(after_in_child=failures.clear)
    os.register_at_fork(after_in_child=dropped.clear)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Decorate a function of ours that runs inside a user's program: an `Exception` becomes None."""
    where = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def guard(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            report(where, error)
            return None

    return guard


def isolated(function: Callable[P, R]) -> Callable[P, R | None]:
    """Decorate what calls code that observes the program: nothing that it raises passes, but what ends the program."""
    where = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def guard(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            if ends_the_program(error):
                raise
            report(where, error)
            return None

    return guard


def ends_the_program(error: BaseException) -> bool:
    """Tell whether an exception is none of an observer's own: an interrupt, an exit, or of a signal handler."""
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or is_from_signal_handler(error)


def report(where: str, error: BaseException) -> None:
    """Log the first failure of a place in one line (its traceback at DEBUG) and count every one. Never raises."""
    failures[where] += 1
    if failures[where] > 1:
        return
    try:
        logger.warning(
            "lmspan: %s failed (%s); the program is not affected, further failures here are only counted",
            where,
            type(error).__qualname__,
        )
        logger.debug("the first failure of %s", where, exc_info=error)
    except Exception:  # noqa: BLE001 - a broken log handler, or an error whose own text raises
        failures["lmspan.guard.report"] += 1


def is_from_signal_handler(error: BaseException) -> bool:
    """Tell whether an exception comes out of a signal handler of the program. Never raises."""
    if threading.current_thread() is not threading.main_thread():  # handlers run there alone
        return False
    handlers = {_code_of(handler) for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    frames = traceback.walk_tb(_traceback.__get__(error))
    return any(frame.f_code in handlers for frame, _ in frames)


def _code_of(handler: Any) -> CodeType | None:
    """Return the code that runs first when a handler is called, without running code of the handler's own class."""
    while type(handler) is functools.partial:
        handler = handler.func
    function = handler if type(handler) in (FunctionType, MethodType) else type(handler).__call__
    code = getattr(function, "__code__", None)
    return code if type(code) is CodeType else None


_traceback = BaseException.__dict__["__traceback__"]


def leave_no_trace(error: BaseException) -> None:
    """Take the caller's frame, where the program's exception was caught, out of its traceback before it is raised on.

    Agents put tracebacks into prompts: with our frames in them the model would be asked something else.
    """
    caught = _traceback.__get__(error)
    if caught is not None and caught.tb_frame.f_globals.get("__name__", "").startswith("lmspan."):
        _traceback.__set__(error, caught.tb_next)
