"""`with lmspan.run("nightly") as result`: one operation around a whole run, and what it came to."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lmspan.instrumentation.python.decorators import operation
from lmspan.lifecycle import Operation
from lmspan.subscribers.result import RunResult
from lmspan.subscribers.subscriptions import subscribed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class _Wanting:
    """Hears nothing, but wants the run's result to be filled."""

    def turn_start(self, process: Any, run_result: Any = None) -> None:
        """Want it."""


@contextmanager
def run(name: str = "", *, callbacks: Iterable[Any] = ()) -> Iterator[RunResult]:
    """Record what runs under the `with` as one workflow, and fill the result while it goes on.

    `callbacks` hear this run only. A run inside of another counts for both. The result is complete when the `with` is
    left, also by an exception, which passes. It stays empty where nothing is recorded.
    """
    with ExitStack() as scope:
        for each in (_Wanting(), *callbacks):
            scope.enter_context(subscribed(each))
        call = scope.enter_context(operation(Operation.WORKFLOW, name))
        outer = getattr(call, "result", None) if getattr(call, "parent", None) is not None else None
        call.result = RunResult(call.call_id, getattr(call, "start_time_unix_nano", 0), outer)
        yield call.result
