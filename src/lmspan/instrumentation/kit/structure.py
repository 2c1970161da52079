"""The structure of a program: the modules that a module stores, and the path of one in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import ModuleKept, kept
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lmspan.lifecycle import LiveCall


MODULES: Final = (Operation.MODULE, Operation.WORKFLOW, Operation.AGENT)


def submodules(module: Any, base: type) -> Iterator[tuple[str, Any]]:
    """Yield path and module for each module that a module stores, in attributes or in a list, tuple or dict of them."""
    for name, value in stored(module).items():
        if issubclass(type(value), base):
            yield name, value
        elif type(value) in (list, tuple):
            yield from ((f"{name}[{index}]", each) for index, each in enumerate(value) if issubclass(type(each), base))
        elif type(value) is dict:
            yield from (
                (f"{name}[{key!r}]", each)
                for key, each in value.items()
                if type(key) in (str, int) and issubclass(type(each), base)
            )


def walk(module: Any, base: type) -> Iterator[tuple[str, Any]]:
    """Yield path and module for a module, at "", and for all modules below it, each once."""
    waiting = [("", module)]
    seen = {id(module)}
    while waiting:
        path, each = waiting.pop(0)
        yield path, each
        for name, child in submodules(each, base):
            if id(child) not in seen:
                seen.add(id(child))
                waiting.append((f"{path}.{name}" if path else name, child))


def is_outermost() -> bool:
    """Return whether no module encloses what starts now; an evaluation or an optimizer run may."""
    call = current_call()
    while call is not None and call.operation not in MODULES:
        call = call.parent
    return call is None


def path_in(instance: Any, parent: LiveCall, base: type) -> str:
    """Return the path of a module in its program: the parent's path, and the attribute that holds this very object."""
    if parent.ended or not issubclass(type(parent.instance), base):
        return ""
    place = next((name for name, child in submodules(parent.instance, base) if child is instance), "")
    own = kept(parent, ModuleKept)
    return f"{own.path}.{place}" if place and own is not None and own.path else place
