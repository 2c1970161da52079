"""Which call is current, which is the parent of the next, and what is current when a call has ended."""

import threading

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context

from lmspan.context.current import current_call, surroundings
from lmspan.lifecycle import CURRENT, Operation
from lmspan.recording import recorder as recording_module
from lmspan.testing import recording


@pytest.fixture
def recorded():
    before = otel_context.get_current()
    with recording(instrument=()) as it:
        yield it
    assert otel_context.get_current() == before


def start(operation, name="", **options):
    return recording_module.active.start(operation, name, "test", **options)


def end(call, **options):
    recording_module.active.end(call, **options)


def elsewhere(function):
    """Run a function on another thread, in a context of its own."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def foreign(recorded, name):
    return recording_module.active.tracer.start_as_current_span(name)


def test_a_call_is_under_the_innermost_one_and_its_span_under_a_foreign_span_in_between(recorded):
    agent = start(Operation.AGENT, "a")
    with foreign(recorded, "GET /"):
        tool = start(Operation.TOOL, "t")
        assert tool.parent is agent
        end(tool)
    end(agent)
    recorded.assert_tree("""
        invoke_agent a
          GET /
            execute_tool t
    """)


def test_what_starts_under_a_foreign_span_after_the_turn_has_ended_is_under_that_span(recorded):
    agent = start(Operation.AGENT, "a")
    turn = start(Operation.TURN)
    with foreign(recorded, "GET /"):
        elsewhere(lambda: end(turn))
        tool = start(Operation.TOOL, "t")
        assert tool.parent is agent
        end(tool)
    end(turn)
    end(agent)
    recorded.assert_tree("""
        invoke_agent a
          turn
            GET /
              execute_tool t
    """)


def test_what_starts_after_the_turn_has_ended_elsewhere_is_under_its_agent(recorded):
    agent = start(Operation.AGENT, "a")
    turn = start(Operation.TURN)
    elsewhere(lambda: end(turn))
    tool = start(Operation.TOOL, "t")
    assert tool.parent is agent
    end(tool)
    end(turn)
    end(agent)
    recorded.assert_tree("""
        invoke_agent a
          turn
          execute_tool t
    """)


def test_a_parent_that_is_named_wins_over_the_current_one(recorded):
    first = start(Operation.AGENT, "first")
    end_first = otel_context.get_current()
    second = start(Operation.AGENT, "second")
    tool = start(Operation.TOOL, "t", parent_id=first.call_id)
    assert (tool.parent, tool.parent_id) == (first, first.call_id)
    end(tool)
    assert otel_context.get_current() is second.context
    end(second)
    assert otel_context.get_current() is end_first
    end(first)


def test_a_call_under_the_current_one_starts_in_the_context_as_it_is_now_also_if_the_source_names_it(recorded):
    outer = start(Operation.AGENT, "outer")
    now = baggage.set_baggage("key", "value")
    assert surroundings(now, outer, otel_context.Context()) == (outer, now)
    assert surroundings(now, None, otel_context.Context()) == (outer, now)
    end(outer)


@pytest.mark.parametrize("operation", [Operation.TOOL, Operation.TURN])
def test_what_starts_in_the_context_of_an_outermost_call_that_has_ended_is_under_it(recorded, operation):
    outer = start(operation, "outer")
    elsewhere(lambda: end(outer))
    inner = start(Operation.TOOL, "inner")
    assert inner.parent is outer
    end(inner)
    end(outer)


def test_what_starts_in_the_context_of_a_tool_that_has_ended_is_under_the_tool(recorded):
    agent, tool = start(Operation.AGENT, "a"), start(Operation.TOOL, "t")
    elsewhere(lambda: end(tool))
    inner = start(Operation.TOOL, "inner")
    assert inner.parent is tool
    for call in (inner, tool, agent):
        end(call)


def test_what_starts_in_a_turn_that_is_open_is_under_the_turn(recorded):
    agent, turn = start(Operation.AGENT, "a"), start(Operation.TURN)
    tool = start(Operation.TOOL, "t")
    assert tool.parent is turn
    for call in (tool, turn, agent):
        end(call)


def test_the_context_of_the_process_is_the_parent_of_what_has_no_other(recorded):
    outer = trace.SpanContext(7, 9, is_remote=True, trace_flags=trace.TraceFlags(1))
    process = trace.set_span_in_context(trace.NonRecordingSpan(outer), otel_context.Context())
    assert surroundings(otel_context.Context(), None, process) == (None, process)
    inner = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True)))
    assert surroundings(inner, None, process) == (None, inner)
    with_baggage = baggage.set_baggage("key", "value", process)
    assert surroundings(inner, None, with_baggage) == (None, inner)
    own = baggage.set_baggage("own", "value", otel_context.Context())
    assert surroundings(own, None, process) == (None, {**process, **own})
    assert surroundings(own, None, otel_context.Context()) == (None, own)


def test_the_current_call_is_the_innermost_that_is_open(recorded):
    assert current_call() is None
    outer = start(Operation.AGENT, "outer")
    inner = start(Operation.TOOL, "inner")
    elsewhere(lambda: end(inner))
    assert current_call() is outer
    end(inner)
    end(outer)
    assert current_call() is None


def test_ending_a_call_keeps_what_the_program_attached_meanwhile_and_did_not_detach(recorded):
    before = otel_context.get_current()
    call = start(Operation.TOOL, "t")
    otel_context.attach(baggage.set_baggage("key", "value"))
    end(call)
    assert baggage.get_all() == {"key": "value"}
    assert otel_context.get_current().get(CURRENT) is None
    otel_context.attach(before)


def test_ending_a_call_that_is_not_current_leaves_the_context_alone(recorded):
    outer = start(Operation.AGENT, "outer")
    inner = start(Operation.TOOL, "inner")
    end(outer)
    assert otel_context.get_current() is inner.context
    end(inner)


def test_ending_the_inner_call_after_the_outer_one_makes_current_what_was_before_both(recorded):
    before = otel_context.get_current()
    outer = start(Operation.AGENT, "outer")
    inner = start(Operation.TOOL, "inner")
    end(outer)
    end(inner)
    assert otel_context.get_current() is before


def test_ending_a_call_under_a_foreign_span_that_is_still_current_keeps_that_span(recorded):
    call = start(Operation.TOOL, "t")
    with foreign(recorded, "GET /") as span:
        inside = otel_context.get_current()
        end(call)
        assert trace.get_current_span() is span
        assert otel_context.get_current() is inside
    end(call)


def test_the_current_context_has_no_call_that_a_foreign_span_could_inherit(recorded):
    from lmspan.lifecycle import STARTING  # noqa: PLC0415 - the key is the subject of this test alone

    call = start(Operation.TOOL, "t")
    assert STARTING not in otel_context.get_current()
    end(call)
