"""The HTTP transport of the OTLP exporters: TLS, proxies, timeouts, and sessions that the program provides."""

import contextlib
import datetime
import ipaddress
import logging
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from opentelemetry.sdk.trace.export import SpanExportResult

from lmspan.export import http
from lmspan.export.otlp import QuietExporter, official, otlp_queue
from support.otlp import answer, answering, http_receiver
from support.spans import some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def exporter(monkeypatch, endpoint, **variables):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(value))
    made, adapter = official("http/protobuf", "traces")
    return QuietExporter(made, str, adapter)


# TLS -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a certificate for 127.0.0.1, which signs itself, and of its key."""
    pytest.importorskip("cryptography")
    from cryptography import x509  # noqa: PLC0415 - not every environment of the tests has it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - the same

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lmspan test")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, start, start.replace(year=2120))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder, pem = tmp_path_factory.mktemp("tls"), serialization.Encoding.PEM
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(signed.public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


@contextlib.contextmanager
def tls_receiver(certificate, *, asks_for_client=False):
    """Give (endpoint, bodies) of a server that speaks TLS."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # a client that refuses the certificate

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if asks_for_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", bodies
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_bundle_of_this_machine(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_an_authority_of_the_machine_is_known(certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with tls_receiver(certificate) as (endpoint, bodies):
        assert exporter(monkeypatch, endpoint).export(some_spans()) is SUCCESS
        assert len(bodies) == 1


def test_an_endpoint_whose_certificate_is_unknown_gets_nothing(certificate, monkeypatch):
    with tls_receiver(certificate) as (endpoint, bodies):
        quiet = exporter(monkeypatch, endpoint, TIMEOUT="0.7")
        assert quiet.export(some_spans()) is FAILURE
        assert bodies == []
        assert quiet.trouble.endswith("; set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the certificate authority")


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_an_endpoint_whose_certificate_is_configured_gets_the_spans(variable, certificate, monkeypatch):
    monkeypatch.setenv(variable, requests.certs.where())  # of the machine, for all programs
    with tls_receiver(certificate) as (endpoint, bodies):
        quiet = exporter(monkeypatch, endpoint, CERTIFICATE=certificate[0])
        assert (quiet.export(some_spans()), quiet.trouble) == (SUCCESS, "")
        assert len(bodies) == 1


def test_a_client_certificate_is_shown_to_an_endpoint_that_asks_for_one(certificate, monkeypatch):
    with tls_receiver(certificate, asks_for_client=True) as (endpoint, bodies):
        without = exporter(monkeypatch, endpoint, CERTIFICATE=certificate[0], TIMEOUT="0.7")
        assert (without.export(some_spans()), bodies) == (FAILURE, [])
        files = {"CLIENT_CERTIFICATE": certificate[0], "CLIENT_KEY": certificate[1]}
        assert exporter(monkeypatch, endpoint, TIMEOUT="10", **files).export(some_spans()) is SUCCESS
        assert len(bodies) == 1


# proxies -------------------------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used_and_its_responses_are_judged_too(monkeypatch):
    page = answer(body=b"<html>Sign in</html>", content_type="text/html")
    with answering(answer(), page) as (proxy, served):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        quiet = exporter(monkeypatch, "http://collector.invalid:4318")
        assert (quiet.export(some_spans()), quiet.trouble) == (SUCCESS, "")
        assert quiet.export(some_spans()) is FAILURE
        assert quiet.trouble == (
            "200 OK from http://collector.invalid:4318/v1/traces: a web page (text/html) answered, no OTLP endpoint"
        )
    lines = [head.splitlines()[0] for head in served.requests]
    assert lines == ["POST http://collector.invalid:4318/v1/traces HTTP/1.1"] * 2


# time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "result"),
    [
        (b"", FAILURE),
        (b"HTTP/1.1 200 OK\r\nContent-Le", FAILURE),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", SUCCESS),  # the status has been sent
    ],
    ids=["nothing", "half of the headers", "half of the body"],
)
def test_a_response_that_stops_ends_at_the_timeout(head, result, monkeypatch):
    returned, in_time = threading.Event(), []

    def parts():
        yield head
        in_time.append(returned.wait(20))

    with answering(parts) as (endpoint, _):
        quiet = exporter(monkeypatch, endpoint, TIMEOUT="0.3")
        assert quiet.export(some_spans()) is result
        returned.set()
        assert ("timed out" in quiet.trouble) is (result is FAILURE)
    assert in_time in ([], [True])  # the server may not have returned from its wait yet


def test_a_session_without_a_timeout_has_none():
    with http_receiver() as (endpoint, received):
        adapter = http.OtlpAdapter()
        response = http.session(adapter, "traces", {}).post(f"{endpoint}/v1/traces", b"")
        assert (response.status_code, response.content, adapter.failure) == (200, b"", None)
    assert received.names == []


def test_a_session_may_set_two_timeouts():
    with http_receiver() as (endpoint, _):
        adapter = http.OtlpAdapter()
        response = http.session(adapter, "traces", {}).post(f"{endpoint}/v1/traces", b"", timeout=(5, 10))
        assert (response.status_code, adapter.failure) == (200, None)


def test_the_connections_of_a_host_are_bounded_once():
    with http_receiver() as (endpoint, _):
        adapter = http.OtlpAdapter()
        session = http.session(adapter, "traces", {})
        for _ in range(3):
            response = session.post(f"{endpoint}/v1/traces", b"")
        pool = adapter.get_connection_with_tls_context(response.request, verify=True)
    kinds = [kind for kind in pool.ConnectionCls.__mro__ if vars(kind).get("response_class") is http.BoundedResponse]
    assert len(kinds) == 1


def test_a_failure_is_known_until_the_next_response():
    adapter, known = http.OtlpAdapter(), []

    def parts():
        known.append(adapter.failure.reason)
        yield b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    with answering(parts) as (endpoint, _):
        session = http.session(adapter, "traces", {})
        for _ in range(2):
            session.post(f"{endpoint}/v1/traces", b"", timeout=20)
    assert known == [f"no answer yet from {endpoint}/v1/traces", f"503 Service Unavailable from {endpoint}/v1/traces"]


def test_a_cookie_of_an_endpoint_is_not_kept(monkeypatch):
    with answering(answer(set_cookie="a=b")) as (endpoint, served):
        quiet = exporter(monkeypatch, endpoint)
        assert [quiet.export(some_spans()) for _ in range(2)] == [SUCCESS] * 2
    assert ["cookie" in head.lower() for head in served.requests] == [False, False]


# the whole way -------------------------------------------------------------------------------------------------------


def test_a_refused_export_names_the_response_without_secrets(monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "lmspan.export")
    with answering(answer("404 No")) as (endpoint, served):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{endpoint}/hunter2")
        queue = otlp_queue("http/protobuf", lambda text: text.replace("hunter2", "[redacted]"))
        for span in some_spans():
            queue.on_end(span)
        assert queue.force_flush(10_000) is False
        assert len(served.requests) == 1
        (message,) = caplog.messages
        assert message == (
            "lmspan: otlp: spans cannot be delivered, they are kept and tried again until the queue is full or the "
            f"program ends (404 Not Found from {endpoint}/[redacted]/v1/traces)"
        )
        queue.shutdown(0)


def test_an_exception_of_requests_is_no_answer():
    adapter = http.OtlpAdapter()
    with pytest.raises(requests.ConnectionError):
        http.session(adapter, "traces", {}).post("http://127.0.0.1:9/v1/traces", b"", timeout=5)
    assert adapter.failure.reason == "Connection refused at http://127.0.0.1:9/v1/traces"
