"""The tests' own support: which lines of a program's stderr are ours, and programs that lose their port."""

import inspect
import socket
import sys

import pytest
from opentelemetry import context

import lmspan
from support import stack
from support.processes import lines_of_ours

STRANGERS = [
    'File "/home/lmspan/.venv/lib/python3.11/site-packages/dspy/streaming/streamify.py", line 225',
    "/srv/src/lmspan/opentelemetry/other.py:1: UserWarning",
    "ModuleNotFoundError: No module named 'weather'",
]
OURS = [
    "lmspan: otlp: spans are being lost",
    "WARNING:lmspan.export:lmspan: otlp: spans are being lost",
    f'  File "{inspect.getfile(lmspan.tool.__class__)}", line 3, in wrapper',
    f"{inspect.getfile(context)}:12: DeprecationWarning",
]


@pytest.mark.parametrize("line", STRANGERS)
def test_a_path_with_the_name_is_not_ours(line):
    assert lines_of_ours(f"{line}\n") == []


def test_log_lines_and_frames_of_lmspan_are_ours():
    assert lines_of_ours("\n".join([*STRANGERS, *OURS])) == OURS


SERVER = """
import http.server, os, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
def listen(name):
    return http.server.HTTPServer(("127.0.0.1", int(os.environ[name])), Ready)
other, ready = listen("OTHER_PORT"), listen("READY_PORT")
ready.serve_forever()
"""


class Served(stack.Program):
    ports = ("READY_PORT", "OTHER_PORT")
    answers = "{READY_PORT}/"


@pytest.fixture
def taken():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield held.getsockname()[1]


def served(directory, ports, monkeypatch, code=SERVER):
    """A program whose first ports are these."""
    free = stack.free_port
    monkeypatch.setattr(stack, "free_port", lambda: ports.pop(0) if ports else free())
    return Served([sys.executable, "-c", code], directory)


@pytest.mark.parametrize("place", [0, 1], ids=["the port that answers", "another port"])
def test_a_program_that_loses_a_port_starts_again_with_other_ports(place, taken, tmp_path, monkeypatch):
    free = stack.free_port()
    ports = [taken, free] if place == 0 else [free, taken]
    with served(tmp_path, [*ports, *ports], monkeypatch) as program:
        assert taken not in (int(program.environ[name]) for name in program.ports)
        assert stack.fetch(program.url(program.answers)) == ""
    assert (tmp_path / "log").read_text().lower().count("address already in use") == 2


def test_a_program_that_fails_otherwise_is_started_once(tmp_path, monkeypatch):
    program = served(tmp_path, [], monkeypatch, "raise SystemExit('no such configuration')")
    with pytest.raises(pytest.fail.Exception, match="no such configuration"):
        program.start()
    assert (tmp_path / "log").read_text().count("no such configuration") == 1


def test_a_program_that_is_started_again_keeps_its_ports(tmp_path, monkeypatch):
    program = served(tmp_path, [], monkeypatch)
    with program:
        first = [program.environ[name] for name in program.ports]
    with socket.socket() as held:
        held.bind(("127.0.0.1", int(first[1])))
        held.listen()
        with pytest.raises(pytest.fail.Exception, match="Address already in use"):
            program.start()
    with program:
        assert [program.environ[name] for name in program.ports] == first
