"""LM calls: one span for a request and all its attempts, from `complete_with_retry`, `complete` or `stream`.

LogiLLM announces each attempt as if it were a request, and does not announce streams. `wire` keeps the parameters that
are really sent and the answer that comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import input_messages, output_messages, tool_definitions
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit import attempts
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.exchanges import add_answered, add_sent, answered
from lmspan.instrumentation.kit.facts import is_inside, stored
from lmspan.instrumentation.kit.kept import LMKept, kept
from lmspan.instrumentation.kit.messages import instructions_of, request_messages
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.instrumentation.logillm.describe import as_dict
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.instrumentation.logillm.requests import identity, learn_providers
from lmspan.instrumentation.logillm.responses import completion_facts
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


@dataclass(slots=True)
class LogiLLMKept(LMKept):
    """Of an LM call of LogiLLM: what was really sent, and what came back."""

    parameters: dict[str, Any] = field(default_factory=dict)
    """The parameters of the request as they are sent."""
    completion: Any = None
    """LogiLLM's `Completion`."""
    cached: bool = False
    """Whether the provider's own cache had the answer."""
    attempting: bool = False
    """Whether an attempt is under way."""
    failed_at: int | None = None
    """When the current attempt has failed, in nanoseconds."""
    streamed: list[str] | None = None
    """The text of a stream so far; None where the answer is not streamed."""
    length: int = 0
    """How long that text is."""


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `complete_with_retry(messages, ...)`, or a `complete` or `stream` that is not under one."""
    if is_inside(instance, Operation.LM):
        return None
    learn_providers(recorder, instance)
    facts = identity(instance, "chat")
    inputs = {"messages": argument(args, kwargs, 0, "messages"), **kwargs}
    model = facts[sc.REQUEST_MODEL]
    call = recorder.start(Operation.LM, model, "logillm", facts, instance=instance, inputs=inputs)
    call.kept = LogiLLMKept(parameters=kwargs)
    return call


def describe(recorder: Recorder, call: LiveCall, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the signature that the prompt is made from, and the messages."""
    module = call.parent
    if module is not None and sc.SIGNATURE_NAME in module.late_facts:
        call.late_facts[sc.PROMPT_NAME] = module.late_facts[sc.SIGNATURE_NAME]
    if recorder.captures(call):
        payload: dict[str, Any] = {sc.INPUT_MESSAGES: input_messages(call.inputs["messages"], None)}
        if kwargs.get("tools") is not None:
            payload[sc.TOOL_DEFINITIONS] = tool_definitions(kwargs["tools"])
        recorder.capture(call, payload)


def describe_stream(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the same for a streamed answer."""
    call.late_facts[sc.REQUEST_STREAM] = True
    own = kept(call, LogiLLMKept)
    if own is not None:
        own.streamed = []
    describe(recorder, call, args, kwargs)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the facts of the request as it was sent, and of the answer."""
    own = kept(call, LogiLLMKept)
    if own is None:
        return
    _add_facts(recorder, call, own, outputs if outputs is not None else own.completion)
    if call.late_facts.get(sc.CACHE_HIT):
        recorder.mark_internal(call)
    if recorder.captures(call):
        reasons = call.late_facts.get(sc.RESPONSE_FINISH_REASONS, [])
        answers = [each for answer in answered(own) for each in answer.answers()] or _text(own, outputs)
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(answers, reasons)})


def fail(recorder: Recorder, call: LiveCall, error: BaseException) -> None:
    """Add the facts of the request as it was sent, and the last attempt, if there was more than one."""
    own = kept(call, LogiLLMKept)
    if own is not None:
        _add_facts(recorder, call, own, None)
        attempts.last_failed(recorder, call, qualified_name(type(error)))


def keep_item(recorder: Recorder, call: LiveCall, item: Any) -> None:
    """Keep the text of a stream, as far as it may be recorded."""
    own = kept(call, LogiLLMKept)
    if own is None or own.streamed is None or type(item) is not str:
        return
    if recorder.captures(call) and own.length < recorder.content.max_bytes:
        own.length += len(item)
        own.streamed.append(item)


def _text(own: LogiLLMKept, completion: Any) -> Any:
    """Return the text of the answer, with the tool calls that the model asks for."""
    if completion is None:
        return "".join(own.streamed or ())
    fields = stored(completion)
    text = fields.get("text")
    calls = as_dict(fields.get("metadata")).get("tool_calls")
    return {"text": text, "tool_calls": calls} if type(calls) is list else text


def _add_facts(recorder: Recorder, call: LiveCall, own: LogiLLMKept, completion: Any) -> None:
    add_parameters(call.late_facts, own.parameters)
    attempts.count(call)
    add_sent(call, own)
    call.late_facts.update(completion_facts(completion, model=call.facts[sc.REQUEST_MODEL], cached=own.cached))
    add_answered(call.late_facts, own)
    if own.exchanges and recorder.captures(call):
        _capture_sent(recorder, call, own.exchanges[-1].body)


def _capture_sent(recorder: Recorder, call: LiveCall, body: dict[str, Any]) -> None:
    """Replace the messages by those that are sent, where LogiLLM converts them or drops a part."""
    if body.get("messages") == call.inputs["messages"]:
        return
    if call.facts[sc.PROVIDER_NAME] != "anthropic":
        recorder.capture(call, {sc.INPUT_MESSAGES: input_messages(body.get("messages"), None)})
        return
    instructions = instructions_of(body)
    payload: dict[str, Any] = {sc.SYSTEM_INSTRUCTIONS: instructions} if instructions else {}
    recorder.capture(call, {**payload, sc.INPUT_MESSAGES: request_messages(body)})


# One attempt ------------------------------------------------------------------------------------------------------


def kept_for(provider: Any) -> LogiLLMKept | None:
    """Return what is kept on the current call, if that is an LM call of this provider."""
    call = attempts.current_lm_call("logillm")
    return kept(call, LogiLLMKept) if call is not None and call.instance is provider else None


async def attempt(wrapped: Callable[..., Any], provider: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Count an attempt, `complete(...)`. A class whose method calls that of its base class makes one attempt."""
    own = _start_attempt(provider)
    if own is None:
        return await wrapped(*args, **kwargs)
    try:
        completion = own.completion = await wrapped(*args, **kwargs)
    except Exception as error:
        _note_failure(provider, own, error)
        leave_no_trace(error)
        raise
    else:
        return completion
    finally:
        own.attempting = False


@guarded
def _start_attempt(provider: Any) -> LogiLLMKept | None:
    own = kept_for(provider)
    if own is None or own.attempting:
        return None
    if own.failed_at is not None:
        attempts.try_again(attempts.current_lm_call("logillm"), (recording.active.clock() - own.failed_at) / 1e9)
    own.attempting = True
    return own


@guarded
def _note_failure(provider: Any, own: LogiLLMKept, error: Exception) -> None:
    call = attempts.current_lm_call("logillm")
    if call is not None and call.instance is provider:
        call.attempt_error = error
    own.failed = qualified_name(type(root_cause(error)))
    own.failed_at = recording.active.clock()


LM: Final = Steps(start, describe, succeed, fail, cause=root_cause)
STREAM: Final = Steps(start, describe_stream, succeed, fail, cause=root_cause, item=keep_item)
