"""The dialect of a callback is detected from its base class, or from the names and parameters of its hooks."""

import pytest

import lmspan
from lmspan.callbacks.dspy import BaseCallback
from lmspan.subscribers.detection import bound_hooks
from lmspan.subscribers.dialects.dspy import DIALECT


def test_the_base_class_of_dspys_callbacks_has_every_hook_and_none_of_them_is_bound():
    assert {name for name in vars(BaseCallback) if name.startswith("on_")} == set(DIALECT.hooks)
    with pytest.raises(lmspan.CallbackError, match="BaseCallback has no hook; hooks of dspy are"):
        bound_hooks(BaseCallback(), None, None)


def test_a_callback_that_derives_from_a_base_class_has_the_hooks_that_it_overrides():
    class Mine(BaseCallback):
        def on_tool_end(self, call_id, outputs, exception=None):
            pass

    assert [each.name for each in bound_hooks(Mine(), None, None)] == ["on_tool_end"]
