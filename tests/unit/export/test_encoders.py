"""lmspan's encoders of spans: what they write is what OpenTelemetry's encoder writes, and where it is used instead."""

import base64
import json
import logging

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from lmspan.export import encoder, encoding, otlp_json, otlp_protobuf
from lmspan.export.encoder import with_own_encoder
from lmspan.export.otlp import QuietExporter, official
from support.generated_spans import batches
from support.otlp import grpc_receiver, http_receiver
from support.spans import some_spans

many = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def quiet():
    """The SDK logs each attribute that it drops."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("opentelemetry").setLevel(logging.NOTSET)


def span(**attributes):
    return ReadableSpan("s", SpanContext(1, 2, is_remote=False), attributes=attributes)


@many
@given(batches)
def test_protobuf_equals_that_of_the_official_encoder_byte_for_byte(spans):
    assert otlp_protobuf.request(spans) == encode_spans(spans).SerializePartialToString()


def decoded(text):
    """A line of JSON as a message; protobuf's JSON spells ids in base64."""

    def spelled(value):
        if isinstance(value, dict):
            return {
                key: base64.b64encode(bytes.fromhex(item)).decode()
                if key in ("traceId", "spanId", "parentSpanId")
                else spelled(item)
                for key, item in value.items()
            }
        return [spelled(item) for item in value] if isinstance(value, list) else value

    return json_format.ParseDict(spelled(json.loads(text)), TracesData())


def flat(data):
    """Each span of a request with its resource and its scope; without trace flags, which the official encoder omits."""
    found = []
    for resource in data.resource_spans:
        for scope in resource.scope_spans:
            for each in scope.spans:
                each.flags &= encoding.PARENT_IS_KNOWN | encoding.PARENT_IS_REMOTE
                parts = resource.resource, scope.scope, each
                bytes_ = [part.SerializeToString(deterministic=True) for part in parts]
                found.append((*bytes_, resource.schema_url, scope.schema_url))
    return found


@many
@given(batches)
def test_json_says_the_same_as_the_official_encoder(spans):
    lines = list(otlp_json.lines(spans))
    assert [each for line in lines for each in flat(decoded(line.text))] == flat(encode_spans(spans))
    assert [each for line in lines for each in line.span_ids] == [
        int.from_bytes(each.span_id, "big")
        for resource in encode_spans(spans).resource_spans
        for scope in resource.scope_spans
        for each in scope.spans
    ]


def test_a_value_that_is_encoded_once_is_not_taken_for_an_equal_one():
    spans = [span(a=1), span(a=True), span(a=1.0), span(a="1"), span(a=0), span(a=False), span(a=-0.0), span(a=0.0)]
    for _ in range(2):
        assert otlp_protobuf.request(spans) == encode_spans(spans).SerializePartialToString()


def test_what_is_kept_for_the_next_span_is_bounded(monkeypatch):
    monkeypatch.setattr(encoding, "_MOST_KEPT", 3)
    encoded = encoding.Attributes(lambda key, value: f"{key}={value}")
    for number in range(10):
        assert encoded({"n": number, "t": f"{number}", "long": "x" * 200}) == [
            f"n={number}", f"t={number}", "long=" + "x" * 200
        ]  # fmt: skip
    assert {kind.__name__: len(kept) for kind, kept in encoded._kept.items()} == {"str": 1, "int": 1, "bool": 0}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (2**63, "OverflowError"),
        (-(2**70), "OverflowError"),
        ("\ud800", "UnicodeEncodeError"),
        (object(), "StopIteration"),
        ({1, 2}, "StopIteration"),
    ],
)
def test_the_official_encoder_writes_what_ours_cannot_and_one_line_says_so(value, error, caplog, monkeypatch):
    monkeypatch.setattr(encoder, "_reported", set())
    caplog.set_level(logging.INFO, "lmspan.export")
    spans = [span(good=1), span(good=2, bad=value)]
    for _ in range(2):
        assert encoder._for_http(spans).SerializePartialToString() == encode_spans(spans).SerializePartialToString()
        assert encoder._for_grpc(spans) == encode_spans(spans)
    assert [record.getMessage() for record in caplog.records if record.name == "lmspan.export"] == [
        f"lmspan: a batch has a span that only OpenTelemetry's encoder can write ({error}), which is slower"
    ]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, complex(1, 2)])
def test_a_value_that_otlp_cannot_hold_is_a_text_in_json(value):
    ((line, _),) = otlp_json.lines([span(large=value)])
    assert json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] == [
        {"key": "large", "value": {"stringValue": str(value)}}
    ]


def test_a_span_without_ids_has_empty_ones_in_json():
    ((line, span_ids),) = otlp_json.lines([ReadableSpan("s")])
    (written,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (written["traceId"], written["spanId"], span_ids) == ("", "", (0,))


def test_a_line_has_the_spans_that_fit_and_a_larger_span_has_its_own():
    spans = [span(number=1, text="x" * size) for size in (0, 0, 0, 5_000, 0)]
    size = len(otlp_json._span(spans[0]))

    def counts(most):
        return [len(line.span_ids) for line in otlp_json.lines(spans, most)]

    assert [counts(most) for most in (size - 1, 2 * size - 1, 2 * size, 3 * size, 10**6)] == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [2, 1, 1, 1],
        [3, 1, 1],
        [5],
    ]


def test_spans_of_one_scope_stay_with_their_resources():
    scope = InstrumentationScope("scope")
    context = SpanContext(1, 2, is_remote=False)
    spans = [
        ReadableSpan(name, context, resource=Resource({"service.name": name}), instrumentation_scope=scope)
        for name in ("a", "b", "a")
    ]
    assert otlp_protobuf.request(spans) == encode_spans(spans).SerializePartialToString()
    assert [flat(decoded(line.text)) for line in otlp_json.lines(spans)] == [
        flat(encode_spans(spans[0::2])), flat(encode_spans(spans[1:2]))
    ]  # fmt: skip


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(("protocol", "receiver"), [("http/protobuf", http_receiver), ("grpc", grpc_receiver)])
def test_the_exporters_send_what_our_encoder_writes(protocol, receiver, compression, monkeypatch, caplog):
    spans = some_spans(40)
    used = []
    request = otlp_protobuf.request
    monkeypatch.setattr(otlp_protobuf, "request", lambda each: used.append(len(each)) or request(each))
    with receiver() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        if compression:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
        made, adapter = official(protocol, "traces")
        exporter = QuietExporter(made, str, adapter)
        assert exporter.export(spans) is SpanExportResult.SUCCESS
        assert exporter.export([*spans, span(bad=2**70)]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    assert received.requests == [encode_spans(spans), encode_spans([*spans, span(bad=2**70)])]
    assert used == [80, 81]
    assert caplog.messages == []


@pytest.mark.parametrize(("protocol", "kind"), [("http", Http), ("grpc", Grpc)])
def test_an_official_exporter_is_left_as_it_is(protocol, kind):
    before = dict(vars(kind))
    own = with_own_encoder(kind, protocol)
    assert issubclass(own, kind)
    assert own is not kind
    assert dict(vars(kind)) == before


def test_an_exporter_of_an_unknown_release_encodes_by_itself():
    class Exporter:
        def export(self, spans):
            return spans

    assert with_own_encoder(Exporter, "http") is Exporter
    assert with_own_encoder(Exporter, "grpc") is Exporter
