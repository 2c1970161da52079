"""`with lmspan.run("nightly") as result`: record a whole run as one operation, and count its calls, tokens and cost."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lmspan.instrumentation.python.decorators import operation
from lmspan.lifecycle import Operation
from lmspan.subscribers.result import RunResult
from lmspan.subscribers.subscriptions import result_filled, subscribed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def run(name: str = "", *, callbacks: Iterable[Any] = ()) -> Iterator[RunResult]:
    """Record the code under the `with` as one workflow, and fill the result as the run goes on.

    `callbacks` hear only this run. A run inside another counts for both. The result is complete when the `with` ends,
    also by an exception, which passes. It stays empty while nothing is recorded.
    """
    with ExitStack() as scope:
        scope.enter_context(result_filled())
        for each in callbacks:
            scope.enter_context(subscribed(each))
        # While nothing is recorded it is a stand-in that has neither a parent nor a time.
        call: Any = scope.enter_context(operation(Operation.WORKFLOW, name))
        parent = call.result if getattr(call, "parent", None) is not None else None
        call.result = RunResult(call.call_id, getattr(call, "start_time_unix_nano", 0), parent)
        yield call.result
