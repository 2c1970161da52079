"""DSPy's own callbacks: `on_lm_start(call_id, instance, inputs)`, `on_lm_end(call_id, outputs, exception)`.

Source: `dspy.utils.callback.BaseCallback` of DSPy 3.4, whose handlers are called by keyword.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Hook, Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall


_METHODS: Final = {
    Operation.ADAPTER_FORMAT: "format",
    Operation.ADAPTER_PARSE: "parse",
    Operation.OPTIMIZE: "compile",
    Operation.INTERPRETER_EXECUTE: "execute",
    Operation.INTERPRETER_STARTUP: "start",
    Operation.INTERPRETER_SHUTDOWN: "shutdown",
}
"""The method of DSPy that an operation is a call of; `__call__` for all others."""

_BY_PARAMETER: Final = frozenset(
    (Operation.ADAPTER_FORMAT, Operation.ADAPTER_PARSE, Operation.EVALUATE, Operation.OPTIMIZE)
)


def _inputs(moment: Moment) -> Any:
    """Return the inputs as DSPy passes them: the arguments of its method by parameter, with the defaults."""
    call = moment.call
    if call.source != "dspy" or call.arguments is None:
        return _alike(call)
    args, kwargs = call.arguments
    try:
        bound = _signature(_method(call)).bind(call.instance, *args, **kwargs)
    except TypeError:  # the program's call is wrong, and raises by itself
        return _alike(call)
    bound.apply_defaults()
    _, *arguments = bound.arguments.items()
    return dict(arguments)


def _method(call: LiveCall) -> Any:
    """Return the method that DSPy announces: its own, and of optimizers the one that the program defines."""
    name = "invoke_tool" if _by_interpreter(call) else _METHODS.get(call.operation, "__call__")
    defining = [base for base in type(call.instance).__mro__ if name in vars(base)]
    if call.operation is not Operation.OPTIMIZE:
        defining = [base for base in defining if base.__module__.startswith("dspy.")] or defining
    return vars(defining[0])[name]


@functools.lru_cache(maxsize=256)
def _signature(method: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(method)


def _alike(call: LiveCall) -> Any:
    """Return the inputs of another library's call in the shape of DSPy's."""
    inputs = call.inputs
    if type(inputs) is not dict:
        return {"kwargs": {}} if inputs is None else {"args": (inputs,), "kwargs": {}}
    if call.operation in _BY_PARAMETER:
        return inputs
    if call.operation is Operation.TOOL:
        return {"kwargs": inputs}
    positional = inputs["args"] if type(inputs.get("args")) is tuple else ()
    rest = {name: value for name, value in inputs.items() if name != "args" or value is not positional}
    if call.operation is Operation.LM:
        prompt, messages = rest.pop("prompt", None), rest.pop("messages", None)
        return {"prompt": positional[0] if positional else prompt, "messages": messages, "kwargs": rest}
    return {"args": positional, "kwargs": rest}


class Tool:
    """Stands for a tool that is no object of DSPy: `instance` of the hooks of tools has a `name`."""

    def __init__(self, name: str, of: Any) -> None:
        self.name = name
        self.of = of
        """The object that the library passes: for LLMProc the process."""

    def __repr__(self) -> str:
        return f"<Tool {self.name!r}>"


def _tool(moment: Moment) -> Any:
    call = moment.call
    return Tool(call.name, call.instance) if call.source == "llmproc" else call.instance


_CALL_ID: Final = Argument("call_id", lambda moment: moment.call.call_id)
_INPUTS: Final = Argument("inputs", lambda moment: moment.once(_inputs))
_START: Final = (_CALL_ID, Argument("instance", lambda moment: moment.call.instance), _INPUTS)
_TOOL_START: Final = (_CALL_ID, Argument("instance", _tool), _INPUTS)
_END: Final = (
    _CALL_ID,
    Argument("outputs", lambda moment: moment.call.outputs),
    Argument("exception", lambda moment: moment.call.error),
)


def _by_interpreter(call: LiveCall) -> bool:
    return call.facts.get(sc.TOOL_CALLER) == "interpreter"


# the word in the names of the hooks -> the operations that they hear, and a restriction to some of their calls
_WORDS: Final[dict[str, tuple[tuple[Operation, ...], Callable[[LiveCall], bool] | None]]] = {
    "module": ((Operation.WORKFLOW, Operation.MODULE, Operation.AGENT, Operation.RETRIEVAL), None),
    "lm": ((Operation.LM,), None),
    "tool": ((Operation.TOOL,), lambda call: not _by_interpreter(call)),
    "adapter_format": ((Operation.ADAPTER_FORMAT,), None),
    "adapter_parse": ((Operation.ADAPTER_PARSE,), None),
    "evaluate": ((Operation.EVALUATE,), None),
    "compile": ((Operation.OPTIMIZE,), None),
    "interpreter_execute": ((Operation.INTERPRETER_EXECUTE,), None),
    "interpreter_tool_call": ((Operation.TOOL,), _by_interpreter),
    "interpreter_startup": ((Operation.INTERPRETER_STARTUP,), None),
    "interpreter_shutdown": ((Operation.INTERPRETER_SHUTDOWN,), None),
}


def _hooks() -> dict[str, tuple[Hook, ...]]:
    hooks: dict[str, tuple[Hook, ...]] = {}
    for word, (operations, when) in _WORDS.items():
        start = _TOOL_START if word == "tool" else _START
        hooks[f"on_{word}_start"] = (Hook(frozenset(operations), Phase.START, start, when=when),)
        hooks[f"on_{word}_end"] = (Hook(frozenset(operations), Phase.END, _END, when=when),)
    return hooks


DIALECT: Final = Dialect(
    "dspy", _hooks(), bases=("dspy.utils.callback.BaseCallback", "lmspan.callbacks.dspy.BaseCallback")
)
