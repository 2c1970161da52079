"""Put a wrapper around an attribute of somebody else's class or module, and take it away again.

A patch is undone by putting back the very object that was found, if ours is still what stands there. If a stranger
has since wrapped ours, theirs stays and ours only steps aside.
"""

from __future__ import annotations

import copy
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


class _Method(wrapt.BoundFunctionWrapper):  # type: ignore[type-arg]
    """A method with our wrapper around it, which can be copied and pickled like any other: by owner and name."""

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        del protocol
        return getattr, (self._owner(), self.__wrapped__.__name__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return getattr(copy.deepcopy(self._owner(), memo), self.__wrapped__.__name__)

    def _owner(self) -> Any:
        """Return the object of a bound method, the class of one that is not bound."""
        method = self.__wrapped__
        if hasattr(method, "__self__"):
            return method.__self__
        return attrgetter(method.__qualname__.rpartition(".")[0])(sys.modules[method.__module__])


class _Function(wrapt.FunctionWrapper):  # type: ignore[type-arg]
    """A function with our wrapper around it: copied and pickled as a function is, by its name."""

    __bound_function_wrapper__ = _Method

    def __reduce_ex__(self, protocol: Any) -> str:
        del protocol
        return str(self.__wrapped__.__qualname__)

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class Patches:
    """The patches of one owner."""

    def __init__(self) -> None:
        self._active = False
        self._applied: list[tuple[Any, str, Any, Any]] = []
        self._awaited: dict[str, list[Callable[[Any], None]]] = {}

    def wrap(self, owner: Any, name: str, wrapper: Callable[..., Any]) -> bool:
        """Wrap `owner.name` if `owner` itself defines it; `wrapper` has wrapt's four arguments. Tell whether it did."""
        original = vars(owner).get(name)
        if original is None:
            return False
        self._active = True
        proxy = _Function(original, wrapper, enabled=self._is_active)
        setattr(owner, name, proxy)
        self._applied.append((owner, name, original, proxy))
        return True

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Put `value` in the place of `owner.name`, whether there is one or not; for what is no function."""
        self._applied.append((owner, name, vars(owner).get(name), value))
        setattr(owner, name, value)

    def when_imported(self, module: str, patch: Callable[[Any], None]) -> None:
        """Call `patch` with a module: now if it is imported, else when it is, unless `restore()` comes first."""
        if module in sys.modules:
            patch(sys.modules[module])
            return
        if module not in self._awaited:  # a hook can not be taken back: one for each module, for ever
            self._awaited[module] = []
            wrapt.register_post_import_hook(lambda imported: self._imported(module, imported), module)
        self._awaited[module].append(patch)

    def _imported(self, module: str, imported: Any) -> None:
        for patch in self._awaited.get(module, ()):
            patch(imported)

    def restore(self) -> None:
        """Undo every patch that nobody has patched over, last first."""
        self._active = False
        for owner, name, original, ours in reversed(self._applied):
            if vars(owner).get(name) is ours:
                setattr(owner, name, original) if original is not None else delattr(owner, name)
        self._applied.clear()
        for awaited in self._awaited.values():
            awaited.clear()

    def _is_active(self) -> bool:
        return self._active
