"""What records a program, and what a row of the tables means. Content is off unless the row says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import others, recorders

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.recorders import Wrap


@dataclass(frozen=True)
class Contender:
    """`prepare` sets the process of its worker up; it may return a function that wraps each call of a program."""

    name: str
    meaning: str
    prepare: Callable[[], Wrap | None]
    peer: str = ""
    """The environment that it needs; this one if empty."""
    libraries: tuple[str, ...] = ("dspy",)
    is_detail: bool = False
    """Measured on `Predict` alone."""
    is_brief: bool = False
    """Part of the shortest form."""
    variable: str = ""
    """A variable that lmspan must know."""

    @property
    def is_possible(self) -> bool:
        return not self.variable or self.variable in _source()


@cache
def _source() -> str:
    found = find_spec("lmspan")
    paths = Path(found.origin).parent.rglob("*.py") if found is not None and found.origin else ()
    return "".join(path.read_text() for path in paths)


ANY = "dspy", "logillm", "llmproc", "python"
LIBRARIES = "dspy", "logillm", "llmproc"

_BRIEF = (
    Contender("un-instrumented", "the program itself", recorders.nothing, libraries=ANY),
    Contender("raw spans", "four spans of 15 attributes by the SDK, before each call; a quarter is R",
              recorders.raw_spans, libraries=ANY),
    Contender("own callback", "one callback that does nothing, by the library's own dispatch",
              recorders.own_callback, libraries=LIBRARIES),
    Contender("lmspan", "all facts and metrics, no content", recorders.lmspan(metrics=True), libraries=ANY),
    Contender("lmspan, no metrics", "all facts, no content", recorders.lmspan(), libraries=ANY),
    Contender("lmspan, content", "all facts, metrics and content", recorders.lmspan(metrics=True, content=True),
              libraries=ANY),
)  # fmt: skip
_DETAILS = (
    Contender("lmspan, SDK's span", "LMSPAN_SPAN=sdk, no metrics", recorders.lmspan(span="sdk"),
              variable="LMSPAN_SPAN"),
    Contender("lmspan, own span", "LMSPAN_SPAN=own, no metrics", recorders.lmspan(span="own"), variable="LMSPAN_SPAN"),
    Contender("lmspan, 1 subscriber", "no metrics, one callback of eight hooks", recorders.lmspan(subscribers=1)),
    Contender("lmspan, 10 subscribers", "no metrics, ten of it", recorders.lmspan(subscribers=10)),
    Contender("lmspan, unsampled", "the sampler drops every trace", recorders.lmspan(sampled=False)),
    Contender("lmspan, disabled", "after `lmspan.disable()`", recorders.disabled),
    Contender("lmspan, no SDK", "instrumented, without a provider", recorders.without_sdk),
    Contender("OpenInference, hidden", "inputs and outputs hidden", others.openinference_hidden, "openinference"),
    Contender("genai-dspy, content", "the next one with content", others.genai_dspy_with_content, "genai-dspy"),
)  # fmt: skip
_OTHERS = (
    Contender("OpenInference", "its default, with content", others.openinference, "openinference"),
    Contender("OpenTelemetry genai-dspy", "its default, without content", others.genai_dspy, "genai-dspy"),
    Contender("Logfire", "its default, with content; sends nothing", others.logfire, "logfire"),
    Contender("Langfuse", "its default, with content; sends to the loopback", others.langfuse, "langfuse"),
    Contender("MLflow", "its default, with content; logs to SQLite", others.mlflow, "mlflow"),
)
CONTENDERS = {
    contender.name: contender
    for contender in (
        *(replace(each, is_brief=True) for each in _BRIEF),
        *(replace(each, is_detail=True) for each in _DETAILS),
        *_OTHERS,
    )
    if contender.is_possible
}

NO_EXPORTER, OFFICIAL = "no exporter", "official OTLP/HTTP exporter"
EXPORTING = {
    contender.name: contender
    for contender in (
        Contender(NO_EXPORTER, "to nowhere", recorders.exporting(recorders.nowhere)),
        Contender(OFFICIAL, "by the SDK's processor and exporter", recorders.exporting(recorders.official)),
        Contender("OTLP/HTTP", '`exporters="otlp"`', recorders.exporting("otlp")),
        Contender("file", '`exporters="file"`', recorders.exporting("file")),
    )
}
"""lmspan's spans of the same program, which differ in the way out."""
