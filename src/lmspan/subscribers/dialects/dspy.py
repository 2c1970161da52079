"""DSPy's own callbacks: `on_lm_start(call_id, instance, inputs)`, `on_lm_end(call_id, outputs, exception)`.

Source: `dspy.utils.callback.BaseCallback` of DSPy 3.4, whose handlers are called by keyword.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.lifecycle import Operation, Phase
from lmspan.subscribers.hooks import Argument, Dialect, Hook, Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall


def _inputs(moment: Moment) -> Any:
    """Return the inputs in the shape that DSPy passes: the arguments of its method, by parameter."""
    call, inputs = moment.call, moment.call.inputs
    if type(inputs) is not dict:
        return {"kwargs": {}} if inputs is None else {"args": (inputs,), "kwargs": {}}
    rest = {name: value for name, value in inputs.items() if name != "args"}
    if call.operation is Operation.LM:
        prompt, messages = rest.pop("prompt", None), rest.pop("messages", None)
        positional = inputs.get("args", ())
        return {"prompt": positional[0] if positional else prompt, "messages": messages, "kwargs": rest}
    if call.operation is Operation.TOOL:
        return {"kwargs": rest}
    if call.operation is Operation.EVALUATE and call.source == "dspy":
        return {**_EVALUATE, **inputs}
    if call.operation in _BY_PARAMETER:
        return inputs
    return {"args": inputs.get("args", ()), "kwargs": rest}


_EVALUATE: Final = dict.fromkeys((
    "program", "metric", "devset", "num_threads", "display_progress", "display_table", "callback_metadata",
    "save_as_csv", "save_as_json",
))  # fmt: skip
"""The parameters of `Evaluate.__call__`: the inputs have all of them, passed or not."""


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
_BY_PARAMETER: Final = frozenset(
    (Operation.ADAPTER_FORMAT, Operation.ADAPTER_PARSE, Operation.EVALUATE, Operation.OPTIMIZE)
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
