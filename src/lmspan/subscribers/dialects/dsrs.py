"""dsrs' trait `DspyCallback`: typed arguments by position, results as objects, a generic event for everything.

Source: dsrs' documentation of its callbacks, and `crates/dsrs/src/callbacks.rs`.
"""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Call, Event, Operation, Phase
from lmspan.subscribers.dialects import dsrs_events as dsrs
from lmspan.subscribers.hooks import ANY_EVENT, Argument, Dialect, Heard, Hook

_CHARACTERS_PER_TOKEN: Final = 4
_MODULE: Final = frozenset((Operation.WORKFLOW, Operation.MODULE, Operation.AGENT))
_LM: Final = frozenset((Operation.LM,))
_ALL: Final = frozenset(Operation)


def _usage(call: Call) -> dsrs.LmUsage:
    facts = call.facts
    cost, unit = facts.get(sc.COST_AMOUNT), facts.get(sc.COST_UNIT)
    return dsrs.LmUsage(
        facts.get(sc.USAGE_INPUT_TOKENS, 0),
        facts.get(sc.USAGE_OUTPUT_TOKENS, 0),
        int(cost) if unit == "msat" and cost is not None else 0,
        cost if unit == "USD" else None,
    )


def _total(call: Call) -> dsrs.LmUsage:
    """Return what a module used; where it keeps no sums of its own, nothing is known."""
    facts = call.facts
    return dsrs.LmUsage(
        facts.get(sc.TOTAL_INPUT_TOKENS, 0),
        facts.get(sc.TOTAL_OUTPUT_TOKENS, 0),
        int(facts.get(sc.TOTAL_COST_AMOUNT, 0)) if facts.get(sc.TOTAL_COST_UNIT) == "msat" else 0,
        facts.get(sc.TOTAL_COST_AMOUNT) if facts.get(sc.TOTAL_COST_UNIT) == "USD" else None,
    )


def _module_result(heard: Heard) -> dsrs.Result:
    call = heard.call
    if call.error is not None:
        return dsrs.Result(error=call.error)
    return dsrs.Result(dsrs.Prediction(call.outputs, _total(call)))


def _prompt_tokens(heard: Heard) -> int:
    """Estimate the tokens of a prompt from the lengths of its texts: nobody has counted them yet."""
    inputs = heard.call.inputs if type(heard.call.inputs) is dict else {}
    messages = inputs.get("messages") if type(inputs.get("messages")) is list else [{"content": inputs.get("prompt")}]
    texts = [each.get("content") for each in messages or () if type(each) is dict]
    return sum(len(text) for text in texts if type(text) is str) // _CHARACTERS_PER_TOKEN


def _metrics(heard: Heard) -> dict[str, float]:
    """Return the scores that a candidate was told with, by their short names."""
    numbers = {key: float(value) for key, value in heard.attributes.items() if type(value) in (int, float)}
    scores = {key.rsplit(".", 1)[-1]: value for key, value in numbers.items() if key.endswith("score")}
    named = {key.removeprefix(sc.CANDIDATE_METRICS): value for key, value in numbers.items() if ".metrics." in key}
    return {**scores, **named}


def _candidate_id(heard: Heard) -> str:
    return str(next((value for key, value in heard.attributes.items() if key.endswith((".id", "candidate_id"))), ""))


def _graph(heard: Heard) -> dsrs.Graph:
    result = heard.call.result
    return dsrs.Graph([dsrs.Node(*node) for node in result.nodes] if result is not None else [])


def _complete(heard: Heard) -> Any:
    total = _total(heard.call)
    nodes = heard.call.facts.get(sc.TOTAL_NODES, 0)
    return dsrs.CallbackEvent.TraceComplete(nodes, total.total_tokens, total.cost_msats)


def _milliseconds(call: Call) -> int:
    return max(call.end_time_unix_nano - call.start_time_unix_nano, 0) // 1_000_000


def _module_end(heard: Heard) -> Any:
    call = heard.call
    known = sc.TOTAL_LLM_CALLS in call.facts
    tokens = _total(call).total_tokens if known else None
    return dsrs.CallbackEvent.ModuleEnd(call.call_id, call.error is None, _milliseconds(call), tokens)


def _is_outermost(call: Call) -> bool:
    return call.root is call


CALL_ID: Final = Argument("call_id", lambda heard: heard.call.call_id)
MODEL: Final = Argument("model", lambda heard: heard.call.facts.get(sc.REQUEST_MODEL, heard.call.name))
LM_RESULT: Final = Argument("result", lambda heard: dsrs.Result(error=heard.call.error))


def _event(get: Any, operations: frozenset[Operation], phase: Phase, when: Any = None, event: str = "") -> Hook:
    return Hook(operations, phase, (Argument("event", get),), event, when)


_EVENTS: Final = (
    _event(
        lambda heard: dsrs.CallbackEvent.ModuleStart(
            heard.call.call_id, heard.call.name, heard.call.start_time_unix_nano // 1_000_000
        ),
        _MODULE,
        Phase.START,
    ),
    _event(
        lambda heard: dsrs.CallbackEvent.LmStart(heard.call.call_id, MODEL.get(heard), _prompt_tokens(heard)),
        _LM,
        Phase.START,
    ),
    _event(_module_end, _MODULE, Phase.END),
    _event(
        lambda heard: dsrs.CallbackEvent.LmEnd(heard.call.call_id, heard.call.error is None, _usage(heard.call)),
        _LM,
        Phase.END,
    ),
    _event(
        lambda heard: dsrs.CallbackEvent.OptimizerCandidate(_candidate_id(heard), _metrics(heard)),
        _ALL,
        Phase.EVENT,
        event=Event.OPTIMIZER_CANDIDATE,
    ),
    _event(
        lambda heard: dsrs.CallbackEvent.Custom(heard.event, dict(heard.attributes)),
        _ALL,
        Phase.EVENT,
        event=ANY_EVENT,
    ),
    _event(_complete, _ALL, Phase.END, _is_outermost),
)

DIALECT: Final = Dialect(
    "dsrs",
    {
        "on_module_start": (
            Hook(
                _MODULE,
                Phase.START,
                (
                    CALL_ID,
                    Argument("module_name", lambda heard: heard.call.name),
                    Argument("inputs", lambda heard: heard.call.inputs or {}, ("_inputs",)),
                ),
            ),
        ),
        "on_module_end": (Hook(_MODULE, Phase.END, (CALL_ID, Argument("result", _module_result))),),
        "on_lm_start": (Hook(_LM, Phase.START, (CALL_ID, MODEL, Argument("prompt_tokens", _prompt_tokens))),),
        "on_lm_end": (Hook(_LM, Phase.END, (CALL_ID, LM_RESULT, Argument("usage", lambda heard: _usage(heard.call)))),),
        "on_optimizer_candidate": (
            Hook(
                _ALL,
                Phase.EVENT,
                (Argument("candidate_id", _candidate_id), Argument("metrics", _metrics)),
                Event.OPTIMIZER_CANDIDATE,
            ),
        ),
        "on_trace_complete": (
            Hook(
                _ALL, Phase.END, (Argument("graph", _graph), Argument("manifest", lambda _: None)), when=_is_outermost
            ),
        ),
        "on_event": _EVENTS,
    },
    bases=("lmspan.callbacks.dsrs.DspyCallback",),
)
