"""dspy.ex' stateful callbacks: a `(handler, state)` tuple, each hook called with `(meta, payload, state)`.

What a hook returns is its next state, unless it is None or "ok"; the state lasts for one run of a predictor. Payloads
are summaries: no prompt text.

Source: the plan of dspy.ex' adapter callbacks, and `lib/dspy/signature/adapter/pipeline.ex` and
`lib/dspy/tools/callback.ex` of release 0.3.39.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Call, Operation, Phase
from lmspan.subscribers.binding import bind
from lmspan.subscribers.hooks import Argument, Dialect, Found, Heard, Hook, name_of

if TYPE_CHECKING:
    from collections.abc import Callable


_PREDICTORS: Final = (Operation.MODULE, Operation.WORKFLOW, Operation.AGENT)


def predictor_of(call: Call) -> Call:
    """Return the predictor's call that an adapter phase or an LM call belongs to."""
    found: Call | None = call
    while found is not None and found.operation not in _PREDICTORS:
        found = found.parent
    return found or call.root


def _meta(heard: Heard) -> dict[str, Any]:
    predictor, facts = predictor_of(heard.call), heard.call.facts
    return {
        "call_id": predictor.call_id,
        "attempt": facts.get(sc.ADAPTER_ATTEMPT, predictor.attempt),
        "adapter": facts.get(sc.ADAPTER_NAME, predictor.adapter),
        "signature_name": predictor.found.get(sc.SIGNATURE_NAME, facts.get(sc.SIGNATURE_NAME)),
    }


def _keys(value: Any) -> list[str]:
    return [str(key) for key in value] if type(value) is dict else []


def _request(call: Call) -> dict[str, Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    messages = inputs.get("messages")
    return {
        "messages_count": len(messages) if type(messages) is list else 1,
        "provider": call.facts.get(sc.PROVIDER_NAME),
        "model": call.facts.get(sc.REQUEST_MODEL),
    }


def _format_start(heard: Heard) -> dict[str, Any]:
    inputs = heard.call.inputs if type(heard.call.inputs) is dict else {}
    return {"inputs_keys": _keys(inputs.get("inputs"))}


def _format_end(heard: Heard) -> dict[str, Any]:
    return {"request": {"messages_count": len(heard.call.outputs) if type(heard.call.outputs) is list else 0}}


def _call_end(heard: Heard) -> dict[str, Any]:
    facts = heard.call.facts
    prompt, completion = facts.get(sc.USAGE_INPUT_TOKENS), facts.get(sc.USAGE_OUTPUT_TOKENS)
    usage = None
    if prompt is not None or completion is not None:
        total = (prompt or 0) + (completion or 0)
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    return {"request": _request(heard.call), "usage": usage}


def _parse_start(heard: Heard) -> dict[str, Any]:
    inputs = heard.call.inputs if type(heard.call.inputs) is dict else {}
    text = inputs.get("completion")
    return {"response_chars": len(text) if type(text) is str else 0}


def _parse_end(heard: Heard) -> dict[str, Any]:
    if heard.call.error is not None:
        return {"error": heard.call.facts.get(sc.ERROR_TYPE)}
    return {"outputs_keys": _keys(heard.call.outputs)}


META: Final = Argument("meta", _meta)
STATE: Final = Argument("state", lambda _: None)
"""Stands for the state: who binds a `(handler, state)` tuple puts what keeps it here."""


def _phase(operation: Operation, phase: Phase, payload: Any) -> tuple[Hook, ...]:
    return (Hook(frozenset((operation,)), phase, (META, Argument("payload", payload), STATE)),)


_TOOL: Final = frozenset((Operation.TOOL,))
_CALL_ID: Final = Argument("call_id", lambda heard: heard.call.call_id)
_TOOL_NAME: Final = Argument("tool", lambda heard: heard.call.name)

DIALECT: Final = Dialect(
    "dspy_ex",
    {
        "on_adapter_format_start": _phase(Operation.ADAPTER_FORMAT, Phase.START, _format_start),
        "on_adapter_format_end": _phase(Operation.ADAPTER_FORMAT, Phase.END, _format_end),
        "on_adapter_call_start": _phase(
            Operation.LM, Phase.START, lambda heard: {"request": _request(heard.call)}
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
                    Argument("error", lambda h: h.call.error),
                    STATE,
                ),
            ),
        ),
    },
    bases=("lmspan.callbacks.dspy_ex.Callback",),
)  # fmt: skip


class State:
    """The state of a `(handler, state)` tuple: one for each run of a predictor, there as long as the run is."""

    def __init__(self, initial: Any) -> None:
        self._initial = initial
        self._key = f"state {id(self)}"

    def around(self, handler: Any, found: Found) -> Callable[[Heard], Any]:
        """Return what calls a hook with the state as it is, and takes what it returns for the next."""
        given = Argument("state", lambda heard: predictor_of(heard.call).notes.get(self._key, self._initial))
        arguments = [given if each is STATE else each for each in found.hook.arguments]
        function = handler[found.name] if isinstance(handler, dict) else getattr(handler, found.name)
        call = bind(function, arguments, f"{name_of(handler)}.{found.name}")

        def called(heard: Heard) -> None:
            returned = call(heard)
            if returned is not None and returned != "ok":
                predictor_of(heard.call).notes[self._key] = returned

        return called
