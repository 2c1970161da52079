"""LLMProc's callbacks: methods named as its events, functions `(event, *args)`, and dicts of functions for one run.

Sources: LLMProc's documentation of callbacks (0.9) and of RunResult (0.3-0.6), and the releases 0.3 to 0.9.5 and 1.0,
which call the same arguments by other names: each name of any of them is accepted.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Call, Event, Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Heard, Hook


class CallbackEvent(StrEnum):
    """What a function is told has happened. The values are the names of the methods of class-based callbacks."""

    TOOL_START = "tool_start"
    TOOL_END = "tool_end"
    RESPONSE = "response"
    API_REQUEST = "api_request"
    API_RESPONSE = "api_response"
    TURN_START = "turn_start"
    TURN_END = "turn_end"
    STDERR_WRITE = "stderr_write"


def texts(outputs: Any) -> list[str]:
    """Return the texts of an LM's answer, whichever shape the library gives it."""
    found = []
    for each in outputs if type(outputs) is list else [outputs]:
        text = each.get("text") if type(each) is dict else each
        if type(text) is str and text:
            found.append(text)
    return found


def attribute(heard: Heard, name: str) -> Any:
    """Return what an event was told under a short name, whatever stands before it."""
    return next((value for key, value in heard.attributes.items() if key.rsplit(".", 1)[-1] == name), "")


def _text(heard: Heard) -> str:
    return "\n".join(texts(heard.call.outputs))


def _agent(heard: Heard) -> Any:
    """Return the process that the event is of: of another library, the agent, else the outermost program."""
    call: Call | None = heard.call
    while call is not None and call.operation is not Operation.AGENT:
        call = call.parent
    return (call or heard.call.root).instance


def _request(heard: Heard) -> dict[str, Any]:
    inputs = heard.call.inputs
    given = dict(inputs) if type(inputs) is dict else {"input": inputs}
    return {"model": heard.call.facts.get(sc.REQUEST_MODEL, heard.call.name), **given}


def _response(call: Call) -> Any:
    """Return the provider's own response where the source has it, as LLMProc gives it; else what was answered."""
    return call.response if call.response is not None else call.outputs


def _tool_results(heard: Heard) -> Any:
    return heard.call.tool_results if heard.call.tool_results is not None else []


def _result(heard: Heard) -> Any:
    return heard.call.outputs if heard.call.error is None else heard.call.error


PROCESS: Final = Argument("process", _agent)
OF_PROCESS: Final = Argument("process", _agent, by_name_only=True)
TOOL_NAME: Final = Argument("tool_name", lambda heard: heard.call.name, ("name",))
TOOL_ARGS: Final = Argument("args", lambda heard: heard.call.inputs or {}, ("tool_args", "arguments"))
RESULT: Final = Argument("result", _result)
CONTENT: Final = Argument("content", _text, ("text",))
REQUEST: Final = Argument("api_request", _request, ("payload", "payload_dict", "request"))
RESPONSE: Final = Argument("response", lambda heard: _response(heard.call), ("response_obj",))
RUN_RESULT: Final = Argument("run_result", lambda heard: heard.call.result)
MESSAGE: Final = Argument("message", lambda heard: attribute(heard, "text"), ("text",))
TOOL_RESULTS: Final = Argument("tool_results", _tool_results)

_TOOL: Final = frozenset((Operation.TOOL,))
_LM: Final = frozenset((Operation.LM,))
_TURN: Final = frozenset((Operation.TURN,))


def _said_something(call: Call) -> bool:
    return call.error is None and bool(texts(call.outputs))


_EVENTS: Final[dict[str, tuple[Hook, ...]]] = {
    CallbackEvent.TOOL_START: (Hook(_TOOL, Phase.START, (TOOL_NAME, TOOL_ARGS, OF_PROCESS)),),
    CallbackEvent.TOOL_END: (Hook(_TOOL, Phase.END, (TOOL_NAME, RESULT, OF_PROCESS)),),
    CallbackEvent.API_REQUEST: (Hook(_LM, Phase.START, (REQUEST, OF_PROCESS)),),
    CallbackEvent.API_RESPONSE: (
        Hook(_LM, Phase.END, (RESPONSE, OF_PROCESS), when=lambda call: call.error is None),
    ),
    CallbackEvent.RESPONSE: (Hook(_LM, Phase.END, (CONTENT, OF_PROCESS), when=_said_something),),
    CallbackEvent.TURN_START: (Hook(_TURN, Phase.START, (PROCESS, RUN_RESULT)),),
    CallbackEvent.TURN_END: (Hook(_TURN, Phase.END, (PROCESS, RESPONSE, TOOL_RESULTS)),),
    CallbackEvent.STDERR_WRITE: (
        Hook(frozenset(Operation), Phase.EVENT, (MESSAGE, OF_PROCESS), event=Event.STDERR_WRITE),
    ),
}  # fmt: skip

# the dict of functions that a run was given in the first releases, and the methods of the last
_OTHERS: Final = {
    "on_tool_start": _EVENTS[CallbackEvent.TOOL_START],
    "on_tool_end": _EVENTS[CallbackEvent.TOOL_END],
    "on_response": _EVENTS[CallbackEvent.RESPONSE],
    "run_end": (Hook(frozenset((Operation.AGENT,)), Phase.END, (RUN_RESULT, OF_PROCESS)),),
}

DIALECT: Final = Dialect(
    "llmproc",
    {**{event.value: hooks for event, hooks in _EVENTS.items()}, **_OTHERS},  # type: ignore[attr-defined]
    function=_EVENTS,
)
