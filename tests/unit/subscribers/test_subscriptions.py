"""A subscription hears in its order, only what it asked for, until it is cancelled; wrong options are refused."""

import gc
import time

import pytest

import lmspan
from lmspan.callbacks.dspy import BaseCallback
from lmspan.callbacks.dspy_ex import attach
from lmspan.subscribers import registry
from lmspan.testing import recording
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


class Part:
    """An object of a program."""


class Handler:
    def on_adapter_call_start(self, meta, payload, state): ...


def attach_and_forget(count):
    begun = time.perf_counter()
    for _ in range(count):
        part = Part()
        attach(part, callbacks=[(Handler(), None)])
        del part
    return time.perf_counter() - begun


def test_what_is_subscribed_for_an_object_ends_with_the_object():
    heard = []
    part = Part()
    subscription = lmspan.subscribe(listener(heard, "its own"), scope=part)
    lmspan.subscribe(listener(heard, "all"))
    with recording(instrument=()):
        for _ in range(2):
            ask_of(part)
            part = None
            gc.collect()
    assert heard == ["all", "its own", "all"]
    assert not subscription.active
    assert [each.name for each in registry.listed()] == ["Listener"]


def ask_of(part):
    with lmspan.operation("module", "m", inputs={}) as call:
        call.instance = part
        with lmspan.operation("lm", "m"):
            pass


def test_ten_thousand_objects_that_come_and_go_leave_nothing_and_cost_the_same_each():
    attach_and_forget(100)
    short = min(attach_and_forget(1_000) for _ in range(3))
    assert attach_and_forget(10_000) < short * 10 * 5
    gc.collect()
    assert registry.listed() == ()
    assert registry.anybody() is False


def test_an_event_pays_for_no_subscription_that_has_ended():
    subscribed = [lmspan.subscribe(listener([], "gone")) for _ in range(100)]
    callback = listener([], "stays")
    lmspan.subscribe(callback)
    for each in subscribed:
        each.cancel()
    hooks = registry.table(()).starts[lmspan.Operation.LM]
    assert [each.subscription.callback for each in hooks] == [callback]


def test_many_subscriptions_in_a_row_cost_the_same_each():
    def subscribe(count):
        begun = time.perf_counter()
        for _ in range(count):
            lmspan.subscribe(listener([], "one"))
        taken = time.perf_counter() - begun
        lmspan.unsubscribe_all()
        return taken

    subscribe(100)
    assert subscribe(4_000) < min(subscribe(400) for _ in range(3)) * 10 * 5
