"""The commands of the how-to pages send spans as their pages describe: a test runs each as it stands on its page.

Only the address is replaced by that of a local server; the path stays. Commands that cannot run here are in a list.
"""

import base64
import re

import pytest

from support import pages
from support.otlp import grpc_receiver, http_receiver
from support.processes import lines_of_ours

PROGRAM = """
import lmspan

with lmspan.operation("module", "desk", inputs={"question": "a prompt"}):
    pass
"""
KEYS = {
    "INSTANCE_ID": "7", "TOKEN": "glc_" + "x" * 60, "PUBLIC_KEY": "pk", "SECRET_KEY": "sk-" + "y" * 60, "KEY": "k",
    "DD_API_KEY": "dd", "HONEYCOMB_API_KEY": "hc",
}  # fmt: skip


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


GRAFANA = {"authorization": basic("7", KEYS["TOKEN"])}
LANGFUSE = {"authorization": basic("pk", KEYS["SECRET_KEY"]), "x-langfuse-ingestion-version": "4"}
DATADOG = {"dd-api-key": "dd", "dd-otlp-source": "llmobs"}

# page -> for each of its commands that send: the path, the headers, whether content, whether OpenInference's names
SENDING = {
    "jaeger.md": [("/v1/traces", {}, False, False), ("/v1/traces", {}, False, False), ("/v1/traces", {}, True, False)],
    "phoenix.md": [("/v1/traces", {}, True, False), ("/v1/traces", {}, True, True)],
    "mlflow.md": [("/v1/traces", {"x-mlflow-experiment-id": "0"}, True, False)],
    "langfuse.md": [("/api/public/otel/v1/traces", LANGFUSE, True, True)],
    "grafana-tempo.md": [("/otlp/v1/traces", GRAFANA, True, False), ("/v1/traces", {}, True, False)],
    "datadog-honeycomb.md": [
        ("/v1/traces", DATADOG, True, False),
        ("/v1/traces", {"x-honeycomb-team": "hc"}, True, False),
    ],
}

ELSEWHERE = {  # run by tests/e2e, with the real programs, and by tests/integration/test_ui.py
    "collector.md": ["otelcol-contrib"],
    "jaeger.md": ["lmspan list --from", "lmspan show 1 --from", "lmspan stats --from", "lmspan spans --from"],
    "phoenix.md": ["phoenix serve"],
    "mlflow.md": ["mlflow server"],
    "page.md": ["lmspan ui"],
    "receive-and-send.md": [  # run by test_receive_and_send.py
        "lmspan ui", "python program.py", "lmspan send --endpoint", "lmspan send 1", "lmspan send traces.jsonl",
        "lmspan send .", "cat traces.jsonl",
    ],
    "scale-out.md": [  # run by tests/distributed, which want the programs of `.ci/backends distributed`
        "layout.sh", "kafka-storage.sh", "kafka-server-start.sh", "otelcol-contrib", "DIGITS=0-7", "DIGITS=8-9a-f",
        "jaeger-durable.yaml", "retention.sh",
    ],
}  # fmt: skip
NOT_HERE = {  # no Docker engine; another stack's package has an environment of its own; a test of a test
    "jaeger.md": ["docker compose up -d", "--profile durable", "docker run "],
    "phoenix.md": ["-m venv", "pytest -m backends"],
    "mlflow.md": ["-m venv", "pytest -m backends"],
    "page.md": ["pip install"],
}


def listed(page):
    """Parts of the commands of a page that are not run here."""
    return [*ELSEWHERE.get(page, ()), *NOT_HERE.get(page, ())]


def unlisted(page):
    """The commands of a page that are run here."""
    return [line for line in pages.commands(page) if not any(part in line for part in listed(page))]


COMMANDS = [
    pytest.param(command, *expected, id=f"{page}-{number}")
    for page, rows in SENDING.items()
    for number, (command, expected) in enumerate(zip(unlisted(page), rows, strict=True), 1)
]


def test_every_command_of_the_pages_is_run_or_listed():
    for page in sorted(pages.HOW_TO.glob("*.md")):
        assert len(unlisted(page.name)) == len(SENDING.get(page.name, ())), unlisted(page.name)
        assert all(len(pages.commands(page.name, part)) == 1 for part in listed(page.name)), page.name


@pytest.mark.parametrize(("command", "path", "headers", "content", "openinference"), COMMANDS)
def test_a_command_sends_spans_as_its_page_describes(command, path, headers, content, openinference, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    with http_receiver() as (address, received):
        environ = {**KEYS, "ADDRESS": f"{address}{path}", "LMSPAN_DIR": str(tmp_path)}
        done = pages.run(pages.sent_to(address, command), tmp_path, environ)
    lines = lines_of_ours(done.stderr)
    assert (done.returncode, len(lines)) == (0, 0 if content else 1), done.stderr
    assert all(line.startswith("lmspan: prompts and answers are not recorded because ") for line in lines)
    assert received.paths == {path}
    for sent in received.headers:
        assert {name: sent.get(name) for name in headers} == headers
        assert sent["content-type"] == "application/x-protobuf"
    span = next(span for span in received.spans if span.name in ("module desk", "module TravelDesk"))
    names = {each.key for each in span.attributes}
    assert ("lmspan.module.inputs" in names) is content
    assert ("openinference.span.kind" in names) is openinference
    if "OTEL_METRICS_EXPORTER" in command:
        assert {other.rpartition("/v1/")[2] for other, _ in received.others} == {"metrics"}


def test_phoenix_receives_grpc_as_its_page_describes(tmp_path):
    (variables,) = re.findall(
        r"`(OTEL_EXPORTER_OTLP_ENDPOINT=\S+ OTEL_EXPORTER_OTLP_PROTOCOL=grpc)`", pages.text("phoenix.md")
    )
    (tmp_path / "program.py").write_text(PROGRAM)
    with grpc_receiver() as (address, received):
        quiet = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"}
        done = pages.run(f"{pages.sent_to(address, variables)} lmspan run program.py", tmp_path, quiet)
    assert (done.returncode, done.stderr, received.names) == (0, "", ["module desk"])
