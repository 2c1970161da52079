"""LM calls: one span for a request and all its attempts, from `complete_with_retry`, `complete` or `stream`.

LogiLLM announces each attempt as if it were a request, and nothing of a stream. What was really sent, and what came
back, is noted where it passes: see `wire`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import input_messages, output_messages, tool_definitions
from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.facts import is_inside, put
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.instrumentation.logillm.describe import as_dict, stored
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.instrumentation.logillm.requests import identity, learn_providers
from lmspan.instrumentation.logillm.responses import response_facts
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """Start `complete_with_retry(messages, ...)`, or `complete` or `stream` where it is not a part of one."""
    if is_inside(instance, Operation.LM):
        return None
    learn_providers(recorder, instance)
    facts = identity(instance, "chat")
    inputs = {"messages": args[0] if args else kwargs.get("messages"), **kwargs}
    return recorder.start(Operation.LM, facts[sc.REQUEST_MODEL], "logillm", facts, instance=instance, inputs=inputs)


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add what the prompt was made from, and the messages."""
    del args
    module = call.parent
    if module is not None and sc.SIGNATURE_NAME in module.found:
        call.found[sc.PROMPT_NAME] = module.found[sc.SIGNATURE_NAME]
    call.notes["parameters"] = kwargs
    if recorder.captures(call):
        payload: dict[str, Any] = {sc.INPUT_MESSAGES: input_messages(call.inputs["messages"], None)}
        if kwargs.get("tools") is not None:
            payload[sc.TOOL_DEFINITIONS] = tool_definitions(kwargs["tools"])
        recorder.capture(call, payload)


def describe_stream(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the same, and that the answer is streamed."""
    call.found[sc.REQUEST_STREAM] = True
    call.notes["streamed"] = []
    describe(recorder, call, args, kwargs)


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Add what was sent and what came back."""
    _sum_up(call)
    call.found.update(response_facts(call, outputs if outputs is not None else call.notes.get("completion")))
    if call.found.get(sc.CACHE_HIT):
        recorder.mark_internal(call)
    if recorder.captures(call):
        reasons = call.found.get(sc.RESPONSE_FINISH_REASONS, [])
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(_answer(call, outputs), reasons)})


def fail(recorder: Recorder, call: Call, error: BaseException) -> None:
    """Add what was sent, and the attempt that was the last one, when there was more than one."""
    _sum_up(call)
    call.found.update(response_facts(call, None))
    failed = call.notes.pop("failed", None)
    if failed is not None and (call.notes.get("attempts", 1) > 1 or failed[0] != qualified_name(type(error))):
        _tell(recorder, call, failed[0])


def chunk(recorder: Recorder, call: Call, item: Any) -> None:
    """Keep the text of a stream, while it may be recorded."""
    if type(item) is str and recorder.captures(call) and call.notes.get("length", 0) < recorder.content.max_bytes:
        call.notes["length"] = call.notes.get("length", 0) + len(item)
        call.notes["streamed"].append(item)


def _answer(call: Call, completion: Any) -> Any:
    """Return what the model said, with the tools that it wants called."""
    if completion is None:
        return "".join(call.notes.get("streamed", ()))
    fields = stored(completion)
    text, calls = fields.get("text"), as_dict(fields.get("metadata")).get("tool_calls")
    return {"text": text, "tool_calls": calls} if type(calls) is list else text


def _sum_up(call: Call) -> None:
    add_parameters(call.found, call.notes.get("parameters", {}))
    if call.notes.get("attempts", 1) > 1:
        call.found[sc.ATTEMPT_COUNT] = call.notes["attempts"]


# One attempt ------------------------------------------------------------------------------------------------------


def lm_call(provider: Any) -> Call | None:
    """Return the LM call that is current and of this provider."""
    call = current_call()
    fits = call is not None and call.operation is Operation.LM and call.instance is provider and call.observed
    return call if fits else None


async def attempt(wrapped: Callable[..., Any], provider: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Count an attempt, `complete(...)`. A class that calls the one above it makes one all the same."""
    call = _begin(provider)
    if call is None:
        return await wrapped(*args, **kwargs)
    try:
        completion = await wrapped(*args, **kwargs)
        call.notes["completion"] = completion
    except Exception as error:
        _note_failure(call, error)
        leave_no_trace(error)
        raise
    else:
        return completion
    finally:
        call.notes["attempting"] = False


@guarded
def _begin(provider: Any) -> Call | None:
    call = lm_call(provider)
    if call is None or call.notes.get("attempting"):
        return None
    failed = call.notes.pop("failed", None)
    if failed is not None:
        _tell(recording.active, call, *failed)
        call.notes["attempts"] = call.notes.get("attempts", 1) + 1
    call.notes["attempting"] = True
    return call


@guarded
def _note_failure(call: Call, error: Exception) -> None:
    call.notes["failed"] = qualified_name(type(root_cause(error))), recording.active.clock()


def _tell(recorder: Recorder, call: Call, error_type: str, failed_at: int | None = None) -> None:
    """Tell of a failed attempt, and how long was waited after it if another one follows."""
    facts = {sc.RETRY_ATTEMPT: call.notes.get("attempts", 1), sc.ERROR_TYPE: error_type}
    if failed_at is not None:
        put(facts, sc.RETRY_DELAY, (recorder.clock() - failed_at) / 1e9, float)
    recorder.add_event(call, Event.RETRY, facts)


LM: Final = Hook(begin, describe, finish, fail, cause=root_cause)
STREAM: Final = Hook(begin, describe_stream, finish, fail, cause=root_cause, item=chunk)
