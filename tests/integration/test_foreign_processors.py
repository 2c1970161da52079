"""Processors and providers that the program gives to `init()`: whatever they do, the program and the others go on."""

import os
import subprocess
import sys
import threading

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lmspan


@lmspan.tool
def tool(query):
    return query.upper()


class Odd(Exception):
    pass


class OddBase(BaseException):
    pass


class Raising(SpanProcessor):
    def __init__(self, where, error):
        self.where, self.error, self.calls = where, error, []

    def _maybe(self, where):
        self.calls.append(where)
        if where == self.where:
            raise self.error

    def on_start(self, span, parent_context=None):
        self._maybe("on_start")

    def on_end(self, span):
        self._maybe("on_end")

    def shutdown(self):
        self._maybe("shutdown")

    def force_flush(self, timeout_millis=30_000):
        self._maybe("force_flush")
        return True


def recorded_beside(processor, calls=3):
    """Record some calls beside a processor; return their results, the spans that another one got, and the flush."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    with lmspan.init(tracer_provider=provider, exporters=[processor, SimpleSpanProcessor(memory)]) as session:
        results = [tool("a") for _ in range(calls)]
        flushed = session.force_flush(5)
    return results, [span.name for span in memory.get_finished_spans()], flushed


@pytest.mark.parametrize("error", [Odd(), OddBase()])
@pytest.mark.parametrize("where", ["on_start", "on_end", "force_flush", "shutdown"])
def test_what_a_processor_raises_stays_with_it(where, error):
    processor = Raising(where, error)
    results, names, flushed = recorded_beside(processor)
    assert results == ["A"] * 3
    assert names == ["execute_tool tool"] * 3
    assert flushed is (where != "force_flush")
    assert processor.calls == ["on_start", "on_end"] * 3 + ["force_flush", "shutdown"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_in_a_processor_reaches_the_program(error):
    with pytest.raises(type(error)):
        recorded_beside(Raising("on_end", error))


def test_a_span_whose_start_is_interrupted_ends_with_the_interrupt():
    """The recorder does not have the span yet, because the SDK's `start_span` has not returned."""

    class Interrupting(SpanProcessor):
        def on_start(self, span, parent_context=None):
            if span.name == "execute_tool interrupted":
                raise KeyboardInterrupt

    memory = InMemorySpanExporter()
    with lmspan.init(exporters=[memory, Interrupting()], instrument=[], tracer_provider=own_provider()) as session:
        with pytest.raises(KeyboardInterrupt), lmspan.operation("tool", "interrupted"):
            raise AssertionError("the body ran")
        tool("a")
        assert session.force_flush(30)
    spans = [(span.name, span.parent, span.status.status_code.name) for span in memory.get_finished_spans()]
    assert spans == [("execute_tool interrupted", None, "ERROR"), ("execute_tool tool", None, "UNSET")]


@pytest.mark.parametrize("where", ["on_start", "on_end"])
def test_a_processor_does_not_hear_the_spans_that_it_makes_itself(where):
    class Runaway(SpanProcessor):
        heard = 0

        def on_start(self, span, parent_context=None):
            self._again("on_start")

        def on_end(self, span):
            self._again("on_end")

        def _again(self, here):
            type(self).heard += 1
            if here == where:
                tool("again")

    results, names, _ = recorded_beside(Runaway())
    assert results == ["A"] * 3
    assert names == ["execute_tool tool"] * 6
    assert Runaway.heard == 6


@pytest.mark.parametrize("where", ["force_flush", "shutdown"])
def test_a_processor_that_hangs_holds_a_flush_and_the_end_no_longer_than_their_deadline(where):
    gate = threading.Event()

    class Hanging(SpanProcessor):
        def force_flush(self, timeout_millis=30_000):
            return gate.wait() if where == "force_flush" else True

        def shutdown(self):
            gate.wait()

    provider = TracerProvider(shutdown_on_exit=False)
    session = lmspan.init(tracer_provider=provider, exporters=[Hanging()])
    assert session.force_flush(0.05) is (where != "force_flush")
    session.shutdown(0.1)  # comes back although the gate is still closed
    assert not gate.is_set()
    gate.set()


def run(program, directory):
    environ = {**os.environ, "LMSPAN_DIR": str(directory / "traces")}
    command = [sys.executable, program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=environ)


def test_a_hanging_processor_does_not_hold_the_exit(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import threading, lmspan\n"
        "from opentelemetry.sdk.trace import SpanProcessor\n"
        "class Hanging(SpanProcessor):\n"
        "    def shutdown(self):\n"
        "        threading.Event().wait()\n"
        "lmspan.init(exporters=['file', Hanging()])\n"
        "with lmspan.operation('tool', 'one'): pass\n"
    )
    done = run(program, tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    assert '"execute_tool one"' in (tmp_path / "traces" / "traces.jsonl").read_text()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_hanging_exporters_hold_the_exit_neither_of_a_program_nor_of_a_forked_child(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, threading, lmspan\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult\n"
        "class Hanging(SpanExporter):\n"
        "    def export(self, spans):\n"
        "        return SpanExportResult.SUCCESS\n"
        "    def shutdown(self):\n"
        "        threading.Event().wait()\n"
        "lmspan.init(exporters=[Hanging(), SimpleSpanProcessor(Hanging()), 'file'])\n"
        "if os.fork() == 0:\n"
        "    with lmspan.operation('tool', 'the child'): pass\n"
        "    sys.exit(0)\n"
        "os.wait()\n"
        "with lmspan.operation('tool', 'the parent'): pass\n"
    )
    run(program, tmp_path)
    text = (tmp_path / "traces" / "traces.jsonl").read_text()
    assert ['"execute_tool the child"' in text, '"execute_tool the parent"' in text] == [True, True]


_NO_THREADS = """
import threading

def refuse(thread):
    raise RuntimeError("can't start new thread")

threading.Thread.start = refuse
"""
_NO_DESCRIPTORS = """
import os, resource

resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
while True:
    try:
        os.open("/dev/null", os.O_RDONLY)
    except OSError:
        break
"""


@pytest.mark.parametrize("shortage", [_NO_THREADS, _NO_DESCRIPTORS])
def test_a_program_runs_where_there_is_no_thread_or_no_descriptor(tmp_path, shortage):
    program = tmp_path / "program.py"
    program.write_text(
        "import lmspan\n"
        f"{shortage}\n"
        "session = lmspan.init()\n"
        "@lmspan.tool\n"
        "def tool(query): return query.upper()\n"
        "print(tool('a'))\n"
    )
    done = run(program, tmp_path)
    assert done.stdout == "A\n"
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("lmspan: cannot start, so the program runs without being recorded (")


@pytest.mark.parametrize(
    "variable", ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=many", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=-3"]
)
def test_a_wrong_variable_costs_one_line_and_the_program_is_recorded(tmp_path, variable, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text("import lmspan\nlmspan.init()\nwith lmspan.operation('tool', 'one'): pass\n")
    monkeypatch.setenv(*variable.split("="))
    done = run(program, tmp_path)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lmspan: {variable.partition('=')[0]}: ")
    assert '"execute_tool one"' in (tmp_path / "traces" / "traces.jsonl").read_text()


@pytest.mark.parametrize("name", ["sampler", "tracer_provider", "meter_provider", "logger_provider"])
def test_a_provider_or_a_sampler_that_is_none_is_refused(name):
    with pytest.raises(lmspan.ConfigurationError, match=f"^{name}: object has no "):
        lmspan.init(exporters="none", **{name: object()})
    with lmspan.init(tracer_provider=TracerProvider(shutdown_on_exit=False), exporters="none") as session:
        assert session.instrumented  # nothing is left of the attempt


@pytest.mark.parametrize(("name", "value"), [("callbacks", print), ("instrument", 5)])
def test_one_thing_where_a_list_belongs_is_refused(name, value):
    with pytest.raises(lmspan.ConfigurationError, match=f"^{name}: .* is not a"):
        lmspan.init(exporters="none", **{name: value})
    with lmspan.init(tracer_provider=TracerProvider(shutdown_on_exit=False), exporters="none") as session:
        assert session.instrumented  # nothing is left of the attempt


def own_provider():
    """A provider that is not the global one, which later tests would find."""
    return TracerProvider(shutdown_on_exit=False)


def at_once(flush):
    flush()


def on_another_thread(flush):
    """A plain thread has a context of its own."""
    thread = threading.Thread(target=flush)
    thread.start()
    thread.join()


class FlushingAll(SpanProcessor):
    """Flushes the whole session where it is flushed itself."""

    def __init__(self, run=at_once):
        self.run, self.flushes = run, 0

    def force_flush(self, timeout_millis=30_000):
        self.flushes += 1
        if self.flushes <= 50:
            self.run(lambda: self.session.force_flush(timeout_millis / 1000))
        return True


def test_flushes_that_call_the_flush_of_the_session_come_to_an_end():
    processors = FlushingAll(), FlushingAll()
    with lmspan.init(exporters=processors, instrument=[], tracer_provider=own_provider()) as session:
        for each in processors:
            each.session = session
        assert session.force_flush(30)
        assert [each.flushes for each in processors] == [2, 2]  # directly, and from the flush of the other one


def test_flushes_that_call_the_flush_of_the_session_on_a_plain_thread_come_to_an_end():
    processor = FlushingAll(on_another_thread)
    with lmspan.init(exporters=[processor], instrument=[], tracer_provider=own_provider()) as session:
        processor.session = session
        assert session.force_flush(30)
        assert session.force_flush(30)
    assert processor.flushes == 2 * 16  # at the same time


def test_flushes_of_a_processor_that_hangs_keep_a_bounded_number_of_threads():
    gate = threading.Event()
    started = []

    class Hanging(SpanProcessor):
        def force_flush(self, timeout_millis=30_000):
            started.append(threading.get_ident())
            return gate.wait()

    with lmspan.init(exporters=[Hanging()], instrument=[], tracer_provider=own_provider()) as session:
        assert [session.force_flush(0.01) for _ in range(50)] == [False] * 50
        gate.set()
        assert len(started) <= 16


@pytest.mark.parametrize(
    ("where", "act", "calls"),
    [
        ("on_start", "force_flush", "on_start force_flush on_end force_flush shutdown"),
        ("on_end", "force_flush", "on_start on_end force_flush force_flush shutdown"),
        ("force_flush", "force_flush", "on_start on_end force_flush shutdown"),
        ("shutdown", "force_flush", "on_start on_end force_flush shutdown force_flush"),
        ("on_start", "shutdown", "on_start shutdown force_flush"),
        ("on_end", "shutdown", "on_start on_end shutdown force_flush"),
        ("force_flush", "shutdown", "on_start on_end force_flush shutdown"),
        ("shutdown", "shutdown", "on_start on_end force_flush shutdown"),
    ],
)
def test_a_processor_may_flush_or_end_the_session_in_each_of_its_methods(where, act, calls):
    class Acting(Raising):
        def _maybe(self, here):
            self.calls.append(here)
            if here == where and len(self.calls) < 50:
                getattr(self.session, act)(30)

    processor = Acting(where, None)
    with lmspan.init(exporters=[processor], instrument=[], tracer_provider=own_provider()) as session:
        processor.session = session
        assert tool("a") == "A"
        session.force_flush(30)
    assert processor.calls == calls.split()


def test_a_flush_beside_a_flush_on_another_thread_reaches_the_processor():
    both = threading.Barrier(2)

    class Meeting(SpanProcessor):
        def force_flush(self, timeout_millis=30_000):
            both.wait(30)
            return True

    with lmspan.init(exporters=[Meeting()], instrument=[], tracer_provider=own_provider()) as session:
        results = []
        threads = [threading.Thread(target=lambda: results.append(session.force_flush(30))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [True, True]
