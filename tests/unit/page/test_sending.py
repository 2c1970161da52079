"""The button of a trace sends it, on request of the page only."""

import httpx
import pytest

from support.otlp import http_receiver
from support.page import entered, serving
from support.stored import otlp, write

TRACE = "ab" * 16


@pytest.fixture
def directory(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1" * 16, trace="ab"), otlp("2" * 16, trace="cd"))
    return tmp_path


def own(client):
    return {"Origin": f"http://{client.base_url.netloc.decode()}"}


def post(client, endpoint, headers=None, trace=TRACE):
    path = f"/api/traces/{trace}/send"
    return client.post(path, json={"endpoint": endpoint}, headers=own(client) if headers is None else headers)


def test_one_trace_is_sent_to_an_endpoint_that_is_typed_without_the_keys_of_another(directory, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:pw@backend.example/base?key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=secret")
    with http_receiver() as (endpoint, received), entered(directory) as client:
        assert client.get("/api/send").json() == {"endpoint": "https://backend.example/base"}
        answer = post(client, endpoint)
        line = f"sent 1 span of 1 trace to {endpoint}/v1/traces"
        assert (answer.status_code, answer.json()) == (200, {"sent": True, "lines": [line]})
    assert [span.span_id.hex() for span in received.spans] == ["1" * 16]
    assert "x-api-key" not in received.headers[0]


def test_the_endpoint_of_the_environment_has_its_headers(directory, monkeypatch):
    with http_receiver() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=k")
        with entered(directory) as client:
            assert post(client, client.get("/api/send").json()["endpoint"]).json()["sent"]
    assert received.headers[0]["x-api-key"] == "k"


@pytest.mark.parametrize(("endpoint", "status", "said"), [
    ("", 400, "there is no endpoint"), (5, 400, "there is no endpoint"), ("x" * 5000, 400, "the body is too long"),
    ("--help", 200, "lmspan: '--help' is no URL"), ("http://127.0.0.1:1", 200, "sent 0 spans of 1 trace to"),
])  # fmt: skip
def test_a_mistake_is_a_sentence(directory, endpoint, status, said, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with entered(directory) as client:
        answer = post(client, endpoint)
        data = answer.json()
        assert (answer.status_code, data.get("sent", False)) == (status, False)
        assert (data.get("error") or data["lines"][0]).startswith(said)


def test_only_the_page_itself_can_send(directory):
    with http_receiver() as (endpoint, received):
        with entered(directory) as client:
            assert post(client, endpoint, {}).status_code == 405
            for headers in ({"Origin": "http://evil.example"}, {**own(client), "Sec-Fetch-Site": "cross-site"}):
                assert post(client, endpoint, headers).status_code == 403
            assert post(client, endpoint, trace="..").status_code in (400, 404, 405)
            assert post(client, endpoint, trace="ab").status_code == 400
        with serving(directory) as address, httpx.Client(base_url=address.partition("?")[0]) as stranger:
            assert post(stranger, endpoint).status_code == 403
    assert received.requests == []
