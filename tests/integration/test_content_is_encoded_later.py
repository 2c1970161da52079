"""Content is copied on the thread of the program and encoded on the thread that exports it."""

import json

import pytest

from lmspan import semconv as sc
from lmspan.traces import Store
from support.otlp import http_receiver
from support.processes import run_python

PROGRAM = """
import json, sys, threading
import lmspan
from lmspan.content import clipping
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

MESSAGES = "gen_ai.input.messages"
QUESTION, ANSWER = "Which tea grows in the shade? " * 50, "Gyokuro does. " * 50
searched, search = [], clipping.without_payloads

def note(text, limit):
    searched.append([threading.current_thread().name, text.split()[0]])
    return search(text, limit)

clipping.without_payloads = note

def ask():
    messages = [{"role": "user", "content": QUESTION}]
    with lmspan.operation("lm", "m", inputs={"messages": messages}) as call:
        messages.clear()  # the program uses its own list again
        call.outputs = [ANSWER]
        return trace.get_current_span().attributes.get(MESSAGES) if reads else None

reads = False
"""
SHOW = "\nprint(json.dumps(searched))"


def searched(program, **environ):
    done = run_python(PROGRAM + program + SHOW, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout.splitlines()[-1])


def texts(encoded):
    return [part["content"].split()[0] for message in json.loads(encoded) for part in message["parts"]]


@pytest.mark.parametrize("span", ["", "sdk"])
def test_the_file_has_what_was_passed_and_the_export_thread_has_encoded_it(tmp_path, span):
    program = "with lmspan.init(exporters='file', instrument=()):\n    ask()"
    seen = searched(program, LMSPAN_DIR=str(tmp_path), LMSPAN_SPAN=span)
    assert seen == [["lmspan-file", "Which"], ["lmspan-file", "Gyokuro"]]
    (stored,) = Store(tmp_path).last().spans
    assert texts(stored.attributes[sc.INPUT_MESSAGES]) == ["Which"]
    assert texts(stored.attributes[sc.OUTPUT_MESSAGES]) == ["Gyokuro"]


@pytest.mark.parametrize(("span", "thread"), [("", "lmspan-otlp"), ("sdk", "MainThread")])
def test_an_endpoint_receives_what_was_passed_and_the_export_thread_has_encoded_it(tmp_path, span, thread):
    """The SDK's own span takes texts only."""
    program = "with lmspan.init(exporters='otlp', instrument=(), capture_content='span'):\n    ask()"
    with http_receiver() as (endpoint, received):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "LMSPAN_DIR": str(tmp_path), "LMSPAN_SPAN": span}
        assert searched(program, **environ) == [[thread, "Which"], [thread, "Gyokuro"]]
    (sent,) = received.spans
    attributes = {each.key: each.value.string_value for each in sent.attributes}
    assert texts(attributes[sc.INPUT_MESSAGES]) == ["Which"]
    assert texts(attributes[sc.OUTPUT_MESSAGES]) == ["Gyokuro"]


def test_a_hook_is_called_on_the_thread_of_the_program(tmp_path):
    program = (
        "threads = set()\n"
        "def redact(text):\n    threads.add(threading.current_thread().name)\n    return text\n"
        "with lmspan.init(exporters='file', instrument=(), redact=redact):\n    ask()\n"
        "searched = sorted(threads)"
    )
    assert searched(program, LMSPAN_DIR=str(tmp_path)) == ["MainThread"]


READERS = """
class Reader(SpanProcessor):
    def on_end(self, span):
        self.read = span.attributes[MESSAGES]

reader, exporter, provider, reads = Reader(), InMemorySpanExporter(), TracerProvider(), True
provider.add_span_processor(reader)
provider.add_span_processor(SimpleSpanProcessor(exporter))
with lmspan.init(exporters=(), instrument=(), tracer_provider=provider, capture_content="span"):
    live = ask()
(span,) = exporter.get_finished_spans()
assert live == reader.read == span.attributes[MESSAGES] == json.loads(span.to_json())["attributes"][MESSAGES]
assert QUESTION in live
"""


def test_the_program_a_processor_and_an_exporter_read_the_same_text_which_is_encoded_once():
    assert searched(READERS) == [["MainThread", "Which"], ["MainThread", "Gyokuro"]]


MASKS = """
import copy

def masked(span):
    return {name: "***" if "tea" in str(each) else each for name, each in span._attributes.items()}

class Mask(SpanProcessor):
    pass

class Exporter(InMemorySpanExporter):
    pass

def replace(self, span):
    span._attributes = masked(span)

def change(self, span):
    span._attributes.update(masked(span))

def export_copies(self, spans):
    copies = [copy.copy(each) for each in spans]
    for each in copies:
        each._attributes = masked(each)
    return InMemorySpanExporter.export(self, copies)

%s
exporter, provider = Exporter(), TracerProvider()
provider.add_span_processor(Mask())
provider.add_span_processor(SimpleSpanProcessor(exporter))
with lmspan.init(exporters=(), instrument=(), tracer_provider=provider, capture_content="span"):
    ask()
(span,) = exporter.get_finished_spans()
assert span.attributes[MESSAGES] == "***", span.attributes[MESSAGES]
assert "tea" not in span.to_json()
"""


@pytest.mark.parametrize(
    "mask",
    [
        "Mask.on_end = replace",
        "Mask.on_end = change",
        "Mask._on_ending = replace",
        "Mask._on_ending = change",
        "Exporter.export = export_copies",
    ],
)
def test_a_processor_or_an_exporter_that_hides_texts_in_the_sdks_way_hides_them(mask):
    assert searched(MASKS % mask) == [["MainThread", "Which"], ["MainThread", "Gyokuro"]]
