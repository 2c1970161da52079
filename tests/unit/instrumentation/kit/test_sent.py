"""The parameters of the bodies of requests, as each API has them; and what replaces what the program sets."""

import pytest

from lmspan import semconv as sc
from lmspan.instrumentation.kit.exchanges import add_answered, add_sent, note_answer, note_request
from lmspan.instrumentation.kit.kept import LMKept
from lmspan.instrumentation.kit.requests import add_parameters
from lmspan.lifecycle import Operation
from lmspan.recording import recorder
from lmspan.testing import recording

JSON, TEXT = {sc.OUTPUT_TYPE: "json"}, {}


@pytest.mark.parametrize(("body", "facts"), [
    ({"max_completion_tokens": 9, "stop": "END", "n": 2, "reasoning_effort": "low"}, {
        sc.REQUEST_MAX_TOKENS: 9, sc.REQUEST_STOP_SEQUENCES: ["END"], sc.REQUEST_CHOICE_COUNT: 2,
        sc.REQUEST_REASONING_LEVEL: "low",
    }),
    ({"max_output_tokens": 9, "reasoning": {"effort": "high"}}, {
        sc.REQUEST_MAX_TOKENS: 9, sc.REQUEST_REASONING_LEVEL: "high",
    }),
    ({"stop_sequences": ["END"], "top_k": 5, "output_config": {"effort": "max"}}, {
        sc.REQUEST_STOP_SEQUENCES: ["END"], sc.REQUEST_TOP_K: 5, sc.REQUEST_REASONING_LEVEL: "max",
    }),
    ({"generationConfig": {"topP": 0.5, "maxOutputTokens": 9, "candidateCount": 2, "presencePenalty": 1}}, {
        sc.REQUEST_TOP_P: 0.5, sc.REQUEST_MAX_TOKENS: 9, sc.REQUEST_CHOICE_COUNT: 2, sc.REQUEST_PRESENCE_PENALTY: 1.0,
    }),
    ({"response_format": {"type": "json_schema"}}, JSON),
    ({"response_format": dict}, JSON),
    ({"response_format": {"type": "text"}}, TEXT),
    ({"text": {"format": {"type": "json_object"}}}, JSON),
    ({"text": {"format": {"type": "text"}}}, TEXT),
    ({"output_config": {"format": {"type": "json_schema"}}}, JSON),
    ({"generationConfig": {"responseMimeType": "application/json"}}, JSON),
    ({"generationConfig": {"responseMimeType": "text/plain"}}, TEXT),
])  # fmt: skip
def test_the_parameters_of_a_body(body, facts):
    found = {}
    add_parameters(found, body)
    assert found == facts


def after(asked, body, *answers, streamed=False, facts=None):
    """Return the facts of a call that sends this body and sees these answers."""
    with recording(instrument=()):
        call = recorder.active.start(Operation.LM, "m", "test")
        call.kept = LMKept()
        add_parameters(call.late_facts, asked)
        call.late_facts.update(facts or {})
        note_request(call, body, streamed=streamed)
        for answer in answers:
            note_answer(call, answer)
        add_sent(call, call.kept)
        add_answered(call.late_facts, call.kept)
        found = dict(call.late_facts)
        recorder.active.end(call)
    return found


def test_what_is_sent_replaces_what_is_set():
    asked = {"temperature": 1.5, "seed": 7, "n": 2, "response_format": {"type": "json_object"}}
    assert after(asked, {"temperature": 1.0, "max_tokens": 99}) == {
        sc.REQUEST_TEMPERATURE: 1.0, sc.REQUEST_MAX_TOKENS: 99, sc.REQUEST_CHOICE_COUNT: 2,
    }  # fmt: skip


@pytest.mark.parametrize(("body", "kept"), [({"thinking": {"budget_tokens": 1}}, True), ({}, False)])
def test_a_level_of_reasoning_stays_where_a_budget_is_sent_for_it(body, kept):
    found = after({"reasoning_effort": "high"}, body)
    assert found == ({sc.REQUEST_REASONING_LEVEL: "high"} if kept else {})


def test_a_body_may_become_that_of_a_stream_later():
    body = {"stream": False}
    with recording(instrument=()):
        call = recorder.active.start(Operation.LM, "m", "test")
        call.kept = LMKept()
        note_request(call, body)
        body["stream"] = True
        add_sent(call, call.kept)
        assert call.late_facts == {sc.REQUEST_STREAM: True}
        recorder.active.end(call)


COST = {sc.COST_AMOUNT: 0.5, sc.COST_UNIT: "USD", sc.COST_SOURCE: "library"}
COUNTS = {sc.USAGE_INPUT_TOKENS: 3, sc.USAGE_OUTPUT_TOKENS: 2}
SERVED = {"id": "a1", "model": "served-1", "choices": []}


@pytest.mark.parametrize(("usage", "left"), [
    ({"prompt_tokens": 3, "completion_tokens": 2}, {**COUNTS, **COST}),
    ({"prompt_tokens": 4, "completion_tokens": 2}, {
        sc.USAGE_INPUT_TOKENS: 4, sc.USAGE_OUTPUT_TOKENS: 2,
        sc.COST_UNKNOWN_REASON: "the library priced other counts than the server reports",
    }),
    (None, {sc.COST_UNKNOWN_REASON: "the server reported no usage"}),
])  # fmt: skip
def test_a_cost_is_that_of_the_counts_that_the_server_reports(usage, left):
    found = after({}, {}, {**SERVED, "usage": usage}, facts={**COUNTS, **COST})
    assert found == {sc.RESPONSE_ID: "a1", sc.RESPONSE_MODEL: "served-1", **left}


def test_an_answer_that_is_no_json_and_a_call_without_a_request_add_nothing():
    assert after({}, {}, "<html>", "{", 7) == {}
    assert after({}, "no body", SERVED) == {}


def test_an_answer_that_broke_off_is_billed_and_the_next_one_is_the_answer():
    started = {"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {"input_tokens": 5}}}
    whole = {"id": "m2", "model": "m", "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": 2}}
    with recording(instrument=()):
        call = recorder.active.start(Operation.LM, "m", "test")
        call.kept = LMKept()
        for answer in (started, whole):
            note_request(call, {})
            note_answer(call, answer)
        add_answered(call.late_facts, call.kept)
        assert call.late_facts == {
            sc.RESPONSE_ID: "m2", sc.RESPONSE_MODEL: "m", sc.RESPONSE_FINISH_REASONS: ["end_turn"],
            sc.USAGE_INPUT_TOKENS: 10, sc.USAGE_OUTPUT_TOKENS: 2,
        }  # fmt: skip
        recorder.active.end(call)
