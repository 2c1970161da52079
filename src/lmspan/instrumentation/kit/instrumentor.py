"""The base class of instrumentors: OpenTelemetry's protocol, and patches when the program imports the library.

An instrumentor is a table: module, class, and the steps around each of its methods. A class or method that a release of
the library does not have is passed over.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from lmspan.context import propagation
from lmspan.guard import guarded
from lmspan.instrumentation.kit.around import Steps, around, around_async, around_stream
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

logger: Final = logging.getLogger("lmspan")

Methods = Mapping[str, "Steps | Callable[..., Any]"]
"""By the name of a method: steps, or a wrapper with wrapt's four arguments where no call starts."""
Classes = tuple[tuple[str, str, Methods], ...]
"""Module, class, and what is put around the methods of the class. A later row is put around an earlier one."""
Functions = tuple[tuple[str, str, "Callable[..., Any]"], ...]
"""Module, function, and the wrapper: for a function in a module that calls it, if that module is imported."""
Parts = tuple["Callable[[Patches], None]", ...]
"""Functions that apply further patches, or prepare for them. If one raises, the others run all the same."""


class Instrumentor:
    """The patches of one library; one instance for each class, with the methods of OpenTelemetry's `BaseInstrumentor`.

    If the program has imported the library, it is patched now, else when the program imports it.
    """

    name: ClassVar[str]
    """The library's name in messages."""
    module: ClassVar[str]
    """The module that the program imports. The calls of the library have its name as their source."""
    requirement: ClassVar[str]
    """The versions that can be instrumented; `pyproject.toml` has the same lower limit."""
    tested: ClassVar[tuple[str, ...]]
    """Prefixes of the versions that the tests run with; a warning is logged for another version."""
    methods: ClassVar[Classes] = ()
    """Methods that the classes themselves define."""
    families: ClassVar[Classes] = ()
    """Methods of a class and of every subclass, present and future, that defines them again."""
    functions: ClassVar[Functions] = ()
    parts: ClassVar[Parts] = ()
    _instance: ClassVar[Any] = None

    is_instrumented_by_opentelemetry: bool = False

    def __new__(cls) -> Self:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
            cls._instance.patches = Patches()
        return cls._instance  # type: ignore[no-any-return] # an instance of this very class

    patches: Patches

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the versions that can be instrumented, as requirement strings."""
        return (self.requirement,)

    def patch(self, library: Any) -> None:
        """Put the patches on the imported library. Called once for each `instrument()`."""
        self._check_version(str(getattr(library, "__version__", "unknown")))
        self.wrap_methods(self.methods)
        self.wrap_families(self.families)
        for module, name, wrapper in self.functions:
            if module in sys.modules:
                self.patches.wrap(sys.modules[module], name, wrapper)
        for part in self.parts:
            guarded(part)(self.patches)

    def _check_version(self, version: str) -> None:
        if not version.startswith(self.tested):
            known = f"{', '.join(self.tested)} {'was' if len(self.tested) == 1 else 'were'}"
            logger.warning(
                "lmspan: %s %s was not tested (%s); what it still announces is recorded", self.name, version, known
            )

    def instrument(self, **_: Any) -> None:
        """Instrument the library; a second call has no effect. Extra arguments are OpenTelemetry's, and ignored."""
        if self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = True
        propagation.install()
        self.patches.when_imported(self.module, guarded(self.patch))

    def uninstrument(self, **_: Any) -> None:
        """Take the patches away; patches of others above or below ours stay."""
        if not self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = False
        self.patches.restore()
        propagation.uninstall()

    def wrap_methods(self, classes: Classes) -> None:
        """Wrap the methods that the classes themselves define."""
        for module, name, methods in classes:
            self._wrap(find(module, name), methods)

    def wrap_families(self, classes: Classes) -> None:
        """Wrap the methods of the classes and of every subclass, present and future, that defines them again."""
        for module, name, methods in classes:
            base = find(module, name)
            if base is not None:
                self._wrap_family(base, methods)

    def _wrap(self, owner: Any, methods: Methods, base: Any = None) -> None:
        for name, steps in methods.items():
            original = vars(owner).get(name) if owner is not None else None
            if callable(original) and _fits(original, vars(base).get(name) if base is not None else None):
                self.patches.wrap(owner, name, _wrapper(steps, original))

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
    """Return whether the wrapper of the base class's method fits: not a plain method in place of a coroutine method."""
    return first is None or not _is_awaited(first) or _is_awaited(original)


def _is_awaited(function: Any) -> bool:
    function = inspect.unwrap(function)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _wrapper(steps: Steps | Callable[..., Any], original: Any) -> Callable[..., Any]:
    """Return the wrapper for this kind of function."""
    if not isinstance(steps, Steps):
        return steps
    function = inspect.unwrap(original)
    if inspect.isasyncgenfunction(function):
        return around_stream(steps)
    return around_async(steps) if inspect.iscoroutinefunction(function) else around(steps)
