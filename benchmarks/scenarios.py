"""The programs of the test suite under lmspan and under two other DSPy instrumentors, in one run.

    pip install -e '.[test]' openinference-instrumentation-dspy opentelemetry-instrumentation-genai-dspy
    python benchmarks/scenarios.py [--write]     # --write puts the table into docs/reference/dspy.md

One process for each instrumentor, and one without any, whose results the others' are compared with. Content is
captured, so that a key that leaks is seen. What is counted:

    traces      distinct trace ids, of which there should be one for each call that the program makes at the top
    lost        spans that are not in their trace's tree: a root too many, or a parent that was never exported
    answers     answers of the model's server that are in a span with token usage, of those that it gave
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "dspy.md"
BEGIN, END = "<!-- made by benchmarks/scenarios.py -->", "<!-- until here -->"
TOOLS = (
    # name, module with the instrumentor, its class
    ("none", "", ""),
    ("lmspan", "lmspan.instrumentation.dspy", "DSPyInstrumentor"),
    ("OpenInference", "openinference.instrumentation.dspy", "DSPyInstrumentor"),
    ("OpenTelemetry genai-dspy", "opentelemetry.instrumentation.genai.dspy", "DSPyInstrumentor"),
)
USAGE = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")


def run(tool: str) -> None:
    """Run every program under one instrumentor; print one JSON object a program."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    sys.path.insert(0, str(ROOT / "tests"))
    from support.programs import KEY
    from support.scenarios import NATIVE, available, execute

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _, module, instrumentor = next(each for each in TOOLS if each[0] == tool)
    if module:
        getattr(importlib.import_module(module), instrumentor)().instrument(tracer_provider=provider)
    for scenario in available():
        exporter.clear()
        try:
            result, server = execute(scenario)
        except Exception as error:  # noqa: BLE001 - the program fails under this instrumentor, or without any
            print(json.dumps({"name": scenario.name, "result": f"raised {type(error).__name__}"}), file=sys.__stdout__)
            continue
        spans = exporter.get_finished_spans()
        asked = [one for one in server.exchanges if one.path.endswith("/chat/completions") and one.reply.status == 200]
        found = {
            "name": scenario.name,
            "result": result,
            "wanted": scenario.traces,
            "traces": len({span.context.trace_id for span in spans}),
            "lost": lost(spans),
            "answers": min(sum(answers(span, NATIVE) for span in spans), 10**6),
            "given": len(asked),
            "leaks": KEY in json.dumps([json.loads(span.to_json()) for span in spans]),
            "spans": len(spans),
        }
        print(json.dumps(found), file=sys.__stdout__)


def lost(spans: Sequence[ReadableSpan]) -> int:
    known = {span.context.span_id for span in spans}
    roots = sum(span.parent is None for span in spans)
    orphans = sum(span.parent is not None and span.parent.span_id not in known for span in spans)
    return orphans + roots - len({span.context.trace_id for span in spans})


def answers(span: ReadableSpan, native: bool) -> int:
    attributes = span.attributes or {}
    if not any(name in attributes for name in USAGE) or attributes.get("gen_ai.operation.name") == "embeddings":
        return 0
    reasons = attributes.get("gen_ai.response.finish_reasons", ())
    return max(len(reasons), 1) if native and isinstance(reasons, tuple) else 1


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    tools = [name for name in found if name != "none"]
    plain = {each["name"]: each for each in found["none"]}
    lines = [
        f"| program | {' | '.join(tools)} |",
        f"|---|{'---|' * len(tools)}",
        *(f"| {name} | {' | '.join(cell(row(found[tool], name), plain[name]) for tool in tools)} |" for name in plain),
        f"| **whole** ({len(plain)} programs) | {' | '.join(summed(found[tool], plain) for tool in tools)} |",
    ]
    return "\n".join(lines)


def row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next((each for each in rows if each["name"] == name), {"result": "did not run"})


def cell(each: dict[str, Any], plain: dict[str, Any]) -> str:
    if "traces" not in each:
        return f"**{each['result']}**"
    traces = str(each["traces"]) if each["traces"] == each["wanted"] else f"**{each['traces']}** for {each['wanted']}"
    lost_ = f", **{each['lost']} lost**" if each["lost"] else ""
    given = f"{each['answers']}/{each['given']}"
    given = given if each["answers"] == each["given"] else f"**{given}**"
    leak = ", **key**" if each["leaks"] else ""
    other = ", **other result**" if each["result"] != plain["result"] else ""
    return f"{traces}{lost_}; {given}{leak}{other}"


def summed(rows: list[dict[str, Any]], plain: dict[str, Any]) -> str:
    ran = [each for each in rows if "traces" in each]
    one_trace = sum(each["traces"] == each["wanted"] and not each["lost"] for each in ran)
    whole = sum(each["answers"] for each in ran), sum(each["given"] for each in ran)
    leaks = sum(each["leaks"] for each in ran)
    same = sum(each["result"] == plain[each["name"]]["result"] for each in ran)
    return (
        f"{one_trace} as one trace a call; {whole[0]}/{whole[1]} answers; key in {leaks}; "
        f"same result in {same}; {sum(each['spans'] for each in ran)} spans"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/reference/dspy.md")
    parser.add_argument("--tool", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.tool:
        run(options.tool)
        return
    found = {}
    environ = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "true",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    }
    for name, module, _ in TOOLS:
        if not module or (find_spec(module.split(".")[0]) and _installed(module)):
            done = subprocess.run(
                [sys.executable, "-W", "ignore", __file__, "--tool", name],
                env=environ, capture_output=True, text=True, check=False,
            )  # fmt: skip
            found[name] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    made = table(found)
    print(made)
    if options.write:
        text = PAGE.read_text()
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n{made}\n{END}{tail}")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


if __name__ == "__main__":
    main()
