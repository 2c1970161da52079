"""Keep lmspan's own failures from the program: log the first failure of a place and count all of them.

Two kinds of exceptions pass: a `BaseException`, such as a cancellation, an interrupt or an explicit stop of a run, and
an exception that a signal handler of the program raises while lmspan's code runs, such as a timeout by `SIGALRM`.
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
"""The number of failures of each guarded place in this process."""

dropped: Counter[str] = Counter()
"""The number of undelivered spans in this process, by the reason."""

if hasattr(os, "register_at_fork"):  # a child counts its own failures
    os.register_at_fork(after_in_child=failures.clear)
    os.register_at_fork(after_in_child=dropped.clear)

P = ParamSpec("P")
R = TypeVar("R")


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """Decorate a function of lmspan that runs inside a program: it returns None instead of raising an `Exception`."""
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
    """Decorate a function that calls a user's observer: only exceptions that end the program pass, otherwise None."""
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
    """Return whether an exception ends the program: an interrupt, an exit, or the exception of a signal handler."""
    return isinstance(error, (KeyboardInterrupt, SystemExit)) or is_from_signal_handler(error)


def report(where: str, error: BaseException) -> None:
    """Count the failures of a place; log the first in one line, and its traceback at DEBUG. Never raises."""
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
    except Exception:  # noqa: BLE001 - a log handler, or the `__str__` of the error, may raise
        failures["lmspan.guard.report"] += 1


def is_from_signal_handler(error: BaseException) -> bool:
    """Return whether a signal handler of the program raised an exception. Never raises."""
    if threading.current_thread() is not threading.main_thread():  # handlers run on the main thread only
        return False
    handlers = {_code_of(handler) for number in signal.valid_signals() if callable(handler := signal.getsignal(number))}
    frames = traceback.walk_tb(_traceback.__get__(error))
    return any(frame.f_code in handlers for frame, _ in frames)


def _code_of(handler: Any) -> CodeType | None:
    """Return the code of a handler's first frame, without running code of the handler's class."""
    while type(handler) is functools.partial:
        handler = handler.func
    function = handler if type(handler) in (FunctionType, MethodType) else type(handler).__call__
    code = getattr(function, "__code__", None)
    return code if type(code) is CodeType else None


_traceback = BaseException.__dict__["__traceback__"]


def leave_no_trace(error: BaseException) -> None:
    """Remove the caller's frame from the traceback of a program's exception, before the caller re-raises it.

    Agents put tracebacks into prompts, and frames of lmspan would change the prompt.
    """
    caught = _traceback.__get__(error)
    if caught is not None and caught.tb_frame.f_globals.get("__name__", "").startswith("lmspan."):
        _traceback.__set__(error, caught.tb_next)
