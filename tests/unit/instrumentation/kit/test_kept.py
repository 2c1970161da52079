"""What a source keeps on a call is read by its class."""

import dataclasses

import pytest

from lmspan.instrumentation.dspy.lm import DSPyLMKept
from lmspan.instrumentation.kit import kept as module
from lmspan.instrumentation.kit.kept import LMKept, ModuleKept, kept
from lmspan.instrumentation.logillm.lm import LogiLLMKept
from lmspan.lifecycle import LiveCall, Operation

KINDS = [each for each in vars(module).values() if dataclasses.is_dataclass(each)]


def call_that_keeps(value):
    call = LiveCall(Operation.LM, "m", "dspy")
    call.kept = value
    return call


def test_one_library_reads_what_is_common_and_nothing_of_another():
    own = DSPyLMKept()
    call = call_that_keeps(own)
    assert kept(call, DSPyLMKept) is own
    assert kept(call, LMKept) is own
    assert (kept(call, LogiLLMKept), kept(call, ModuleKept)) == (None, None)


def test_a_call_that_keeps_nothing_and_no_call_at_all_have_nothing():
    assert (kept(call_that_keeps(None), LMKept), kept(None, LMKept)) == (None, None)


@pytest.mark.parametrize("kind", [*KINDS, DSPyLMKept, LogiLLMKept])
def test_only_the_named_attributes_can_be_kept(kind):
    assert all("__dict__" not in vars(each) for each in kind.__mro__ if each is not object)
