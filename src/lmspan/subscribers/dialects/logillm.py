"""LogiLLM's callbacks: `on_module_start(event)`, sync or async, each with one event object.

Source: LogiLLM's documentation of its callbacks, and `logillm.core.callbacks` of release 0.2.17. Hyperparameter
updates, ends of modules that failed, and the optimizers that LogiLLM itself never announces, are announced here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Event, Operation, Phase
from lmspan.subscribers.dialects import logillm_events as logillm
from lmspan.subscribers.hooks import Argument, Dialect, Heard, Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call

_MODULE: Final = frozenset((Operation.WORKFLOW, Operation.MODULE, Operation.AGENT))
_LM: Final = frozenset((Operation.LM,))
_OPTIMIZE: Final = frozenset((Operation.OPTIMIZE,))
_EVALUATE: Final = frozenset((Operation.EVALUATE,))


def _context(call: Call) -> logillm.CallbackContext:
    """Return the context of a call: the same object for its start and its end, so data set there is here."""
    context = call.notes.get("logillm")
    if context is None:
        context = call.notes["logillm"] = logillm.CallbackContext(
            call_id=call.call_id,
            parent_call_id=call.parent_id or None,
            start_time=call.start_time_unix_nano / 1e9,
        )
    return context


def _duration(call: Call) -> float:
    return max(call.end_time_unix_nano - call.start_time_unix_nano, 0) / 1e9


def _module_of(call: Call) -> Any:
    """Return the program that an evaluation or an optimizer run is of: what it was called with."""
    inputs = call.inputs if type(call.inputs) is dict else {}
    return inputs.get("program", inputs.get("student"))


def _dataset(call: Call) -> list[Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    given = inputs.get("devset") or inputs.get("trainset") or inputs.get("dataset")
    return given if type(given) is list else []


def _optimizer(call: Call) -> Any:
    outer: Call | None = call
    while outer is not None and outer.operation is not Operation.OPTIMIZE:
        outer = outer.parent
    return outer.instance if outer is not None else call.instance


def _usage(call: Call) -> logillm.Usage:
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


def _messages(call: Call) -> list[Any]:
    inputs = call.inputs if type(call.inputs) is dict else {}
    messages = inputs.get("messages")
    return messages if type(messages) is list else [{"role": "user", "content": inputs.get("prompt")}]


def _result(call: Call) -> Any:
    """Return what an optimizer gave; where that has no scores of its own, with those of the run."""
    if call.outputs is None or hasattr(call.outputs, "best_score"):
        return call.outputs
    facts = call.facts
    first, best = facts.get(sc.OPTIMIZER_FIRST_SCORE), facts.get(sc.OPTIMIZER_BEST_SCORE, 0.0)
    improvement = (best - first) / first if first else facts.get(sc.OPTIMIZER_IMPROVEMENT, 0.0)
    return logillm.OptimizationResult(call.outputs, improvement, facts.get(sc.OPTIMIZER_CANDIDATE_COUNT, 0), best)


def _parameters(heard: Heard) -> dict[str, Any]:
    return {
        name.removeprefix(sc.HYPERPARAMETER): value
        for name, value in heard.attributes.items()
        if name.startswith(sc.HYPERPARAMETER)
    }


def _iteration(call: Call) -> int:
    """Return which update of its optimizer this is, from 0: an event is made once for all who hear it."""
    number: int = call.notes.get("logillm updates", 0)
    call.notes["logillm updates"] = number + 1
    return number


_EVENTS: Final[dict[str, Callable[[Heard], Any]]] = {
    "module_start": lambda heard: logillm.ModuleStartEvent(
        _context(heard.call), heard.call.instance, heard.call.inputs or {}
    ),
    "module_end": lambda heard: logillm.ModuleEndEvent(
        _context(heard.call), heard.call.instance, heard.call.outputs, heard.call.outputs,
        heard.call.error is None, _duration(heard.call), heard.call.inputs or {},
    ),
    "error": lambda heard: logillm.ErrorEvent(
        _context(heard.call), heard.call.error, heard.call.instance, heard.call.operation.value
    ),
    "provider_request": lambda heard: logillm.ProviderRequestEvent(
        _context(heard.call), heard.call.instance, _messages(heard.call),
        {key: value for key, value in (heard.call.inputs or {}).items() if key not in ("messages", "prompt")},
    ),
    "provider_response": lambda heard: logillm.ProviderResponseEvent(
        _context(heard.call), heard.call.instance, _messages(heard.call), heard.call.outputs, _usage(heard.call),
        _duration(heard.call),
    ),
    "provider_error": lambda heard: logillm.ProviderErrorEvent(
        _context(heard.call), heard.call.instance, heard.call.error, _messages(heard.call)
    ),
    "optimization_start": lambda heard: logillm.OptimizationStartEvent(
        _context(heard.call), heard.call.instance, _module_of(heard.call), _dataset(heard.call), heard.call.facts
    ),
    "optimization_end": lambda heard: logillm.OptimizationEndEvent(
        _context(heard.call), heard.call.instance, _result(heard.call), heard.call.error is None,
        _duration(heard.call), heard.call.error,
    ),
    "evaluation_start": lambda heard: logillm.EvaluationStartEvent(
        _context(heard.call), _optimizer(heard.call), _module_of(heard.call), _dataset(heard.call)
    ),
    "evaluation_end": lambda heard: logillm.EvaluationEndEvent(
        _context(heard.call), _optimizer(heard.call), _module_of(heard.call),
        heard.call.facts.get(sc.EVALUATION_SCORE, 0.0), _duration(heard.call),
    ),
    "hyperparameter_update": lambda heard: logillm.HyperparameterUpdateEvent(
        _context(heard.call), heard.call.instance, _module_of(heard.call), _parameters(heard), _iteration(heard.call)
    ),
}  # fmt: skip


def _failed(call: Call) -> bool:
    return call.error is not None


def _worked(call: Call) -> bool:
    return call.error is None


def _failed_here(call: Call) -> bool:
    return call.failed and call.error is not None


def _hook(name: str, operations: frozenset[Operation], phase: Phase, when: Any = None, event: str = "") -> Hook:
    make = _EVENTS[name]
    return Hook(
        operations, phase, (Argument("event", lambda heard: heard.once(make), ("callback_event",)),), event, when
    )


DIALECT: Final = Dialect(
    "logillm",
    {
        "on_module_start": (_hook("module_start", _MODULE, Phase.START),),
        "on_module_end": (_hook("module_end", _MODULE, Phase.END),),
        "on_error": (_hook("error", frozenset(Operation), Phase.END, _failed_here),),
        "on_provider_request": (_hook("provider_request", _LM, Phase.START),),
        "on_provider_response": (_hook("provider_response", _LM, Phase.END, _worked),),
        "on_provider_error": (_hook("provider_error", _LM, Phase.END, _failed),),
        "on_optimization_start": (_hook("optimization_start", _OPTIMIZE, Phase.START),),
        "on_optimization_end": (_hook("optimization_end", _OPTIMIZE, Phase.END),),
        "on_evaluation_start": (_hook("evaluation_start", _EVALUATE, Phase.START),),
        "on_evaluation_end": (_hook("evaluation_end", _EVALUATE, Phase.END),),
        "on_hyperparameter_update": (
            _hook("hyperparameter_update", _OPTIMIZE, Phase.EVENT, event=Event.HYPERPARAMETER_UPDATE),
        ),
    },
    bases=("lmspan.subscribers.dialects.logillm_events.AbstractCallback", "logillm.core.callbacks.AbstractCallback"),
)
