"""LLMProc's callbacks: methods named as its events, functions `(event, *args)`, and dicts of functions for one run.

Sources: LLMProc's documentation of callbacks (0.9) and of RunResult (0.3-0.6), and the releases 0.3 to 0.9.5 and 1.0,
which call the same arguments by other names: each name of any of them is accepted.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Event, LiveCall, Operation, Phase
from lmspan.subscribers.answers import answer_texts
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


def attribute(moment: Moment, name: str) -> Any:
    """Return the attribute of an event whose name ends in `.name`, or is `name`; "" if there is none."""
    return next((value for key, value in moment.attributes.items() if key.rsplit(".", 1)[-1] == name), "")


def _text(moment: Moment) -> str:
    return "\n".join(answer_texts(moment.call))


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


def _user_input(moment: Moment) -> Any:
    """Return what the user asks an agent: its only input, else all of them."""
    inputs = moment.call.inputs
    return next(iter(inputs.values())) if type(inputs) is dict and len(inputs) == 1 else inputs


def _system_prompt(moment: Moment) -> Any:
    """Return the system prompt of a request, where the provider takes it: beside the messages, or the first of them."""
    inputs = moment.call.inputs if type(moment.call.inputs) is dict else {}
    messages = inputs.get("messages")
    first = messages[0] if type(messages) is list and messages and type(messages[0]) is dict else {}
    return inputs.get("system") or (first.get("content") if first.get("role") == "system" else None)


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
_AGENT: Final = frozenset((Operation.AGENT,))


def _answered_with_text(call: LiveCall) -> bool:
    return call.error is None and bool(answer_texts(call))


def _has_ended_well(call: LiveCall) -> bool:
    """Return whether a turn was not ended by an error: LLMProc announces no end of such a turn."""
    return call.error is None


_EVENTS: Final[dict[CallbackEvent, tuple[Hook, ...]]] = {
    CallbackEvent.TOOL_START: (Hook(_TOOL, Phase.START, (TOOL_NAME, TOOL_ARGS, OF_PROCESS)),),
    CallbackEvent.TOOL_END: (Hook(_TOOL, Phase.END, (TOOL_NAME, RESULT, OF_PROCESS)),),
    CallbackEvent.API_REQUEST: (Hook(_LM, Phase.START, (REQUEST, OF_PROCESS)),),
    CallbackEvent.API_RESPONSE: (
        Hook(_LM, Phase.END, (RESPONSE, OF_PROCESS), when=lambda call: call.error is None),
    ),
    CallbackEvent.RESPONSE: (Hook(_LM, Phase.END, (CONTENT, OF_PROCESS), when=_answered_with_text),),
    CallbackEvent.TURN_START: (Hook(_TURN, Phase.START, (PROCESS, RUN_RESULT)),),
    CallbackEvent.TURN_END: (Hook(_TURN, Phase.END, (PROCESS, RESPONSE, TOOL_RESULTS), when=_has_ended_well),),
    CallbackEvent.STDERR_WRITE: (
        Hook(frozenset(Operation), Phase.EVENT, (MESSAGE, OF_PROCESS), event=Event.STDERR_WRITE),
    ),
}  # fmt: skip

# the keys of the dict of functions that a run takes in the first releases, and a method of the last
_OTHERS: Final = {
    "on_tool_start": _EVENTS[CallbackEvent.TOOL_START],
    "on_tool_end": _EVENTS[CallbackEvent.TOOL_END],
    "on_response": _EVENTS[CallbackEvent.RESPONSE],
    "run_end": (Hook(_AGENT, Phase.END, (RUN_RESULT, OF_PROCESS)),),
}

# the methods of a plugin of release 1.0 that may return a value in place of another: only those that return none listen
_PLUGIN: Final = {
    "hook_user_input": (Hook(_AGENT, Phase.START, (Argument("user_input", _user_input), OF_PROCESS)),),
    "hook_tool_call": _EVENTS[CallbackEvent.TOOL_START],
    "hook_tool_result": _EVENTS[CallbackEvent.TOOL_END],
    "hook_system_prompt": (Hook(_LM, Phase.START, (Argument("system_prompt", _system_prompt), OF_PROCESS)),),
    "hook_response": _EVENTS[CallbackEvent.RESPONSE],
    "hook_provide_tools": (Hook(_AGENT, Phase.START, (OF_PROCESS,)),),
    "api_stream_block": (
        Hook(_LM, Phase.EVENT, (Argument("block", lambda moment: moment.attributes.get("text")), OF_PROCESS),
             Event.STREAM_CHUNK),
    ),
}  # fmt: skip

DIALECT: Final = Dialect(
    "llmproc",
    {**{event.value: hooks for event, hooks in _EVENTS.items()}, **_OTHERS, **_PLUGIN},
    function=_EVENTS,
)
