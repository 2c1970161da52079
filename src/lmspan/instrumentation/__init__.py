"""Sources: an instrumentor in OpenTelemetry's sense for each library, by name.

Another library is one more line in `LIBRARIES`. Its instrumentor states the versions that can be instrumented. `genai`
has those libraries that an instrumentation of OpenTelemetry's records.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, defaultdict
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan.errors import InstrumentationError
from lmspan.guard import guarded
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.instrumentation.genai import GenAIInstrumentor
    from lmspan.instrumentation.kit.instrumentor import Instrumentor


class Library(NamedTuple):
    """A supported library: the modules that must be installed, and where its instrumentor is."""

    modules: tuple[str, ...]
    instrumentor: str
    class_name: str


def _official(module: str, class_name: str, package: str = "") -> Library:
    """Return a library that an instrumentation of OpenTelemetry's records, which must be installed as well."""
    modules = (module, f"opentelemetry.instrumentation.{package or f'genai.{module}'}")
    return Library(modules, "lmspan.instrumentation.genai", class_name)


LIBRARIES: Final[dict[str, Library]] = {
    "dspy": Library(("dspy",), "lmspan.instrumentation.dspy", "DSPyInstrumentor"),
    "logillm": Library(("logillm",), "lmspan.instrumentation.logillm", "LogiLLMInstrumentor"),
    "llmproc": Library(("llmproc",), "lmspan.instrumentation.llmproc", "LLMProcInstrumentor"),
    "openai": _official("openai", "OpenAI"),
    "anthropic": _official("anthropic", "Anthropic"),
    "google": _official("google.genai", "Google", "google_genai"),
    "bedrock": _official("botocore", "Bedrock", "genai.bedrock"),
    "langchain": _official("langchain_core", "LangChain", "genai.langchain"),
    "llama-index": _official("llama_index.core", "LlamaIndex", "genai.llama_index"),
    "openai-agents": _official("agents", "OpenAIAgents", "genai.openai_agents"),
    "smolagents": _official("smolagents", "Smolagents"),
}

_MODULES: Final = frozenset(module for library in LIBRARIES.values() for module in library.modules)


def choose(names: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the libraries to instrument: all that are installed, or those that are named, which must be installed.

    Raises `InstrumentationError` for an unknown name or a library that is not installed.
    """
    if names is None or names == ("all",):
        return tuple(name for name, library in LIBRARIES.items() if _is_installed(library))
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


def load(name: str) -> Instrumentor | GenAIInstrumentor:
    """Return the instrumentor of a library, one per process. Does not import the library."""
    library = LIBRARIES[name]
    instrumentor: Instrumentor | GenAIInstrumentor = getattr(import_module(library.instrumentor), library.class_name)()
    return instrumentor


_users: Counter[str] = Counter()
"""How many sessions and recordings use the patches of a library, by its name."""
_awaited: Final[defaultdict[str, Patches]] = defaultdict(Patches)
"""What waits for the program to import a library: its instrumentor loads then."""
_started: Final[dict[str, Instrumentor | GenAIInstrumentor]] = {}
"""The instrumentors that are in use, without those that the program started by itself."""


def use(name: str) -> Callable[[], None]:
    """Instrument a library, now or when the program imports it, until the returned function is called.

    The last of several users takes the patches away. A library that the program has instrumented by itself stays so.
    """
    _users[name] += 1
    if _users[name] == 1:
        _start_with(name)

    def leave() -> None:
        _users[name] -= 1
        if not _users[name]:
            _awaited[name].restore()
            if name in _started:
                _started.pop(name).uninstrument()

    return leave


def _start_with(name: str) -> None:
    """Start the instrumentor of a library, at once if the program has imported the library."""
    module = LIBRARIES[name].modules[0]
    if module in sys.modules:
        _start(name)
    else:
        _awaited[name].when_imported(module, lambda _: guarded(_start)(name))


def _start(name: str) -> None:
    instrumentor = load(name)
    if not instrumentor.is_instrumented_by_opentelemetry:
        _started[name] = instrumentor
        instrumentor.instrument()


def is_any_instrumented() -> bool:
    """Return whether a library is instrumented, by a session or by the program itself."""
    loaded = (name for name, library in LIBRARIES.items() if library.instrumentor in sys.modules)
    return any(load(name).is_instrumented_by_opentelemetry for name in loaded)


def instrument_others(recorded: tuple[str, ...]) -> None:
    """Turn on every other installed OpenTelemetry instrumentor; leave out and report one that raises.

    An instrumentor for one of the `recorded` libraries would record each of its calls a second time.
    """
    for entry_point in entry_points(group="opentelemetry_instrumentor"):
        name = entry_point.name.replace("_", "-")
        if not name.startswith("lmspan-") and name not in recorded and entry_point.module not in _MODULES:
            guarded(_instrument)(entry_point)


def _instrument(entry_point: Any) -> None:
    instrumentor = entry_point.load()()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def _is_installed(library: Library) -> bool:
    try:
        return all(importlib.util.find_spec(module) is not None for module in library.modules)
    except (ImportError, ValueError, OSError):  # OSError: there is no descriptor left to look with
        return False
