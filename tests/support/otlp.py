"""Real OTLP receivers on the loopback, HTTP and gRPC, that keep what they get; and ones that misbehave."""

import contextlib
import gzip
import re
import socket
import socketserver
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)


class Received:
    def __init__(self):
        self.requests = []
        self.sizes = []
        self.authorizations = set()
        self.headers = []  # of each request with spans, by name in small letters
        self.paths = set()
        self.others = []  # (path, body) of what is no spans

    @property
    def spans(self):
        return [
            span
            for request in self.requests
            for rs in request.resource_spans
            for ss in rs.scope_spans
            for span in ss.spans
        ]

    @property
    def names(self):
        return sorted(span.name for span in self.spans)

    @property
    def resource(self):
        attributes = self.requests[0].resource_spans[0].resource.attributes
        return {each.key: each.value.string_value for each in attributes}

    def add(self, data):
        request = ExportTraceServiceRequest()
        request.ParseFromString(data)
        self.requests.append(request)
        self.sizes.append(len(data))


@contextlib.contextmanager
def http_receiver(status=200, delay_s=0.0, limit=20 * 1024 * 1024):
    """Give (endpoint, received). A request over the limit is refused whole, as a Collector does."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(delay_s)
            answer = 413 if len(body) > limit else status
            received.authorizations.add(self.headers.get("Authorization"))
            if answer == 200 and self.path.endswith("/v1/traces"):
                received.headers.append({name.lower(): value for name, value in self.headers.items()})
                received.paths.add(self.path)
                received.add(body)
            elif answer == 200:
                received.others.append((self.path, body))
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", received
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def grpc_receiver(refusal=None):
    """Give (endpoint, received), with gRPC's default limit of 4 MiB a message; `refusal` is a status to answer with."""
    received = Received()

    class Servicer(TraceServiceServicer):
        def Export(self, request, context):  # noqa: N802 - gRPC's name
            received.add(request.SerializeToString())
            if refusal is not None:
                context.abort(refusal, "not like this")
            return ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def hung_endpoint():
    """Give an endpoint that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def refused_endpoint():
    """Return an endpoint where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class Served:
    """What a scripted server has done: its connections, the requests that it read, the bytes that it could send."""

    def __init__(self):
        self.connections = 0
        self.requests = []  # the head of each one
        self.sent = 0


@contextlib.contextmanager
def answering(*answers):
    """Give (endpoint, served): a server that sends these answers in order, the last one for ever.

    An answer is bytes, or a function that returns an iterator of bytes. The connection stays open after bytes.
    """
    served, waiting = Served(), list(answers)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            served.connections += 1
            with contextlib.suppress(OSError):
                while head := self.read_request():
                    served.requests.append(head)
                    answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                    for part in (answer,) if isinstance(answer, bytes) else answer():
                        self.connection.sendall(part)
                        served.sent += len(part)
                    if not isinstance(answer, bytes):
                        return

        def read_request(self):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                line = self.rfile.readline()
                if not line:
                    return ""
                head += line
            length = re.search(rb"(?i)content-length: (\d+)", head)
            self.rfile.read(int(length[1]))
            return head.decode()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", served
        finally:
            server.shutdown()


def answer(status="200 OK", body=b"", **headers):
    """One HTTP answer with its length; `content_type="text/html"` is the header Content-Type."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
