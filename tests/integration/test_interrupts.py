"""Interrupts at any point: nothing of ours stays current or open, and the program hears its own signal handlers."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import dspy
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

import lmspan
from lmspan import locks
from lmspan.lifecycle import CURRENT
from lmspan.recording import recorder as recording_module
from lmspan.testing import recording

OURS = str(Path(lmspan.__file__).parent)


class Interrupts:
    """Raise an exception at the n-th call of a function of ours, where the interpreter would look for a signal."""

    def __init__(self, error, skip):
        self.error, self.left = error, skip
        self.happened = False

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self.step)

    def __exit__(self, *_):
        sys.settrace(self.before)

    def step(self, frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            if not self.left:
                self.happened = True
                sys.settrace(None)
                raise self.error
            self.left -= 1


@lmspan.tool
def tool(query):
    return query.upper()


@lmspan.tool
def failing(query):
    raise LookupError(query)


def caught(query, failing=failing):
    try:
        failing(query)
    except LookupError:
        return query


@lmspan.tool
async def awaited(query):
    await asyncio.sleep(0)
    return query.upper()


@lmspan.tool
def generating(query):
    yield query
    yield query.upper()


@lmspan.tool
async def streaming(query):
    yield query
    await asyncio.sleep(0)


@lmspan.tool
def generating_until_it_fails(query):
    yield query
    raise LookupError(query)


@lmspan.tool
async def streaming_until_it_fails(query):
    yield query
    raise LookupError(query)


async def streamed(query, streaming=streaming):
    return [item async for item in streaming(query)]


def operation(query):
    with lmspan.operation("turn", inputs={"query": query}) as call:
        call.outputs = query


class Program(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question):
        return self.ask(question=question).answer


def predict(query):
    with dspy.context(lm=dspy.utils.DummyLM([{"answer": "yes"}])):
        return Program()(question=query)


PROGRAMS = {
    "function": lambda: tool("a"),
    "failing function": lambda: caught("a"),
    "coroutine": lambda: asyncio.run(awaited("a")),
    "generator": lambda: list(generating("a")),
    "async generator": lambda: asyncio.run(streamed("a")),
    "failing generator": lambda: caught("a", lambda query: list(generating_until_it_fails(query))),
    "failing async generator": lambda: caught(
        "a", lambda query: asyncio.run(streamed(query, streaming_until_it_fails))
    ),
    "operation": lambda: operation("a"),
    "module": lambda: predict("a"),
}


def leftovers():
    found = otel_context.get_current().get(CURRENT)
    return found, trace.get_current_span().get_span_context().is_valid, list(recording_module.active.open.values())


def held_locks():
    """The locks of lmspan that this thread still holds: another thread would wait for them for ever."""
    return [lock for lock in (*locks._locks, recording_module.active.lock) if lock._is_owned()]


class Started(SpanProcessor):
    """Keeps the spans that start."""

    def __init__(self):
        self.spans = []

    def on_start(self, span, parent_context=None):
        self.spans.append(span)

    def take_open(self):
        """Return the names of those that have not ended, and forget all."""
        spans, self.spans = self.spans, []
        return [span.name for span in spans if span.is_recording()]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an interrupt in a finaliser
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_interrupt_at_any_point_leaves_nothing_current_and_nothing_open(program, error):
    run, step, interrupted, started = PROGRAMS[program], 1 if program != "module" else 7, 0, Started()
    with recording():
        run()
        tracer = recording_module.active.tracer
        getattr(tracer, "sdk", tracer).span_processor.add_span_processor(started)
        for skip in range(0, 4_000, step):
            interrupts = Interrupts(error(), skip)
            try:
                with interrupts:
                    run()
            except error:
                interrupted += 1
            assert (*leftovers(), started.take_open(), held_locks()) == (None, False, [], [], []), skip
            if not interrupts.happened:
                break
    assert not interrupts.happened
    assert interrupted > 20


class Timeout(Exception):
    """What a program's own signal handler raises."""


def handle(*_):
    raise Timeout


class Handler:
    def __call__(self, *_):
        raise Timeout


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal on this platform")
@pytest.mark.parametrize("handler", [handle, lambda *_: handle(), Handler(), Handler().__call__])
def test_what_a_signal_handler_raises_inside_our_code_reaches_the_program(handler, monkeypatch):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with recording(redact=lambda _: os.kill(os.getpid(), signal.SIGUSR1)):
            with pytest.raises(Timeout):
                tool("a")
            assert leftovers() == (None, False, [])
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_redact_hook_that_fails_is_no_signal(caplog):
    def refuse(text):
        raise Timeout

    with recording(redact=refuse) as recorded:
        assert tool("a") == "A"
    assert recorded.tree() == "execute_tool [redaction failed]"
