"""`lmspan send` to a real Jaeger and a real Collector, and a real Collector that forwards to `lmspan ui`."""

import os
import subprocess

import pytest

from lmspan.traces import Store
from support.page import serving
from support.processes import run_lmspan, run_python
from support.stack import Jaeger, binary, eventually, free_port

pytestmark = pytest.mark.e2e

PROGRAM = """
import lmspan
with lmspan.init("desk"):
    with lmspan.operation("workflow", "help", inputs={"question": "what is tea?"}):
        with lmspan.operation("tool", "search") as call:
            lmspan.add_event("note", {"n": 1})
"""
FORWARD = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  otlphttp: {{endpoint: "{target}", compression: gzip}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlphttp]}}
"""


@pytest.fixture
def recorded(tmp_path):
    directory = tmp_path / "recorded"
    assert run_python(PROGRAM, environ={"LMSPAN_DIR": str(directory)}).returncode == 0
    return directory


def facts(trace):
    return {
        span.name: (
            span.span_id,
            span.parent_id,
            span.start_unix_nano,
            span.end_unix_nano,
            span.service,
            {name for name in span.attributes if not name.startswith("@")},
        )
        for span in trace.spans
    }


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_trace_is_in_jaeger_as_it_was_recorded_also_when_it_is_sent_twice(recorded, tmp_path, protocol):
    sent = Store(recorded).last()
    with Jaeger(tmp_path / "jaeger") as jaeger:
        endpoint = jaeger.grpc if protocol == "grpc" else jaeger.http
        for _ in range(2):
            done = run_lmspan("send", str(recorded), "--endpoint", endpoint, "--protocol", protocol)
            assert (done.returncode, done.stderr) == (0, "")
        found = eventually(lambda: jaeger.trace(sent.trace_id), lambda trace: trace and len(trace.spans) >= 2)
        assert facts(found) == facts(sent)


def test_a_collector_forwards_what_it_receives_to_the_page(recorded, tmp_path):
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    with serving(received) as address:
        config = tmp_path / "collector.yaml"
        config.write_text(FORWARD.format(port=port, target=address.partition("/?")[0]))
        with subprocess.Popen(
            [binary("otelcol"), "--config", str(config)], env=os.environ, stderr=subprocess.DEVNULL
        ) as run:
            try:
                sent = eventually(
                    lambda: run_lmspan("send", str(recorded), "--endpoint", f"http://127.0.0.1:{port}"),
                    lambda done: done.returncode == 0,
                )
                assert sent.stdout == f"sent 2 spans of 1 trace to http://127.0.0.1:{port}/v1/traces\n"
                found = eventually(lambda: list(Store(received).each()))
            finally:
                run.terminate()
    assert [facts(trace) for trace in found] == [facts(Store(recorded).last())]
