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
    """Measured on the simplest programs alone."""
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
    Contender("un-instrumented", "The program itself. Every other row is what is added to it.", recorders.nothing,
              libraries=ANY),
    Contender("raw spans", "Four spans of 15 attributes by OpenTelemetry's SDK before each run. A quarter of it is R, "
              "the least that a span costs.", recorders.raw_spans, libraries=("dspy", "python"), is_detail=True),
    Contender("own callback", "One callback that does nothing, by the dispatch of DSPy, LogiLLM or LLMProc: the least "
              "that any tracer costs that is built on callbacks.", recorders.own_callback, libraries=LIBRARIES),
    Contender("lmspan", "All facts and metrics, no content: the default with an exporter that leaves the machine.",
              recorders.lmspan(metrics=True), libraries=ANY),
    Contender("lmspan, no metrics", "All facts, no content.", recorders.lmspan(), libraries=ANY),
    Contender("lmspan, content", "All facts and metrics, prompts and answers.",
              recorders.lmspan(metrics=True, content=True), libraries=ANY),
)  # fmt: skip
_DETAILS = (
    Contender("lmspan, SDK's span", "`LMSPAN_SPAN=sdk`, without metrics.", recorders.lmspan(span="sdk"),
              variable="LMSPAN_SPAN"),
    Contender("lmspan, own span", "`LMSPAN_SPAN=own`, without metrics.", recorders.lmspan(span="own"),
              variable="LMSPAN_SPAN"),
    Contender("lmspan, 1 subscriber", "As without metrics, and a callback of eight hooks that do nothing.",
              recorders.lmspan(subscribers=1)),
    Contender("lmspan, 10 subscribers", "Ten of these callbacks.", recorders.lmspan(subscribers=10)),
    Contender("lmspan, unsampled", "A sampler drops every trace: what is left of the cost.",
              recorders.lmspan(sampled=False)),
    Contender("lmspan, disabled", "After `lmspan.disable()`: what the wrappers cost.", recorders.disabled),
    Contender("lmspan, no SDK", "The library is instrumented, and the program has no provider.", recorders.without_sdk),
    Contender("OpenInference, hidden", "Inputs and outputs hidden.", others.openinference_hidden, "openinference"),
    Contender("genai-dspy, content", "With content.", others.genai_dspy_with_content, "genai-dspy"),
)  # fmt: skip
_OTHERS = (
    Contender("OpenInference", "As it comes, with content.", others.openinference, "openinference"),
    Contender("OpenTelemetry genai-dspy", "As it comes, without content. It records tools and the calls of `dspy.LM`, "
              "which most programs here do not make.", others.genai_dspy, "genai-dspy"),
    Contender("Logfire", "As it comes, with content, by OpenInference's spans. It sends nothing.", others.logfire,
              "logfire"),
    Contender("Langfuse", "As it comes, with content, by OpenInference's spans, sent to a server on the loopback.",
              others.langfuse, "langfuse"),
    Contender("MLflow", "As it comes, with content, logged to SQLite.", others.mlflow, "mlflow"),
)  # fmt: skip
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
