"""A subscription hears in its order, only what it asked for, until it is cancelled; wrong options are refused."""

import pytest

import lmspan
from lmspan.callbacks.dspy import BaseCallback
from support.subscribers import ask, listener


class Everything(BaseCallback):
    def __init__(self):
        self.heard = []

    def on_module_start(self, call_id, instance, inputs):
        self.heard.append(("on_module_start",))

    def on_lm_start(self, call_id, instance, inputs):
        self.heard.append(("on_lm_start",))

    def on_lm_end(self, call_id, outputs, exception=None):
        self.heard.append(("on_lm_end",))


def test_the_highest_priority_hears_first_then_who_subscribed_first():
    heard = []
    lmspan.subscribe(listener(heard, "low"), priority=lmspan.Priority.LOW)
    lmspan.subscribe(listener(heard, "first"))
    lmspan.subscribe(listener(heard, "second"))
    lmspan.subscribe(listener(heard, "own", priority=lmspan.Priority.HIGH))
    lmspan.subscribe(listener(heard, "highest"), priority=lmspan.Priority.HIGHEST)
    ask()
    assert heard == ["highest", "own", "first", "second", "low"]


def test_only_the_hooks_that_were_asked_for_hear():
    everything = Everything()
    lmspan.subscribe(everything, hooks=["on_lm_end"])
    ask()
    assert [name for name, *_ in everything.heard] == ["on_lm_end"]
    with pytest.raises(lmspan.CallbackError, match="it has no hook on_nothing"):
        lmspan.subscribe(everything, hooks=["on_nothing"])


def test_options_that_are_wrong_say_what_would_be_right():
    with pytest.raises(lmspan.CallbackError, match="use log or stop"):
        lmspan.subscribe(Everything(), on_error="raise")
    with pytest.raises(lmspan.CallbackError, match="'cobol' is not known; use dspy, logillm, llmproc, dsrs, dspy_ex"):
        lmspan.subscribe(Everything(), dialect="cobol")


def test_a_hook_may_cancel_itself_and_subscribe_another():
    heard = []

    class Once:
        def on_lm_start(self, call_id, instance, inputs):
            heard.append("once")
            subscription.cancel()
            lmspan.subscribe(listener(heard, "next"))

    subscription = lmspan.subscribe(Once())
    ask()
    ask()
    assert heard == ["once", "next"]
