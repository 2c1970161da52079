"""Other libraries, by OpenTelemetry's own GenAI instrumentations: each is a source of calls like those of lmspan.

    client or framework -> instrumentation of OpenTelemetry -> tracer of `spans` -> Recorder -> span

An instrumentation is turned on when the program imports the library, with a tracer provider that records each of its
spans as a call. So the rules of content and redaction, totals, metrics, budgets and subscribers hold for it. An
instrumentation that the program has turned on itself keeps the provider of the program.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from opentelemetry._logs import NoOpLoggerProvider
from opentelemetry.metrics import NoOpMeterProvider

from lmspan.context import propagation
from lmspan.guard import is_from_signal_handler
from lmspan.instrumentation.genai.content import always_captured
from lmspan.instrumentation.genai.harmless import wrappers_of
from lmspan.instrumentation.genai.spans import CallTracerProvider
from lmspan.instrumentation.kit.attempts import patch_client
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Collection

logger: Final = logging.getLogger("lmspan")

_CALLERS: Final = ("openai", "anthropic", "langchain", "llama-index", "smolagents")
"""The sources of model calls that the clients of OpenAI and Anthropic send."""


class GenAIInstrumentor:
    """Turns one of OpenTelemetry's instrumentations on and off; one instance for each class."""

    name: ClassVar[str]
    """The name in `init(instrument=...)`, of the extra, and the source of the calls."""
    modules: ClassVar[tuple[str, ...]]
    """The modules of the library that it wraps: the first that the program imports turns it on."""
    client: ClassVar[str] = ""
    """The package of a client whose attempts are counted."""
    package: ClassVar[str]
    class_name: ClassVar[str]
    requirement: ClassVar[str]
    _instance: ClassVar[Any] = None

    is_instrumented_by_opentelemetry: bool = False

    def __new__(cls) -> Self:
        """Return the one instance."""
        if cls._instance is None:
            cls._instance = object.__new__(cls)
            cls._instance.patches = Patches()
            cls._instance.official = None
            cls._instance.attempted = False
        return cls._instance  # type: ignore[no-any-return] # an instance of this very class

    patches: Patches
    official: Any
    """The instrumentation, while it is on and was turned on here."""
    attempted: bool
    """Whether the program has imported the library since `instrument()`."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the instrumentation that is turned on, as a requirement string."""
        return (self.requirement,)

    def instrument(self, **_: Any) -> None:
        """Turn the instrumentation on when the program imports the library; a second call has no effect."""
        if self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = True
        self.attempted = False
        propagation.install()
        if self.client:
            patch_client(self.patches, self.client, *_CALLERS)
        for module in self.modules:
            self.patches.when_imported(module, self._imported)

    def uninstrument(self, **_: Any) -> None:
        """Turn the instrumentation off, if it was turned on here."""
        if not self.is_instrumented_by_opentelemetry:
            return
        self.is_instrumented_by_opentelemetry = False
        self.patches.restore()
        official, self.official = self.official, None
        if official is not None:
            self._attempt(official.uninstrument, "turned off")
        propagation.uninstall()

    def _imported(self, _: Any) -> None:
        if not self.attempted:
            self.attempted = True
            self._attempt(self._turn_on, "turned on")

    def _turn_on(self) -> None:
        official = getattr(import_module(self.package), self.class_name)()
        if official.is_instrumented_by_opentelemetry:
            return  # the program has turned it on
        with always_captured(), wrappers_of(self.package):
            official.instrument(
                tracer_provider=CallTracerProvider(self.name),
                meter_provider=NoOpMeterProvider(),  # the recorder measures the calls,
                logger_provider=NoOpLoggerProvider(),  # and emits their events
            )
        if official.is_instrumented_by_opentelemetry:
            self.official = official

    def _attempt(self, step: Any, what: str) -> None:
        try:
            step()
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            logger.warning("lmspan: %s cannot be %s: %s (%s)", self.package, what, type(error).__qualname__, error)


class OpenAI(GenAIInstrumentor):
    """The client of OpenAI."""

    name = client = "openai"
    modules = (
        "openai.resources.chat.completions",
        "openai.resources.responses.responses",
        "openai.resources.embeddings",
    )
    package = "opentelemetry.instrumentation.genai.openai"
    class_name = "OpenAIInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-openai>=1.3b0"


class Anthropic(GenAIInstrumentor):
    """The client of Anthropic."""

    name = client = "anthropic"
    modules = ("anthropic",)
    package = "opentelemetry.instrumentation.genai.anthropic"
    class_name = "AnthropicInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-anthropic>=1.3b0"


class Google(GenAIInstrumentor):
    """The client of Google's models."""

    name = "google"
    modules = ("google.genai",)
    package = "opentelemetry.instrumentation.google_genai"
    class_name = "GoogleGenAiSdkInstrumentor"
    requirement = "opentelemetry-instrumentation-google-genai>=1.3b0"


class Bedrock(GenAIInstrumentor):
    """The client of Amazon Bedrock."""

    name = "bedrock"
    modules = ("botocore.client", "aiobotocore.client")
    package = "opentelemetry.instrumentation.genai.bedrock"
    class_name = "BedrockInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-bedrock>=1.3b0"


class LangChain(GenAIInstrumentor):
    """LangChain and LangGraph."""

    name = "langchain"
    modules = ("langchain_core.language_models.chat_models", "langchain_core.retrievers", "langgraph.pregel")
    package = "opentelemetry.instrumentation.genai.langchain"
    class_name = "LangChainInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-langchain>=1.3b0"


class LlamaIndex(GenAIInstrumentor):
    """LlamaIndex."""

    name = "llama-index"
    modules = ("llama_index.core",)
    package = "opentelemetry.instrumentation.genai.llama_index"
    class_name = "LlamaIndexInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-llama-index>=1.3b0"


class OpenAIAgents(GenAIInstrumentor):
    """OpenAI's Agents SDK."""

    name = "openai-agents"
    modules = ("agents",)
    package = "opentelemetry.instrumentation.genai.openai_agents"
    class_name = "OpenAIAgentsInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-openai-agents>=1.3b0"


class Smolagents(GenAIInstrumentor):
    """Hugging Face's smolagents."""

    name = "smolagents"
    modules = ("smolagents",)
    package = "opentelemetry.instrumentation.genai.smolagents"
    class_name = "SmolagentsInstrumentor"
    requirement = "opentelemetry-instrumentation-genai-smolagents>=1.2b0"
