"""The events of `LLMProcess.trigger_event`: turns, requests and answers, writes to stderr.

A turn and an LM call start before the process's own callbacks hear them, and end after, so that the current span in
such a callback is the span of its event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.llmproc import requests, runs
from lmspan.instrumentation.llmproc.requests import RunKept, TurnKept
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

    Step = Callable[[Recorder, Any, tuple[Any, ...]], None]


def _run_of(process: Any) -> LiveCall | None:
    """Return the run of this very process in the current context; several runs of it may be open at once."""
    call = current_call()
    while call is not None and call.operation is not Operation.AGENT:
        call = call.parent
    return call if call is not None and call.instance is process and call.observed else None


@guarded
def _turn_start(recorder: Recorder, process: Any, _: tuple[Any, ...]) -> None:
    run = _run_of(process)
    own = kept(run, RunKept)
    if run is None or own is None:
        return
    runs.end_turn(recorder, run)
    facts = {sc.TURN_INDEX: own.turns}
    own.turns += 1
    own.turn = recorder.start(Operation.TURN, "", "llmproc", facts, instance=process, owned=False)
    own.turn.kept = TurnKept()


@guarded
def _turn_end(recorder: Recorder, process: Any, arguments: tuple[Any, ...]) -> None:
    run = _run_of(process)
    own = kept(run, RunKept)
    if run is None or own is None or own.turn is None:
        return
    _, response, results = arguments
    own.turn.tool_results = results
    runs.end_turn(recorder, run, response=response)


@guarded
def _request(recorder: Recorder, process: Any, arguments: tuple[Any, ...]) -> None:
    run = _run_of(process)
    if run is not None:
        requests.start(recorder, run, arguments[0])


@guarded
def _response(recorder: Recorder, process: Any, arguments: tuple[Any, ...]) -> None:
    run = _run_of(process)
    if run is not None:
        requests.succeed(recorder, run, arguments[0])


@guarded
def _stderr(recorder: Recorder, _: Any, arguments: tuple[Any, ...]) -> None:
    """Add a write to the current call: LLMProc announces it on the process that was created last."""
    call = current_call()
    if call is None or call.source != "llmproc":
        return
    message = text(arguments[0])
    facts = {sc.STDERR_LENGTH: len(message)}
    recorder.add_event(call, Event.STDERR_WRITE, facts, content={sc.STDERR_TEXT: message})


def _nothing(recorder: Recorder, process: Any, arguments: tuple[Any, ...]) -> None:
    """Do nothing."""


class _Around(NamedTuple):
    before: Step = _nothing
    after: Step = _nothing


_STEPS: Final = {
    "turn_start": _Around(before=_turn_start),
    "api_request": _Around(before=_request),
    "api_response": _Around(after=_response),
    "stderr_write": _Around(before=_stderr),
    "turn_end": _Around(after=_turn_end),
}


def trigger_event(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Record an event of a process before or after LLMProc triggers its callbacks."""
    recorder = recording.active
    around = _around(args) if recorder.ready() is not None else None
    if around is None:
        return wrapped(*args, **kwargs)
    around.before(recorder, process, args[1:])
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        leave_no_trace(error)
        raise
    around.after(recorder, process, args[1:])
    return result


@guarded
def _around(args: tuple[Any, ...]) -> _Around | None:
    return _STEPS.get(text(stored(args[0]).get("_value_")))
