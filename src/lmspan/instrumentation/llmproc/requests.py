"""LM calls: from API_REQUEST over all attempts to API_RESPONSE, or to the end of the run that fails with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import tool_definitions
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded
from lmspan.instrumentation.kit import attempts
from lmspan.instrumentation.kit.facts import stored, text
from lmspan.instrumentation.kit.kept import LMKept, kept
from lmspan.instrumentation.kit.messages import instructions_of, request_messages
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.instrumentation.kit.responses import answers, response_messages
from lmspan.instrumentation.llmproc.clients import maker_of
from lmspan.instrumentation.llmproc.responses import response_facts
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


_PROVIDERS: Final = {
    # LLMProc's name, the conventions' name where they differ
    "anthropic_vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "gemini_vertex": "gcp.vertex_ai",
}


@dataclass(slots=True)
class RunKept:
    """Of a run: its server, its open turn and LM call, and what a tool has done to its history."""

    server: dict[str, Any] | None = None
    """The facts of the server that the process's client asks."""
    turn: LiveCall | None = None
    """The open turn."""
    turns: int = 0
    """How many turns have started."""
    lm: LiveCall | None = None
    """The open LM call."""
    compacted: bool = False
    """Whether the next request has a shorter history than the last one."""

    def take_lm(self) -> LiveCall | None:
        """Return the open LM call, and leave none open."""
        call = self.lm
        self.lm = None
        return call


@dataclass(slots=True)
class TurnKept:
    """Of a turn: the definitions of the tools that its latest request offers to the model."""

    tools: Any = None


def start(recorder: Recorder, run: LiveCall, request: Any) -> None:
    """Start an LM call. `request` is what LLMProc announces: for OpenAI and Gemini, a part of what it sends."""
    own = kept(run, RunKept)
    if own is None:
        return
    fields = stored(run.instance)
    model = text(request.get("model"))
    provider = text(fields.get("provider"))
    named = _PROVIDERS.get(provider, provider)
    facts = {
        sc.OPERATION_NAME: sc.operation_of(named, model),
        sc.PROVIDER_NAME: named,
        sc.REQUEST_MODEL: model,
        **(own.server or {}),
    }
    call = recorder.start(
        Operation.LM, model, "llmproc", facts, instance=fields.get("client"), inputs=request, owned=False
    )
    call.kept = LMKept()
    own.lm = call
    turn = kept(own.turn, TurnKept)
    if turn is not None:
        turn.tools = request.get("tools")
    if own.compacted:
        call.late_facts[sc.CONVERSATION_COMPACTED] = True
        own.compacted = False
    add_parameters(call.late_facts, request.get("params") or request.get("config") or request)
    if recorder.captures(call):
        payload: dict[str, Any] = {sc.INPUT_MESSAGES: request_messages(request)}
        if instructions := instructions_of(request):
            payload[sc.SYSTEM_INSTRUCTIONS] = instructions
        if request.get("tools"):
            payload[sc.TOOL_DEFINITIONS] = tool_definitions(request["tools"])
        recorder.capture(call, payload)


def succeed(recorder: Recorder, run: LiveCall, response: Any) -> None:
    """End the LM call with its answer, and keep that on the turn: it has the ids of the tool calls."""
    own = kept(run, RunKept)
    call = own.take_lm() if own is not None else None
    if own is None or call is None:
        return
    attempts.count(call)
    call.response = response
    if own.turn is not None:
        own.turn.response = response
    recorder.end(call, _describe(recorder, call, response))


@guarded
def _describe(recorder: Recorder, call: LiveCall, response: Any) -> list[Any]:
    """Add the facts of the answer, and return it in the shape that LM calls of all libraries have."""
    call.late_facts.update(response_facts(call.facts, response))
    outputs = answers(response)
    if recorder.captures(call):
        reasons = call.late_facts.get(sc.RESPONSE_FINISH_REASONS, [])
        recorder.capture(call, {sc.OUTPUT_MESSAGES: response_messages(response, reasons)})
    return outputs


def fail(recorder: Recorder, run: LiveCall, error: BaseException) -> None:
    """End the open LM call of a run, if it has one, by the error of the run."""
    own = kept(run, RunKept)
    call = own.take_lm() if own is not None else None
    attempt = kept(call, LMKept)
    if call is None or attempt is None:
        return
    attempts.count(call)
    attempt.failed = attempt.failed or qualified_name(type(error))
    attempts.last_failed(recorder, call)
    cause = error.__context__
    if type(error) is ValueError and maker_of(cause):
        call.late_facts[sc.ERROR_TYPE] = qualified_name(
            type(cause)
        )  # LLMProc raises ValueError in place of Gemini's errors
    recorder.end(call, error=error)
