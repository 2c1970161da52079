"""LM calls: from API_REQUEST to API_RESPONSE, over all attempts, or to the end of the run that they failed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.messages import output_messages, tool_definitions
from lmspan.content.payload import qualified_name
from lmspan.guard import guarded
from lmspan.instrumentation.kit import attempts
from lmspan.instrumentation.kit.facts import text
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.instrumentation.llmproc.clients import maker_of
from lmspan.instrumentation.llmproc.messages import asked, system
from lmspan.instrumentation.llmproc.responses import answers, response_facts
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder

_get = object.__getattribute__

_PROVIDERS: Final = {
    # LLMProc's word -> the conventions', where they differ
    "anthropic_vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "gemini_vertex": "gcp.vertex_ai",
}


def begin(recorder: Recorder, run: Call, request: Any) -> None:
    """Start an LM call. `request` is what LLMProc announces: of OpenAI and Gemini, not all that it sends."""
    stored = _get(run.instance, "__dict__")
    model, provider = text(request.get("model")), text(stored.get("provider"))
    facts = {
        sc.PROVIDER_NAME: _PROVIDERS.get(provider, provider),
        sc.REQUEST_MODEL: model,
        **(run.notes.get("server") or {}),
    }
    call = recorder.start(
        Operation.LM, model, "llmproc", facts, instance=stored.get("client"), inputs=request, owned=False
    )
    run.notes["lm"] = call
    if "turn" in run.notes:
        run.notes["turn"].notes["tools"] = request.get("tools")
    if run.notes.pop("compacted", False):
        call.found[sc.CONVERSATION_COMPACTED] = True
    add_parameters(call.found, request.get("params") or request.get("config") or request)
    if recorder.captures(call):
        payload: dict[str, Any] = {sc.INPUT_MESSAGES: asked(request)}
        if instructions := system(request):
            payload[sc.SYSTEM_INSTRUCTIONS] = instructions
        if request.get("tools"):
            payload[sc.TOOL_DEFINITIONS] = tool_definitions(request["tools"])
        recorder.capture(call, payload)


def finish(recorder: Recorder, run: Call, response: Any) -> None:
    """End the LM call with its answer, and keep what tells the ids of the tool calls in it."""
    call = run.notes.pop("lm", None)
    if call is None:
        return
    attempts.count(call)
    call.response = response
    if "turn" in run.notes:
        run.notes["turn"].response = response
    recorder.end(call, _describe(recorder, call, response))


@guarded
def _describe(recorder: Recorder, call: Call, response: Any) -> list[Any]:
    """Add the facts of the answer, and return it as LM calls of every library give it."""
    call.found.update(response_facts(call.facts, response))
    outputs = answers(response)
    if recorder.captures(call):
        reasons = call.found.get(sc.RESPONSE_FINISH_REASONS, [])
        recorder.capture(call, {sc.OUTPUT_MESSAGES: output_messages(outputs, reasons)})
    return outputs


def end(recorder: Recorder, run: Call, error: BaseException) -> None:
    """End the LM call that is open, if one is, with what it failed with."""
    call = run.notes.pop("lm", None)
    if call is None:
        return
    attempts.count(call)
    call.notes.setdefault("failed", qualified_name(type(error)))
    attempts.last_failed(recorder, call)
    cause = error.__context__
    if type(error) is ValueError and maker_of(cause):
        call.found[sc.ERROR_TYPE] = qualified_name(type(cause))  # LLMProc says ValueError for whatever Gemini's client
    recorder.end(call, error=error)
