"""The server answers only a browser of this machine that has opened its address."""

import base64
import hashlib
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from lmspan.errors import ConfigurationError
from lmspan.page import entrance as entrance_module
from lmspan.page.entrance import listen, listen_as_usual
from lmspan.page.reader import Reader
from lmspan.page.server import server
from support.page import entered, serving
from support.stored import otlp, write


@pytest.fixture
def directory(tmp_path):
    write(tmp_path / "traces.jsonl", otlp("1", trace="ab"))
    (tmp_path.parent / "secret.json").write_text("secret")
    return tmp_path


def test_the_token_of_the_address_becomes_a_cookie_that_scripts_and_other_sites_do_not_get(directory):
    with serving(directory) as address:
        port = urlsplit(address).port
        answer = httpx.get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        token = address.partition("token=")[2]
        assert answer.headers["set-cookie"] == f"lmspan-{port}={token}; HttpOnly; Path=/; SameSite=strict"
        cookies = {f"lmspan-{port}": token}
        assert httpx.get(f"http://127.0.0.1:{port}/api/traces", cookies=cookies).status_code == 200
        assert httpx.get(f"http://localhost:{port}/api/traces", cookies=cookies).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/traces", "/api/version", "/main.js", "/nothing", "/?token=", "/?token=é"])
def test_nothing_is_served_without_the_token(directory, path):
    with serving(directory) as address:
        for cookies in (
            {},
            {f"lmspan-{urlsplit(address).port}": "wrong"},
            {"lmspan-1": address.partition("token=")[2]},
        ):
            answer = httpx.get(address.partition("/?")[0] + path, cookies=cookies)
            assert (answer.status_code, answer.json()) == (
                403, {"error": "the token is missing; open the address that `lmspan ui` has printed"},
            )  # fmt: skip


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "", "127.0.0.1", "127.0.0.1:1",
                                  "0.0.0.0:{port}", "[::1]:{port}", "localhost.:{port}"])  # fmt: skip
def test_another_host_is_refused(directory, host):
    with entered(directory) as client:
        answer = client.get("/api/traces", headers={"Host": host.format(port=client.base_url.port)})
        assert answer.status_code in (400, 403)
        assert "ab" * 16 not in answer.text


def test_two_hosts_are_refused(directory):
    with serving(directory) as address:
        port = urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port)) as raw:
            raw.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil\r\nConnection: close\r\n\r\n".encode())
            assert re.match(rb"HTTP/1.1 40[03] ", raw.recv(65536))


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1"}, {"Origin": "https://{own}"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "other"},
])  # fmt: skip
def test_a_request_that_another_site_has_caused_is_refused(directory, headers):
    with entered(directory) as client:
        own = client.base_url.netloc.decode()
        sent = {name: value.format(own=own) for name, value in headers.items()}
        assert client.get("/api/traces", headers=sent).status_code == 403
        accepted = {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}
        assert client.get("/api/traces", headers=accepted).status_code == 200
        assert client.get("/api/traces", headers={"Sec-Fetch-Site": "none"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_reading_methods_are_allowed(directory, method):
    with entered(directory) as client:
        answer = client.request(method, "/api/traces")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/api/traces", "/api/traces/nothing", "/nothing"])
def test_every_response_has_the_security_headers(directory, path):
    with entered(directory) as client:
        headers = client.get(path).headers
        policy = headers["content-security-policy"].split("; ")
        assert policy[:2] == ["default-src 'none'", "script-src 'self'"]
        assert re.fullmatch(r"style-src 'sha256-[\w+/]{43}='", policy[2])  # the style of the page and no other
        assert policy[-2:] == ["require-trusted-types-for 'script'", "trusted-types 'none'"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_the_document_has_its_style_inside_and_the_policy_allows_just_that(directory):
    with entered(directory) as client:
        answer = client.get("/")
        style = answer.text.partition("<style>")[2].partition("</style>")[0]
        assert "color-scheme: light dark" in style
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'; " in answer.headers["content-security-policy"]
        assert "stylesheet" not in answer.text
        assert client.get("/style.css").status_code == 404


@pytest.mark.parametrize("path", [
    "/../secret.json", "/%2e%2e/secret.json", "/..%2fsecret.json", "/static/../../secret.json", "//etc/passwd",
    "/api/traces/../../secret.json", "/traces.jsonl", "/index.sqlite", "/server.py", "/%00", "/main.js/",
    "/api/traces/%2e%2e%2fsecret", "/index.html",
])  # fmt: skip
def test_no_file_but_those_of_the_page_is_served(directory, path):
    with entered(directory) as client:
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as raw:  # httpx would tidy the path
            cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            own = client.base_url.netloc.decode()
            raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {own}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert re.match(rb"HTTP/1.1 (40[04]|307) ", answer), answer[:100]
        assert b"\r\n\r\nsecret" not in answer


def test_it_listens_on_this_machine_only_and_names_a_port_in_use(directory):
    entrance = listen()
    with entrance.listening as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigurationError, match=r"port .* cannot be used: Address already in use"):
            listen(entrance.port)


def test_the_usual_port_is_taken_where_it_is_free(monkeypatch):
    with listen().listening as other:
        usual = other.getsockname()[1]
    monkeypatch.setattr(entrance_module, "USUAL_PORT", usual)
    with listen_as_usual().listening as first, listen_as_usual().listening as second:
        assert (first.getsockname()[1] == usual, second.getsockname()[1] == usual) == (True, False)
        assert second.getsockname()[0] == "127.0.0.1"
    with listen_as_usual().listening as again:
        assert again.getsockname()[1] == usual


def test_a_server_that_ends_answers_the_requests_that_wait_and_logs_nothing(directory, caplog):
    """The reader is busy: its thread waits until the server has ended."""
    reader, entrance = Reader(directory), listen()
    running, address = server(reader, entrance), entrance.address
    thread = threading.Thread(target=running.run, kwargs={"sockets": [entrance.listening]})
    is_busy, may_continue = threading.Event(), threading.Event()
    reader.store.list = lambda *_, **__: (is_busy.set(), may_continue.wait())
    thread.start()
    with httpx.Client(base_url=address.partition("?")[0], timeout=60) as client, ThreadPoolExecutor(1) as asking:
        client.get(address)
        answer = asking.submit(client.get, "/api/traces")
        is_busy.wait()
        running.should_exit = True
        assert (answer.result().status_code, answer.result().json()) == (503, {"error": "lmspan ui ends"})
        thread.join()
    may_continue.set()
    reader.close()
    assert caplog.records == []
