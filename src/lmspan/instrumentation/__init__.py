"""Sources: one package per library, each an instrumentor in OpenTelemetry's sense, found by name.

Another library is one more line in `LIBRARIES`. Which versions of it can be instrumented stands on its instrumentor.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import InstrumentationError
from lmspan.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.instrumentation.kit.instrumentor import Instrumentor


class Library(NamedTuple):
    """A supported library: the module that programs import, and where its instrumentor is."""

    module: str
    instrumentor: str
    class_name: str


LIBRARIES: Final[dict[str, Library]] = {
    "dspy": Library("dspy", "lmspan.instrumentation.dspy", "DSPyInstrumentor"),
    "logillm": Library("logillm", "lmspan.instrumentation.logillm", "LogiLLMInstrumentor"),
    "llmproc": Library("llmproc", "lmspan.instrumentation.llmproc", "LLMProcInstrumentor"),
}


def choose(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the libraries to instrument: all that are installed, or those that are named, which must be installed.

    Raises `InstrumentationError` for an unknown name or a library that is not installed.
    """
    if names is None:
        return tuple(name for name, library in LIBRARIES.items() if _is_installed(library))
    if names == ("all",):
        instrument_others()
        return choose(None)
    for name in names:
        library = LIBRARIES.get(name)
        if library is None:
            raise InstrumentationError(f'instrument: {name!r} is not known; use {", ".join(LIBRARIES)} or "all"')
        if not _is_installed(library):
            raise InstrumentationError(
                f"instrument: {name!r} is not installed ({load(name).requirement} is wanted); "
                f"install it with: pip install 'lmspan[{name}]'"
            )
    return names


def load(name: str) -> Instrumentor:
    """Return the instrumentor of a library, one per process. Does not import the library."""
    library = LIBRARIES[name]
    instrumentor: Instrumentor = getattr(import_module(library.instrumentor), library.class_name)()
    return instrumentor


_users: Counter[str] = Counter()
"""How many sessions and recordings use the patches of a library, by its name."""


def use(name: str) -> Callable[[], None]:
    """Instrument a library until the returned function is called; the last of several users takes the patches away.

    A library that the program has instrumented by itself stays instrumented.
    """
    instrumentor = load(name)
    if instrumentor.is_instrumented_by_opentelemetry and not _users[name]:
        return lambda: None
    _users[name] += 1
    instrumentor.instrument()

    def leave() -> None:
        _users[name] -= 1
        if not _users[name]:
            instrumentor.uninstrument()

    return leave


def instrument_others() -> None:
    """Turn on every other installed OpenTelemetry instrumentor; leave out and report one that raises."""
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        if not entry_point.name.startswith("lmspan-"):
            guarded(_instrument)(entry_point)


def _instrument(entry_point: Any) -> None:
    instrumentor = entry_point.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def _is_installed(library: Library) -> bool:
    try:
        return importlib.util.find_spec(library.module) is not None
    except (ImportError, ValueError):
        return False
