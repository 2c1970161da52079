"""`recording()` records a program that calls `lmspan.init()` itself, the first time as every other time."""

from contextlib import ExitStack

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import lmspan
from lmspan.recording import recorder
from lmspan.testing import recording
from support.processes import run_python


@lmspan.tool
def search(question):
    return question


@pytest.fixture
def program():
    """A function that starts the session of a program, and the names of the spans that its exporter has."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    sessions = []

    def start():
        exporters = [SimpleSpanProcessor(exporter)]
        sessions.append(lmspan.init("app", exporters=exporters, instrument=[], tracer_provider=provider))
        return sessions[-1]

    yield start, lambda: [span.name for span in exporter.get_finished_spans()]
    for each in sessions:
        each.shutdown()


def test_a_program_that_calls_init_is_recorded_each_time(program):
    start, exported = program
    for _ in range(2):
        with recording(instrument=()) as recorded:
            start()
            search("tea")
        recorded.assert_tree("execute_tool search")
    assert exported() == []
    search("tea")
    assert exported() == ["execute_tool search"]


def test_a_session_that_ends_in_the_recording_leaves_it_in_place(program):
    start, exported = program
    before = recorder.active
    with recording(instrument=()) as recorded:
        with start():
            search("tea")
        search("tea")
    recorded.assert_tree("execute_tool search\nexecute_tool search")
    assert exported() == []
    assert recorder.active is before


def test_recordings_nest_and_the_innermost_records():
    with recording(instrument=()) as outer:
        with recording(instrument=()) as inner:
            search("tea")
        search("tea")
    inner.assert_tree("execute_tool search")
    outer.assert_tree("execute_tool search")


def test_a_new_process_records_the_first_program():
    program = """
import lmspan
from lmspan.testing import recording

@lmspan.tool
def search(question):
    return question

with recording() as recorded:
    lmspan.init("app", exporters="none")
    search("tea")
print(recorded.tree())
"""
    done = run_python(program)
    assert (done.returncode, done.stdout.strip()) == (0, "execute_tool search"), done.stderr


@pytest.mark.parametrize("session_is_first", [True, False])
def test_a_session_and_a_recording_share_the_patches_until_both_have_ended(session_is_first):
    """Each instruments the library for as long as it lasts, whichever of them ends first."""
    import dspy  # noqa: PLC0415 - no other test here needs it

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)

    def start():
        exporters = [SimpleSpanProcessor(exporter)]
        return lmspan.init("app", exporters=exporters, instrument=["dspy"], tracer_provider=provider)

    with ExitStack() as outer:
        session = outer.enter_context(start()) if session_is_first else None
        with recording(instrument=("dspy",)) as recorded:
            session = session or outer.enter_context(start())
            if session_is_first:
                session.shutdown()
            dspy.LabeledFewShot(k=1).compile(dspy.Predict("question -> answer"), trainset=[dspy.Example()])
        recorded.assert_tree("optimize LabeledFewShot")
        dspy.LabeledFewShot(k=1).compile(dspy.Predict("question -> answer"), trainset=[dspy.Example()])
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ([] if session_is_first else ["optimize LabeledFewShot"])
    dspy.LabeledFewShot(k=1).compile(dspy.Predict("question -> answer"), trainset=[dspy.Example()])
    assert [span.name for span in exporter.get_finished_spans()] == names
