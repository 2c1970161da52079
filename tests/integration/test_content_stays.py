"""Content that may not leave this machine: the local file has it, and nothing else, whatever the order of events."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
import lmspan

moment, events, capture = sys.argv[1:]
away, records, logs = InMemorySpanExporter(), InMemoryLogRecordExporter(), LoggerProvider()
logs.add_log_record_processor(SimpleLogRecordProcessor(records))

def leave():
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(away))

@lmspan.tool
def tool(query):
    raise LookupError(f"{query}: WORD-OF-THE-PROGRAM")

@lmspan.agent
def agent(question):
    if moment == "inside":
        leave()
    try:
        tool("WORD-OF-THE-PROGRAM")
    except LookupError:
        pass
    return "WORD-OF-THE-PROGRAM"

with lmspan.init(events=events, logger_provider=logs, openinference=True, capture_content=capture or None) as session:
    if moment == "after init":
        leave()
    agent("WORD-OF-THE-PROGRAM")
    print(session.force_flush(), file=sys.stderr)
print(json.dumps([span.to_json() for span in away.get_finished_spans()]))
print(json.dumps([record.to_json() for record in records.get_finished_logs()]))
"""
WORD = "WORD-OF-THE-PROGRAM"


def run(tmp_path, moment, events="span", capture=""):
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM)
    environ = {**os.environ, "LMSPAN_DIR": str(tmp_path / "traces")}
    done = subprocess.run(
        [sys.executable, program, moment, events, capture], capture_output=True, text=True, check=True, env=environ
    )
    assert done.stderr == "True\n"
    spans, records = map(json.loads, done.stdout.splitlines())
    return spans, records, (Path(environ["LMSPAN_DIR"]) / "traces.jsonl").read_text()


@pytest.mark.parametrize("moment", ["after init", "inside"])
@pytest.mark.parametrize("events", ["span", "log", "both"])
def test_an_exporter_that_is_added_later_gets_no_content_and_the_file_has_it(tmp_path, moment, events):
    spans, records, stored = run(tmp_path, moment, events)
    assert [json.loads(span)["name"] for span in spans] == ["execute_tool tool", "invoke_agent agent"]
    assert not [span for span in spans if WORD in span]
    assert not [record for record in records if WORD in record]
    assert bool(records) is (events != "span")
    assert stored.count(WORD) > 8


@pytest.mark.parametrize("events", ["span", "both"])
def test_content_that_is_asked_for_leaves(tmp_path, events):
    spans, records, stored = run(tmp_path, "after init", events, "both")
    assert all(WORD in span for span in spans)
    assert any(WORD in record for record in records) is (events == "both")
    assert WORD in stored


def test_the_file_is_the_same_whether_content_is_local_or_asked_for(tmp_path):
    """But for the ids and times, and the order of the attributes."""

    def spans(stored):
        found = [span for line in stored.splitlines() for span in _spans(json.loads(line))]
        return sorted((_plain(span) for span in found), key=lambda span: span["name"])

    (tmp_path / "local").mkdir()
    (tmp_path / "asked").mkdir()
    _, _, local = run(tmp_path / "local", "after init")
    _, _, asked = run(tmp_path / "asked", "after init", "span", "span")
    assert spans(local) == spans(asked.replace("/asked/", "/local/"))


def _spans(request):
    return [span for each in request["resourceSpans"] for scope in each["scopeSpans"] for span in scope["spans"]]


def _plain(span):
    span = {name: value for name, value in span.items() if not name.endswith(("Id", "UnixNano"))}
    span["attributes"] = sorted(
        (each for each in span["attributes"] if not each["key"].startswith("lmspan.call.")), key=str
    )
    span["events"] = [(event["name"], sorted(map(str, event["attributes"]))) for event in span["events"]]
    return span
