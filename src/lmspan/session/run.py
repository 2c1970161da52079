"""`with lmspan.run("nightly") as result`: record a whole run as one operation, and count its calls, tokens and cost."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lmspan.instrumentation.python.decorators import operation
from lmspan.lifecycle import Operation
from lmspan.subscribers.result import RunResult
from lmspan.subscribers.subscriptions import subscribed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _NeedsResult:
    """A callback that makes the subscribers fill the run's result, because one of its hooks has a `run_result`."""

    def turn_start(self, process: Any, run_result: Any = None) -> None:
        """Do nothing."""


@contextmanager
def run(name: str = "", *, callbacks: Iterable[Any] = ()) -> Iterator[RunResult]:
    """Record the body of the `with` as one workflow, and fill the result during the run.

    `callbacks` receive the calls of this run only. A run inside another run counts for both. The result is complete at
    the end of the `with`, also after an exception, which passes. It stays empty if lmspan records nothing.
    """
    with ExitStack() as scope:
        for each in (_NeedsResult(), *callbacks):
            scope.enter_context(subscribed(each))
        call = scope.enter_context(operation(Operation.WORKFLOW, name))
        outer_result = getattr(call, "result", None) if getattr(call, "parent", None) is not None else None
        call.result = RunResult(call.call_id, getattr(call, "start_time_unix_nano", 0), outer_result)
        yield call.result
