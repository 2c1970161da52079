"""The commands of the how-to page about receiving and sending, each run as it stands there, with another address."""

import re
import subprocess

import pytest

from lmspan.traces import Store
from support import pages
from support.otlp import http_receiver
from support.stack import free_port

PAGE = "receive-and-send.md"
PROGRAM = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("a foreign program")
tracer.start_span("hello", attributes={"openinference.span.kind": "LLM"}).end()
provider.shutdown()
"""
(RECEIVE,) = pages.commands(PAGE, "lmspan ui")
(FOREIGN,) = pages.commands(PAGE, "python program.py")
SEND = pages.commands(PAGE, "lmspan send")


def test_a_foreign_program_is_received_as_the_page_describes(tmp_path):
    directory, port = tmp_path / "traces", str(free_port())
    (tmp_path / "program.py").write_text(PROGRAM)
    environ = pages.environment({"LMSPAN_DIR": str(directory)})
    command = RECEIVE.replace("4318", port).split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as running:
        try:
            printed = [running.stdout.readline() for _ in range(3)]
            shown = pages.text(PAGE).partition("```\nlmspan: ")[2].partition("```")[0].replace("4318", port)
            assert printed[2] == f"{shown.splitlines()[2]}\n"
            assert printed[1].partition("token=")[0] == shown.splitlines()[1].partition("token=")[0]
            done = pages.run(FOREIGN.replace("4318", port), tmp_path)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        finally:
            running.terminate()
    (span,) = Store(directory).last().spans
    assert (span.name, span.operation.value) == ("hello", "lm")


@pytest.mark.parametrize("command", SEND)
def test_a_command_sends_as_the_page_describes(command, tmp_path):
    (tmp_path / "program.py").write_text("import lmspan\nwith lmspan.operation('tool', 'x'):\n    pass\n")
    environ = {"LMSPAN_DIR": str(tmp_path), "KEY": "k"}
    assert pages.run("lmspan run program.py", tmp_path, environ).returncode == 0
    with http_receiver() as (endpoint, received):
        done = pages.run(command.replace("http://localhost:4318", endpoint), tmp_path, environ)
    shown = re.search(r"^sent \d+ spans of 1 trace to http://localhost:4318/v1/traces$", pages.text(PAGE), re.MULTILINE)
    expected = re.sub(r"\d+ spans", "1 span", shown[0]).replace("http://localhost:4318", endpoint)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{expected}\n", "")
    assert received.names == ["execute_tool x"]
    if "--header" in command:
        assert received.headers[0]["x-api-key"] == "k"
