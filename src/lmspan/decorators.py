"""Plain Python as a source: `@lmspan.tool` and its like, `with lmspan.operation(...)`, `lmspan.add_event(...)`."""

from __future__ import annotations

import functools
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from lmspan import generators
from lmspan import recorder as recording
from lmspan import semconv as sc
from lmspan.guard import guarded, leave_no_trace
from lmspan.lifecycle import Event, Operation
from lmspan.messages import exchanged, said_by, said_to
from lmspan.propagation import awaited, current_call, settle
from lmspan.shapes import EVENT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmspan.lifecycle import Call

    F = TypeVar("F", bound=Callable[..., Any])

# operation -> (fact that holds the name, content attribute of the inputs, of the outputs)
_NAMES: Final[dict[Operation, tuple[str, str, str]]] = {
    Operation.MODULE: (sc.MODULE_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.WORKFLOW: (sc.WORKFLOW_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.AGENT: (sc.AGENT_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.TOOL: (sc.TOOL_NAME, sc.TOOL_CALL_ARGUMENTS, sc.TOOL_CALL_RESULT),
    Operation.LM: (sc.REQUEST_MODEL, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.EMBEDDING: (sc.REQUEST_MODEL, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.RETRIEVAL: (sc.DATA_SOURCE_ID, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.EVALUATE: (sc.EVALUATION_NAME, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.OPTIMIZE: (sc.OPTIMIZER_NAME, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.CANDIDATE: (sc.CANDIDATE_ID, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
}
_OTHER: Final = ("", sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS)
_INPUTS, _OUTPUTS = 1, 2  # their places in a row
# place -> the attribute of its messages, what finds those of a model, who says those of an agent
_MESSAGES: Final = {
    _INPUTS: (sc.INPUT_MESSAGES, said_to, "user"),
    _OUTPUTS: (sc.OUTPUT_MESSAGES, said_by, "assistant"),
}
_UNNAMED_PROVIDER: Final = "custom"


class _Silent:
    """What `operation()` gives when nothing is recorded: it takes outputs and forgets them."""

    def __init__(self) -> None:
        self.outputs: Any = None
        self.call_id = ""
        self.facts: dict[str, Any] = {}
        self.found: dict[str, Any] = {}


@contextmanager
def operation(
    kind: Operation | str, name: str = "", *, inputs: Any = None, attributes: Mapping[str, Any] | None = None
) -> Iterator[Call]:
    """Record what runs under the `with` as one operation; set `outputs` on what it gives, if there are any.

    `attributes` are put on the span when it starts. An exception ends the span with it and passes on.
    """
    recorder = recording.active
    call = _begin(recorder, Operation(kind), name, inputs, attributes) if recorder.awake else None
    if call is None:
        yield _Silent()  # type: ignore[misc]
        return
    try:
        yield call
    except BaseException as error:
        recorder.end(call, error=error)
        raise
    _finish(recorder, call, call.outputs)


def add_event(event: Event | str, attributes: Mapping[str, Any] | None = None) -> None:
    """Add a point in time to the innermost open call of this context; nothing when there is none. Never raises.

    Keys without a dot become `lmspan.<event>.<key>`; values that are no attribute values are described.
    """
    call = current_call()
    if call is not None:
        _add_event(call, event, attributes or {})


class Decorator:
    """Record every call of a function as one operation: `@lmspan.tool` or `@lmspan.tool(name="search")`.

    For functions, coroutine functions, generators and async generators; what they take, give and raise is unchanged,
    but that a generator called with wrong arguments says so at its first step. `name` defaults to the function's name.
    """

    def __init__(self, kind: Operation) -> None:
        self._kind = kind

    @overload
    def __call__(self, function: F, /) -> F: ...
    @overload
    def __call__(self, function: None = None, /, *, name: str) -> Callable[[F], F]: ...
    def __call__(self, function: Callable[..., Any] | None = None, /, *, name: str = "") -> Any:
        """Wrap the function, or return what will."""
        return functools.partial(_wrap, self._kind, name) if function is None else _wrap(self._kind, name, function)

    def __repr__(self) -> str:
        return f"<lmspan.{self._kind.value} decorator>"


module = Decorator(Operation.MODULE)
agent = Decorator(Operation.AGENT)
tool = Decorator(Operation.TOOL)
lm = Decorator(Operation.LM)
turn = Decorator(Operation.TURN)
evaluate = Decorator(Operation.EVALUATE)
optimize = Decorator(Operation.OPTIMIZE)


def _wrap(kind: Operation, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    named = name or getattr(function, "__name__", type(function).__name__)
    inputs_of = _binder(function)
    if inspect.isasyncgenfunction(function):
        return generators.wrap_async(_beginner(kind, named, inputs_of), function)
    if inspect.isgeneratorfunction(function):
        return generators.wrap(_beginner(kind, named, inputs_of), function)
    if inspect.iscoroutinefunction(function):
        return _wrap_coroutine(kind, named, inputs_of, function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = recording.active
        call = _begin(recorder, kind, named, inputs_of(args, kwargs)) if recorder.awake else None
        if call is None:
            return function(*args, **kwargs)
        try:
            outputs = function(*args, **kwargs)
        except BaseException as error:
            recorder.end(call, error=error)
            leave_no_trace(error)
            raise
        _finish(recorder, call, outputs)
        return outputs

    return wrapper


def _wrap_coroutine(kind: Operation, name: str, inputs_of: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorder = recording.active
        before = awaited.get()
        awaited.set(True)
        try:
            call = _begin(recorder, kind, name, inputs_of(args, kwargs)) if recorder.awake else None
            if call is None:
                return await function(*args, **kwargs)
            try:
                outputs = await function(*args, **kwargs)
            except BaseException as error:
                recorder.end(call, error=error)
                await settle(call)
                leave_no_trace(error)
                raise
            _finish(recorder, call, outputs)
            await settle(call)
            return outputs
        finally:
            awaited.set(before)

    return wrapper


def _beginner(kind: Operation, name: str, inputs_of: Any) -> generators.Begin:
    """Return what begins the call of a generator at its first step, from the arguments that it was made with."""

    def begin(recorder: recording.Recorder, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        return _begin(recorder, kind, name, inputs_of(args, kwargs))

    return begin


def _binder(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """Return what names the arguments of a call; the signature is read once, when the function is decorated."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return lambda args, kwargs: {**kwargs, "args": args} if args else kwargs
    parameters = signature.parameters.values()
    positional = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    own = bool(positional) and positional[0] in ("self", "cls")

    def inputs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        named = dict(zip(positional, args, strict=False))
        if own:
            named.pop(positional[0], None)
        if len(args) > len(positional):
            named["args"] = args[len(positional) :]
        return {**named, **kwargs}

    return inputs


@guarded
def _begin(
    recorder: recording.Recorder, kind: Operation, name: str, inputs: Any, attributes: Mapping[str, Any] | None = None
) -> Call:
    fact = _NAMES.get(kind, _OTHER)[0]
    facts: dict[str, Any] = {fact: name} if fact and name else {}
    if kind in (Operation.LM, Operation.EMBEDDING):
        facts[sc.PROVIDER_NAME] = _UNNAMED_PROVIDER
    if kind is Operation.TOOL:
        facts[sc.TOOL_TYPE] = "function"
    facts.update(_described(recorder, attributes or {}))
    call = recorder.start(kind, name, "python", facts, inputs=inputs)
    if inputs is not None and recorder.captures(call):
        _capture(recorder, call, _INPUTS, inputs)
    return call


@guarded
def _capture(recorder: recording.Recorder, call: Call, place: int, value: Any) -> None:
    """Record inputs or outputs; of a model and an agent as messages too. OpenInference's value is the last of them."""
    name = _NAMES.get(call.operation, _OTHER)[place]
    said, find, role = _MESSAGES[place]
    payload = {name: value}
    if call.operation is Operation.LM:
        messages, rest = find(value)
        payload = {name: rest, said: messages}
    elif call.operation is Operation.AGENT:
        payload = {said: exchanged(role, value, recorder.content.brief) or None, name: value}
    recorder.capture(call, {name: each for name, each in payload.items() if each is not None})


def _finish(recorder: recording.Recorder, call: Call, outputs: Any) -> None:
    if outputs is not None and recorder.captures(call):
        _capture(recorder, call, _OUTPUTS, outputs)
    recorder.end(call, outputs)


@guarded
def _add_event(call: Call, event: Event | str, attributes: Mapping[str, Any]) -> None:
    recorder = recording.active
    prefix = EVENT_NAMES.get(event, f"lmspan.{event}")
    named = {key if "." in key else f"{prefix}.{key}": value for key, value in attributes.items()}
    recorder.add_event(call, event, _described(recorder, named))


def _described(recorder: recording.Recorder, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attribute values as they are where they are plain, else as JSON that runs no code of theirs."""
    content = recorder.content
    described: dict[str, Any] = {}
    for key, value in attributes.items():
        if type(value) in (bool, int, float):
            described[str(key)] = value
        elif value is not None:
            described[str(key)] = content.text(value) if issubclass(type(value), str) else content.json(value)
    return described
