"""init(): where spans go, what they carry, and what happens when the place they go to is broken."""

import sys
import time
from pathlib import Path

import pytest

from lmspan import semconv as sc
from lmspan.config import CAPTURE_VARIABLE
from lmspan.traces import Store, direct
from support.otlp import grpc_receiver, http_receiver, hung_endpoint, refused_endpoint
from support.processes import ASK, lines_of_ours, run, run_python
from support.programs import KEY

FOUR = ["chat gpt-4o-mini", "format ChatAdapter", "module Predict", "parse ChatAdapter"]
PROGRAM = f"import lmspan\nlmspan.init()\n{ASK}\nprint(ask())"


def names(trace):
    return sorted(span.name for span in trace.spans)


def test_with_nothing_configured_spans_and_content_are_in_the_local_file(tmp_path):
    done = run_python(PROGRAM, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "a secret answer\n", "")
    stored = Store(tmp_path)
    trace, troubles = stored.last(), stored.troubles
    assert (names(trace), troubles) == (FOUR, [])
    chat = next(span for span in trace.spans if span.name.startswith("chat"))
    assert "what is the secret question?" in chat.attributes[sc.INPUT_MESSAGES]
    assert (tmp_path / "traces.jsonl").stat().st_mode & 0o777 == 0o600
    assert KEY not in (tmp_path / "traces.jsonl").read_text()


@pytest.mark.parametrize(
    ("receiver", "protocol"), [(http_receiver, ""), (http_receiver, "http/protobuf"), (grpc_receiver, "grpc")]
)
def test_with_an_otlp_endpoint_spans_go_there_and_no_prompt_text_with_them(receiver, protocol, tmp_path):
    with receiver() as (endpoint, received):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "shop", "LMSPAN_DIR": str(tmp_path)}
        done = run_python(
            PROGRAM, environ={**environ, **({"OTEL_EXPORTER_OTLP_PROTOCOL": protocol} if protocol else {})}
        )
    assert done.returncode == 0
    assert done.stderr.startswith("lmspan: prompts and answers are not recorded because spans leave this machine; ")
    assert done.stderr.count("\n") == 1
    assert received.names == FOUR
    assert received.resource["service.name"] == "shop"
    everything = "".join(str(request) for request in received.requests)
    assert "secret" not in everything
    assert KEY not in everything
    assert not list(tmp_path.iterdir())


def test_content_leaves_only_when_asked_for():
    with http_receiver() as (endpoint, received):
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        }
        run_python(PROGRAM, environ=environ)
    everything = "".join(str(request) for request in received.requests)
    assert "what is the secret question?" in everything
    assert KEY not in everything


def test_a_provider_that_is_already_there_keeps_its_stack_and_loses_what_we_added(tmp_path):
    done = run_python(
        f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, ours = InMemorySpanExporter(), InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
trace.set_tracer_provider(provider)
import lmspan
{ASK}
with lmspan.init(exporters=[SimpleSpanProcessor(ours)]):
    assert trace.get_tracer_provider() is provider
    ask()
ask()
trace.get_tracer("app").start_span("theirs").end()
print(len(theirs.get_finished_spans()), len(ours.get_finished_spans()))
print("secret" in "".join(span.to_json() for span in theirs.get_finished_spans()))
""",
        environ={"LMSPAN_DIR": str(tmp_path)},
    )
    assert (done.stdout, done.stderr) == ("5 4\nFalse\n", "")
    assert not list(tmp_path.iterdir())


def test_init_may_come_before_or_after_dspy_from_any_thread_and_again():
    done = run_python(
        f"""
import threading, lmspan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
{ASK}
dspy.configure(callbacks=[])
memory = InMemorySpanExporter()
thread = threading.Thread(target=lambda: lmspan.init(exporters=[memory]))
thread.start(); thread.join()
dspy.configure(callbacks=[])
session = lmspan.init()
with dspy.context(callbacks=[]):
    ask()
print(session.force_flush(), len(memory.get_finished_spans()), lmspan.init() is session)
session.shutdown()
ask()
print(len(memory.get_finished_spans()))
with lmspan.init(exporters=["none"]) as second:
    ask()
    print(second is session)
"""
    )
    assert (done.stdout, done.stderr) == ("True 4 True\n4\nFalse\n", "")


def test_the_console_prints_each_finished_trace():
    done = run_python(PROGRAM.replace("init()", "init(exporters='console')"))
    assert done.stdout == "a secret answer\n"
    names = ("module Predict", "└─ chat gpt-4o-mini")  # adapter phases are not shown
    assert [name in done.stderr for name in names] == [True, True]
    assert "not shown" not in done.stderr


@pytest.mark.parametrize("kind", ["refused", "hung", "503", "400"])
def test_a_broken_collector_neither_harms_the_program_nor_holds_its_exit(kind):
    with hung_endpoint() as hung, http_receiver(status=int(kind) if kind.isdecimal() else 200) as (answering, _):
        endpoint = {"refused": refused_endpoint(), "hung": hung}.get(kind, answering)
        begun = time.monotonic()
        done = run_python(PROGRAM, environ={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, CAPTURE_VARIABLE: "NO_CONTENT"})
        took = time.monotonic() - begun
    assert (done.returncode, done.stdout) == (0, "a secret answer\n")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("lmspan: otlp: spans cannot be delivered")
    assert took < 30  # a bound against waiting for ever, not a measurement


def test_a_programs_exception_and_exit_status_are_its_own(tmp_path):
    code = f"import lmspan\nlmspan.init()\n{ASK}\nask()\nraise SystemExit(7)"
    done = run_python(code, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (7, "")
    assert names(Store(tmp_path).last()) == FOUR


def test_a_batch_too_large_for_a_receiver_is_split_and_nothing_is_lost():
    code = """
        import lmspan
        session = lmspan.init(capture_content="span")
        for index in range(200):
            with lmspan.operation("module", f"m{index}", inputs={"text": f"{index} " + "x" * 30_000}):
                pass
        assert session.force_flush(20)
    """
    with grpc_receiver() as (endpoint, received):
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        done = run_python(code, environ=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(received.names) == sorted(f"module m{index}" for index in range(200))
    assert len(received.requests) > 1
    assert max(received.sizes) < 4 * 1024 * 1024


def test_forked_children_export_their_own_spans_and_not_their_parents(tmp_path):
    code = """
        import os, lmspan
        session = lmspan.init()
        with lmspan.operation("module", "parent"):
            pass
        children = []
        for index in range(3):
            pid = os.fork()
            if not pid:
                with lmspan.operation("module", f"child{index}"):
                    pass
                session.force_flush(5)
                os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)
    """
    done = run_python(code, environ={"LMSPAN_DIR": str(tmp_path)})
    assert (done.returncode, lines_of_ours(done.stderr)) == (0, []), done.stderr
    traces, _ = direct.read_file(tmp_path / "traces.jsonl")
    found = sorted(span.name for trace in traces for span in trace.spans)
    assert found == ["module child0", "module child1", "module child2", "module parent"]


def test_ids_are_unique_under_a_seeded_program_and_its_random_stream_is_its_own():
    code = """
        import random, lmspan
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory = InMemorySpanExporter()
        session = lmspan.init(exporters=[memory])
        drawn = []
        for _ in range(3):
            random.seed(1)
            with lmspan.operation("module", "m"):
                drawn.append(random.random())
        session.force_flush()
        print(len({span.context.span_id for span in memory.get_finished_spans()}), len(set(drawn)))
    """
    assert run_python(code).stdout == "3 1\n"


def test_opentelemetry_instrument_gives_the_same_spans_without_code(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(f"{ASK}\nprint(ask())")
    with http_receiver() as (endpoint, received):
        command = Path(sys.executable).with_name("opentelemetry-instrument")
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                   "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}  # fmt: skip
        done = run([str(command), sys.executable, str(script)], environ)
    assert done.stdout == "a secret answer\n", done.stderr
    assert [name for name in received.names if name in FOUR] == FOUR
    assert "secret" not in "".join(str(request) for request in received.requests)
