"""The context goes into pools and processes with the function, if a call or a subscription is in it, and comes back."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.process import BaseProcess

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context

import lmspan
from lmspan import guard
from lmspan.context import processes, propagation
from lmspan.context.processes import Carried, Sent, context_of, environ, from_environment, headers
from lmspan.lifecycle import CURRENT, LISTENING, Operation
from lmspan.patching import Patches
from lmspan.recording import recorder as recording_module
from lmspan.testing import recording

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
EMPTY = otel_context.Context()


@pytest.fixture(autouse=True)
def _the_context_comes_back():
    before = otel_context.get_current()
    yield
    assert otel_context.get_current() == before


@pytest.fixture
def call():
    """A call that is current, in a program that nothing but lmspan observes."""
    with recording(instrument=()):
        call = recording_module.active.start(Operation.TOOL, "t", "test")
        yield call
        recording_module.active.end(call)


@pytest.fixture
def attached():
    """Attach contexts that are left at the end of the test."""
    before = otel_context.get_current()
    yield otel_context.attach
    otel_context.attach(before)


def ids(context):
    span = trace.get_current_span(context).get_span_context()
    return f"{span.trace_id:032x}", f"{span.span_id:016x}"


# headers and the environment -----------------------------------------------------------------------------------------


def test_the_headers_are_those_of_the_current_context(attached):
    assert headers() == {}
    span = trace.NonRecordingSpan(
        trace.SpanContext(int(TRACE_ID, 16), int(SPAN_ID, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    attached(trace.set_span_in_context(span))
    assert headers() == {"traceparent": PARENT}
    attached(baggage.set_baggage("key", "value"))
    assert headers() == {"traceparent": PARENT, "baggage": "key=value"}


def test_the_context_of_headers_is_what_they_hold_and_nothing_of_the_current_one(call):
    context = context_of({"traceparent": PARENT, "tracestate": "a=b", "baggage": "key=value"})
    assert ids(context) == (TRACE_ID, SPAN_ID)
    assert trace.get_current_span(context).get_span_context().trace_state == {"a": "b"}
    assert dict(baggage.get_all(context)) == {"key": "value"}
    assert CURRENT not in context
    assert context_of({}) == context_of({"traceparent": "nonsense"}) == EMPTY


def test_the_environment_of_a_process_holds_its_context_in_three_variables():
    names = {"TRACEPARENT": PARENT, "TRACESTATE": "a=b", "BAGGAGE": "key=value"}
    context = from_environment({**names, "traceparent": "other", "HOME": "/"})
    assert ids(context) == (TRACE_ID, SPAN_ID)
    assert trace.get_current_span(context).get_span_context().trace_state == {"a": "b"}
    assert dict(baggage.get_all(context)) == {"key": "value"}
    assert from_environment({"TRACEPARENT": "", "BAGGAGE": ""}) == from_environment({}) == EMPTY


def test_the_environment_for_another_process_is_a_copy_with_the_current_context(call, monkeypatch):
    monkeypatch.setenv("TRACEPARENT", "stale")
    monkeypatch.setenv("OTHER", "stays")
    given = environ()
    context = call.span.get_span_context()
    assert given == {**os.environ, "TRACEPARENT": f"00-{context.trace_id:032x}-{context.span_id:016x}-01"}
    given["OTHER"] = "changed"
    assert os.environ["OTHER"] == "stays"
    assert lmspan.environ() == {**given, "OTHER": "stays"}


def test_baggage_that_cannot_be_written_leaves_the_environment_as_it_is(attached, monkeypatch):
    class Loud:
        def __str__(self):
            raise RuntimeError("user code ran")

    monkeypatch.setattr(guard, "failures", type(guard.failures)())
    attached(baggage.set_baggage("cart", Loud()))
    assert environ() == dict(os.environ)
    assert guard.failures.total() == 1


# functions with a context --------------------------------------------------------------------------------------------


def look(*args, **kwargs):
    return otel_context.get_current(), args, kwargs


def fail(*args, **kwargs):
    raise KeyError(*args)


def test_a_carried_function_runs_in_its_context_and_the_one_before_comes_back(call):
    before = otel_context.get_current()
    inside = baggage.set_baggage("key", "value", EMPTY)
    assert Carried(look, inside)(1, k=2) == (inside, (1,), {"k": 2})
    assert otel_context.get_current() is before
    with pytest.raises(KeyError, match="1"):
        Carried(fail, inside)(1, k=2)
    assert otel_context.get_current() is before


def test_a_sent_function_runs_in_the_context_of_its_sender_with_the_subscriptions_of_this_process(call, attached):
    attached(otel_context.set_value(LISTENING, ("mine",)))
    before = otel_context.get_current()
    context, args, kwargs = Sent(look, {"traceparent": PARENT})(1, k=2)
    assert (ids(context), args, kwargs) == ((TRACE_ID, SPAN_ID), (1,), {"k": 2})
    assert context.get(LISTENING) == ("mine",)
    assert CURRENT not in context
    assert otel_context.get_current() is before
    with pytest.raises(KeyError, match="1"):
        Sent(fail, {})(1)
    assert otel_context.get_current() is before


def test_a_sent_function_of_a_process_without_subscriptions_has_none():
    assert Sent(look, {})() == (EMPTY, (), {})


# pools ---------------------------------------------------------------------------------------------------------------


def passed(*args, **kwargs):
    """The original of a wrapped method: it returns its arguments."""
    return args, kwargs


def test_a_function_for_another_process_is_sent_only_if_there_is_a_context_to_send(attached):
    attached(otel_context.Context({"other": 1}))
    assert processes._send(passed, None, (look, 1), {"k": 2}) == ((look, 1), {"k": 2})
    with recording(instrument=()), lmspan.operation("tool", "t"):
        current = headers()
        (sent, *rest), kwargs = processes._send(passed, None, (look, 1), {"k": 2})
        assert processes._send(passed, None, (), {"fn": look}) == ((), {"fn": look})
    assert (type(sent), sent.function, sent.carrier) == (Sent, look, current)
    assert (rest, kwargs) == ([1], {"k": 2})


@pytest.mark.parametrize("key", [CURRENT, LISTENING, None])
def test_a_pool_of_threads_runs_a_function_in_the_context_only_if_lmspan_needs_it(key, attached, call):
    context = otel_context.Context({key: call} if key else {"other": 1})
    attached(context)
    with ThreadPool(1) as pool:
        (function, *rest), kwargs = processes._one(passed, pool, (look, 1), {"k": 2})
        _, named = processes._one(passed, pool, (), {"func": look})
        _, mapped = processes._many(passed, pool, (), {"func": look, "iterable": [1]})
        assert processes._one(passed, pool, (), {}) == ((), {})
    assert (rest, kwargs, mapped["iterable"]) == ([1], {"k": 2}, [1])
    for each in (function, named["func"], mapped["func"]):
        if key is None:
            assert each is look
        else:
            assert (type(each), each.function, each.context) == (Carried, look, context)


def test_a_pool_of_processes_sends_the_function(call):
    pool = object.__new__(Pool)  # the class alone counts
    (sent, *rest), kwargs = processes._one(passed, pool, (look, 1), {"k": 2})
    assert (type(sent), sent.function, rest, kwargs) == (Sent, look, [1], {"k": 2})
    (sent, *rest), kwargs = processes._many(passed, pool, (look, [1]), {"k": 2})
    assert (type(sent), sent.function, rest, kwargs) == (Sent, look, [[1]], {"k": 2})
    pool._state = "TERMINATE"
    pool._pool = []


@pytest.mark.parametrize("key", [CURRENT, LISTENING, None])
def test_an_executor_runs_a_function_in_the_context_only_if_lmspan_needs_it(key, attached, call):
    context = otel_context.Context({key: call} if key else {"other": 1})
    attached(context)
    with ThreadPoolExecutor(1) as pool:
        seen, args, kwargs = pool.submit(look, 1, k=2).result()
        with pytest.raises(TypeError):
            pool.submit(k=2)
    assert (args, kwargs) == ((1,), {"k": 2})
    assert (seen is context) is (key is not None)


# processes -----------------------------------------------------------------------------------------------------------

SPAWNED = [method for method in ("spawn", "forkserver") if method in multiprocessing.get_all_start_methods()]


def started(process):
    """Start a process but for the start itself; return its target."""
    assert processes._start(passed, process, (1,), {"k": 2}) == ((1,), {"k": 2})
    return process._target


@pytest.mark.parametrize("method", SPAWNED)
def test_the_target_of_a_process_that_is_not_forked_is_sent(method, call):
    target = started(multiprocessing.get_context(method).Process(target=look))
    assert (type(target), target.function, target.carrier) == (Sent, look, headers())


@pytest.mark.parametrize("default", multiprocessing.get_all_start_methods())
def test_the_target_of_a_process_of_the_default_kind_is_sent_unless_that_is_fork(default, call, monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: default)
    target = started(multiprocessing.Process(target=look))
    assert (target is look) is (default == "fork")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("default", multiprocessing.get_all_start_methods())
def test_the_target_of_a_forked_process_stays(default, call, monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_start_method", lambda: default)
    assert started(multiprocessing.get_context("fork").Process(target=look)) is look


@pytest.mark.parametrize("method", SPAWNED)
def test_a_process_without_a_target_or_without_a_call_stays_as_it_is(method):
    context = multiprocessing.get_context(method)
    assert started(context.Process(target=look)) is look
    with recording(instrument=()), lmspan.operation("tool", "t"):
        assert started(context.Process()) is None


def test_what_has_no_target_starts_as_it_is(call):
    assert processes._start(passed, object(), (1,), {"k": 2}) == ((1,), {"k": 2})


# the patches ---------------------------------------------------------------------------------------------------------

PATCHED = {
    (ThreadPoolExecutor, "submit"): propagation._submit,
    (ProcessPoolExecutor, "submit"): processes._send,
    (BaseProcess, "start"): processes._start,
    (Pool, "apply_async"): processes._one,
    (Pool, "_map_async"): processes._many,
    (Pool, "imap"): processes._many,
    (Pool, "imap_unordered"): processes._many,
}


def test_each_way_into_a_pool_or_a_process_is_patched_while_there_is_a_user_and_then_restored():
    def present():
        return [id(vars(owner)[name]) for owner, name in PATCHED]

    before = present()
    propagation.install()
    patched = present()
    wrappers = {(owner, name): vars(owner)[name]._self_wrapper for owner, name in PATCHED}
    assert not {*patched} & {*before}
    assert wrappers == PATCHED
    propagation.install()
    propagation.uninstall()
    assert present() == patched
    propagation.uninstall()
    assert present() == before
    propagation.uninstall()  # one too many counts for nothing
    propagation.install()
    assert not {*present()} & {*before}
    propagation.uninstall()
    assert present() == before


_LEAVING = """
import multiprocessing, os, sys
from lmspan.context.processes import when_a_child_exits
from lmspan.patching import Patches

class Owner:
    pass

def leave(owner):
    print("leave", owner is mine, os.getpid() == parent, flush=True)

def child():
    print("run", flush=True)

mine, parent = Owner(), os.getpid()
when_a_child_exits(Patches(), mine, leave)
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
print("parent", process.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_the_end_of_a_forked_process_is_reported_in_it_and_not_in_its_parent():
    from support.processes import run_python  # noqa: PLC0415 - beside its program

    done = run_python(_LEAVING)
    assert (done.stdout, done.stderr) == ("run\nleave True False\nparent 0\n", "")


def test_only_a_process_that_is_itself_a_child_registers_its_own_end_at_once(monkeypatch):
    from multiprocessing import util  # noqa: PLC0415 - only this test looks inside

    class Owner:
        pass

    finalizers = []
    monkeypatch.setattr(util, "Finalize", lambda *args, **kwargs: finalizers.append((args, kwargs)))
    owner, leave = Owner(), print
    processes.when_a_child_exits(Patches(), owner, leave)
    assert finalizers == []
    monkeypatch.setattr(util.process, "parent_process", lambda: "a parent")
    processes.when_a_child_exits(Patches(), owner, leave)
    assert finalizers == [((None, leave, (owner,)), {"exitpriority": 0})]
