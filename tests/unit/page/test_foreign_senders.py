"""Requests of OpenTelemetry SDKs in other languages, replayed byte for byte."""

import socket
from urllib.parse import urlsplit

import pytest

from lmspan.traces import Store
from support.foreign import REQUESTS
from support.page import serving

CHAT = {
    "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3, "ratio": 0.5, "list": ["a", "b"], "yes": True,
}  # fmt: skip
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "desk"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "find"}
TEA = '[{"role":"user","parts":[{"type":"text","content":"Which tea?"}]}]'
EMOJI = TEA.replace("?", "? é 🍵")
GO = ("go-shop", [
    ("invoke_agent desk", "", AGENT, []),
    ("chat gpt-4o-mini", "invoke_agent desk", {**CHAT, "gen_ai.input.messages": TEA}, []),
    ("execute_tool find", "invoke_agent desk", TOOL, ["exception"]),
])  # fmt: skip
NODE = [
    ("invoke_agent desk", "", {**AGENT, "session.id": "anna"}, []),
    ("chat gpt-4o-mini", "invoke_agent desk", {**CHAT, "gen_ai.input.messages": EMOJI}, ["tick", "exception"]),
]
EXPECTED = {"Go, gzip": GO, "Node.js, protobuf": ("node-proto", NODE), "Node.js, JSON": ("node-json", NODE)}


@pytest.mark.parametrize("program", REQUESTS)
def test_the_request_of_a_program_in_another_language_is_stored(tmp_path, program):
    with serving(tmp_path) as address:
        port = urlsplit(address).port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(REQUESTS[program].replace(b"{port}", str(port).encode()))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    trace = Store(tmp_path).last()
    names = {span.span_id: span.name for span in trace.spans}
    spans = [
        (span.name, names.get(span.parent_id, ""), span.attributes, [event.name for event in span.events])
        for span in trace.spans
    ]
    assert (trace.service, spans) == EXPECTED[program]
