"""The arguments of `init()`: their types, their checks, and the comparison with those of an earlier call."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from lmspan.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler

    from lmspan.config import Config

    Exporter = SpanExporter | SpanProcessor

ExporterName = Literal["file", "otlp", "console", "none"]
LibraryName = Literal[
    "dspy", "logillm", "llmproc", "openai", "anthropic", "google", "bedrock", "langchain", "llama-index",
    "openai-agents", "smolagents", "all",
]  # fmt: skip
CaptureContent = Literal["none", "span", "event", "both"]
EventTarget = Literal["span", "log", "both"]

_METHODS: Final = (
    ("sampler", "should_sample", "sampler"),
    ("tracer_provider", "add_span_processor", "provider"),
    ("meter_provider", "get_meter", "provider"),
    ("logger_provider", "get_logger", "provider"),
)


@dataclass(frozen=True)
class Arguments:
    """The arguments of one call of `init()`, with the same names and defaults."""

    service_name: str | None = None
    exporters: Iterable[ExporterName | Exporter] | ExporterName | Exporter | None = None
    instrument: Iterable[LibraryName] | LibraryName | None = None
    callbacks: Iterable[Any] = ()
    capture_content: CaptureContent | None = None
    redact: Callable[[str], str] | None = None
    events: EventTarget = "span"
    openinference: bool = False
    sampler: Sampler | None = None
    resource_attributes: Mapping[str, Any] | None = None
    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    logger_provider: LoggerProvider | None = None

    def check(self) -> None:
        """Raise `ConfigurationError` for an argument that would fail when it is first used."""
        if self.redact is not None and not callable(self.redact):
            kind = type(self.redact).__name__
            raise ConfigurationError(f"redact: {kind} cannot be called; it takes a string and returns one")
        if not hasattr(type(self.callbacks), "__iter__"):
            kind = type(self.callbacks).__name__
            raise ConfigurationError(f"callbacks: {kind} is not a list; pass [callback]")
        for name, method, wanted in _METHODS:
            given = getattr(self, name)
            if given is not None and not hasattr(given, method):
                raise ConfigurationError(
                    f"{name}: {type(given).__name__} has no {method}(); pass a {wanted} of the SDK"
                )

    def changes(self, first: Arguments, config: Config | None) -> list[str]:
        """Return the names of the arguments that differ from those of the first call and from its configuration."""
        return [
            each.name
            for each in fields(self)
            if (value := getattr(self, each.name)) is not each.default
            and _comparable(value)
            not in (_comparable(getattr(first, each.name)), _comparable(getattr(config, each.name, None)))
        ]


def _comparable(value: Any) -> Any:
    """Return a value whose equality tells two arguments apart without running code of the program's objects."""
    kind = type(value)
    if kind is list or kind is tuple:
        return _comparable(value[0]) if len(value) == 1 else [_comparable(each) for each in value]
    if kind is dict:
        return {name: _comparable(each) for name, each in value.items() if type(name) is str}
    return value if kind is str or kind is bool else id(value)
