"""What every instrumentor shares: OpenTelemetry's protocol for them, and patching when the library is imported.

An instrumentor is mostly a table: module, class, and the hook around each of its methods. A class or method that a
release of the library does not have is passed over.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from lmspan.context import propagation
from lmspan.guard import guarded
from lmspan.instrumentation.kit.around import Hook, around, around_async, around_stream
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

logger: Final = logging.getLogger("lmspan")

Methods = Mapping[str, "Hook | Callable[..., Any]"]
"""By the method's name: a hook, or a wrapper with wrapt's four arguments where there is no call to begin."""
Seams = tuple[tuple[str, str, Methods], ...]
"""Module, class, and what is put around the class's methods."""


class Instrumentor:
    """One library's patches. One instance per class, as in OpenTelemetry's `BaseInstrumentor`, whose calls these are.

    The library is patched now if the program has imported it, else when it does: an instrumentor imports nothing.
    """

    module: ClassVar[str]
    _instance: ClassVar[Any] = None

    is_instrumented_by_opentelemetry: bool = False

    def __new__(cls) -> Self:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
            cls._instance.patches = Patches()
        return cls._instance  # type: ignore[no-any-return]

    patches: Patches

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the versions that this instrumentor is made for, as requirement strings."""
        raise TypeError(f"{type(self).__name__} names no library")

    def patch(self, library: Any) -> None:
        """Put the patches on the imported library. Called once per `instrument()`."""
        raise TypeError(f"{type(self).__name__} patches nothing ({library!r})")

    def instrument(self, **_: Any) -> None:
        """Instrument the library; harmless when it already is. Extra arguments are OpenTelemetry's, and not needed."""
        if self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = True
        propagation.install()
        self.patches.when_imported(self.module, guarded(self.patch))

    def uninstrument(self, **_: Any) -> None:
        """Take the patches away; strangers' patches above or below ours stay."""
        if not self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = False
        self.patches.restore()
        propagation.uninstall()

    def wrap_methods(self, seams: Seams) -> None:
        """Wrap the methods that the classes themselves define."""
        for module, name, methods in seams:
            self._wrap(find(module, name), methods)

    def wrap_families(self, seams: Seams) -> None:
        """Do the same for the classes and every subclass, present and future, that defines a method again."""
        for module, name, methods in seams:
            base = find(module, name)
            if base is not None:
                self._wrap_family(base, methods)

    def _wrap(self, owner: Any, methods: Methods, base: Any = None) -> None:
        for name, hook in methods.items():
            original = vars(owner).get(name) if owner is not None else None
            if callable(original) and _fits(original, vars(base).get(name) if base is not None else None):
                self.patches.wrap(owner, name, _wrapper(hook, original))

    def _wrap_family(self, base: type, methods: Methods) -> None:
        for cls in _family(base):
            self._wrap(cls, methods, base)
        original = vars(base).get("__init_subclass__")

        def init_subclass(cls: Any, /, **kwargs: Any) -> None:
            if original is not None:
                original.__func__(cls, **kwargs)
            else:
                super(base, cls).__init_subclass__(**kwargs)  # type: ignore[arg-type] # mypy knows no such base
            if self.is_instrumented_by_opentelemetry:
                self._wrap(cls, methods, base)

        self.patches.replace(base, "__init_subclass__", classmethod(init_subclass))


def find(module: str, name: str) -> Any:
    """Return a class of the library, or None where this release has none."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _family(base: type) -> Iterator[type]:
    yield base
    subclasses: list[type] = type.__subclasses__(base)
    for cls in subclasses:
        yield from _family(cls)


def _fits(original: Any, first: Any) -> bool:
    """Tell whether a method may be wrapped as the base class's is: a plain one that gives an awaitable may not."""
    return first is None or not _is_awaited(first) or _is_awaited(original)


def _is_awaited(function: Any) -> bool:
    function = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _wrapper(hook: Hook | Callable[..., Any], original: Any) -> Callable[..., Any]:
    """Return the wrapper that a function's kind asks for."""
    if not isinstance(hook, Hook):
        return hook
    function = inspect.unwrap(original)
    if inspect.isasyncgenfunction(function):
        return around_stream(hook)
    return around_async(hook) if inspect.iscoroutinefunction(function) else around(hook)
