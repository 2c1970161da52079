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


@pytest.mark.parametrize(
    ("callback", "why"),
    [
        (object(), "has no hook"),
        ({"on_tool_start": lambda a, b, c, d: None}, "parameter 'c' must be given"),
        (type("Wrong", (), {"on_lm_start": lambda self, call_id, instance, inputs, tenant: None})(), "'tenant'"),
    ],
)
def test_a_callback_that_could_never_be_called_is_refused(callback, why):
    with pytest.raises(lmspan.CallbackError, match=why):
        lmspan.subscribe(callback, dialect="dspy" if why == "'tenant'" else None)
