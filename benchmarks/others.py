"""What the contenders of other environments do to their process. Their packages are not installed in this one."""

from __future__ import annotations

import os
import tempfile
from importlib import import_module
from typing import Any

from benchmarks.recorders import batched


def _instrumentor(module: str, **options: Any) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import set_tracer_provider

    provider = TracerProvider()
    provider.add_span_processor(batched())
    set_tracer_provider(provider)
    import_module(module).DSPyInstrumentor().instrument(tracer_provider=provider, **options)


def openinference() -> None:
    _instrumentor("openinference.instrumentation.dspy")


def openinference_hidden() -> None:
    config = import_module("openinference.instrumentation").TraceConfig(hide_inputs=True, hide_outputs=True)
    _instrumentor("openinference.instrumentation.dspy", config=config)


def genai_dspy() -> None:
    _instrumentor("opentelemetry.instrumentation.genai.dspy")


def genai_dspy_with_content() -> None:
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    genai_dspy()


def logfire() -> None:
    package = import_module("logfire")
    package.configure(
        send_to_logfire=False, console=False, metrics=False, additional_span_processors=[batched()],
        inspect_arguments=False,
    )  # fmt: skip
    package.instrument_dspy()


def langfuse() -> None:
    """Send to a server on the loopback that accepts everything: Langfuse has no other way out."""
    address = os.environ.get("BENCHMARK_SINK", "http://127.0.0.1:9")
    client = import_module("langfuse").Langfuse(public_key="pk-lf-1", secret_key="sk-lf-1", base_url=address)
    assert client is not None
    import_module("openinference.instrumentation.dspy").DSPyInstrumentor().instrument()


def mlflow() -> None:
    """Log to SQLite in a directory of its own, as MLflow does by default."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    package = import_module("mlflow")
    package.set_tracking_uri(f"sqlite:///{tempfile.mkdtemp()}/mlflow.db")
    package.set_experiment("bench")
    import_module("mlflow.dspy").autolog()
