"""Metrics and log records go out by OTLP when they are asked for, and never cost the program anything."""

import time

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from lmspan.config import CAPTURE_VARIABLE
from support.otlp import answer, answering, grpc_receiver, http_receiver, hung_endpoint, refused_endpoint
from support.processes import ASK, run_python

METRICS = f"import lmspan\nlmspan.init()\n{ASK}\nprint(ask())"
LOGS = f"import lmspan\nlmspan.init(events='log', capture_content='event')\n{ASK}\nprint(ask())"


def sent(received, path, kind):
    """The requests of one signal."""
    found = []
    for where, body in received.others:
        if where == path:
            found.append(kind())
            found[-1].ParseFromString(body)
    return found


def test_metrics_go_where_the_spans_go_and_point_to_their_traces():
    with http_receiver() as (endpoint, received):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_SERVICE_NAME": "shop",
            CAPTURE_VARIABLE: "NO_CONTENT",
        }
        done = run_python(METRICS, environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "a secret answer\n", "")
    (request,) = sent(received, "/v1/metrics", ExportMetricsServiceRequest)
    (resource,) = request.resource_metrics
    assert (
        next(each.value.string_value for each in resource.resource.attributes if each.key == "service.name") == "shop"
    )
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    duration = metrics["gen_ai.client.operation.duration"].histogram.data_points[0]
    assert duration.count == 1
    chat = next(span for span in received.spans if span.name == "chat gpt-4o-mini")
    assert [(each.trace_id, each.span_id) for each in duration.exemplars] == [(chat.trace_id, chat.span_id)]
    kinds = {
        attribute.value.string_value
        for point in metrics["gen_ai.client.token.usage"].histogram.data_points
        for attribute in point.attributes
        if attribute.key == "gen_ai.token.type"
    }
    assert kinds == {"input", "output"}


def test_each_signal_goes_by_its_own_protocol():
    with grpc_receiver() as (spans_endpoint, spans), http_receiver() as (endpoint, others):
        environ = {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": spans_endpoint,
            "OTEL_METRICS_EXPORTER": "otlp",
        }
        done = run_python(LOGS, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chat gpt-4o-mini" in [span.name for span in spans.spans]
    assert {path for path, _ in others.others} == {"/v1/metrics", "/v1/logs"}


def test_without_the_variable_there_are_no_metrics():
    with http_receiver() as (endpoint, received):
        run_python(METRICS, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert received.others == []


def test_events_go_to_the_log_in_the_context_of_their_spans():
    with http_receiver() as (endpoint, received):
        done = run_python(LOGS, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    assert (done.returncode, done.stderr) == (0, "")
    requests = sent(received, "/v1/logs", ExportLogsServiceRequest)
    records = [
        record
        for request in requests
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]
    chat, root = (
        next(span for span in received.spans if span.name.startswith(name)) for name in ("chat", "module Predict")
    )
    assert [(each.event_name, each.trace_id, each.span_id) for each in records] == [
        ("gen_ai.client.inference.operation.details", chat.trace_id, chat.span_id),
        ("lmspan.trace.complete", root.trace_id, root.span_id),
    ]
    assert not any(span.events for span in received.spans)


def test_events_that_nobody_would_hear_are_told():
    done = run_python(LOGS, environ={"OTEL_TRACES_EXPORTER": "none"})
    assert done.stdout == "a secret answer\n"
    assert done.stderr.count("\n") == 1
    assert "there is no LoggerProvider" in done.stderr


@pytest.mark.parametrize("endpoint", [refused_endpoint, hung_endpoint], ids=["refused", "hung"])
def test_an_endpoint_that_does_not_answer_costs_a_line_for_each_signal(endpoint):
    def program(address):
        began = time.monotonic()
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
            CAPTURE_VARIABLE: "NO_CONTENT",
        }
        done = run_python(METRICS, environ=environ)
        return done, time.monotonic() - began

    if endpoint is refused_endpoint:
        done, took = program(endpoint())
    else:
        with endpoint() as address:
            done, took = program(address)
    assert (done.returncode, done.stdout) == (0, "a secret answer\n")
    assert took < 30  # a bound against waiting for ever, not a measurement
    assert "Traceback" not in done.stderr
    assert all(line.startswith(("lmspan:", "WARNING")) for line in done.stderr.splitlines()), done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_an_unknown_exporter_of_metrics_is_told_and_nothing_is_exported():
    done = run_python(METRICS, environ={"OTEL_METRICS_EXPORTER": "carrier-pigeon", "OTEL_TRACES_EXPORTER": "none"})
    assert "OTEL_METRICS_EXPORTER='carrier-pigeon' is not known" in done.stderr


FLUSH = f"""
import lmspan
session = lmspan.init(events="log", capture_content="event")
{ASK}
print(ask())
print(session.force_flush(10), [each.force_flush(10_000) for each in (*session._processors[1:], *session._signals)])
"""


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (answer("308 Permanent Redirect", location="https://h/"), "a redirect to https://h/, which is not followed"),
        (answer(body=b"<html>", content_type="text/html"), "a web page (text/html) answered, no OTLP endpoint"),
        (answer("404 Not Found"), "404 Not Found from {url}"),
    ],
)
def test_an_answer_that_is_no_delivery_is_reported_for_each_signal(wrong, told):
    with answering(wrong) as (endpoint, _):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "otlp"}
        done = run_python(FLUSH, environ=environ)
    flushed = done.stdout.splitlines()
    assert flushed[:2] == ["a secret answer", "False [False, False, True]"]  # spans wait, a log record is tried once
    lines = sorted(done.stderr.splitlines())
    assert [line.split(":")[1:2] for line in lines] == [
        [" log records cannot be delivered"],
        [" metrics cannot be delivered"],
        [" otlp"],
    ]
    for signal, line in zip(("logs", "metrics", "traces"), lines, strict=True):
        url = f"{endpoint}/v1/{signal}"
        assert url in line
        assert told.format(url=url) in line


def test_a_delivery_is_a_successful_flush_of_each_signal():
    with answering(answer()) as (endpoint, _):
        done = run_python(FLUSH, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "otlp"})
    assert (done.stdout, done.stderr) == ("a secret answer\nTrue [True, True, True]\n", "")


HUNG = """
import threading
from opentelemetry.sdk.resources import Resource
from lmspan import config
from lmspan.export.signals import logger_provider, meter_provider
resolved = config.resolve(service_name=None, exporters="otlp", instrument=None, capture_content="none", events="log",
                          openinference=False, provider_exists=False)
metrics, logs = (make(resolved, Resource({}), str) for make in (meter_provider, logger_provider))
metrics.get_meter("m").create_counter("one").add(1)
logs.get_logger("l").emit(body="one")
print([each.force_flush(50) for each in (metrics, logs) for _ in range(3)])
print(sorted(each.name for each in threading.enumerate() if each.name.startswith("lmspan")))
def refuse(self):
    raise RuntimeError("can't create new thread at interpreter shutdown")
threading.Thread.start = refuse
for each in (metrics, logs):
    each.shutdown_within(0.05)
print("left")
"""


def test_a_flush_and_a_shutdown_do_not_wait_for_an_endpoint_that_hangs():
    with hung_endpoint() as endpoint:
        done = run_python(HUNG, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRICS_EXPORTER": "otlp",
                                         "OTEL_EXPORTER_OTLP_TIMEOUT": "3000"})  # fmt: skip
    threads = ["lmspan-bounded", "lmspan-bounded"]  # one a signal, however often a flush is tried
    assert done.stdout.splitlines() == [str([False] * 6), str(threads), "left"], done.stderr
    assert done.stderr == ""
