"""What dspy.ex' document promises of its adapter callbacks, carried over from Elixir, heard from DSPy programs."""

import logging
import types

import dspy
import pytest

import lmspan
from lmspan.callbacks.dspy_ex import Callback, attach, configure, with_callbacks
from lmspan.demo.server import Reply
from lmspan.testing import recording
from support.programs import fields, model, serving
from support.scenarios.core import YES

PHASES = [
    "on_adapter_format_start",
    "on_adapter_format_end",
    "on_adapter_call_start",
    "on_adapter_call_end",
    "on_adapter_parse_start",
    "on_adapter_parse_end",
]


@pytest.fixture(autouse=True)
def nobody_stays():
    yield
    configure(callbacks=[])
    lmspan.unsubscribe_all()


def run(*replies, program=None):
    with serving(*replies or (YES,)) as server, recording(), dspy.context(lm=model(server)):
        return (program or dspy.Predict("question -> answer"))(question="why?")


def logging_to(heard, name="", answer=None):
    """A handler that keeps (name, phase, meta, payload, state) of all it hears."""

    def hook(phase):
        def hear(meta, payload, state):
            heard.append((name, phase, meta, payload, state))
            return answer(state) if answer is not None else "ok"

        return hear

    return types.SimpleNamespace(**{phase: hook(phase) for phase in PHASES})


def test_format_call_and_parse_are_heard_in_order_under_one_call_id():
    heard = []
    configure(callbacks=[(logging_to(heard), None)])
    run()
    assert [phase for _, phase, *_ in heard] == PHASES
    metas = [meta for _, _, meta, *_ in heard]
    assert metas == [metas[0]] * 6
    assert metas[0] == {
        "call_id": metas[0]["call_id"],
        "attempt": 1,
        "adapter": "ChatAdapter",
        "signature_name": "StringSignature",
    }


def test_payloads_are_summaries_with_usage_where_there_is_one():
    heard = []
    configure(callbacks=[(logging_to(heard), None)])
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    run(Reply(YES.text, usage=usage))
    request = {"messages_count": 2, "provider": "openai", "model": "gpt-4o-mini"}
    assert [payload for *_, payload, _ in heard] == [
        {"inputs_keys": ["question"]},
        {"request": {"messages_count": 2}},
        {"request": request},
        {"request": request, "usage": usage},
        {"response_chars": len(YES.text)},
        {"outputs_keys": ["answer"]},
    ]


def test_an_output_that_is_asked_for_again_is_the_next_attempt_of_the_same_call():
    heard = []
    configure(callbacks=[(logging_to(heard), None)])
    run(Reply("no fields at all"), Reply('{"answer": "yes"}'))
    assert [(phase, meta["attempt"]) for _, phase, meta, *_ in heard if phase.endswith("_end")] == [
        ("on_adapter_format_end", 1), ("on_adapter_call_end", 1), ("on_adapter_parse_end", 1),
        ("on_adapter_format_end", 2), ("on_adapter_call_end", 2), ("on_adapter_parse_end", 2),
    ]  # fmt: skip
    assert len({meta["call_id"] for _, _, meta, *_ in heard}) == 1
    assert [sorted(payload) for _, phase, _, payload, _ in heard if phase.endswith("parse_end")] == [
        ["error"],
        ["outputs_keys"],
    ]


def test_callbacks_of_the_process_hear_before_a_programs_and_those_before_a_calls():
    heard, program = [], dspy.Predict("question -> answer")
    with with_callbacks([(logging_to(heard, "call"), None)]):
        with with_callbacks([(logging_to(heard, "inner"), None)]):
            attach(program, callbacks=[(logging_to(heard, "program"), None)])
            configure(callbacks=[(logging_to(heard, "global"), None), (logging_to(heard, "second"), None)])
            run(program=program)
    assert [name for name, phase, *_ in heard if phase == PHASES[0]] == ["global", "second", "program", "call", "inner"]
    heard.clear()
    run()
    assert {name for name, *_ in heard} == {"global", "second"}
    heard.clear()
    configure(callbacks=[(logging_to(heard, "other"), None)])
    run()
    assert {name for name, *_ in heard} == {"other"}


def test_a_state_goes_from_hook_to_hook_and_lasts_for_one_run_of_a_predictor():
    heard = []
    configure(callbacks=[(logging_to(heard, answer=lambda state: state + 1), 0)])
    run()
    run()
    assert [state for *_, state in heard] == [0, 1, 2, 3, 4, 5] * 2


@pytest.mark.parametrize("answer", [None, "ok"])
def test_a_hook_that_returns_nothing_keeps_the_state(answer):
    heard = []
    configure(callbacks=[(logging_to(heard, answer=lambda _: answer), "mine")])
    run()
    assert {state for *_, state in heard} == {"mine"}


def test_a_callback_that_raises_changes_no_result(caplog):
    class Broken(Callback):
        def on_adapter_call_start(self, meta, payload, state):
            raise RuntimeError("not mine")

        def on_adapter_parse_end(self, meta, payload, state):
            raise RuntimeError("nor this")

    heard = []
    configure(callbacks=[(Broken(), None), (logging_to(heard), None)])
    with caplog.at_level(logging.WARNING, logger="lmspan"):
        assert run().answer == "yes"
    assert [phase for _, phase, *_ in heard] == PHASES
    assert len(caplog.records) == 1


def test_a_handler_may_be_a_class_of_functions():
    class Counting:
        @staticmethod
        def on_adapter_call_end(meta, payload, state):
            totals.append(state + payload["usage"]["total_tokens"])
            return totals[-1]

    totals = []
    configure(callbacks=[(Counting, 100)])
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    run(Reply(YES.text, usage=usage))
    assert totals == [109]


def test_a_callback_without_a_hook_is_refused():
    with pytest.raises(lmspan.CallbackError, match="has no hook"):
        configure(callbacks=[(object(), None)])


def test_reasoning_is_heard_as_its_predictor():
    heard = []
    configure(callbacks=[(logging_to(heard), None)])
    run(fields(reasoning="because", answer="yes"), program=dspy.ChainOfThought("question -> answer"))
    assert [phase for _, phase, *_ in heard] == PHASES
