"""`lmspan send` sends what was recorded, later, as it was recorded."""

import io
import json
import sys

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from lmspan.cli import main
from lmspan.export.otlp_parse import from_json
from lmspan.traces.files import open_file, pieces
from support.otlp import answer, answering, grpc_receiver, http_receiver, hung_endpoint, refused_endpoint
from support.page import serving
from support.processes import run, run_lmspan, run_python
from support.stored import line, otlp, write

PROGRAM = """
import lmspan
with lmspan.init("desk", resource_attributes={"place": "Graz"}):
    for name in ("first", "second"):
        with lmspan.operation("workflow", name, inputs={"question": "what is tea?"}):
            with lmspan.operation("tool", "search") as call:
                lmspan.add_event("note", {"n": 1})
"""


@pytest.fixture
def recorded(tmp_path):
    assert run_python(PROGRAM, environ={"LMSPAN_DIR": str(tmp_path)}).returncode == 0
    return tmp_path


def spans_of(requests):
    """Every fact of every span with its resource and scope, by span id: what a backend is to receive."""
    found = {}
    for request in requests:
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    span.flags &= 0x300  # the exporter of the SDK does not send whether the span was sampled
                    found[span.span_id.hex()] = (resource_spans.resource, scope_spans.scope, span)
    return found


def stored(directory):
    with open_file(directory / "traces.jsonl") as file:
        return spans_of(from_json(piece.request) for piece in pieces(file))


def send(*arguments, directory, **environ):
    return run_lmspan("send", *arguments, environ={"LMSPAN_DIR": str(directory), **environ})


def said(done):
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_directory_arrives_as_it_was_recorded(recorded, protocol):
    with (grpc_receiver if protocol == "grpc" else http_receiver)() as (endpoint, received):
        done = send(str(recorded), "--endpoint", endpoint, "--protocol", protocol, directory="/nowhere")
    shown = endpoint if protocol == "grpc" else f"{endpoint}/v1/traces"
    assert said(done) == (0, f"sent 4 spans of 2 traces to {shown}\n", "")
    assert spans_of(received.requests) == stored(recorded)
    assert received.resource["place"] == "Graz"


@pytest.mark.parametrize(("which", "names"), [
    ([], ["execute_tool search", "second"]), (["1"], ["execute_tool search", "second"]),
    (["last~1"], ["execute_tool search", "first"]),
])  # fmt: skip
def test_one_trace_is_named_as_for_show(recorded, which, names):
    with http_receiver() as (endpoint, received):
        done = send(*which, directory=recorded, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert said(done) == (0, f"sent 2 spans of 1 trace to {endpoint}/v1/traces\n", "")
        assert [name.removeprefix("invoke_workflow ") for name in received.names] == names
        trace_id = received.spans[0].trace_id.hex()
        again = send(trace_id[:12], directory=recorded, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    assert again.returncode == 0
    assert {span.trace_id.hex() for span in received.spans} == {trace_id}
    assert len({span.span_id for span in received.spans}) == 2


def test_a_file_is_read_from_stdin(recorded):
    text = (recorded / "traces.jsonl").read_text()
    with http_receiver() as (endpoint, received):
        done = run([sys.executable, "-m", "lmspan", "send", "-", "--endpoint", endpoint], input=text + text)
        assert said(done) == (0, f"sent 4 spans of 2 traces to {endpoint}/v1/traces\n", "")
        document = json.dumps(json.loads(text.splitlines()[0]), indent=1)  # of one object in several lines
        done = run([sys.executable, "-m", "lmspan", "send", "-", "--endpoint", f"{endpoint}/v1/traces"], input=document)
    assert done.returncode == 0 and len(received.requests) == 2


def test_headers_are_those_of_the_options_and_of_the_environment(recorded):
    with http_receiver() as (endpoint, received):
        environ = {
            "OTEL_EXPORTER_OTLP_HEADERS": "one=1,two=2",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/exact/v1/traces",
        }
        done = send("--header", "Two=b", "--header", "three=c=d", directory=recorded, **environ)
    assert said(done) == (0, f"sent 2 spans of 1 trace to {endpoint}/exact/v1/traces\n", "")
    assert [received.headers[0][name] for name in ("one", "two", "three")] == ["1", "b", "c=d"]


def test_a_span_that_the_endpoint_cannot_take_costs_no_other(tmp_path):
    write(
        tmp_path / "traces.jsonl",
        *(otlp(f"{n:016x}", attributes={"text": "x" * (9000 if n == 7 else 10)}) for n in range(1, 40)),
    )
    with http_receiver(limit=8000) as (endpoint, received):
        code, out, err = said(send(str(tmp_path), "--endpoint", endpoint, directory=tmp_path))
    assert (code, out) == (1, f"sent 38 spans of 1 trace to {endpoint}/v1/traces\n")
    assert err == f"lmspan: 1 span refused: 413 {REQUEST_TOO_LARGE} from {endpoint}/v1/traces\n"
    assert len(received.spans) == 38


REQUEST_TOO_LARGE = "Content Too Large" if sys.version_info >= (3, 13) else "Request Entity Too Large"


def test_a_partial_success_is_reported(recorded):
    part = ExportTraceServiceResponse()
    part.partial_success.rejected_spans = 1
    part.partial_success.error_message = "too old\x1b[31m"
    with answering(answer(body=part.SerializeToString(), content_type="application/x-protobuf")) as (endpoint, _):
        code, out, err = said(send("--endpoint", endpoint, directory=recorded))
    assert (code, out) == (1, f"sent 1 span of 1 trace to {endpoint}/v1/traces\n")
    assert err == "lmspan: 1 span refused: too old?[31m\n"


@pytest.mark.parametrize(("status", "reason"), [
    (401, "the rest is not sent: 401 Unauthorized from {}; check OTEL_EXPORTER_OTLP_HEADERS"),
    (400, "the rest is not sent: every span is refused: 400 Bad Request from {}"),
    (404, "the rest is not sent: 404 Not Found from {}"),
])  # fmt: skip
def test_an_endpoint_that_takes_nothing_says_why(tmp_path, status, reason):
    write(tmp_path / "traces.jsonl", *(otlp(f"{n:016x}") for n in range(1, 40)))
    with http_receiver(status=status) as (endpoint, _):
        code, out, err = said(send(str(tmp_path), "--endpoint", endpoint, directory=tmp_path))
    assert (code, out) == (1, f"sent 0 spans of 1 trace to {endpoint}/v1/traces\n")
    assert err.startswith(f"lmspan: {reason.format(f'{endpoint}/v1/traces')}")


def test_an_endpoint_that_is_down_or_hangs_ends_in_time_with_its_reason(recorded):
    down = refused_endpoint()
    code, out, err = said(send("--endpoint", down, directory=recorded, OTEL_EXPORTER_OTLP_TIMEOUT="1"))
    assert (code, out) == (1, f"sent 0 spans of 1 trace to {down}/v1/traces\n")
    assert err == f"lmspan: the rest is not sent: Connection refused at {down}/v1/traces\n"
    with hung_endpoint() as hung:
        code, _, err = said(send("--endpoint", hung, directory=recorded, OTEL_EXPORTER_OTLP_TIMEOUT="1"))
    assert code == 1 and "timed out" in err


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "there is no endpoint; pass --endpoint URL, or set OTEL_EXPORTER_OTLP_ENDPOINT"),
    (["--endpoint", "localhost:4318"], "'localhost:4318' is no URL of an endpoint; write one such as http://localhost:4318"),
    (["--endpoint", "ftp://x"], "'ftp://x' is no URL"), (["--endpoint", "http://[x"], "'http://[x' is no URL"),
    (["--endpoint", "http://x", "--header", "secret"], "--header 'secret' is no NAME=VALUE"),
    (["nothing.jsonl", "--endpoint", "http://x"], "nothing.jsonl cannot be read: No such file or directory"),
    (["abcdef", "--endpoint", "http://x"], "trace abcdef: no such trace in "),
])  # fmt: skip
def test_a_mistake_is_an_error_in_one_line(recorded, arguments, message):
    code, out, err = said(send(*arguments, directory=recorded))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"lmspan: {message}")


def test_a_key_in_the_address_or_a_header_is_not_printed(recorded):
    key = "sk-" + "a1B2" * 12
    down = refused_endpoint().replace("http://", f"http://user:{key}@")
    done = send("--endpoint", f"{down}/x?key={key}", "--header", f"x-api-key={key}", directory=recorded,
                OTEL_EXPORTER_OTLP_TIMEOUT="1")  # fmt: skip
    assert done.returncode == 1 and key not in done.stdout + done.stderr


def test_what_cannot_be_read_or_has_not_ended_is_reported_and_the_rest_is_sent(tmp_path):
    path = write(tmp_path / "traces.jsonl", otlp("1" * 16), otlp("2" * 16, end=0), otlp("33", trace="cd"))
    path.write_text(
        path.read_text() + "half\n" + '{"resourceSpans":[{"scopeSpans":[{"spans":[5]}]}]}\n' + line(otlp("4" * 16))
    )
    with http_receiver() as (endpoint, received):
        code, out, err = said(send(str(path), "--endpoint", endpoint, directory=tmp_path))
    assert (code, out) == (1, f"sent 2 spans of 1 trace to {endpoint}/v1/traces\n")
    troubles, unfit = err.splitlines()
    assert troubles.startswith(f"lmspan: {path}: 2 lines cannot be read; the first is line 4: no JSON (")
    assert unfit == "lmspan: 2 spans not sent: a span has no end time"
    assert sorted(span.span_id.hex() for span in received.spans) == ["1" * 16, "4" * 16]


def test_many_spans_are_sent_in_batches_from_every_file_of_a_directory(tmp_path):
    for number in range(3):
        spans = [otlp(f"{1000 * number + each:016x}") for each in range(1, 701)]
        (tmp_path / f"traces-{number}.jsonl").write_text(line(*spans))
    with http_receiver() as (endpoint, received):
        done = send(str(tmp_path), "--endpoint", endpoint, directory=tmp_path)
    assert said(done) == (0, f"sent 2100 spans of 1 trace to {endpoint}/v1/traces\n", "")
    assert len({span.span_id for span in received.spans}) == len(received.spans) == 2100
    assert (
        max(sum(len(s.spans) for r in each.resource_spans for s in r.scope_spans) for each in received.requests) <= 512
    )


def test_what_is_sent_to_the_page_of_another_directory_is_the_same(recorded, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    with serving(other) as address:
        for _ in range(2):  # sending again changes nothing
            done = send(str(recorded), "--endpoint", address.partition("/?")[0], directory=other)
            assert said(done)[0] == 0
    assert stored(other) == stored(recorded)


def test_an_empty_file_is_an_error(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert main(["send", "-", "--endpoint", refused_endpoint()]) == 2
    assert capsys.readouterr().err == "lmspan: there are no spans to send\n"
