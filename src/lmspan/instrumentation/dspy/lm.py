"""LM calls: the facts of the request from the arguments, and those of the answer from the functions in `execution`."""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import input_messages, output_messages, tool_definitions
from lmspan.instrumentation.dspy import typed
from lmspan.instrumentation.dspy.responses import billed_facts, response_facts
from lmspan.instrumentation.kit import attempts
from lmspan.instrumentation.kit.arguments import argument, keywords
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.exchanges import add_answered, add_sent, answered
from lmspan.instrumentation.kit.facts import is_inside, stored, text
from lmspan.instrumentation.kit.kept import LMKept, kept
from lmspan.instrumentation.kit.requests import add_parameters, learn_keys, server_facts
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_OPERATIONS: Final = {"text": "text_completion"}
# provider -> what may stand before the name of its model: an API, the format of an imported model
_ROADS: Final = {
    "openai": ("responses",),
    "azure.ai.openai": ("responses", "o_series", "gpt5_series"),
    "aws.bedrock": (
        "converse", "converse_like", "invoke", "async_invoke", "chat_completions", "claude_platform", "agent",
        "agentcore", "mantle", "openai", "nova", "nova-2",
    ),
    "gcp.vertex_ai": ("gemini", "openai"),
}  # fmt: skip
_REGION: Final = re.compile(r"[a-z]{2}(-gov)?-[a-z]+-[0-9]")


@dataclass(slots=True)
class DSPyLMKept(LMKept):
    """Of an LM call of DSPy: its settings, and what `execution` sees of its result."""

    settings: dict[str, Any] = field(default_factory=dict)
    request: Any = None
    """The typed request of DSPy 3.4, if the call has one."""
    result: Any = None
    """The result as DSPy's own object."""
    billed: Sequence[Any] = ()
    """The results of the requests that succeeded before another one failed the call."""
    adaptations: Sequence[dict[str, Any]] = ()
    """How DSPy has changed the request or the answer, each as the attributes of an event."""
    estimated: bool = False
    """Whether the usage of the result is LiteLLM's estimate, because no chunk of its stream had one."""
    chunks: int = 0
    """How many chunks of a stream have come."""


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start an LM call with the facts for samplers: operation, provider, model, server.

    A subclass of DSPy's LM may define `__call__` again, in a program or in another instrumentation; when that calls the
    method of its base class, it is the same call.
    """
    if is_inside(instance, Operation.LM):
        return None
    fields = stored(instance)
    own = fields.get("kwargs")
    settings = {**own, **kwargs} if type(own) is dict else kwargs
    learn_keys(recorder, settings)
    address = settings.get("api_base") or settings.get("base_url") or fields.get("base_url")
    model = text(fields.get("model")) or type(instance).__name__
    facts = identity(model, text(fields.get("model_type")), text(address), _default_provider(type(instance)))
    inputs = keywords(args, kwargs)
    call = recorder.start(
        Operation.LM, facts[sc.REQUEST_MODEL], "dspy", facts,
        instance=instance, inputs=inputs, arguments=(args, kwargs),
    )  # fmt: skip
    request = typed.request_of(args, kwargs)
    call.kept = DSPyLMKept(settings=settings if request is None else typed.settings_of(request), request=request)
    return call


def learn_secrets(recorder: Recorder, lm: Any) -> None:
    """Let the redactor know the keys of an LM before its first call: the inputs of a module are recorded earlier."""
    if is_lm(lm):
        learn_keys(recorder, stored(lm).get("kwargs"))


def is_lm(value: Any) -> bool:
    """Return whether a value is a language model of DSPy: a program may store other values under the name `lm`."""
    return issubclass(type(value), sys.modules["dspy"].BaseLM)


def describe(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the parameters that the request sets, the origin of the prompt, and the messages."""
    own = kept(call, DSPyLMKept)
    settings = own.settings if own is not None else {}
    add_parameters(call.late_facts, settings)
    _add_origin(call)
    if not recorder.captures(call):
        return
    if own is not None and own.request is not None:
        _capture_request(recorder, call, own.request)
    else:
        prompt = argument(args, kwargs, 0, "prompt")
        payload = {sc.INPUT_MESSAGES: input_messages(kwargs.get("messages"), prompt)}
        if settings.get("tools"):
            payload[sc.TOOL_DEFINITIONS] = tool_definitions(settings["tools"])
        recorder.capture(call, payload)


def _capture_request(recorder: Recorder, call: LiveCall, request: Any) -> None:
    payload: dict[str, Any] = {sc.INPUT_MESSAGES: typed.messages_of(request)}
    if instructions := typed.instructions_of(request):
        payload[sc.SYSTEM_INSTRUCTIONS] = instructions
    if tools := typed.tools_of(request):
        payload[sc.TOOL_DEFINITIONS] = tools
    recorder.capture(call, payload)


def _add_origin(call: LiveCall) -> None:
    """Add the signature that the prompt is made from, and the attempt of a predictor that repeats its request."""
    predictor = call.parent
    if predictor is not None and sc.SIGNATURE_NAME in predictor.late_facts:
        call.late_facts[sc.PROMPT_NAME] = _prompt_name(predictor.late_facts)
    if predictor is not None and predictor.attempt > 1:
        call.late_facts[sc.ADAPTER_ATTEMPT] = predictor.attempt


def _prompt_name(facts: dict[str, Any]) -> str:
    """Return the name of a signature; DSPy has the same one for all that are written as strings, so their fields."""
    name: str = facts[sc.SIGNATURE_NAME]
    if name != "StringSignature":
        return name
    return " -> ".join(", ".join(facts[fields]) for fields in (sc.SIGNATURE_INPUT_FIELDS, sc.SIGNATURE_OUTPUT_FIELDS))


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the facts of the answer and its messages."""
    _count(recorder, call)
    own = kept(call, DSPyLMKept)
    if own is not None and own.result is not None:
        call.late_facts.update(response_facts(own.result, estimated=own.estimated))
        add_answered(call.late_facts, own)
    if call.late_facts.get(sc.CACHE_HIT):
        recorder.mark_internal(call)
    for adaptation in own.adaptations if own is not None else ():
        recorder.add_event(call, Event.ADAPTATION, adaptation)
    if recorder.captures(call):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: _messages(call, own, outputs)})


def _messages(call: LiveCall, own: DSPyLMKept | None, outputs: Any) -> list[dict[str, Any]]:
    """Return the messages of the outputs, or those of the server if LiteLLM makes one of several candidates."""
    reasons = call.late_facts.get(sc.RESPONSE_FINISH_REASONS, [])
    if typed.is_response(outputs):
        return typed.response_messages(outputs, reasons)
    answers = [each for answer in answered(own) for each in answer.answers()] if own is not None else []
    more = type(outputs) is list and len(answers) > len(outputs)
    return output_messages(answers if more else outputs, reasons)


def fail(recorder: Recorder, call: LiveCall, _: BaseException) -> None:
    """Add the last attempt, if there was more than one, and the usage of the requests that were answered."""
    _count(recorder, call)
    own = kept(call, DSPyLMKept)
    if own is not None:
        call.late_facts.update(billed_facts(own.billed))
        add_answered(call.late_facts, own)
    attempts.last_failed(recorder, call)


def _count(recorder: Recorder, call: LiveCall) -> None:
    attempts.count(call)
    own = kept(call, DSPyLMKept)
    if own is not None:
        add_sent(call, own)
        _capture_prompt(recorder, call, own)
    if own is not None and own.chunks:
        call.late_facts[sc.REQUEST_STREAM] = True
        call.late_facts[sc.STREAM_CHUNK_COUNT] = own.chunks
        recorder.end_chunks(call)


def _capture_prompt(recorder: Recorder, call: LiveCall, own: DSPyLMKept) -> None:
    """Replace the messages by the one prompt that DSPy makes of them for a text completion."""
    prompt = own.exchanges[-1].body.get("prompt") if own.exchanges else None
    if type(prompt) is str and recorder.captures(call):
        recorder.capture(call, {sc.INPUT_MESSAGES: input_messages(None, prompt)})


@functools.lru_cache(maxsize=256)
def identity(model: str, model_type: str, address: str, provider: str) -> dict[str, Any]:
    """Return the facts that depend only on the LM. The dict is cached, so a caller copies it before a change."""
    prefix, slash, rest = model.partition("/")
    named = sc.PROVIDER_NAMES.get(prefix, prefix) if slash else provider
    facts: dict[str, Any] = {
        sc.OPERATION_NAME: _OPERATIONS.get(model_type) or sc.operation_of(named, rest),
        sc.PROVIDER_NAME: named,
        sc.REQUEST_MODEL: _without_road(named, rest) if slash else model,
    }
    return {**facts, **server_facts(address)}


def _without_road(provider: str, model: str) -> str:
    """Return the name of a model without the API and the region that LiteLLM reads from it."""
    roads = _ROADS.get(provider, ())
    first, slash, rest = model.partition("/")
    while slash and (first in roads or (roads and _REGION.fullmatch(first))):
        model = rest
        first, slash, rest = model.partition("/")
    return model


def _default_provider(kind: type) -> str:
    """Return the provider of a model without a prefix: OpenAI for DSPy's own LM, else the name of the class."""
    names = [base.__name__ for base in kind.__mro__]
    return "openai" if "LM" in names else kind.__name__.lower()


LM: Final = Steps(start, describe, succeed, fail)
