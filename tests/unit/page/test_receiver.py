"""`lmspan ui` receives OTLP over HTTP: what it stores, what it refuses, and that no body brings it down."""

import gzip
import json
import logging
import os
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from google.rpc.status_pb2 import Status
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace import Status as SpanStatus

from lmspan.export.otlp_parse import from_json
from lmspan.page import bodies
from lmspan.page.bodies import MOST_BYTES, Bodies
from lmspan.page.connections import Connection
from lmspan.page.senders import Senders
from lmspan.traces import Store
from lmspan.traces.files import open_file, pieces
from support.page import serving
from support.stack import eventually
from support.stored import otlp

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@contextmanager
def receiving(directory, **options):
    """A client of the receiver: without the cookie of the page."""
    with (
        serving(directory) as address,
        httpx.Client(base_url=address.partition("?")[0], timeout=60, **options) as client,
    ):
        yield client


def request(*spans, service="shop"):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": list(spans)}]}]}


def span(number=1, **more):
    return {**otlp(f"{number:016x}"), "parentSpanId": "", **more}


def body_of(data, kind):
    return json.dumps(data).encode() if kind == JSON else from_json(data).SerializeToString()


def post(client, body, kind=PROTOBUF, path="/v1/traces", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path, content=body, headers={"Content-Type": kind, **headers})


def refusal(answer, kind):
    """The status and the OTLP Status of a response, in the encoding of the request."""
    assert answer.headers["content-type"] == kind
    if kind == JSON:
        return answer.status_code, answer.json()["code"], answer.json()["message"]
    status = Status.FromString(answer.content)
    return answer.status_code, status.code, status.message


def stored(directory):
    return {each.name: each for trace in Store(directory).each() for each in trace.spans}


def lines(directory):
    with open_file(directory / "traces.jsonl") as file:
        return [piece.request for piece in pieces(file)]


@pytest.mark.parametrize("compression", Compression)
def test_the_official_exporter_delivers_every_fact_of_its_spans(tmp_path, compression):
    with serving(tmp_path) as address:
        exporter = OTLPSpanExporter(address.partition("?")[0] + "v1/traces", compression=compression)
        provider = TracerProvider(resource=Resource({"service.name": "far", "n": 1}, "https://schema/1"))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = provider.get_tracer("scope", "2", "https://schema/2", {"s": True})
        with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
            inner = tracer.start_span(
                "inner",
                links=[Link(root.get_span_context(), {"why": "test"})],
                attributes={"text": "tèxt", "number": 2**62, "flag": True, "rate": 0.5, "many": ["a", "b"]},
            )
            inner.add_event("note", {"a": 1}, timestamp=7)
            inner.set_status(SpanStatus(StatusCode.ERROR, "it broke"))
            inner.end()
        provider.shutdown()
    found = stored(tmp_path)
    inner = found["inner"]
    assert found["root"].kind == 2 and inner.parent_id == found["root"].span_id and inner.service == "far"
    assert inner.attributes == {"text": "tèxt", "number": 2**62, "flag": True, "rate": 0.5, "many": ["a", "b"]}
    assert (inner.status, inner.message) == (2, "it broke")
    assert [(each.name, each.time_unix_nano, each.attributes) for each in inner.events] == [("note", 7, {"a": 1})]
    assert [(each.span_id, each.attributes) for each in inner.links] == [(found["root"].span_id, {"why": "test"})]
    resource_spans = lines(tmp_path)[0]["resourceSpans"][0]
    assert resource_spans["schemaUrl"] == "https://schema/1"
    assert resource_spans["scopeSpans"][0]["schemaUrl"] == "https://schema/2"
    assert resource_spans["scopeSpans"][0]["scope"] == {
        "name": "scope",
        "version": "2",
        "attributes": [{"key": "s", "value": {"boolValue": True}}],
    }


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_values_of_every_kind_are_stored(tmp_path, kind):
    values = {
        "bytes": {"bytesValue": "AAEC"},
        "map": {"kvlistValue": {"values": [{"key": "in", "value": {"intValue": "3"}}]}},
        "infinite": {"doubleValue": "Infinity"},
        "nothing": {},
        "list": {"arrayValue": {"values": [{"boolValue": False}]}},
    }
    sent = span(
        attributes=[{"key": key, "value": value} for key, value in values.items()],
        traceState="a=b",
        traceId="AB" * 16,
        droppedAttributesCount=3,
        flags=769,
    )
    with receiving(tmp_path) as client:
        answer = post(client, body_of(request(sent), kind), kind)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.content == (b"{}" if kind == JSON else b"")
    found = lines(tmp_path)[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert {each["key"]: each["value"] for each in found["attributes"]} == values
    assert (found["traceId"], found["droppedAttributesCount"], found["traceState"]) == ("ab" * 16, 3, "a=b")
    assert found["flags"] & 1


def test_enumerations_may_be_names_and_a_span_may_lack_everything_but_its_ids(tmp_path):
    with receiving(tmp_path) as client:
        named = {
            "traceId": "ab" * 16,
            "spanId": "01" * 8,
            "name": "named",
            "endTimeUnixNano": "5",
            "kind": "SPAN_KIND_CLIENT",
            "status": {"code": "STATUS_CODE_ERROR"},
            "unknown": [1],
        }
        bare = {"traceId": "ab" * 16, "spanId": "02" * 8, "endTimeUnixNano": 5}
        assert post(client, json.dumps(request(named, bare)), JSON).status_code == 200
    assert {name: (each.kind, each.status) for name, each in stored(tmp_path).items()} == {"named": (3, 2), "": (1, 0)}


def test_the_page_shows_a_trace_that_it_receives(tmp_path):
    with serving(tmp_path) as address, httpx.Client(base_url=address.partition("?")[0]) as client:
        client.get(address)
        before = client.get("/api/version").json()
        assert post(client, body_of(request(span(name="hello")), JSON), JSON).status_code == 200
        assert client.get("/api/version").json() != before
        assert [each["name"] for each in client.get("/api/traces").json()["traces"]] == ["hello"]


def test_secrets_of_other_programs_are_not_stored(tmp_path):
    key = "sk-" + "a1B2" * 12
    facts = {"http.authorization": f"Bearer {key}", "said": f"my key is {key}", "password": "tr0ub4dor", "fine": "tea"}
    event = {"name": "note", "timeUnixNano": "1", "attributes": [{"key": "x", "value": {"stringValue": key}}]}
    sent = span(
        name=f"call {key}",
        status={"code": 2, "message": f"refused {key}"},
        events=[event],
        attributes=[{"key": name, "value": {"stringValue": value}} for name, value in facts.items()]
        + [
            {
                "key": "map",
                "value": {"kvlistValue": {"values": [{"key": "password", "value": {"stringValue": "tr0ub4dor"}}]}},
            }
        ],
    )
    with receiving(tmp_path) as client:
        assert post(client, body_of(request(sent, service=key), PROTOBUF)).status_code == 200
    text = (tmp_path / "traces.jsonl").read_text()
    assert key not in text and "tr0ub4dor" not in text and '"tea"' in text


MALFORMED = {
    "empty JSON": (b"", JSON),
    "a list": (b"[]", JSON),
    "half": (b'{"resourceSpans":[', JSON),
    "null": (b"null", JSON),
    "a number": (b'{"resourceSpans":5}', JSON),
    "numbers": (b'{"resourceSpans":[5]}', JSON),
    "deep": (b"[" * 200_000, JSON),
    "a surrogate": (json.dumps(request(span(name="\ud800"))).encode(), JSON),
    "no text": (b"\xff\xfe\xfd", JSON),
    "an id": (json.dumps(request(span(traceId="xyz"))).encode(), JSON),
    "a time": (json.dumps(request(span(startTimeUnixNano=-1))).encode(), JSON),
    "a large time": (json.dumps(request(span(startTimeUnixNano=2**64))).encode(), JSON),
    "a long number": (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":' + b"9" * 9000 + b"}]}]}]}", JSON),
    "a name": (json.dumps(request(span(name=5))).encode(), JSON),
    "an attribute": (json.dumps(request(span(attributes=[{"value": {}}]))).encode(), JSON),
    "too deep": (
        json.dumps(request(span(attributes=[{"key": "a", "value": None}])))
        .replace("null", '{"arrayValue":{"values":[' * 80 + "{}" + "]}}" * 80)
        .encode(),
        JSON,
    ),
    "protobuf of another kind": (b"\x0a\xff\xff", PROTOBUF),
    "text": (b"hello, world", PROTOBUF),
    "deep protobuf": (None, PROTOBUF),
}


def deep_protobuf():
    """Messages in messages, 5,000 levels: an array value (5) with one value (1)."""
    body = b""
    for number in range(5_000):
        body = bytes([0x2A if number % 2 else 0x0A]) + varint(len(body)) + body
    for field in (b"\x12", b"\x4a", b"\x12", b"\x12", b"\x0a"):  # value, attribute, span, scope, resource
        body = field + varint(len(body)) + body
    return body


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_body_is_an_error_of_the_client(tmp_path, case):
    body, kind = MALFORMED[case]
    with receiving(tmp_path) as client:
        status, code, message = refusal(post(client, deep_protobuf() if body is None else body, kind), kind)
        assert (status, code) == (400, 3)
        assert message.startswith("the body is no OTLP export request (")
        assert message.isprintable() and len(message) < 300
    assert not (tmp_path / "traces.jsonl").exists()


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_refused_spans_are_a_partial_success(tmp_path, kind):
    bad = [span(2, spanId="00" * 8), span(3, traceId=""), span(4, spanId="01"), span(5, endTimeUnixNano="0")]
    with receiving(tmp_path) as client:
        answer = post(client, body_of(request(span(), *bad), kind), kind)
        reason = "a span id is not 8 bytes, or zero"
        if kind == JSON:
            assert answer.json() == {"partialSuccess": {"rejectedSpans": "4", "errorMessage": reason}}
        else:
            part = ExportTraceServiceResponse.FromString(answer.content).partial_success
            assert (part.rejected_spans, part.error_message) == (4, reason)
        assert answer.status_code == 200
    assert len(stored(tmp_path)) == 1


def test_attributes_events_links_and_levels_are_bounded(tmp_path):
    pair = {"key": "k", "value": {"intValue": "1"}}
    value = {"stringValue": "bottom"}
    for _ in range(40):
        value = {"arrayValue": {"values": [value]}}
    wide = {"arrayValue": {"values": [{"intValue": "1"}] * 30_000}}
    attributes = [{"key": "deep", "value": value}, {"key": "wide", "value": wide}]
    attributes += [{**pair, "key": f"k{number}"} for number in range(3_000)]
    event, link = {"name": "e", "attributes": []}, {"traceId": "ab" * 16, "spanId": "01" * 8}
    many = span(attributes=attributes, events=[event] * 1_500, links=[link] * 1_200)
    with receiving(tmp_path) as client:
        assert post(client, body_of(request(many), PROTOBUF)).status_code == 200
    (found,) = stored(tmp_path).values()
    assert (len(found.attributes), len(found.events), len(found.links)) == (1_998, 1_000, 1_000)
    line = lines(tmp_path)[0]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    dropped = [line[f"dropped{each}Count"] for each in ("Attributes", "Events", "Links")]
    assert dropped == [3_002 - 1_998, 500, 200]


def test_spans_beyond_the_bound_of_a_request_are_refused(tmp_path):
    many = from_json(request(*(span(number) for number in range(1, 20_006))))
    with receiving(tmp_path) as client:
        answer = post(client, many.SerializeToString())
    part = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, part.rejected_spans) == (200, 5)
    assert part.error_message == "a request has more than 20000 spans"


BOMB = gzip.compress(b"\0" * (MOST_BYTES + 1))


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", BOMB, 413),
        ("gzip", gzip.compress(BOMB), 400),
        ("gzip", gzip.compress(b"{}") * 2, 400),
        ("deflate", zlib.compress(b"\0" * (MOST_BYTES + 1)), 413),
        ("gzip", b"{}", 400),
        ("gzip", gzip.compress(b"{}")[:-9], 400),
        ("br", b"{}", 415),
        ("gzip, gzip", b"{}", 415),
        ("zstd", b"{}", 415),
        ("", b"x" * (MOST_BYTES + 1), 413),
        ("gzip", b"", 400),
        ("gzip", gzip.compress(b"{}"), 200),
        ("deflate", zlib.compress(b"{}"), 200),
        ("deflate", zlib.compress(b"{}")[2:-4], 200),
        ("GZIP", gzip.compress(b"{}"), 200),
        ("identity", b"{}", 200),
        ("gzip", gzip.compress(b"{") + gzip.compress(b"}"), 200),
    ],
    ids=str,
)
def test_bodies_are_inflated_within_bounds(tmp_path, encoding, body, status):
    with receiving(tmp_path) as client:
        answer = post(client, body, JSON, Content_Encoding=encoding)
        assert answer.status_code == status
        assert post(client, b"{}", JSON).status_code == 200


@pytest.mark.parametrize(
    ("path", "exporter", "response"),
    [
        ("/v1/metrics", OTLPMetricExporter, ExportMetricsServiceResponse),
        ("/v1/logs", OTLPLogExporter, ExportLogsServiceResponse),
    ],
)
def test_metrics_and_logs_are_refused_so_that_an_exporter_is_content(tmp_path, caplog, path, exporter, response):
    caplog.set_level(logging.WARNING, "opentelemetry")
    with receiving(tmp_path) as client:
        sender = exporter(f"{client.base_url}{path[1:]}")
        if path == "/v1/logs":
            provider = LoggerProvider()
            provider.add_log_record_processor(SimpleLogRecordProcessor(sender))
            provider.get_logger("x").emit(body="hello")
        else:
            provider = MeterProvider([PeriodicExportingMetricReader(sender)])
            provider.get_meter("x").create_counter("c").add(1)
        assert provider.force_flush()
        provider.shutdown()
        assert [record.message for record in caplog.records] == []
        record = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]}
        metric = {
            "resourceMetrics": [
                {
                    "scopeMetrics": [
                        {"metrics": [{"sum": {"dataPoints": [{}]}}, {"exponentialHistogram": {"dataPoints": [{}]}}]}
                    ]
                }
            ]
        }
        answer = post(client, json.dumps(record | metric), JSON, path)
        part = answer.json()["partialSuccess"]
        word = path.removeprefix("/v1/")
        assert part.pop("errorMessage").endswith(f"OTEL_{word.upper()}_EXPORTER=none stops the export of {word}")
        assert (answer.status_code, list(part.values())) == (200, ["2"])
        for body, kind in ((b"\xff", PROTOBUF), (b"[", JSON), (b'{"resourceLogs":5,"resourceMetrics":5}', JSON)):
            assert refusal(post(client, body, kind, path), kind)[:2] == (400, 3)
        assert response.FromString(post(client, b"", PROTOBUF, path).content) == response()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"Host": "evil.example"}, 403, "the Host is not 127.0.0.1:"),
        ({"Origin": "http://evil.example"}, 403, "a page of another"),
        ({"Origin": "null"}, 403, "a page of another"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        ({"Content-Type": "text/plain"}, 415, "the Content-Type is neither"),
        ({"Content-Type": ""}, 415, "the Content-Type"),
    ],
)
def test_requests_of_web_pages_are_refused(tmp_path, headers, status, sentence):
    with receiving(tmp_path) as client:
        answer = client.post("/v1/traces", content=b"{}", headers={"Content-Type": JSON, **headers})
        assert refusal(answer, JSON)[0] == status and refusal(answer, JSON)[2].startswith(sentence)
        own = {"Origin": f"http://127.0.0.1:{client.base_url.port}", "Sec-Fetch-Site": "same-origin"}
        assert client.post("/v1/traces", content=b"{}", headers={"Content-Type": JSON, **own}).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "DELETE"])
def test_only_post_is_allowed(tmp_path, method):
    with receiving(tmp_path) as client:
        answer = client.request(method, "/v1/traces")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_only_directories_receive(tmp_path):
    (tmp_path / "one.jsonl").write_text("")
    with receiving(tmp_path / "one.jsonl") as client:
        status, _, message = refusal(post(client, b"{}", JSON), JSON)
        assert (status, message.partition(";")[2]) == (403, " it receives traces for a directory only")


def kernel_table(directory, port, user):
    """What /proc/net/tcp has for a connection from each port of 127.0.0.1 that a client may have."""
    own = f"{struct.unpack('=I', socket.inet_aton('127.0.0.1'))[0]:08X}"
    rows = [
        f"  0: {own}:{each:04X} {own}:{port:04X} 01 00000000:00000000 00:00000000 00000000 {user} 0 1"
        for each in range(1024, 65536)
    ]
    path = directory / f"tcp-{user}"
    path.write_text("\n".join(["  sl  local_address rem_address", *rows]))
    return path


@pytest.mark.parametrize(("user", "status"), [(os.getuid(), 200), (0, 200), (os.getuid() + 4321, 401), (None, 401)])
def test_a_program_of_another_user_needs_the_token(tmp_path, monkeypatch, user, status):
    made = []

    def senders(port):
        tables = () if user is None else (kernel_table(tmp_path, port, user),)
        made.append(Senders(port, tables))
        return made[0]

    monkeypatch.setattr("lmspan.page.server.Senders", senders)
    directory = tmp_path / "traces"
    directory.mkdir()
    with receiving(directory) as client:
        assert post(client, b"{}", JSON).status_code == status
        assert post(client, b"{}", JSON, x_lmspan_token="é".encode()).status_code == status
        assert post(client, b"{}", JSON, x_lmspan_token=made[0].token).status_code == 200
    assert made[0].need_token is (user is None)


def test_a_directory_that_cannot_be_written_asks_to_try_again(tmp_path):
    (tmp_path / "traces.jsonl").mkdir()
    with receiving(tmp_path) as client:
        answer = post(client, body_of(request(span()), JSON), JSON)
        assert refusal(answer, JSON)[:2] == (503, 14)
        assert answer.headers["retry-after"] == "5"


def test_a_slow_client_is_refused_and_the_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr("lmspan.page.receiver.Bodies", lambda: Bodies(longest_s=0.5))
    with receiving(tmp_path) as client:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\nContent-Type: {JSON}\r\n"
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as slow:
            slow.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
            assert post(client, b"{}", JSON).status_code == 200
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ") and b"the body has not arrived within 0.5 s" in answer


def test_a_connection_without_a_request_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(Connection, "head_s", 0.2)
    with receiving(tmp_path) as client:
        for text in (b"", b"POST /v1/tra", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"):
            with socket.create_connection(("127.0.0.1", client.base_url.port)) as silent:
                silent.sendall(text)
                silent.settimeout(30)
                assert b"".join(iter(lambda: silent.recv(65536), b"")).startswith(b"HTTP" if b"Host" in text else b"")


def test_the_bytes_of_all_bodies_are_bounded(tmp_path, monkeypatch):
    held = Bodies(most_held=1_000_000)
    monkeypatch.setattr("lmspan.page.receiver.Bodies", lambda: held)
    with receiving(tmp_path) as client:
        head = f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\nContent-Type: {JSON}\r\n"
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as other:
            other.sendall(f"{head}Content-Length: 900001\r\n\r\n".encode() + b" " * 900_000)
            assert eventually(lambda: held._held, lambda number: number == 900_000) == 900_000
            answer = post(client, b" " * 200_000 + b"{}", JSON)
            assert refusal(answer, JSON) == (503, 14, "too many requests at a time")
            assert answer.headers["retry-after"] == "1"
            other.sendall(b"x")
            assert other.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert post(client, b" " * 900_000 + b"{}", JSON).status_code == 200
        assert held._held == 0


def test_200_connections_at_a_time_are_all_answered(tmp_path):
    with receiving(tmp_path, limits=httpx.Limits(max_connections=200)) as client, ThreadPoolExecutor(200) as pool:
        bodies = [body_of(request(span(number, name=f"n{number}")), PROTOBUF) for number in range(1, 201)]
        opened = [socket.create_connection(("127.0.0.1", client.base_url.port)) for _ in range(60)]
        statuses = list(pool.map(lambda body: post(client, body).status_code, bodies))
        for each in opened:
            each.close()
    assert statuses == [200] * 200
    assert len(stored(tmp_path)) == 200


VALID = {
    kind: body_of(
        request(
            span(
                attributes=[{"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}}],
                events=[{"name": "e", "timeUnixNano": "5"}],
            )
        ),
        kind,
    )
    for kind in (JSON, PROTOBUF)
}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = st.sampled_from(
    [
        "resourceSpans",
        "scopeSpans",
        "spans",
        "resource",
        "scope",
        "attributes",
        "key",
        "value",
        "traceId",
        "spanId",
        "name",
        "events",
        "links",
        "status",
        "code",
        "kind",
        "values",
        "arrayValue",
        "kvlistValue",
        "intValue",
        "bytesValue",
        "flags",
        "doubleValue",
        "boolValue",
        "stringValue",
        "startTimeUnixNano",
        "schemaUrl",
        "droppedEventsCount",
        "traceState",
    ]
)
SHAPES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=25
)


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    with receiving(tmp_path_factory.mktemp("fuzz")) as client:
        yield client


FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(
    kind=st.sampled_from([JSON, PROTOBUF]), at=st.integers(0, 400), to=st.integers(0, 400), new=st.binary(max_size=6)
)
def test_a_damaged_body_is_accepted_or_refused(receiver, kind, at, to, new):
    body = VALID[kind][:at] + new + VALID[kind][to:]
    assert post(receiver, body, kind).status_code in (200, 400)


@FUZZ
@given(shape=SHAPES, path=st.sampled_from(["/v1/traces", "/v1/metrics", "/v1/logs"]))
def test_json_of_any_shape_is_accepted_or_refused(receiver, shape, path):
    for body in (shape, {"resourceSpans": [{"scopeSpans": [{"spans": [shape]}]}], "resourceLogs": [shape]}):
        assert post(receiver, json.dumps(body), JSON, path).status_code in (200, 400)


@FUZZ
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from([JSON, PROTOBUF, "text/html"]),
    encoding=st.sampled_from(["", "gzip", "deflate", "gzip, br"]),
)
def test_any_bytes_are_accepted_or_refused(receiver, body, kind, encoding):
    assert post(receiver, body, kind, Content_Encoding=encoding).status_code in (200, 400, 413, 415)


def test_what_the_fuzzed_receiver_has_stored_can_be_read(receiver):
    assert ExportTraceServiceRequest.FromString(VALID[PROTOBUF]) == from_json(json.loads(VALID[JSON]))
    assert bodies.MOST_BYTES == 20 * 1024 * 1024
