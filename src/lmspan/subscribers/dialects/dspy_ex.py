"""dspy.ex' stateful callbacks: a `(handler, state)` tuple, each hook called with `(meta, payload, state)`.

The value that a hook returns is the next state, unless it is None or "ok"; a state lasts for one run of a predictor.
Payloads are summaries without prompt text.

Source: the plan of dspy.ex' adapter callbacks, and `lib/dspy/signature/adapter/pipeline.ex` and
`lib/dspy/tools/callback.ex` of release 0.3.39.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import LiveCall, Operation, Phase
from lmspan.subscribers.binding import bind
from lmspan.subscribers.hooks import Argument, BoundHook, Dialect, Hook, Moment, name_of
from lmspan.subscribers.per_call import PerCall

if TYPE_CHECKING:
    from collections.abc import Callable


_PREDICTORS: Final = (Operation.MODULE, Operation.WORKFLOW, Operation.AGENT)


def predictor_of(call: LiveCall) -> LiveCall:
    """Return the call of the predictor around an adapter phase, an LM call or a tool call."""
    predictor: LiveCall | None = call
    while predictor is not None and predictor.operation not in _PREDICTORS:
        predictor = predictor.parent
    return predictor or call.root


def _meta(moment: Moment) -> dict[str, Any]:
    predictor, facts = predictor_of(moment.call), moment.call.facts
    return {
        "call_id": predictor.call_id,
        "attempt": facts.get(sc.ADAPTER_ATTEMPT, predictor.attempt),
        "adapter": facts.get(sc.ADAPTER_NAME, predictor.adapter),
        "signature_name": predictor.late_facts.get(sc.SIGNATURE_NAME, facts.get(sc.SIGNATURE_NAME)),
    }


def _keys(value: Any) -> list[str]:
    return [str(key) for key in value] if type(value) is dict else []


def _request(call: LiveCall) -> dict[str, Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    messages = inputs.get("messages")
    return {
        "messages_count": len(messages) if type(messages) is list else 1,
        "provider": call.facts.get(sc.PROVIDER_NAME),
        "model": call.facts.get(sc.REQUEST_MODEL),
    }


def _format_start(moment: Moment) -> dict[str, Any]:
    inputs = moment.call.inputs if type(moment.call.inputs) is dict else {}
    return {"inputs_keys": _keys(inputs.get("inputs"))}


def _format_end(moment: Moment) -> dict[str, Any]:
    return {"request": {"messages_count": len(moment.call.outputs) if type(moment.call.outputs) is list else 0}}


def _call_end(moment: Moment) -> dict[str, Any]:
    facts = moment.call.facts
    prompt, completion = facts.get(sc.USAGE_INPUT_TOKENS), facts.get(sc.USAGE_OUTPUT_TOKENS)
    usage = None
    if prompt is not None or completion is not None:
        total = (prompt or 0) + (completion or 0)
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {"request": _request(moment.call), "usage": usage}


def _parse_start(moment: Moment) -> dict[str, Any]:
    inputs = moment.call.inputs if type(moment.call.inputs) is dict else {}
    text = inputs.get("completion")
    return {"response_chars": len(text) if type(text) is str else 0}


def _parse_end(moment: Moment) -> dict[str, Any]:
    if moment.call.error is not None:
        return {"error": moment.call.facts.get(sc.ERROR_TYPE)}
    return {"outputs_keys": _keys(moment.call.outputs)}


META: Final = Argument("meta", _meta)
STATE: Final = Argument("state", lambda _: None)
"""Placeholder: binding a `(handler, state)` tuple replaces it by the argument that reads the run's state."""


def _phase(operation: Operation, phase: Phase, payload: Any) -> tuple[Hook, ...]:
    return (Hook(frozenset((operation,)), phase, (META, Argument("payload", payload), STATE)),)


_TOOL: Final = frozenset((Operation.TOOL,))
_CALL_ID: Final = Argument("call_id", lambda moment: moment.call.call_id)


class ToolName(str):
    """A tool, by its name."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name of the tool."""
        return str(self)


class ToolError(dict[str, Any]):
    """The failure of a tool: its `kind` and its `message` by key or attribute, and the `exception` itself."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def _tool_error(moment: Moment) -> ToolError | None:
    error = moment.call.error
    if error is None:
        return None
    kind = "timeout" if isinstance(error, TimeoutError) else "exception"
    return ToolError(kind=kind, message=str(error), exception=error)


_TOOL_NAME: Final = Argument("tool", lambda moment: ToolName(moment.call.name))

DIALECT: Final = Dialect(
    "dspy_ex",
    {
        "on_adapter_format_start": _phase(Operation.ADAPTER_FORMAT, Phase.START, _format_start),
        "on_adapter_format_end": _phase(Operation.ADAPTER_FORMAT, Phase.END, _format_end),
        "on_adapter_call_start": _phase(
            Operation.LM, Phase.START, lambda moment: {"request": _request(moment.call)}
        ),
        "on_adapter_call_end": _phase(Operation.LM, Phase.END, _call_end),
        "on_adapter_parse_start": _phase(Operation.ADAPTER_PARSE, Phase.START, _parse_start),
        "on_adapter_parse_end": _phase(Operation.ADAPTER_PARSE, Phase.END, _parse_end),
        "on_tool_start": (
            Hook(_TOOL, Phase.START, (_CALL_ID, _TOOL_NAME, Argument("inputs", lambda h: h.call.inputs or {}), STATE)),
        ),
        "on_tool_end": (
            Hook(
                _TOOL,
                Phase.END,
                (
                    _CALL_ID,
                    _TOOL_NAME,
                    Argument("outputs", lambda h: h.call.outputs),
                    Argument("error", _tool_error),
                    STATE,
                ),
            ),
        ),
    },
    bases=("lmspan.callbacks.dspy_ex.Callback",),
)  # fmt: skip


class State:
    """The states of one `(handler, state)` tuple: one for each run of a predictor, kept as long as its call lives."""

    def __init__(self, initial: Any) -> None:
        self._initial = initial
        self._states: PerCall[Any] = PerCall()

    def around(self, handler: Any, bound: BoundHook) -> Callable[[Moment], None]:
        """Return a function that calls a hook with the state of its run, and keeps the value that it returns."""
        state = Argument("state", lambda moment: self._states.get(predictor_of(moment.live), self._initial))
        arguments = [state if each is STATE else each for each in bound.hook.arguments]
        function = handler[bound.name] if isinstance(handler, dict) else getattr(handler, bound.name)
        call = bind(function, arguments, f"{name_of(handler)}.{bound.name}")

        def run(moment: Moment) -> None:
            returned = call(moment)
            if returned is not None and returned != "ok":
                self._states.set(predictor_of(moment.live), returned)

        return run
