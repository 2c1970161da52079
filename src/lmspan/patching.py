"""Put a wrapper around an attribute of somebody else's class or module, and take it away again.

A patch is undone by putting back the very object that was found, if ours is still what stands there. If a stranger
has since wrapped ours, theirs stays and ours only steps aside.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


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
        proxy = wrapt.FunctionWrapper(original, wrapper, enabled=self._is_active)
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
