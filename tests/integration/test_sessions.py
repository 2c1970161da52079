"""A session is on everything below it, in threads, tasks and processes; and DSPy's threads stay in the trace."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import sys
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import dspy
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

import lmspan
from lmspan import semconv as sc
from lmspan.context import processes
from lmspan.testing import recording
from support.processes import run
from support.programs import fields, model, serving

ALL = {sc.SESSION_ID: "s", sc.USER_ID: "u", sc.CONVERSATION_ID: "c", sc.TAGS: ("a", "b")}
NAMES = (sc.SESSION_ID, sc.USER_ID, sc.CONVERSATION_ID, sc.TAGS)


@pytest.fixture(autouse=True)
def _the_context_comes_back():
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before


def session():
    return lmspan.attributes(session_id="s", user_id="u", conversation_id="c", tags=["a", "b"])


@lmspan.tool
def work(number=1):
    return number


def found(recorded, name="execute_tool work"):
    return [{each: span.attributes[each] for each in NAMES if each in span.attributes} for span in recorded.named(name)]


def test_operations_below_have_it_and_those_after_have_not():
    with recording(instrument=()) as recorded:
        with session(), lmspan.operation("module", "m"):
            work()
        work()
    recorded.assert_conventions()
    assert found(recorded) == [ALL, {}]
    assert found(recorded, "module m") == [{name: value for name, value in ALL.items() if name != sc.CONVERSATION_ID}]


def test_an_inner_one_replaces_ids_and_adds_tags():
    with recording(instrument=()) as recorded, session():
        with lmspan.attributes(user_id=7, session_id=uuid.UUID(int=1), tags=("b", "c")):
            work()
        work()
    inner = {sc.SESSION_ID: str(uuid.UUID(int=1)), sc.USER_ID: "7", sc.CONVERSATION_ID: "c", sc.TAGS: ("a", "b", "c")}
    assert found(recorded) == [inner, ALL]


@pytest.mark.parametrize("values", [{}, {"session_id": ""}, {"user_id": 1.5, "tags": 3}, {"tags": [None, object()]}])
def test_values_that_are_no_ids_and_no_tags_stay_out(values):
    with recording(instrument=()) as recorded, lmspan.attributes(**values):
        work()
    assert found(recorded) == [{}]


def test_the_end_leaves_what_the_program_has_attached_since():
    before = otel_context.get_current()
    with session():
        otel_context.attach(baggage.set_baggage("key", "value"))
    assert baggage.get_baggage("key") == "value"
    otel_context.attach(before)


def test_threads_and_tasks_have_it():
    async def tasks():
        return await asyncio.gather(asyncio.to_thread(work), asyncio.to_thread(work))

    with recording(instrument=()) as recorded, session():
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, [1, 2])) == [1, 2]
        asyncio.run(tasks())
    assert found(recorded) == [ALL] * 4


def test_processes_have_it_and_servers_do_not():
    with recording(instrument=()), session():
        sent = json.loads(lmspan.environ()["LMSPAN_ATTRIBUTES"])
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(processes.headers).result() == {"lmspan_attributes": json.dumps(sent)}
        assert baggage.get_all() == {}
    assert sent == {**ALL, sc.TAGS: ["a", "b"]}
    assert "LMSPAN_ATTRIBUTES" not in {**lmspan.environ(), **os.environ}


@pytest.mark.parametrize("malformed", ["no json", "[]", '{"session.id": [], "lmspan.tags": "x", "other": "y"}'])
def test_a_malformed_session_of_another_process_is_none_or_what_is_right_of_it(malformed):
    context = processes.from_environment({"LMSPAN_ATTRIBUTES": malformed})
    assert dict(context) in ({}, {"lmspan-attributes": {sc.TAGS: ["x"]}})


def test_a_child_that_is_started_with_the_environment_records_it(tmp_path):
    program = """
import lmspan
with lmspan.init("child", exporters="console"), lmspan.operation("tool", "work") as call:
    print(call.facts["session.id"], call.facts["lmspan.tags"])
"""
    with session():
        environ = {name: value for name, value in lmspan.environ().items() if name == "LMSPAN_ATTRIBUTES"}
    done = run([sys.executable, "-c", program], {"LMSPAN_DIR": str(tmp_path), **environ})
    assert done.stdout.splitlines()[0] == "s ('a', 'b')"


def test_a_conversation_in_the_baggage_is_on_genai_operations():
    with recording(instrument=()) as recorded:
        with with_baggage(sc.CONVERSATION_ID, "c"):
            work()
    assert found(recorded) == [{sc.CONVERSATION_ID: "c"}]


@contextlib.contextmanager
def with_baggage(name, value):
    token = otel_context.attach(baggage.set_baggage(name, value))
    try:
        yield
    finally:
        otel_context.detach(token)


def parallel(program):
    pairs = [(program, dspy.Example(question=each).with_inputs("question")) for each in "ab"]
    return dspy.Parallel(num_threads=2, disable_progress_bar=True)(pairs)


def batch(program):
    return program.batch([dspy.Example(question=each).with_inputs("question") for each in "ab"], num_threads=2)


def pool(program):
    with ThreadPoolExecutor(2) as threads:
        return [each.result() for each in [threads.submit(program, question=each) for each in "ab"]]


@pytest.mark.parametrize("ways", [parallel, batch, pool])
def test_threads_below_a_span_of_another_instrumentation_stay_in_its_trace_and_session(ways):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("server")
    with serving(fields(answer="yes")) as server, recording() as recorded:
        program = dspy.Predict("question -> answer")
        program.set_lm(model(server))
        with with_baggage(sc.SESSION_ID, "s"), tracer.start_as_current_span("GET /answer") as request:
            ways(program)
    assert recorded.trace_ids() == {request.get_span_context().trace_id}
    assert {span.attributes.get(sc.SESSION_ID) for span in recorded.spans} == {"s"}
    modules = recorded.named("module Predict")
    assert [span.parent.span_id for span in modules] == [request.get_span_context().span_id] * 2
