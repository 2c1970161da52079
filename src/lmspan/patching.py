"""Wrap an attribute of another package's class or module, and undo it.

Undoing a patch restores the original object if the attribute is still lmspan's wrapper. If another package has wrapped
the wrapper, both stay, and lmspan's wrapper only calls the original.
"""

from __future__ import annotations

import copy
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


class _Method(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg] # generic in wrapt's stubs only
    """A wrapped method, which can be copied and pickled like any other method: by owner and name."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        del protocol
        return getattr, (self._owner(), self.__wrapped__.__name__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return getattr(copy.deepcopy(self._owner(), memo), self.__wrapped__.__name__)

    def _owner(self) -> Any:
        """Return the object of a bound method, or the class of an unbound method."""
        method = self.__wrapped__
        if hasattr(method, "__self__"):
            return method.__self__
        return attrgetter(method.__qualname__.rpartition(".")[0])(sys.modules[method.__module__])


class _Function(wrapt.FunctionWrapper):  # type: ignore[type-arg] # the same
    """A wrapped function, which can be copied and pickled like any other function: by its name."""

    __bound_function_wrapper__ = _Method

    def __reduce_ex__(self, protocol: Any) -> str:
        del protocol
        return str(self.__wrapped__.__qualname__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class _Generation:
    """The patches between two calls of `restore()`: a wrapper that stays below another package's stays disabled."""

    def __init__(self) -> None:
        self.active = True

    def is_active(self) -> bool:
        return self.active


class Patches:
    """A set of patches that are undone together."""

    def __init__(self) -> None:
        self._generation = _Generation()
        self._applied: list[tuple[Any, str, Any, Any]] = []
        self._awaited: dict[str, list[Callable[[Any], None]]] = {}

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> bool:
        """Wrap `owner.name` if `owner` itself defines it, and return whether it does.

        `wrapper` has the four parameters of wrapt: the original, the instance, the arguments and the keyword arguments.
        """
        original = vars(owner).get(name)
        if original is None:
            return False
        proxy = _Function(original, wrapper, enabled=self._generation.is_active)
        setattr(owner, name, proxy)
        self._applied.append((owner, name, original, proxy))
        return True

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set `owner.name` to a value that is no function, whether or not `owner` has the attribute."""
        self._applied.append((owner, name, vars(owner).get(name), value))
        setattr(owner, name, value)

    def when_imported(self, module: str, patch: Callable[[Any], None]) -> None:
        """Call `patch` with a module: at once if it is imported, else at its import, unless `restore()` comes first."""
        if module in sys.modules:
            patch(sys.modules[module])
            return
        if module not in self._awaited:  # wrapt cannot remove a hook, so that a module has one hook for all patches
            self._awaited[module] = []
            wrapt.register_post_import_hook(lambda imported: self._imported(module, imported), module)
        self._awaited[module].append(patch)

    def _imported(self, module: str, imported: Any) -> None:
        for patch in self._awaited.get(module, ()):
            patch(imported)

    def restore(self) -> None:
        """Undo the patches, the last one first, except those that another package has wrapped."""
        self._generation.active = False
        self._generation = _Generation()
        for owner, name, original, patched in reversed(self._applied):
            if _is(vars(owner).get(name), patched):
                _set(owner, name, original)
        self._applied.clear()
        for awaited in self._awaited.values():
            awaited.clear()


def _is(current: Any, patched: Any) -> bool:
    """Return whether an attribute is our wrapper, also bound to nothing, as OpenTelemetry's `unwrap` puts it back."""
    return current is patched or (type(current) is _Method and current._self_parent is patched)  # noqa: SLF001


def _set(owner: Any, name: str, original: Any) -> None:
    if original is None:
        delattr(owner, name)
    else:
        setattr(owner, name, original)
