"""dsrs' trait `DspyCallback`: typed arguments by position, results as objects, and one generic hook for all events.

Source: dsrs' documentation of its callbacks, and `crates/dsrs/src/callbacks.rs`.
"""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Event, LiveCall, Operation, Phase
from lmspan.semconv.spans import EVENT_NAMES
from lmspan.subscribers.dialects import dsrs_events as dsrs
from lmspan.subscribers.hooks import ANY_EVENT, Argument, Dialect, Hook, Moment
from lmspan.subscribers.usage import Usage, below

_CHARACTERS_PER_TOKEN: Final = 4
_NO_METRICS: Final = frozenset(("index", "step", "seed"))
"""The numbers of a candidate that only identify it."""
_MODULE: Final = frozenset((Operation.WORKFLOW, Operation.MODULE, Operation.AGENT))
_LM: Final = frozenset((Operation.LM,))
_ALL: Final = frozenset(Operation)


def _lm_usage(usage: Usage) -> dsrs.LmUsage:
    cost, unit = usage.cost, usage.unit
    return dsrs.LmUsage(
        usage.input_tokens,
        usage.output_tokens,
        int(cost) if unit == "msat" else 0,
        cost if unit == "USD" else None,
    )


def _usage(call: LiveCall) -> dsrs.LmUsage:
    return _lm_usage(Usage.of(call.facts))


def _total(moment: Moment) -> dsrs.LmUsage:
    """Return the usage of a module: from its totals, else from the LM calls below it."""
    facts = moment.call.facts
    if sc.TOTAL_LLM_CALLS not in facts:
        return _lm_usage(below(moment.live))
    if not facts[sc.TOTAL_LLM_CALLS]:
        return dsrs.LmUsage()
    cost = facts.get(sc.TOTAL_COST_AMOUNT, 0)
    tokens = facts.get(sc.TOTAL_INPUT_TOKENS, 0), facts.get(sc.TOTAL_OUTPUT_TOKENS, 0)
    return _lm_usage(Usage(*tokens, cost, facts.get(sc.TOTAL_COST_UNIT)))


def _module_result(moment: Moment) -> dsrs.Result:
    call = moment.call
    if call.error is not None:
        return dsrs.Result(error=call.error)
    return dsrs.Result(dsrs.Prediction(call.outputs, _total(moment)))


def _prompt_tokens(moment: Moment) -> int:
    """Estimate the tokens of a prompt from the lengths of its texts, because no provider has counted them yet."""
    inputs = moment.call.inputs if type(moment.call.inputs) is dict else {}
    messages = inputs.get("messages") if type(inputs.get("messages")) is list else [{"content": inputs.get("prompt")}]
    prompts = [inputs.get("system"), *(each.get("content") for each in messages or () if type(each) is dict)]
    return sum(map(_characters, prompts)) // _CHARACTERS_PER_TOKEN


def _characters(content: Any) -> int:
    """Return how long a text is, or the texts of blocks are."""
    if type(content) is list:
        return sum(_characters(block.get("text")) for block in content if type(block) is dict)
    return len(content) if type(content) is str else 0


def _metrics(moment: Moment) -> dict[str, float]:
    """Return the score and the other numbers that a candidate's event carries, by their short names."""
    own = {key.removeprefix("metrics."): value for key, value in _own_keys(moment).items()}
    return {key: float(value) for key, value in own.items() if type(value) in (int, float) and key not in _NO_METRICS}


def _candidate_id(moment: Moment) -> str:
    return str(next((value for key, value in moment.attributes.items() if key.endswith((".id", "candidate_id"))), ""))


def _graph(moment: Moment) -> dsrs.Graph:
    result = moment.call.result
    return dsrs.Graph([dsrs.Node(*node) for node in result.nodes] if result is not None else [])


def _complete(moment: Moment) -> Any:
    total = _total(moment)
    nodes = moment.call.facts.get(sc.TOTAL_NODES, 0)
    return dsrs.CallbackEvent.TraceComplete(nodes, total.total_tokens, total.cost_msats)


def _milliseconds(call: LiveCall) -> int:
    return max(call.end_time_unix_nano - call.start_time_unix_nano, 0) // 1_000_000


def _module_end(moment: Moment) -> Any:
    call = moment.call
    tokens = _total(moment).total_tokens
    return dsrs.CallbackEvent.ModuleEnd(call.call_id, call.error is None, _milliseconds(call), tokens)


def _is_outermost(call: LiveCall) -> bool:
    return call.root is call


CALL_ID: Final = Argument("call_id", lambda moment: moment.call.call_id)
MODEL: Final = Argument("model", lambda moment: moment.call.facts.get(sc.REQUEST_MODEL, moment.call.name))
LM_RESULT: Final = Argument("result", lambda moment: dsrs.Result(error=moment.call.error))


def _event(
    get: Any, operations: frozenset[Operation], phase: Phase, unless: str = "", when: Any = None, event: str = ""
) -> Hook:
    return Hook(operations, phase, (Argument("event", get, wants_usage=get is _module_end),), event, when, unless)


def _text(moment: Moment, name: str = "text") -> str:
    """Return the attribute of an event whose name is `name` or ends with it, as a string."""
    return str(_own_keys(moment).get(name, ""))


def _own_keys(moment: Moment) -> dict[str, Any]:
    """Return the attributes of an event under the keys that the program has passed."""
    prefix = f"{EVENT_NAMES.get(moment.event, f'lmspan.{moment.event}')}."
    return {key.removeprefix(prefix): value for key, value in moment.attributes.items()}


def _progress(moment: Moment) -> Any:
    own = _own_keys(moment)
    return dsrs.CallbackEvent.Progress(own.get("current", 0), own.get("total", 0), str(own.get("message", "")))


def _stream_start(moment: Moment) -> Any:
    return dsrs.CallbackEvent.LmStreamStart(moment.call.call_id, MODEL.get(moment))


def _token(moment: Moment) -> Any:
    return dsrs.CallbackEvent.LmToken(moment.call.call_id, _text(moment))


_EVENTS: Final = (
    _event(
        lambda moment: dsrs.CallbackEvent.ModuleStart(
            moment.call.call_id, moment.call.name, moment.call.start_time_unix_nano // 1_000_000
        ),
        _MODULE, Phase.START, "on_module_start",
    ),
    _event(
        lambda moment: dsrs.CallbackEvent.LmStart(moment.call.call_id, MODEL.get(moment), _prompt_tokens(moment)),
        _LM, Phase.START, "on_lm_start",
    ),
    _event(_module_end, _MODULE, Phase.END, "on_module_end"),
    _event(
        lambda moment: dsrs.CallbackEvent.LmEnd(moment.call.call_id, moment.call.error is None, _usage(moment.call)),
        _LM, Phase.END, "on_lm_end",
    ),
    _event(_stream_start, _LM, Phase.EVENT, "on_lm_stream_start", event=Event.STREAM_START),
    _event(_token, _LM, Phase.EVENT, "on_lm_token", event=Event.STREAM_CHUNK),
    _event(
        lambda moment: dsrs.CallbackEvent.LmStreamEnd(moment.call.call_id),
        _LM, Phase.EVENT, "on_lm_stream_end", event=Event.STREAM_END,
    ),
    _event(
        lambda moment: dsrs.CallbackEvent.OptimizerCandidate(_candidate_id(moment), _metrics(moment)),
        _ALL, Phase.EVENT, "on_optimizer_candidate", event=Event.OPTIMIZER_CANDIDATE,
    ),
    _event(_progress, _ALL, Phase.EVENT, event=Event.PROGRESS),
    _event(
        lambda moment: dsrs.CallbackEvent.Warning(_text(moment, "message")),
        _ALL, Phase.EVENT, event=Event.WARNING,
    ),
    _event(
        lambda moment: dsrs.CallbackEvent.Error(_text(moment, "message")), _ALL, Phase.EVENT, event="error",
    ),
    _event(
        lambda moment: dsrs.CallbackEvent.Custom(moment.event, _own_keys(moment)),
        _ALL, Phase.EVENT, event=Event.CUSTOM,
    ),
    _event(
        lambda moment: dsrs.CallbackEvent.Custom(moment.event, _own_keys(moment)), _ALL, Phase.EVENT, event=ANY_EVENT,
    ),
    _event(_complete, _ALL, Phase.END, "on_trace_complete", _is_outermost),
)  # fmt: skip

DIALECT: Final = Dialect(
    "dsrs",
    {
        "on_module_start": (
            Hook(
                _MODULE,
                Phase.START,
                (
                    CALL_ID,
                    Argument("module_name", lambda moment: moment.call.name),
                    Argument("inputs", lambda moment: moment.call.inputs or {}, ("_inputs",)),
                ),
            ),
        ),
        "on_module_end": (Hook(_MODULE, Phase.END, (CALL_ID, Argument("result", _module_result, wants_usage=True))),),
        "on_lm_start": (Hook(_LM, Phase.START, (CALL_ID, MODEL, Argument("prompt_tokens", _prompt_tokens))),),
        "on_lm_end": (
            Hook(_LM, Phase.END, (CALL_ID, LM_RESULT, Argument("usage", lambda moment: _usage(moment.call)))),
        ),
        "on_lm_stream_start": (Hook(_LM, Phase.EVENT, (CALL_ID, MODEL), Event.STREAM_START),),
        "on_lm_token": (Hook(_LM, Phase.EVENT, (CALL_ID, Argument("token", _text)), Event.STREAM_CHUNK),),
        "on_lm_stream_end": (Hook(_LM, Phase.EVENT, (CALL_ID,), Event.STREAM_END),),
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
                _ALL,
                Phase.END,
                (Argument("graph", _graph, wants_result=True), Argument("manifest", lambda _: None)),
                when=_is_outermost,
            ),
        ),
        "on_event": _EVENTS,
    },
    bases=(
        "lmspan.callbacks.dsrs.DspyCallback",
        "lmspan.callbacks.dsrs.EventCallback",
        "lmspan.callbacks.dsrs.CompositeCallback",
    ),
)
