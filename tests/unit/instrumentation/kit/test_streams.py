"""Answers put together from the events of a stream, as the four APIs send them."""

import pytest

from lmspan import semconv as sc
from lmspan.instrumentation.kit.streams import Assembly


def assembled(*events):
    answer = Assembly()
    for event in events:
        answer.add(event)
    return answer


def chunk(index, reason=None, **delta):
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "model": "served-1", "choices": [choice]}


def piece(index, arguments, **more):
    return {"index": index, "function": {"arguments": arguments, **({"name": "weather"} if more else {})}, **more}


def test_the_candidates_of_chat_may_be_interleaved():
    answer = assembled(
        chunk(1, content="Two"), chunk(0, content="One"), chunk(1, content="."), chunk(0, "length"), chunk(1, "stop"),
        {"id": "c1", "model": "served-1", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    )  # fmt: skip
    assert [each["text"] for each in answer.answers()] == [["One"], ["Two."]]
    assert answer.reasons() == ["length", "stop"]
    assert answer.facts == {
        sc.RESPONSE_ID: "c1", sc.RESPONSE_MODEL: "served-1", sc.USAGE_INPUT_TOKENS: 3, sc.USAGE_OUTPUT_TOKENS: 2,
    }  # fmt: skip


def test_the_tool_calls_of_chat_come_in_pieces():
    answer = assembled(
        chunk(0, tool_calls=[piece(0, "", id="a")]), chunk(0, tool_calls=[piece(0, '{"city":'), piece(1, "", id="b")]),
        chunk(0, tool_calls=[piece(0, ' "Graz"}')]), chunk(0, "tool_calls"),
    )  # fmt: skip
    (said,) = answer.answers()
    assert [(each["id"], each["function"]["name"], each["function"]["arguments"]) for each in said["tool_calls"]] == [
        ("a", "weather", '{"city": "Graz"}'), ("b", "weather", {}),
    ]  # fmt: skip


STARTED = {
    "type": "message_start",
    "message": {
        "id": "m1", "model": "served-1", "content": [],
        "usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1},
    },
}  # fmt: skip
BLOCKS = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "a", "name": "weather"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
]
ENDED = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}


@pytest.mark.parametrize("ended", [True, False])
def test_blocks_of_anthropic_and_a_count_that_is_a_placeholder(ended):
    answer = assembled(STARTED, *BLOCKS, *([ENDED] if ended else []))
    call = {"id": "a", "name": "weather", "arguments": '{"a": 1}'}
    assert answer.answers() == [{
        "text": ["I look."], "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": call}],
    }]  # fmt: skip
    assert answer.reasons() == (["tool_use"] if ended else [])
    assert answer.facts.get(sc.USAGE_OUTPUT_TOKENS) == (9 if ended else None)
    assert (answer.facts[sc.USAGE_INPUT_TOKENS], answer.facts[sc.USAGE_CACHE_READ_TOKENS]) == (7, 2)


def test_parts_of_gemini_and_the_last_event_of_responses():
    thought = {"text": "hm", "thought": True}
    gemini = assembled(
        *({"candidates": [{"content": {"parts": [part]}, "index": 0}]} for part in (thought, {"text": "So "})),
        {"responseId": "g1", "candidates": [{"content": {"parts": [{"text": "it is."}]}, "finishReason": "STOP"}]},
    )
    assert gemini.answers() == [{"text": ["So it is."], "reasoning_content": "hm", "tool_calls": []}]
    assert (gemini.reasons(), gemini.facts) == (["STOP"], {sc.RESPONSE_ID: "g1"})

    output = [{"type": "message", "content": [{"type": "output_text", "text": "So."}]}]
    response = {"id": "r1", "model": "served-1", "status": "completed", "output": output}
    responses = assembled(
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
        {"type": "response.output_text.delta", "delta": "So."},
        {"type": "response.completed", "response": response},
    )
    assert responses.answers() == [{"text": ["So."], "reasoning_content": "", "tool_calls": []}]
    assert (responses.reasons(), responses.facts[sc.RESPONSE_ID]) == (["stop"], "r1")


def test_values_of_another_type_add_nothing():
    answer = assembled({"choices": [{"index": "x", "delta": {"content": 7}}]}, {"type": 7}, {}, 7)
    assert (answer.facts, bool(answer)) == ({}, False)
