"""What one `dspy.Predict` costs, beside what the same costs otherwise, in one run.

    python benchmarks/predict.py [--rounds 40] [--calls 50]

Each variant runs in a process of its own that stays alive; rounds go through all of them in turn (A B C ... A B C ...),
so that a noisy machine is noisy for all. Zero-latency LM: every percentage is a worst case. Figures are microseconds
of the calling thread's CPU time per Predict on top of the plain one: minimum and median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

VARIANTS = (
    # name, spans per Predict, what it is
    ("plain", 0, "not instrumented"),
    ("callback", 0, "one no-op DSPy callback"),
    ("raw spans", 4, "four raw SDK spans of 15 attributes, same processor"),
    ("off", 4, "lmspan, content off, metrics and exporter on"),
    ("no metrics", 4, "lmspan, content off, exporter on"),
    ("content", 4, "lmspan, content on"),
    ("subscriber", 4, "lmspan, content off, no metrics, one no-op DSPy callback subscribed"),
    ("ten", 4, "the same with ten of them"),
    ("unsampled", 4, "lmspan, sampled out"),
    ("no SDK", 4, "lmspan's wrappers, no provider"),
    ("disabled", 4, "lmspan.disable()"),
)


def prepare(name: str):
    import dspy
    from dspy.utils import DummyLM
    from dspy.utils.callback import BaseCallback

    lm = DummyLM([{"answer": "blue"}] * 1_000_000)
    dspy.configure(lm=lm, disable_history=True)
    predict = dspy.Predict("question -> answer")
    call = lambda: predict(question="what colour is the sky?")  # noqa: E731 - as short as what it measures
    if name == "callback":
        dspy.configure(callbacks=[BaseCallback()])
    if name == "raw spans":
        return raw(call)
    if name in ("off", "no metrics", "content", "subscriber", "ten", "unsampled", "disabled"):
        instrument(name)
    if name == "no SDK":
        from lmspan.instrumentation.dspy import DSPyInstrumentor

        DSPyInstrumentor().instrument()
    return call


def exporter():
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans):
            return SpanExportResult.SUCCESS

        def shutdown(self):
            pass

    return Nowhere()


def instrument(name: str) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    import lmspan

    lmspan.init(
        exporters=[exporter()],
        capture_content="span" if name == "content" else "none",
        sampler=ALWAYS_OFF if name == "unsampled" else None,
        meter_provider=MeterProvider([InMemoryMetricReader()]) if name in ("off", "content") else None,
    )
    if name == "disabled":
        lmspan.disable()
    for _ in range({"subscriber": 1, "ten": 10}.get(name, 0)):
        lmspan.subscribe(Deaf())


class Deaf:
    """Every hook of DSPy's that one Predict has, doing nothing."""


for _word in ("module", "lm", "adapter_format", "adapter_parse"):
    setattr(Deaf, f"on_{_word}_start", lambda self, call_id, instance, inputs: None)
    setattr(Deaf, f"on_{_word}_end", lambda self, call_id, outputs, exception: None)


def raw(call):
    from opentelemetry import context, trace
    from opentelemetry.sdk.trace import TracerProvider

    from lmspan.export.queue import ExportQueue

    provider = TracerProvider()
    provider.add_span_processor(ExportQueue(exporter(), "bench"))
    tracer = provider.get_tracer("bench")
    attributes = {f"attribute.{index}": index for index in range(15)}

    def with_spans():
        for _ in range(4):
            span = tracer.start_span("span")
            token = context.attach(trace.set_span_in_context(span))
            span.set_attributes(attributes)
            context.detach(token)
            span.end()
        return call()

    return with_spans


def serve(name: str, calls: int) -> None:
    """Child: on each line read, run the calls and answer with microseconds of this thread's CPU per call."""
    call = prepare(name)
    for _ in range(200):
        call()
    for _ in sys.stdin:
        begun = time.thread_time_ns()
        for _ in range(calls):
            call()
        sys.stdout.write(json.dumps((time.thread_time_ns() - begun) / calls / 1000) + "\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.calls)
        return
    environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "true", "DSPY_CACHEDIR": tempfile.mkdtemp()}
    command = [sys.executable, __file__, "--calls", str(options.calls), "--serve"]
    children = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        for name, _, _ in VARIANTS
    }
    times: dict[str, list[float]] = {name: [] for name in children}
    for _ in range(options.rounds):
        for name, child in children.items():
            child.stdin.write("go\n")
            child.stdin.flush()
            times[name].append(json.loads(child.stdout.readline()))
    for child in children.values():
        child.stdin.close()
        child.wait()
    report(times)


def report(times: dict[str, list[float]]) -> None:
    plain = min(times["plain"]), statistics.median(times["plain"])
    callback = min(times["callback"]) - plain[0]
    raw_span = (min(times["raw spans"]) - plain[0]) / 4
    print(f"plain Predict: minimum {plain[0]:.0f}, median {plain[1]:.0f} us; R (one raw span) {raw_span:.1f} us\n")
    print(f"{'variant':<11}{'min':>8}{'median':>8}{'/ span':>8}{'/ R':>7}{'/ callback':>12}  what")
    for name, spans, what in VARIANTS[1:]:
        low, middle = min(times[name]) - plain[0], statistics.median(times[name]) - plain[1]
        per_span = f"{low / spans:.1f}" if spans else ""
        ratio = f"{low / spans / raw_span:.2f}" if spans else ""
        print(f"{name:<11}{low:>8.1f}{middle:>8.1f}{per_span:>8}{ratio:>7}{low / callback:>12.2f}  {what}")


if __name__ == "__main__":
    main()
