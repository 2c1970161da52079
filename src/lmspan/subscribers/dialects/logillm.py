"""LogiLLM's callbacks: `on_module_start(event)`, sync or async, each with one event object.

Source: LogiLLM's documentation of its callbacks, and `logillm.core.callbacks` of release 0.2.17. These hooks also hear
hyperparameter updates, and the optimizers and evaluations that LogiLLM itself never reports. After a failure they hear
what the release sends:

    a module            an `ErrorEvent`, and no end
    a provider          a `ProviderErrorEvent` for each attempt, and no response
    an optimizer run    an `OptimizationEndEvent` with `success` False, if `_reports_failure` says so
    an evaluation, a tool, an adapter; and whatever is cancelled or stopped    nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Event, Operation, Phase
from lmspan.subscribers.dialects import logillm_events as logillm
from lmspan.subscribers.hooks import Argument, Dialect, Hook, Moment
from lmspan.subscribers.per_call import PerCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall

_MODULE: Final = frozenset((Operation.WORKFLOW, Operation.MODULE, Operation.AGENT))
_LM: Final = frozenset((Operation.LM,))
_OPTIMIZE: Final = frozenset((Operation.OPTIMIZE,))
_EVALUATE: Final = frozenset((Operation.EVALUATE,))
_ANNOUNCED: Final = _MODULE | _LM | _OPTIMIZE | _EVALUATE

_NO_PARAMETERS: Final = frozenset(("messages", "prompt", "api_key", "args"))
_PLAIN: Final = frozenset((str, int, float, bool))

_contexts: Final[PerCall[logillm.CallbackContext]] = PerCall()
"""The context of each call that a hook has heard."""

_updates: Final[PerCall[int]] = PerCall()
"""How many hyperparameter updates hooks have heard of each optimizer run."""


def _context(moment: Moment) -> logillm.CallbackContext:
    """Return the context of a call: start hooks leave data in it for end hooks, so all of them get the same object."""
    context = _contexts.get(moment.live, None)
    if context is not None:
        return context
    call = moment.call
    new = logillm.CallbackContext(
        call_id=call.call_id,
        parent_call_id=_parent_id(call),
        start_time_unix_nano=call.start_time_unix_nano,
    )
    return _contexts.setdefault(moment.live, new)  # a queued hook may have added one on its thread


def _parent_id(call: LiveCall) -> str | None:
    """Return the id of the innermost call around a call that has events of its own: a turn has none."""
    while call.parent is not None:
        call = call.parent
        if call.operation in _ANNOUNCED:
            return call.call_id
    return call.parent_id or None


def _duration(call: LiveCall) -> float:
    return max(call.end_time_unix_nano - call.start_time_unix_nano, 0) / 1e9


def _outputs(call: LiveCall) -> Any:
    """Return the outputs of a module by name: a prediction of LogiLLM or DSPy stores them under these attributes."""
    fields = getattr(call.outputs, "__dict__", {}) if call.source in ("logillm", "dspy") else {}
    stored = fields.get("outputs", fields.get("_store"))
    return stored if type(stored) is dict else call.outputs


def _succeeded(call: LiveCall) -> bool:
    """Return whether the prediction of a module says that it succeeded; one of another library does not say."""
    fields = getattr(call.outputs, "__dict__", {}) if call.source == "logillm" else {}
    return fields.get("success") is not False


def _module_of(call: LiveCall) -> Any:
    """Return the program that an evaluation or an optimizer run works on, from its arguments."""
    inputs = call.inputs if type(call.inputs) is dict else {}
    return inputs.get("program", inputs.get("student"))


def _dataset(call: LiveCall) -> list[Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    dataset = inputs.get("devset") or inputs.get("trainset") or inputs.get("dataset")
    return dataset if type(dataset) is list else []


def _optimizer(call: LiveCall) -> Any:
    run: LiveCall | None = call
    while run is not None and run.operation is not Operation.OPTIMIZE:
        run = run.parent
    return run.instance if run is not None else call.instance


def _usage(call: LiveCall) -> logillm.Usage:
    facts = call.facts
    tokens = logillm.TokenUsage(
        input_tokens=facts.get(sc.USAGE_INPUT_TOKENS, 0),
        output_tokens=facts.get(sc.USAGE_OUTPUT_TOKENS, 0),
        cached_tokens=facts.get(sc.USAGE_CACHE_READ_TOKENS, 0),
        reasoning_tokens=facts.get(sc.USAGE_REASONING_TOKENS, 0),
    )
    return logillm.Usage(
        tokens=tokens,
        cost=facts.get(sc.COST_AMOUNT),
        latency=_duration(call),
        provider=facts.get(sc.PROVIDER_NAME),
        model=facts.get(sc.RESPONSE_MODEL, facts.get(sc.REQUEST_MODEL)),
    )


def _messages(call: LiveCall) -> list[Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    messages = inputs.get("messages")
    return messages if type(messages) is list else [{"role": "user", "content": inputs.get("prompt")}]


def _request_parameters(call: LiveCall) -> dict[str, Any]:
    """Return the parameters of a request: those of the call, and for DSPy those that its LM adds."""
    inputs = call.inputs if type(call.inputs) is dict else {}
    added = getattr(call.instance, "__dict__", {}).get("kwargs") if call.source == "dspy" else None
    every = {**added, **inputs} if type(added) is dict else inputs
    return {key: value for key, value in every.items() if key not in _NO_PARAMETERS}


def _config(call: LiveCall) -> dict[str, Any]:
    """Return the configuration that an optimizer stores, else its attributes that are plain values."""
    fields = getattr(call.instance, "__dict__", {})
    config = fields.get("config")
    if type(config) is dict:
        return dict(config)
    if config is not None:
        return dict(getattr(config, "__dict__", {}))
    return {name: value for name, value in fields.items() if type(value) in _PLAIN and not name.startswith("_")}


def _result(call: LiveCall) -> Any:
    """Return the optimizer's result; one without scores of its own is returned with the scores of the run."""
    if call.outputs is None or hasattr(call.outputs, "best_score"):
        return call.outputs
    facts = call.facts
    first, best = facts.get(sc.OPTIMIZER_FIRST_SCORE), facts.get(sc.OPTIMIZER_BEST_SCORE, 0.0)
    improvement = (best - first) / first if first else facts.get(sc.OPTIMIZER_IMPROVEMENT, 0.0)
    return logillm.OptimizationResult(call.outputs, improvement, facts.get(sc.OPTIMIZER_CANDIDATE_COUNT, 0), best)


def _parameters(moment: Moment) -> dict[str, Any]:
    return {
        name.removeprefix(sc.HYPERPARAMETER): value
        for name, value in moment.attributes.items()
        if name.startswith(sc.HYPERPARAMETER)
    }


def _iteration(moment: Moment) -> int:
    """Return the number of this update of its optimizer, from 0. Called once for each moment."""
    number = _updates.get(moment.live, 0)
    _updates.set(moment.live, number + 1)
    return number


_EVENTS: Final[dict[str, Callable[[Moment], Any]]] = {
    "module_start": lambda moment: logillm.ModuleStartEvent(
        _context(moment), moment.call.instance, moment.call.inputs or {}
    ),
    "module_end": lambda moment: logillm.ModuleEndEvent(
        _context(moment), moment.call.instance, _outputs(moment.call), moment.call.outputs,
        _succeeded(moment.call), _duration(moment.call), moment.call.inputs or {},
    ),
    "error": lambda moment: logillm.ErrorEvent(
        _context(moment), moment.call.error, moment.call.instance, "forward"
    ),
    "provider_request": lambda moment: logillm.ProviderRequestEvent(
        _context(moment), moment.call.instance, _messages(moment.call), _request_parameters(moment.call)
    ),
    "provider_response": lambda moment: logillm.ProviderResponseEvent(
        _context(moment), moment.call.instance, _messages(moment.call), moment.call.outputs, _usage(moment.call),
        _duration(moment.call),
    ),
    "provider_error": lambda moment: logillm.ProviderErrorEvent(
        _context(moment), moment.call.instance, moment.call.error or moment.call.attempt_error,
        _messages(moment.call),
    ),
    "optimization_start": lambda moment: logillm.OptimizationStartEvent(
        _context(moment), moment.call.instance, _module_of(moment.call), _dataset(moment.call), _config(moment.call)
    ),
    "optimization_end": lambda moment: logillm.OptimizationEndEvent(
        _context(moment), moment.call.instance, _result(moment.call), moment.call.error is None,
        _duration(moment.call), moment.call.error,
    ),
    "evaluation_start": lambda moment: logillm.EvaluationStartEvent(
        _context(moment), _optimizer(moment.call), _module_of(moment.call), _dataset(moment.call)
    ),
    "evaluation_end": lambda moment: logillm.EvaluationEndEvent(
        _context(moment), _optimizer(moment.call), _module_of(moment.call),
        moment.call.facts.get(sc.SPAN_SCORE, 0.0), _duration(moment.call),
    ),
    "hyperparameter_update": lambda moment: logillm.HyperparameterUpdateEvent(
        _context(moment), moment.call.instance, _module_of(moment.call), _parameters(moment), _iteration(moment)
    ),
}  # fmt: skip


def _failed(call: LiveCall) -> bool:
    return isinstance(call.error, Exception)


def _worked(call: LiveCall) -> bool:
    return call.error is None


def _reports_end(call: LiveCall) -> bool:
    return _worked(call) or (_failed(call) and _reports_failure(call))


def _reports_failure(call: LiveCall) -> bool:
    """Return whether a run that fails has an end event: not that of `BootstrapOptimizer`, or of the program's own."""
    if call.source != "logillm":
        return True
    defining = next((base for base in type(call.instance).__mro__ if "optimize" in vars(base)), object)
    return defining.__module__.startswith("logillm.") and defining.__name__ != "BootstrapOptimizer"


def _tries_again(call: LiveCall) -> bool:
    return call.attempt_error is not None


def _hook(name: str, operations: frozenset[Operation], phase: Phase, when: Any = None, event: str = "") -> Hook:
    make = _EVENTS[name]
    return Hook(
        operations, phase, (Argument("event", lambda moment: moment.once(make), ("callback_event",)),), event, when
    )


DIALECT: Final = Dialect(
    "logillm",
    {  # in this order at one moment: a retry is an error, then a request
        "on_module_start": (_hook("module_start", _MODULE, Phase.START),),
        "on_module_end": (_hook("module_end", _MODULE, Phase.END, _worked),),
        "on_error": (_hook("error", _MODULE, Phase.END, _failed),),
        "on_provider_response": (_hook("provider_response", _LM, Phase.END, _worked),),
        "on_provider_error": (
            _hook("provider_error", _LM, Phase.END, _failed),
            _hook("provider_error", _LM, Phase.EVENT, _tries_again, Event.RETRY),
        ),
        "on_provider_request": (
            _hook("provider_request", _LM, Phase.START),
            _hook("provider_request", _LM, Phase.EVENT, _tries_again, Event.RETRY),
        ),
        "on_optimization_start": (_hook("optimization_start", _OPTIMIZE, Phase.START),),
        "on_optimization_end": (_hook("optimization_end", _OPTIMIZE, Phase.END, _reports_end),),
        "on_evaluation_start": (_hook("evaluation_start", _EVALUATE, Phase.START),),
        "on_evaluation_end": (_hook("evaluation_end", _EVALUATE, Phase.END, _worked),),
        "on_hyperparameter_update": (
            _hook("hyperparameter_update", _OPTIMIZE, Phase.EVENT, event=Event.HYPERPARAMETER_UPDATE),
        ),
    },
    bases=("lmspan.subscribers.dialects.logillm_events.AbstractCallback", "logillm.core.callbacks.AbstractCallback"),
)
