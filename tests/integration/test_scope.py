"""`subscribe(callback, scope=object)`: a callback of one object hears its calls, those below, and nothing else."""

import copy
import gc
import pickle
import weakref

import pytest

import lmspan
from lmspan.context import lineage
from lmspan.recording import recorder
from lmspan.testing import recording


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    lmspan.unsubscribe_all()


class Program:
    """Something that a source would give as the instance of its calls."""


@lmspan.tool
def search(query):
    return query.upper()


def listener(heard):
    return {"on_tool_end": lambda tool_name, result: heard.append(result)}


def agent(program):
    """Run as a source would, with the object as the call's instance."""
    call = recorder.active.start(lmspan.Operation.AGENT, "ask", "test", instance=program)
    try:
        search("tea")
    finally:
        recorder.active.end(call)


def test_only_the_object_and_what_is_below_it_is_heard():
    mine, other, heard = Program(), Program(), []
    with recording(), lmspan.subscribe(listener(heard), scope=mine):
        agent(other)
        search("outside")
        assert heard == []
        agent(mine)
    assert heard == ["TEA"]


def test_what_was_made_from_the_object_is_heard_too():
    first, heard = Program(), []
    second, third = Program(), Program()
    lineage.note(second, first)
    lineage.note(third, second)
    with recording():
        with lmspan.subscribed(listener(heard), scope=first):
            agent(third)
        with lmspan.subscribed(listener(heard), scope=third):
            agent(second)
    assert heard == ["TEA"]


def test_the_object_is_not_kept_alive_nor_touched():
    mine = Program()
    before = dict(vars(mine))
    lmspan.subscribe(listener([]), scope=mine)
    assert vars(mine) == vars(copy.deepcopy(mine)) == vars(pickle.loads(pickle.dumps(mine))) == before  # noqa: S301
    gone = weakref.ref(mine)
    del mine
    gc.collect()
    assert gone() is None
    with recording():
        agent(Program())


def test_a_copy_is_another_object():
    mine, heard = Program(), []
    with recording(), lmspan.subscribe(listener(heard), scope=mine):
        agent(copy.deepcopy(mine))
    assert heard == []


def test_what_cannot_be_a_scope_is_refused():
    with pytest.raises(lmspan.CallbackError, match="scope: a int cannot be referred to weakly"):
        lmspan.subscribe(listener([]), scope=3)


def test_a_stop_is_of_the_object_too():
    class Never:
        def tool_start(self, tool_name):
            raise lmspan.StopRun("never")

    mine = Program()
    with recording(), lmspan.subscribe(Never(), scope=mine):
        agent(Program())
        with pytest.raises(lmspan.StopRun):
            agent(mine)
