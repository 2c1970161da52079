"""Runs: `LLMProcess._async_run`, which sync and async processes use, on whichever event loop.

If the API fails or the run is cancelled or stopped, LLMProc announces no further event. So the open turn and LM call
end with the run, by the same error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Link

from lmspan import semconv as sc
from lmspan.content.messages import agent_message, output_messages
from lmspan.context import lineage
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit.arguments import by_name
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import put, stored, text
from lmspan.instrumentation.kit.kept import kept
from lmspan.instrumentation.llmproc import requests
from lmspan.instrumentation.llmproc.clients import client_facts, learn_key
from lmspan.instrumentation.llmproc.requests import RunKept
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


_latest: Final = lineage.ByIdentity()
"""The latest run of each process: its call id and its span context."""
_forked_from: Final = lineage.ByIdentity()
"""The same for the run whose history a forked process has."""


def start(recorder: Recorder, process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start a run."""
    fields = stored(process)
    model = text(fields.get("model_name"))
    name = text(fields.get("display_name")) or model
    facts = {sc.AGENT_NAME: name, sc.REQUEST_MODEL: model}
    inputs = by_name(args, kwargs, "user_input", "max_iterations")
    learn_key(recorder, fields.get("client"))
    links: tuple[Link, ...] = ()
    if origin := _forked_from.get(process):
        facts[sc.AGENT_FORKED_FROM], context = origin
        links = (Link(context, {sc.LINK_TYPE: "fork"}),)
    call = recorder.start(Operation.AGENT, name, "llmproc", facts, instance=process, inputs=inputs, links=links)
    call.kept = RunKept()
    return call


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the limits of the process and the message of the user."""
    _latest.set(call.instance, (call.call_id, call.span.get_span_context()))
    fields = stored(call.instance)
    own = kept(call, RunKept)
    if own is not None:
        own.server = client_facts(fields.get("client"))
    put(call.late_facts, sc.AGENT_MAX_ITERATIONS, call.inputs.get("max_iterations"), int)
    put(call.late_facts, sc.AGENT_ACCESS_LEVEL, fields["access_level"].value, str)
    user_input = call.inputs.get("user_input")
    if recorder.captures(call) and (message := agent_message("user", user_input, recorder.content.brief)):
        recorder.capture(call, {sc.INPUT_MESSAGES: message})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the finish reason and the last message of the run. `outputs` is LLMProc's own RunResult."""
    end_turn(recorder, call)
    fields = stored(outputs)
    reason = fields.get("stop_reason")
    reasons = [reason] if type(reason) is str else []
    if reasons:
        call.late_facts[sc.RESPONSE_FINISH_REASONS] = reasons
    if recorder.captures(call) and fields.get("last_message"):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(fields["last_message"], reasons)})


def fail(recorder: Recorder, call: LiveCall, error: BaseException) -> None:
    """End the open LM call and the open turn with their run."""
    requests.fail(recorder, call, error)
    end_turn(recorder, call, error)


def end_turn(recorder: Recorder, run: LiveCall, error: BaseException | None = None, response: Any = None) -> None:
    """End the open turn of a run, if it has one."""
    own = kept(run, RunKept)
    if own is not None and own.turn is not None:
        turn = own.turn
        own.turn = None
        recorder.end(turn, response, error)


async def fork(wrapped: Callable[..., Any], process: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep which process another one is a fork of."""
    try:
        child = await wrapped(*args, **kwargs)
    except BaseException as error:
        leave_no_trace(error)
        raise
    _note_fork(child, process)
    return child


@guarded
def _note_fork(child: Any, process: Any) -> None:
    lineage.note(child, process)
    _forked_from.set(child, _latest.get(process))


RUN: Final = Steps(start, describe, succeed, fail, awaits_hooks=False)
