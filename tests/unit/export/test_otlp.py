"""The OTLP exporters: responses that are a delivery, reasons of failed exports, and bounds of a response."""

import gzip
import logging
import re
import threading
import time
import tracemalloc

import grpc
import pytest
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lmspan.export import failures, otlp
from lmspan.export.http import ANSWER_BYTES
from lmspan.export.otlp import QuietExporter, official
from support.otlp import answer, answering, grpc_receiver, http_receiver, hung_endpoint, refused_endpoint
from support.processes import run_python

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def spans(size=0):
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("t").start_span("one", attributes={"text": "x" * size}).end()
    return memory.get_finished_spans()


def records():
    memory = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
    provider.get_logger("t").emit(body="one")
    return memory.get_finished_logs()


def measured():
    reader = InMemoryMetricReader()
    MeterProvider([reader], shutdown_on_exit=False).get_meter("t").create_counter("one").add(1)
    return reader.get_metrics_data()


BATCHES = {"traces": spans, "metrics": measured, "logs": records}


def exporter(monkeypatch, endpoint, protocol="http/protobuf", **variables):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    made, adapter = official(protocol, "traces")
    return QuietExporter(made, str, adapter)


def outcome(quiet, batch=None):
    return quiet.export(batch or spans()), quiet.trouble, quiet.batch_refused, quiet.retry_after_s


OTLP = {"content_type": "application/x-protobuf"}


@pytest.mark.parametrize(
    "good",
    [
        answer(),
        answer(**OTLP),
        answer(body=b"{}", content_type="application/json"),
        answer("202 Accepted", b"queued", content_type="text/plain"),
        answer(content_type="text/html; charset=utf-8"),  # what Flask and Rails say of an empty answer
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ],
)
def test_a_response_that_is_a_delivery(good, monkeypatch):
    with answering(good) as (endpoint, served):
        assert outcome(exporter(monkeypatch, endpoint)) == (SUCCESS, "", False, None)
    assert len(served.requests) == 1
    assert "accept-encoding: identity" in served.requests[0].lower()


PAGE = "200 OK from {url}: a web page (text/html) answered, no OTLP endpoint"


XHTML = "application/xhtml+xml"


def broken_off(response):
    """The response without its body; then the connection closes."""
    return lambda: iter((response.partition(b"\r\n\r\n")[0] + b"\r\n\r\n",))


REDIRECT = "{status} from {url}: a redirect to https://h/in, which is not followed"


@pytest.mark.parametrize(
    ("bad", "trouble", "refused", "wait"),
    [
        (answer("400 Bad"), "400 Bad Request from {url}", True, None),
        (answer("413 No"), "413 {large} from {url}", True, None),
        (answer("401 No"), "401 Unauthorized from {url}; check OTEL_EXPORTER_OTLP_HEADERS", False, None),
        (answer("403 No"), "403 Forbidden from {url}; check OTEL_EXPORTER_OTLP_HEADERS", False, None),
        (answer("404 No", b"<html>", content_type="text/html"), "404 Not Found from {url}", False, None),
        (answer("405 No"), "405 Method Not Allowed from {url}", False, None),
        (answer("429 No", Retry_After="7"), "429 Too Many Requests from {url}", False, 7.0),
        (answer("429 No", Retry_After="9999"), "429 Too Many Requests from {url}", False, 60.0),
        (answer("503 No", Retry_After="30"), "503 Service Unavailable from {url}", False, 30.0),
        (
            answer("503 No", Retry_After="Wed, 21 Oct 2199 07:28:00 GMT"),
            "503 Service Unavailable from {url}",
            False,
            60,
        ),
        (answer("429 No", Retry_After="soon"), "429 Too Many Requests from {url}", False, None),
        (answer("500 No", Retry_After="7"), "500 Internal Server Error from {url}", False, None),
        (answer("300 x", Location="https://h/in"), REDIRECT, False, None),
        (answer("301 x", Location="https://h/in"), REDIRECT, False, None),
        (answer("302 x", Location="https://u:pw@h/in?key=1#x"), REDIRECT, False, None),
        (answer("303 x", Location="//u@h/in"), REDIRECT.replace("https", "http"), False, None),
        (answer("307 x", Location="https://h/in"), REDIRECT, False, None),
        (answer("308 x", Location="https://h/in"), REDIRECT, False, None),
        (answer("304 x"), "304 Not Modified from {url}: a redirect to {url}, which is not followed", False, None),
        (
            answer("302 x", Location="http://[::1"),
            "302 Found from {url}: a redirect to an address that is no URL, which is not followed",
            False,
            None,
        ),
        (
            answer(body=b"<html>Sign in</html>", content_type="Text/HTML; charset=utf-8"),
            PAGE,
            False,
            None,
        ),
        (answer(body=b"<html>", content_type="text/html"), PAGE, False, None),
        (answer(body=b"<html>", content_type="text/html ; charset=utf-8; level=1"), PAGE, False, None),
        (
            answer(body=b"<html>", content_type="application/xhtml+xml"),
            PAGE.replace("text/html", "application/xhtml+xml"),
            False,
            None,
        ),
        (broken_off(answer(body=b"<html>", content_type="text/html")), PAGE, False, None),
        (answer("799 \x1b[31mred"), "799 from {url}", False, None),
    ],
)
def test_a_response_that_is_no_delivery(bad, trouble, refused, wait, monkeypatch):
    with answering(bad) as (endpoint, served):
        url = f"{endpoint}/v1/traces"
        # too short a time for a second attempt: the exporter gives up where it would wait
        quiet = exporter(monkeypatch, endpoint, TIMEOUT="0.7")
        got = outcome(quiet)
    large = failures.named(413).removeprefix("413 ")  # Python 3.13 has a newer phrase
    sent = bad if isinstance(bad, bytes) else b"".join(bad())
    status = failures.named(int(sent[9:12]))
    assert got == (FAILURE, trouble.format(url=url, status=status, large=large), refused, wait)
    assert len(served.requests) == 1


def test_a_failure_is_over_after_a_delivery(monkeypatch):
    with answering(answer("400 No"), answer()) as (endpoint, _):
        quiet = exporter(monkeypatch, endpoint)
        assert outcome(quiet) == (FAILURE, f"400 Bad Request from {endpoint}/v1/traces", True, None)
        assert outcome(quiet) == (SUCCESS, "", False, None)


def test_the_address_is_named_without_its_secrets(monkeypatch):
    with answering(answer("404 No")) as (endpoint, _):
        there = endpoint.replace("//", "//user:hunter2@") + "/in?key=hunter2"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", there)
        quiet = exporter(monkeypatch, endpoint)
        assert outcome(quiet)[1] == f"404 Not Found from {endpoint}/in"


def test_a_repeated_path_has_a_hint(monkeypatch):
    with answering(answer("404 No")) as (endpoint, _):
        quiet = exporter(monkeypatch, f"{endpoint}/v1/traces")
        assert outcome(quiet)[1] == (
            f"404 Not Found from {endpoint}/v1/traces/v1/traces; OTEL_EXPORTER_OTLP_ENDPOINT is the base address, "
            "to which the path of each signal is added"
        )


@pytest.mark.parametrize("signal", BATCHES)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "302 Found"])
def test_a_response_is_not_decompressed(signal, status, monkeypatch):
    bomb = gzip.compress(bytes(50_000_000))
    batch = BATCHES[signal]()
    assert len(bomb) < ANSWER_BYTES
    with answering(answer(status, bomb, content_encoding="gzip", location="/")) as (endpoint, served):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        made, adapter = official("http/protobuf", signal)
        quiet = otlp.Delivery(made, adapter, str)
        tracemalloc.start()
        quiet.export(lambda: made.export(batch), None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        quiet.export(lambda: made.export(batch), None)
    assert peak < 2_000_000
    assert (len(served.requests), served.connections) == (2, 1)  # read to its end, so the connection is kept


def endless(head):
    def parts():
        yield head
        for _ in range(10_000):
            yield bytes(100_000)

    return parts


@pytest.mark.parametrize("signal", BATCHES)
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n\r\n",
        b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n3b9aca00\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 100 Continue\r\nX: ",
    ],
    ids=["no length", "length", "great length", "chunk", "header", "continue"],
)
def test_only_the_first_bytes_of_a_response_are_read(signal, head, monkeypatch):
    batch = BATCHES[signal]()
    with answering(endless(head)) as (endpoint, served):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.7")
        made, adapter = official("http/protobuf", signal)
        tracemalloc.start()
        otlp.Delivery(made, adapter, str).export(lambda: made.export(batch), None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2_000_000
    assert served.sent < 20_000_000 * len(served.requests)  # what the system buffers, of 1,000 MB


def dripping(head, part):
    def parts():
        yield head
        for _ in range(2_000):
            time.sleep(0.02)
            yield part

    return parts


@pytest.mark.parametrize(
    ("head", "part", "result"),
    [
        (b"", b"H", FAILURE),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", FAILURE),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n", FAILURE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"x", SUCCESS),  # the status has been sent
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", SUCCESS),
    ],
    ids=["status", "header", "headers", "body", "chunks"],
)
def test_a_response_that_drips_ends_at_the_timeout_of_one_export(head, part, result, monkeypatch):
    with answering(dripping(head, part)) as (endpoint, served):
        quiet = exporter(monkeypatch, endpoint, TIMEOUT="0.5")
        assert quiet.export(spans()) is result
        assert served.sent < len(head) + 1_000 * len(part)  # it would drip for 40 s
    assert ("timed out" in quiet.trouble, quiet.batch_refused) == (result is FAILURE, False)


def test_small_responses_keep_the_connection_and_a_long_one_closes_it(monkeypatch):
    long = answer(body=bytes(ANSWER_BYTES), **OTLP)
    with answering(answer(**OTLP), answer(body=b"{}"), answer("400 No", b"why"), long, answer()) as (endpoint, served):
        quiet = exporter(monkeypatch, endpoint)
        results = [quiet.export(spans()) for _ in range(5)]
    assert results == [SUCCESS, SUCCESS, FAILURE, SUCCESS, SUCCESS]
    assert (len(served.requests), served.connections) == (5, 2)


def test_no_redirect_is_followed_and_no_cookie_kept(monkeypatch):
    with http_receiver() as (elsewhere, received):
        moved = answer("307 Temporary Redirect", location=f"{elsewhere}/v1/traces", set_cookie="a=b")
        with answering(moved) as (endpoint, served):
            quiet = exporter(monkeypatch, endpoint, HEADERS="authorization=secret")
            for _ in range(2):
                assert quiet.export(spans()) is FAILURE
    assert received.requests == []
    assert ["cookie" in head.lower() for head in served.requests] == [False, False]


@pytest.mark.parametrize("name", ["", "TRACES_"])
def test_the_session_of_a_credential_provider_is_used(name, monkeypatch):
    import requests  # noqa: PLC0415

    class Session(requests.Session):
        def request(self, *args, headers=None, **options):
            return super().request(*args, headers={**(headers or {}), "Authorization": "given"}, **options)

    class EntryPoint:
        load = staticmethod(lambda: Session)

    installed = {"opentelemetry_otlp_credential_provider": "mine"}
    monkeypatch.setattr(
        "lmspan.export.http.entry_points", lambda group, name: [EntryPoint] * (installed.get(group) == name)
    )
    monkeypatch.setenv(f"OTEL_PYTHON_EXPORTER_OTLP_HTTP_{name}CREDENTIAL_PROVIDER", "mine")
    with http_receiver() as (endpoint, received):
        assert exporter(monkeypatch, endpoint).export(spans()) is SUCCESS
    assert received.authorizations == {"given"}


def test_an_endpoint_without_a_server(monkeypatch):
    endpoint = refused_endpoint()
    quiet = exporter(monkeypatch, endpoint, TIMEOUT="0.7")
    assert outcome(quiet) == (FAILURE, f"Connection refused at {endpoint}/v1/traces", False, None)


def test_a_lack_of_descriptors_is_not_the_fault_of_a_batch():
    code = """
        import netrc, os, resource
        from lmspan.export.otlp import QuietExporter, official
        from unit.export.test_otlp import outcome, spans
        made, adapter = official("http/protobuf", "traces")
        quiet, batch = QuietExporter(made, str, adapter), spans()
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, 4096))
        print(outcome(quiet, batch))
    """
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.7"}
    done = run_python(code, environ=environ)
    told = "Too many open files at http://127.0.0.1:9/v1/traces"
    assert (done.stdout, done.stderr) == (f"({FAILURE!r}, {told!r}, False, None)\n", "")


def test_a_port_of_the_other_protocol_has_a_hint(monkeypatch):
    with grpc_receiver() as (endpoint, _):
        told = outcome(exporter(monkeypatch, endpoint, TIMEOUT="0.7"))
    assert told[2:] == (False, None)
    assert told[1].endswith("; 4317 is usually gRPC: use port 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
    with http_receiver() as (endpoint, _):
        told = outcome(exporter(monkeypatch, endpoint, "grpc", TIMEOUT="0.7"))
        assert told[2:] == (False, None)
        assert told[1].endswith("use port 4317, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
        for protocol in ("grpc", "http/protobuf"):
            there = endpoint.replace("http://", "https://")
            told = outcome(exporter(monkeypatch, there, protocol, TIMEOUT="0.7"))
            assert told[2:] == (False, None)
            assert told[1].endswith("; this port does not speak TLS: write http://")


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, True),
        (grpc.StatusCode.OUT_OF_RANGE, True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, False),  # of the endpoint, not of the message
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.UNIMPLEMENTED, False),
        (grpc.StatusCode.INTERNAL, False),
    ],
)
def test_a_refusal_by_grpc_is_known_by_its_status(status, refused, monkeypatch):
    with grpc_receiver(status) as (endpoint, received):
        quiet = exporter(monkeypatch, endpoint, "grpc")
        for _ in range(2):  # the exporter's own log drops a line that it has seen lately
            result, trouble, *rest = outcome(quiet)
            assert (result, rest) == (FAILURE, [refused, None])
            assert str(status) in trouble
            assert endpoint.removeprefix("http://") in trouble
    assert len(received.requests) == 2


def test_a_message_that_is_too_large_for_grpc_is_refused_at_once(monkeypatch):
    with grpc_receiver() as (endpoint, received):
        quiet = exporter(monkeypatch, endpoint, "grpc")
        result, trouble, *rest = outcome(quiet, spans(5_000_000))
        assert (result, rest) == (FAILURE, [True, None])
        assert "larger than max" in trouble
        assert outcome(quiet) == (SUCCESS, "", False, None)
    assert received.names == ["one"]


def test_a_batch_that_cannot_be_encoded_is_refused(monkeypatch):
    class Strange:
        resource = None

    with http_receiver() as (endpoint, received):
        for protocol in ("http/protobuf", "grpc"):
            result, _, *rest = outcome(exporter(monkeypatch, endpoint, protocol), [Strange()])
            assert (result, rest) == (FAILURE, [True, None])
    assert received.requests == []


def test_nothing_that_an_exporter_logs_is_printed(monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    with answering(answer("404 No"), b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 0\r\n\r\n") as (endpoint, _):
        quiet = exporter(monkeypatch, endpoint)
        assert quiet.export(spans()) is FAILURE
        assert outcome(quiet) == (SUCCESS, "", False, None)
        quiet.shutdown()
        quiet.shutdown()
    assert caplog.messages == []


def test_the_requests_of_an_exporter_make_no_spans():
    found = otlp.Delivery(None, None, str).export(lambda: context.get_value(_SUPPRESS_INSTRUMENTATION_KEY), None)
    assert (found, context.get_value(_SUPPRESS_INSTRUMENTATION_KEY)) == (True, None)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_wait_between_attempts_ends_with_the_exporter(protocol, monkeypatch):
    receiver = grpc_receiver(grpc.StatusCode.UNAVAILABLE) if protocol == "grpc" else answering(answer("503 No"))
    with receiver as (endpoint, served):
        quiet = exporter(monkeypatch, endpoint, protocol, TIMEOUT="3000")
        waiting = threading.Thread(target=quiet.export, args=(spans(),), daemon=True)
        waiting.start()
        while not re.search("503|UNAVAILABLE", quiet.trouble):  # five more attempts are to come, in a minute
            time.sleep(0.01)
        quiet.shutdown()
        waiting.join(30)
        assert (waiting.is_alive(), len(served.requests)) == (False, 1)


def test_an_endpoint_without_a_response_so_far_is_named(monkeypatch):
    with hung_endpoint() as endpoint:
        quiet = exporter(monkeypatch, endpoint, TIMEOUT="2")
        waiting = threading.Thread(target=quiet.export, args=(spans(),))
        waiting.start()
        while not quiet.trouble:
            time.sleep(0.01)
        assert (quiet.trouble, quiet.batch_refused) == (f"no answer yet from {endpoint}/v1/traces", False)
        waiting.join()
        assert "timed out" in quiet.trouble.lower()
