"""LLMProc's callbacks: methods named as its events, functions `(event, *args)`, and dicts of functions for one run.

Sources: LLMProc's documentation of callbacks (0.9) and of RunResult (0.3-0.6), and the releases 0.3 to 0.9.5 and 1.0,
which call the same arguments by other names: each name of any of them is accepted.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Event, LiveCall, Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Hook, Moment


class CallbackEvent(Enum):
    """The first argument of a callback that is a function. The values are the method names of class-based callbacks.

    A member is equal to LLMProc's own member, and has the same hash and the same string.
    """

    TOOL_START = "tool_start"
    TOOL_END = "tool_end"
    RESPONSE = "response"
    API_REQUEST = "api_request"
    API_RESPONSE = "api_response"
    TURN_START = "turn_start"
    TURN_END = "turn_end"
    STDERR_WRITE = "stderr_write"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CallbackEvent):
            return self is other
        theirs = type(other)
        is_theirs = theirs.__name__ == "CallbackEvent" and theirs.__module__.startswith("llmproc.")
        return is_theirs and getattr(other, "value", None) == self.value

    def __hash__(self) -> int:
        return hash(self.name)  # as `Enum` does


def texts(outputs: Any) -> list[str]:
    """Return the texts of an LM's answer, whichever shape the library gives it."""
    answers = []
    for each in outputs if type(outputs) is list else [outputs]:
        text = each.get("text") if type(each) is dict else each
        if type(text) is str and text:
            answers.append(text)
    return answers


def attribute(moment: Moment, name: str) -> Any:
    """Return the attribute of an event whose name ends in `.name`, or is `name`; "" if there is none."""
    return next((value for key, value in moment.attributes.items() if key.rsplit(".", 1)[-1] == name), "")


def _text(moment: Moment) -> str:
    return "\n".join(texts(moment.call.outputs))


def _agent(moment: Moment) -> Any:
    """Return the object of the innermost agent, which is LLMProc's process; without an agent, of the outermost call."""
    call: LiveCall | None = moment.call
    while call is not None and call.operation is not Operation.AGENT:
        call = call.parent
    return (call or moment.call.root).instance


def _request(moment: Moment) -> dict[str, Any]:
    inputs = moment.call.inputs
    arguments = dict(inputs) if type(inputs) is dict else {"input": inputs}
    return {"model": moment.call.facts.get(sc.REQUEST_MODEL, moment.call.name), **arguments}


def _response(call: LiveCall) -> Any:
    """Return the provider's own response, as LLMProc passes it, if the source has set one; else the outputs."""
    return call.outputs if call.response is None else call.response


def _result(moment: Moment) -> Any:
    return moment.call.outputs if moment.call.error is None else moment.call.error


PROCESS: Final = Argument("process", _agent)
OF_PROCESS: Final = Argument("process", _agent, by_name_only=True)
TOOL_NAME: Final = Argument("tool_name", lambda moment: moment.call.name, ("name",))
TOOL_ARGS: Final = Argument("args", lambda moment: moment.call.inputs or {}, ("tool_args", "arguments"))
RESULT: Final = Argument("result", _result)
CONTENT: Final = Argument("content", _text, ("text",))
REQUEST: Final = Argument("api_request", _request, ("payload", "payload_dict", "request"))
RESPONSE: Final = Argument("response", lambda moment: _response(moment.call), ("response_obj",))
RUN_RESULT: Final = Argument("run_result", lambda moment: moment.call.result, wants_result=True)
MESSAGE: Final = Argument("message", lambda moment: attribute(moment, "text"), ("text",))
TOOL_RESULTS: Final = Argument("tool_results", lambda moment: moment.call.tool_results or [])

_TOOL: Final = frozenset((Operation.TOOL,))
_LM: Final = frozenset((Operation.LM,))
_TURN: Final = frozenset((Operation.TURN,))


def _answered_with_text(call: LiveCall) -> bool:
    return call.error is None and bool(texts(call.outputs))


_EVENTS: Final[dict[CallbackEvent, tuple[Hook, ...]]] = {
    CallbackEvent.TOOL_START: (Hook(_TOOL, Phase.START, (TOOL_NAME, TOOL_ARGS, OF_PROCESS)),),
    CallbackEvent.TOOL_END: (Hook(_TOOL, Phase.END, (TOOL_NAME, RESULT, OF_PROCESS)),),
    CallbackEvent.API_REQUEST: (Hook(_LM, Phase.START, (REQUEST, OF_PROCESS)),),
    CallbackEvent.API_RESPONSE: (
        Hook(_LM, Phase.END, (RESPONSE, OF_PROCESS), when=lambda call: call.error is None),
    ),
    CallbackEvent.RESPONSE: (Hook(_LM, Phase.END, (CONTENT, OF_PROCESS), when=_answered_with_text),),
    CallbackEvent.TURN_START: (Hook(_TURN, Phase.START, (PROCESS, RUN_RESULT)),),
    CallbackEvent.TURN_END: (Hook(_TURN, Phase.END, (PROCESS, RESPONSE, TOOL_RESULTS)),),
    CallbackEvent.STDERR_WRITE: (
        Hook(frozenset(Operation), Phase.EVENT, (MESSAGE, OF_PROCESS), event=Event.STDERR_WRITE),
    ),
}  # fmt: skip

# the keys of the dict of functions that a run takes in the first releases, and a method of the last
_OTHERS: Final = {
    "on_tool_start": _EVENTS[CallbackEvent.TOOL_START],
    "on_tool_end": _EVENTS[CallbackEvent.TOOL_END],
    "on_response": _EVENTS[CallbackEvent.RESPONSE],
    "run_end": (Hook(frozenset((Operation.AGENT,)), Phase.END, (RUN_RESULT, OF_PROCESS)),),
}

DIALECT: Final = Dialect(
    "llmproc",
    {**{event.value: hooks for event, hooks in _EVENTS.items()}, **_OTHERS},
    function=_EVENTS,
)
