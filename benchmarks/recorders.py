"""What the contenders of this environment do to their process: nothing, raw spans, own callbacks, lmspan.

Each function sets a process up, before its programs are made; it may return a function that wraps each call of them.
All record to nowhere, behind a queue.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.programs import DECORATED, LISTENING_TO_LLMPROC

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrap = Callable[[Callable[[], object]], Callable[[], object]]

EXPORTED = [0]
"""How many spans have reached the exporter of this process."""


def nowhere() -> Any:
    """Return an exporter that only counts, and reads the attributes: lmspan encodes content when they are read."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> Any:
            EXPORTED[0] += len(spans)
            for span in spans:
                dict(span.attributes)
            return SpanExportResult.SUCCESS

    return Nowhere()


def batched() -> Any:
    """Return the SDK's own processor, on the same exporter."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(nowhere())


# The program itself, the SDK, the libraries' own callbacks ------------------------------------------------------------


def nothing() -> None:
    """Record nothing."""


SPANS = 4
"""Of one `Predict` under lmspan, and so of the raw spans."""


def raw_spans() -> Wrap:
    from opentelemetry import context, trace
    from opentelemetry.sdk.trace import TracerProvider

    from lmspan.export.queue import ExportQueue

    provider = TracerProvider()
    provider.add_span_processor(ExportQueue(nowhere(), "bench"))
    trace.set_tracer_provider(provider)
    tracer = provider.get_tracer("bench")
    attributes: dict[str, Any] = {f"attribute.{index}": index for index in range(15)}

    def wrap(call: Callable[[], object]) -> Callable[[], object]:
        def with_spans() -> object:
            for _ in range(SPANS):
                span = tracer.start_span("span")
                token = context.attach(trace.set_span_in_context(span))
                span.set_attributes(attributes)
                context.detach(token)
                span.end()
            return call()

        return with_spans

    return wrap


class Listening:
    """Every event of LLMProc's that a run has, doing nothing."""

    def tool_start(self, tool_name: Any, args: Any) -> None: ...
    def tool_end(self, tool_name: Any, result: Any) -> None: ...
    def turn_start(self, process: Any) -> None: ...
    def turn_end(self, process: Any, response: Any, tool_results: Any) -> None: ...
    def api_request(self, api_request: Any) -> None: ...
    def api_response(self, response: Any) -> None: ...
    def response(self, content: Any) -> None: ...


class ForLogiLLM:
    """Every event of LogiLLM's that a module has, doing nothing."""

    def on_module_start(self, event: Any) -> None: ...
    def on_module_end(self, event: Any) -> None: ...
    def on_provider_request(self, event: Any) -> None: ...
    def on_provider_response(self, event: Any) -> None: ...


def own_callback() -> None:
    """Register one callback that does nothing with each library."""
    import dspy
    from dspy.utils.callback import BaseCallback
    from logillm.core import callbacks as logillm

    dspy.configure(callbacks=[BaseCallback()])
    manager: Any = logillm.CallbackManager
    manager().register(type("Silent", (ForLogiLLM, logillm.AbstractCallback), {})())
    LISTENING_TO_LLMPROC.append(Listening())


# lmspan ---------------------------------------------------------------------------------------------------------------


class Deaf:
    """Every hook of DSPy's that one `Predict` has, doing nothing."""

    def on_module_start(self, call_id: Any, instance: Any, inputs: Any) -> None: ...
    def on_module_end(self, call_id: Any, outputs: Any, exception: Any) -> None: ...
    def on_lm_start(self, call_id: Any, instance: Any, inputs: Any) -> None: ...
    def on_lm_end(self, call_id: Any, outputs: Any, exception: Any) -> None: ...
    def on_adapter_format_start(self, call_id: Any, instance: Any, inputs: Any) -> None: ...
    def on_adapter_format_end(self, call_id: Any, outputs: Any, exception: Any) -> None: ...
    def on_adapter_parse_start(self, call_id: Any, instance: Any, inputs: Any) -> None: ...
    def on_adapter_parse_end(self, call_id: Any, outputs: Any, exception: Any) -> None: ...


def lmspan(
    *, content: bool = False, metrics: bool = False, subscribers: int = 0, sampled: bool = True, span: str = ""
) -> Callable[[], None]:
    """Return what starts lmspan in one of its modes."""

    def prepare() -> None:
        if span:
            os.environ["LMSPAN_SPAN"] = span
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

        import lmspan

        lmspan.init(
            exporters=[nowhere()],
            capture_content="span" if content else "none",
            sampler=None if sampled else ALWAYS_OFF,
            meter_provider=MeterProvider([InMemoryMetricReader()]) if metrics else None,
        )
        for _ in range(subscribers):
            lmspan.subscribe(Deaf())
        _decorate()

    return prepare


def _decorate() -> None:
    import lmspan

    DECORATED.append(lmspan.tool(DECORATED[0]))


def disabled() -> None:
    import lmspan as package

    lmspan()()
    package.disable()


def without_sdk() -> None:
    """Instrument, and set no provider up."""
    for name in ("dspy", "logillm", "llmproc"):
        module = import_module(f"lmspan.instrumentation.{name}")
        next(value for key, value in vars(module).items() if key.lower() == f"{name}instrumentor")().instrument()
    _decorate()


# lmspan with a real exporter ------------------------------------------------------------------------------------------


def exporting(*exporters: Any) -> Callable[[], None]:
    """Return what starts lmspan with these exporters; a function makes one when the process is set up."""

    def prepare() -> None:
        import lmspan

        made = [each() if callable(each) else each for each in exporters]
        lmspan.init(exporters=made, capture_content="none", meter_provider=None)
        _decorate()

    return prepare


def official() -> Any:
    """Return the SDK's processor with the official exporter, which sends to the endpoint of the environment."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=10**6)
