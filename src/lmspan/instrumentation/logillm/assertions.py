"""Assertions: each one that fails is an event on the operation whose result it checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT: Final = "assertion"


def check_all(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record the results of `AssertionContext.check_all(value)`, after which LogiLLM repeats the request or raises."""
    results = wrapped(*args, **kwargs)
    _add_failures(results)
    return results


@guarded
def _add_failures(results: Any) -> None:
    call = current_call()
    recorder = recording.active
    if call is None or not call.recording or type(results) is not list:
        return
    for fields in map(stored, results):
        if fields.get("passed") is False:
            facts = {sc.ASSERTION_SEVERITY: text(stored(fields.get("severity")).get("_value_")) or "hard"}
            if recorder.captures(call):
                facts[sc.ASSERTION_MESSAGE] = recorder.content.text(fields.get("message"))
            recorder.add_event(call, EVENT, facts)
