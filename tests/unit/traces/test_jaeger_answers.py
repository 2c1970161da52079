"""What a Jaeger, or a server that is none, can answer. The real Jaeger is in tests/e2e."""

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from lmspan.errors import TraceFileError
from lmspan.traces import Filter, Store, jaeger
from support.stored import otlp

TRACE = "aa" * 16
NOT_FOUND = (404, json.dumps({"error": {"httpCode": 404, "message": "No traces found"}}))


class Answers(dict):
    """Responses by path: (status, body); the requests that came, with their queries."""

    def __init__(self, answers):
        super().__init__(answers)
        self.requests = []
        self.headers = []


@contextmanager
def serving(answers):
    """Serve on a port of this machine; yield the address and what was answered."""
    known = Answers(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            address = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(address.query).items()}
            known.requests.append((address.path, query))
            known.headers.append(self.headers)
            status, body = known.get(address.path, NOT_FOUND)
            packed = gzip.compress(body.encode())
            self.send_response(status)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", known
    finally:
        server.shutdown()
        server.server_close()


def response(*spans):
    """Spans as Jaeger returns them: of several traces below one resource."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"scope": {"name": "lmspan"}, "spans": list(spans)}
    return 200, json.dumps({"result": {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}})


def services(*names):
    return 200, json.dumps({"services": list(names)})


def test_traces_below_one_resource_are_traces_of_their_own():
    answers = {
        "/api/v3/services": services("shop"),
        "/api/v3/traces": response(otlp("1", "", "first", 1, 2, "aa"), otlp("1", "", "second", 3, 4, "bb")),
    }
    with serving(answers) as (address, _):
        listed = Store(address).list()
    assert [(each.number, each.name, each.service, each.spans) for each in listed] == [
        (1, "second", "shop", 1),
        (2, "first", "shop", 1),
    ]


def test_what_was_read_is_sorted_and_what_was_not_is_named(monkeypatch):
    monkeypatch.setattr(jaeger, "_MOST_TRACES", 2)
    answers = {
        "/api/v3/services": services("shop"),
        "/api/v3/traces": response(otlp("1", "", "slow", 1, 9, "aa"), otlp("1", "", "fast", 3, 4, "bb")),
    }
    with serving(answers) as (address, known):
        store = Store(address)
        assert [each.name for each in store.list(sort="duration", limit=1)] == ["slow"]
        assert store.troubles == ["only the newest 2 traces of 'shop' were read; --until and --since select others"]
        assert known.requests[-1][1]["query.num_traces"] == "2"


def test_a_whole_id_is_one_request_and_each_service_is_one():
    answers = {
        f"/api/v3/traces/{TRACE}": response(otlp("1", "", "first", 1, 2, "aa")),
        "/api/v3/services": services("shop", "bank"),
        "/api/v3/traces": response(otlp("1", "", "first", 1, 2, "aa")),
    }
    with serving(answers) as (address, known):
        store = Store(address)
        assert [each.name for each in store.find(TRACE).spans] == ["first"]
        assert known.requests == [(f"/api/v3/traces/{TRACE}", {"raw_traces": "true"})]
        known.requests.clear()
        assert store.find("aaaa").trace_id == TRACE
        assert [(path, query.get("query.service_name")) for path, query in known.requests] == [
            ("/api/v3/services", None),
            ("/api/v3/traces", "shop"),
            ("/api/v3/traces", "bank"),
        ]


def test_a_filter_selects_the_service_and_the_time_of_the_request():
    with serving({"/api/v3/traces": response(otlp("1", "", "first", 1, 2, "aa"))}) as (address, known):
        wanted = Filter(service="shop", since=1_000_000_000.5, until=2_000_000_000, name="no such")
        assert list(Store(address).list(wanted, limit=500)) == []
    query = {
        "query.service_name": "shop",
        "query.start_time_min": "2001-09-09T01:46:40.500000Z",
        "query.start_time_max": "2033-05-18T03:33:20Z",
        "query.num_traces": "500",
        "query.raw_traces": "true",
    }
    assert known.requests == [("/api/v3/traces", query)]


def test_one_sentence_says_that_there_are_more(monkeypatch):
    monkeypatch.setattr(jaeger, "_MOST_TRACES", 2)
    answers = {
        "/api/v3/services": services("shop"),
        "/api/v3/traces": response(otlp("1", "", "first", 1, 2, "aa"), otlp("1", "", "second", 3, 4, "bb")),
    }
    with serving(answers) as (address, _):
        store = Store(address)
        assert len(store.list()) == 2
    assert store.troubles == ["only the newest 2 traces of 'shop' were read; --until and --since select others"]


def test_a_path_and_a_password_of_the_address_are_used_and_no_message_shows_the_password():
    with serving({"/under/api/v3/services": services()}) as (address, known):
        at = address.replace("http://", "http://me:secret@") + "/under/"
        store = Store(at)
        assert list(store.list()) == []
        assert str(store.location) == f"{address}/under"
    assert known.headers[0]["Authorization"] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, "<html>a page</html>"), "no Jaeger answers there, but HTTP 200: <html>a page</html>"),
        ((200, "[1]"), "no Jaeger answers there, but HTTP 200: [1]"),
        ((404, "nothing here"), "no Jaeger answers there, but HTTP 404: nothing here"),
        (
            (500, '{"error":{"httpCode":500,"message":"the storage fails"}}'),
            "it refuses with HTTP 500: the storage fails",
        ),
        ((401, "who are you"), "no Jaeger answers there, but HTTP 401: who are you"),
    ],
    ids=["a page", "a list", "not found", "a failing storage", "unauthorized"],
)
def test_another_answer_is_an_error_with_the_address(answer, message):
    with serving({"/api/v3/services": answer}) as (address, _), pytest.raises(TraceFileError) as failed:
        Store(address).list()
    assert str(failed.value) == f"{address} cannot be read: {message}"


def test_no_trace_is_no_error_of_the_list_and_an_error_of_a_search():
    with serving({"/api/v3/services": services("shop")}) as (address, _):
        store = Store(address)
        assert list(store.list()) == []
        assert store.troubles == []
        with pytest.raises(TraceFileError) as failed:
            store.find(TRACE)
    assert str(failed.value) == f"trace {TRACE}: no such trace in {address}"


def test_a_server_that_is_not_there_is_an_error_with_the_address():
    with serving({}) as (address, _):
        pass
    with pytest.raises(TraceFileError) as failed:
        Store(address).list()
    assert str(failed.value) == f"{address} cannot be read: Connection refused"


def test_a_response_has_a_bound(monkeypatch):
    monkeypatch.setattr(jaeger, "_MOST_BYTES", 1000)
    with serving({"/api/v3/services": services("x" * 2000)}) as (address, _), pytest.raises(TraceFileError) as failed:
        Store(address).list()
    assert "--since, --until and --service select less" in str(failed.value)


def test_spans_that_are_none_are_troubles_and_the_others_are_read():
    wrong = otlp("1", "", "second", 3, 4, "bb") | {"startTimeUnixNano": "never"}
    answers = {
        "/api/v3/services": services("shop"),
        "/api/v3/traces": response(otlp("1", "", "first", 1, 2, "aa"), wrong, {"traceId": "../../x"}),
    }
    with serving(answers) as (address, _):
        store = Store(address)
        assert [each.name for each in store.list()] == ["first"]
        assert len(store.troubles) == 1
        assert "no OTLP export request" in store.troubles[0]


def test_the_directory_of_a_store_is_removed_with_it():
    with serving({"/api/v3/services": services()}) as (address, _):
        store = Store(address)
        store.list()
        directory = store.path
        assert directory.is_dir()
        del store
    assert not directory.exists()
