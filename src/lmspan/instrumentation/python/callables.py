"""The kinds of objects that a decorator records: how the function is taken out of each, and put back.

A decorator returns an object of the same kind, so that `functools` and `inspect` see no difference. An object that is
decorated twice with the same operation is recorded once.
"""

from __future__ import annotations

import copy
import functools
from types import FunctionType, MethodType, new_class
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakKeyDictionary

import wrapt

from lmspan.content.payload import qualified_name
from lmspan.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = Callable[..., Any]


class Wrap(Protocol):
    """Records functions as operations of one kind."""

    @property
    def kind(self) -> Any:
        """The operation."""

    def named(self, name: str, /) -> Wrap:
        """Return the same, with a name where the program gave none."""

    def __call__(self, function: Function, /) -> Function:
        """Return a function that records each call."""


_wraps: WeakKeyDictionary[Function, Wrap] = WeakKeyDictionary()
"""The wrap of each function that was made here. A mark on the function itself would be copied by other decorators."""


def name_of(target: Any) -> str:
    """Return the name of a function, or of a callable object's class."""
    name = getattr(target, "__name__", None)
    return name if isinstance(name, str) else type(target).__name__


def wrapped(target: Any, wrap: Wrap) -> Any:
    """Return an object of the same kind as `target`, with the function in it wrapped.

    Raises:
        ConfigurationError: `target` holds no function that could be recorded.
    """
    return next(_KINDS[kind] for kind in type(target).__mro__ if kind in _KINDS)(target, wrap)


class Recorded(wrapt.ObjectProxy):  # type: ignore[type-arg] # generic from wrapt 2 on
    """A callable object with its calls recorded; everything else is the object's. Can be copied and pickled."""

    def __init__(self, target: Any, wrap: Wrap) -> None:
        super().__init__(target)
        call, named = target.__call__, wrap.named(name_of(target))
        self._self_wrap = wrap
        self._self_call = wrapped(call, named) if isinstance(call, MethodType) else named(call)

    @property
    def __call__(self) -> Any:
        """The object's own method, recorded: a library that reads its signature finds the object's."""
        return self._self_call

    def __copy__(self) -> Any:
        return recorded(copy.copy(self.__wrapped__), self._self_wrap)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return recorded(copy.deepcopy(self.__wrapped__, memo), self._self_wrap)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return recorded, (self.__wrapped__, self._self_wrap)


def recorded(target: Any, wrap: Wrap) -> Any:
    """Return a callable object with its calls recorded, of a class with the name of its own: libraries show it."""
    return new_class(type(target).__name__, (Recorded,))(target, wrap)


def _descriptor(target: Any, wrap: Wrap) -> Any:
    return type(target)(wrapped(target.__func__, wrap))


def _property(target: Any, wrap: Wrap) -> Any:
    if target.fget is None:
        raise ConfigurationError("a property without a getter cannot be recorded: decorate the getter")
    return target.getter(wrapped(target.fget, wrap))


def _cached_property(target: Any, wrap: Wrap) -> Any:
    made = copy.copy(target)
    made.func = wrapped(target.func, wrap)
    return made


def _partial(target: Any, wrap: Wrap) -> Any:
    made = type(target)(wrapped(target.func, wrap), *target.args, **target.keywords)
    made.__dict__.update({**target.__dict__, **made.__dict__})
    return made


def _single_dispatch_method(target: Any, wrap: Wrap) -> Any:
    """Record every implementation, also one that is registered later, under the name of the method."""
    wrap = wrap.named(name_of(target.func))
    wrapped_once = functools.cache(lambda implementation: wrapped(implementation, wrap))

    @functools.wraps(target.dispatcher)
    def dispatcher(*args: Any, **kwargs: Any) -> Any:
        return target.dispatcher(*args, **kwargs)

    dispatcher.dispatch = lambda kind: wrapped_once(target.dispatcher.dispatch(kind))  # type: ignore[attr-defined] # as functools sets it
    made = copy.copy(target)
    made.dispatcher = dispatcher
    made.func = wrapped_once(target.func)
    return made


def _method(target: MethodType, wrap: Wrap) -> Any:
    return MethodType(wrapped(target.__func__, wrap), target.__self__)


def _function(target: Any, wrap: Wrap) -> Any:
    before = _wraps.get(target)
    if before is not None and before.kind is wrap.kind:
        return wrapped(target.__wrapped__, wrap)
    return _made(target, wrap)


def _again(target: Recorded, wrap: Wrap) -> Any:
    same = target._self_wrap.kind is wrap.kind  # noqa: SLF001 - our own
    return wrapped(target.__wrapped__, wrap) if same else recorded(target, wrap)


def _made(target: Any, wrap: Wrap) -> Any:
    made = wrap(target)
    _wraps[made] = wrap
    return made


def _class(target: type, _: Wrap) -> Any:
    raise ConfigurationError(
        f"{qualified_name(target)} is a class and cannot be recorded: decorate its methods, or a function that returns"
        " an instance"
    )


def _other(target: Any, wrap: Wrap) -> Any:
    """Record other callable objects; those that bind to an instance, as functions do, become functions."""
    if not callable(target):
        raise ConfigurationError(
            f"a value of type {qualified_name(type(target))} cannot be recorded: decorate a function, a method or a"
            " callable object"
        )
    if not hasattr(type(target), "__get__"):
        return recorded(target, wrap)
    made = _made(target, wrap)
    for name in _OF_A_CACHE:
        if hasattr(target, name):
            setattr(made, name, getattr(target, name))
    return made


_OF_A_CACHE: Final = ("cache_info", "cache_clear")
_KINDS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    FunctionType: _function,
    MethodType: _method,
    classmethod: _descriptor,
    staticmethod: _descriptor,
    property: _property,
    functools.cached_property: _cached_property,
    functools.partial: _partial,
    functools.partialmethod: _partial,
    functools.singledispatchmethod: _single_dispatch_method,
    Recorded: _again,
    type: _class,
    object: _other,
}
