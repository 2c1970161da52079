"""Plain Python as a source: `@lmspan.tool` and its like, `with lmspan.operation(...)`, `lmspan.add_event(...)`."""

from __future__ import annotations

import difflib
import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, overload

from lmspan.context import current
from lmspan.errors import ConfigurationError
from lmspan.guard import guarded
from lmspan.instrumentation.kit.around import Guarded, Steps
from lmspan.instrumentation.python import callables, operations, wrappers
from lmspan.lifecycle import Event, Operation
from lmspan.recording import recorder as recording
from lmspan.semconv.spans import EVENT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lmspan.lifecycle import Call, LiveCall
    from lmspan.recording.recorder import Recorder

    Descriptor = (
        classmethod[Any, Any, Any]
        | staticmethod[Any, Any]
        | property
        | functools.cached_property[Any]
        | functools.partialmethod[Any]
        | functools.singledispatchmethod[Any]
    )
    F = TypeVar("F", bound=Callable[..., Any] | Descriptor)


OperationName = Literal[
    "workflow", "module", "agent", "turn", "lm", "embedding", "retrieval", "tool", "adapter_format",
    "adapter_parse", "evaluate", "example", "optimize", "candidate", "interpreter_execute", "interpreter_startup",
    "interpreter_shutdown",
]  # fmt: skip
"""The values of `Operation`, so that editors complete them and type checkers refuse others."""


class _Silent:
    """The call of an `operation()` that is not recorded: it takes outputs and drops them."""

    def __init__(self) -> None:
        self.outputs: Any = None
        self.call_id = ""
        self.facts: dict[str, Any] = {}
        self.late_facts: dict[str, Any] = {}


def _start_operation(recorder: Recorder, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    return operations.start(recorder, *args, **kwargs)


_OPERATION: Final = Guarded(Steps(_start_operation, operations.describe, operations.succeed))


@contextmanager
def operation(
    kind: Operation | OperationName,
    name: str = "",
    *,
    inputs: Any = None,
    attributes: Mapping[str, Any] | None = None,
    provider: str = "",
    model: str = "",
) -> Iterator[Call]:
    """Record what runs under the `with` as one operation; set `outputs` on the call that it yields, if there are any.

    `attributes` are on the span from its start. `provider` and `model` are for `"lm"` and `"embedding"`, where the name
    is the model if `model` is not given; `lmspan.add_response()` adds the answer. An exception ends the span with it
    and passes on.
    """
    known = _known(kind)
    asked = _checked_model(known, name, provider, model)
    recorder = recording.active
    call = recorder.announce(_OPERATION.start, None, (known, name or asked.name, inputs, attributes, asked), {})
    if call is None:
        yield _Silent()  # type: ignore[misc] # it has the fields of a Call that a program sets or reads here
        return
    try:
        yield call
        _OPERATION.end(recorder, call, call.outputs, None)
    except BaseException as error:
        try:
            _OPERATION.end(recorder, call, None, error)
        except BaseException:  # an interrupt
            recorder.end(call, error=error)
            raise
        raise


def _known(kind: Any) -> Operation:
    try:
        return Operation(kind)
    except ValueError:
        named = repr(kind) if type(kind) is str else f"a value of type {type(kind).__name__}"
        near = difflib.get_close_matches(kind if type(kind) is str else "", [each.value for each in Operation], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"{named} is no operation: there are {', '.join(Operation)}{hint}") from None


def add_event(event: Event | str, attributes: Mapping[str, Any] | None = None) -> None:
    """Add a point in time to the innermost open call of this context; nothing when there is none. Never raises.

    Keys without a dot become `lmspan.<event>.<key>`; values that are no attribute values are described.
    """
    call = current.current_call()
    if call is not None:
        _add_event(call, event, attributes or {})


class Decorator:
    """Record every call as one operation: `@lmspan.tool`, `@lmspan.tool("search")` or `@lmspan.tool(name="search")`.

    For functions, coroutine functions, generators, async generators, methods of every kind (above or below
    `@classmethod`, `@staticmethod`, `@property`), partials and dispatchers of `functools`, and callable objects: the
    decorator returns an object of the same kind. Arguments, results and exceptions are unchanged, except that a
    generator function that is called with wrong arguments raises at its first step. `name` defaults to the function's.

    If a function returns a new coroutine, generator or async generator, the operation ends when that ends; other
    awaitables, such as tasks, are outputs. A function that is decorated twice by the same decorator is recorded once,
    with the outer name. Raises `ConfigurationError` for an object that cannot be recorded, such as a class.
    """

    def __init__(self, kind: Operation) -> None:
        self._kind = kind

    @overload
    def __call__(self, name: str = "", /) -> Callable[[F], F]: ...
    @overload
    def __call__(self, /, *, name: str) -> Callable[[F], F]: ...
    @overload
    def __call__(self, function: F, /, *, name: str = "") -> F: ...
    def __call__(self, target: Any = "", /, *, name: Any = "") -> Any:
        """Record the target, or return a decorator with this name."""
        if not isinstance(target, str):
            return callables.wrapped(target, _Recording(self._kind, _checked(name)))
        if target and name:
            raise ConfigurationError(f"{self!r} is given two names, {target!r} and {name!r}: one is enough")
        return functools.partial(callables.wrapped, wrap=_Recording(self._kind, _checked(target or name)))

    def __repr__(self) -> str:
        return f"<lmspan.{self._kind.value} decorator>"


class ModelDecorator(Decorator):
    """As `Decorator`, for functions that ask a model: `@lmspan.lm(provider="openai", model="gpt-4o-mini")`.

    The span is named after `name`, else the model, else the function. A name that is given is the model if `model` is
    not. If the function returns or yields what the client of OpenAI, Anthropic or Gemini returns, the facts of the
    answer are read from it; `lmspan.add_response()` adds them in other cases.
    """

    @overload
    def __call__(self, name: str = "", /, *, provider: str = "", model: str = "") -> Callable[[F], F]: ...
    @overload
    def __call__(self, /, *, name: str = "", provider: str = "", model: str = "") -> Callable[[F], F]: ...
    @overload
    def __call__(self, function: F, /, *, name: str = "", provider: str = "", model: str = "") -> F: ...
    def __call__(self, target: Any = "", /, *, name: Any = "", provider: Any = "", model: Any = "") -> Any:
        """Record the target, or return a decorator with this name and model."""
        given = target if isinstance(target, str) else ""
        if given and name:
            raise ConfigurationError(f"{self!r} is given two names, {target!r} and {name!r}: one is enough")
        given = _checked(given or name)
        record = _Recording(self._kind, given, _checked_model(self._kind, given, provider, model))
        if isinstance(target, str):
            return functools.partial(callables.wrapped, wrap=record)
        return callables.wrapped(target, record)


module: Final = Decorator(Operation.MODULE)
agent: Final = Decorator(Operation.AGENT)
tool: Final = Decorator(Operation.TOOL)
lm: Final = ModelDecorator(Operation.LM)
turn: Final = Decorator(Operation.TURN)
evaluate: Final = Decorator(Operation.EVALUATE)
optimize: Final = Decorator(Operation.OPTIMIZE)


class _Recording(NamedTuple):
    """Records functions as operations of one kind; `callables` takes them out of other objects."""

    kind: Operation
    name: str
    model: operations.Model = operations.Model()

    def named(self, name: str) -> _Recording:
        """Return the same, with a name where the program gave none."""
        return self if self.name or self.model.name else self._replace(name=name)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""
        name = self.name or self.model.name or callables.name_of(function)
        return wrappers.wrap(self.kind, name, function, self.model)


def _checked(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(f"the name of an operation is a string, not a value of type {type(name).__name__}")
    return name


def _checked_model(kind: Operation, name: str, provider: Any, model: Any) -> operations.Model:
    for what, value in (("provider", provider), ("model", model)):
        if not isinstance(value, str):
            raise ConfigurationError(f"a {what} is a string, not a value of type {type(value).__name__}")
        if value and kind not in operations.OF_MODELS:
            raise ConfigurationError(f"an operation {kind.value!r} has no {what}: 'lm' and 'embedding' have one")
    return operations.Model(provider, model or name) if kind in operations.OF_MODELS else operations.Model()


@guarded
def _add_event(call: LiveCall, event: Event | str, attributes: Mapping[str, Any]) -> None:
    recorder = recording.active
    prefix = EVENT_NAMES.get(event, f"lmspan.{event}")
    named = {key if "." in key else f"{prefix}.{key}": value for key, value in attributes.items()}
    recorder.add_event(call, event, operations.described(recorder, named))
