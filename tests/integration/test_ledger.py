"""Every fact of every model call, held against the ledger of the server: road by road, way by way.

`docs/reference/facts.md` is what these tests see; `TEST_LMSPAN_WRITE_TABLE=1 pytest tests/integration/test_ledger.py`
writes it again.
"""

import functools
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from logillm.providers.google import GoogleProvider

from lmspan import semconv as sc
from lmspan.testing import recording
from support.ledger import TOKENS, serving
from support.roads import EVERY, KNOWN, ROADS, WAYS, NoSuchWay
from support.scenarios.core import NATIVE
from support.wires import KEY

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "facts.md"
WRITE = "TEST_LMSPAN_WRITE_TABLE"
FACTS = (
    "operation", "request model", "parameters", "stream", "prompt", "attempts", "response", "finish reasons",
    "candidates", "texts", "thoughts", "tool calls", "tokens", "cost", "cache hit",
)  # fmt: skip
REASONS = {"end_turn": "stop", "STOP": "stop", "tool_use": "tool_calls", "tool_call": "tool_calls",
           "max_tokens": "length", "MAX_TOKENS": "length"}  # fmt: skip
PARAMETERS = (
    sc.REQUEST_TEMPERATURE, sc.REQUEST_MAX_TOKENS, sc.REQUEST_TOP_P, sc.REQUEST_TOP_K, sc.REQUEST_SEED,
    sc.REQUEST_PRESENCE_PENALTY, sc.REQUEST_FREQUENCY_PENALTY, sc.REQUEST_STOP_SEQUENCES, sc.REQUEST_REASONING_LEVEL,
    sc.OUTPUT_TYPE,
)  # fmt: skip


def take(road, way):
    """Return the spans of a way on a road, and the entries of the ledger; or the reason why there is no such way."""
    with serving(*WAYS[way].answers) as server, recording(instrument=("dspy", "logillm", "llmproc")) as recorded:
        try:
            ROADS[road](server, WAYS[way])
        except NoSuchWay as none:
            return str(none)
        except Exception:  # noqa: BLE001, S110 - what a road raises is on its span
            pass
        spans = [dict(span.attributes) for span in recorded.spans if sc.PROVIDER_NAME in span.attributes]
        return (spans, server.ledger()) if server.exchanges else "the library refuses the request"


@functools.cache
def seen(road):
    """Return what each way of a road shows: for each fact the ledger and the span, or why there is no such way."""
    return {way: taken if isinstance(taken := take(road, way), str) else compared(*taken) for way in WAYS}


def wrong(road):
    return {
        (fact, way): (ledger, span)
        for way, facts in seen(road).items()
        if not isinstance(facts, str)
        for fact, (ledger, span) in facts.items()
        if ledger != span
    }


def known(road):
    """Return the reason for each (fact, way) of a road that does not hold."""
    reasons = {}
    for roads, facts, ways, why in KNOWN:
        if road in roads:
            every = {where for where in wrong(road) if where[0] in facts} if EVERY in ways else ()
            reasons |= dict.fromkeys(every or ((fact, way) for fact in facts for way in ways), why)
    return reasons


@pytest.mark.parametrize("road", ROADS)
def test_every_fact_of_a_road_is_that_of_the_wire(road):
    found, reasons = wrong(road), known(road)
    assert {where: said for where, said in found.items() if where not in reasons} == {}
    assert sorted(set(reasons) - set(found)) == []  # no reason for a fact that holds


def test_logillms_provider_for_gemini_cannot_be_made():
    with pytest.raises((TypeError, NotImplementedError)):  # once it can, it is a road
        GoogleProvider(api_key=KEY)


@pytest.mark.skipif(not NATIVE, reason="the page states the facts on DSPy 3.4")
def test_the_page_says_what_the_tests_see():
    begin, end = "<!-- made by tests/integration/test_ledger.py -->", "<!-- end -->"
    before, _, rest = PAGE.read_text().partition(begin)
    page = f"{before}{begin}\n\n" + "\n".join(lines()) + f"\n\n{end}{rest.partition(end)[2]}"
    if os.environ.get(WRITE):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def lines():
    notes = list(dict.fromkeys(why for *_, why in KNOWN))
    yield f"| road | {' | '.join(FACTS)} |"
    yield f"|---|{'---|' * len(FACTS)}"
    for road in ROADS:
        yield f"| {road} | {' | '.join(cell(road, fact, notes) for fact in FACTS)} |"
    yield ""
    yield from (f"{number}. {why}." for number, why in enumerate(notes, 1))
    yield ""
    yield "| road | way that it does not have | reason |"
    yield "|---|---|---|"
    for road in ROADS:
        missing = {}
        for way, facts in seen(road).items():
            if isinstance(facts, str):
                missing.setdefault(facts, []).append(way)
        yield from (f"| {road} | {', '.join(ways)} | {why} |" for why, ways in missing.items())


def cell(road, fact, notes):
    reasons = known(road)
    numbers = sorted({notes.index(why) + 1 for (name, _), why in reasons.items() if name == fact})
    shown = sum(fact in facts for facts in seen(road).values() if not isinstance(facts, str))
    if not shown:
        return "-"
    excepted = sum(name == fact for name, _ in reasons)
    word = "yes" if not excepted else "no" if excepted == shown else "partly"
    return " ".join([word, *(f"[{number}]" for number in numbers)])


# What the ledger says -> what the span has to say ------------------------------------------------------------------


def compared(spans, entries):
    """Return, for each fact, what the ledger says and what the span says."""
    span = spans[0]
    answered = [entry for entry in entries if entry.said]
    last = entries[-1]
    candidates = [each for entry in answered for each in entry.candidates]
    messages = decoded(span, sc.OUTPUT_MESSAGES)
    failed = sc.ERROR_TYPE in span
    facts = {
        "operation": (last.operation, span.get(sc.OPERATION_NAME)),
        "request model": (last.asked[sc.REQUEST_MODEL], span.get(sc.REQUEST_MODEL)),
        "parameters": (chosen(last.asked), chosen(span)),
        "stream": (
            streaming(last),
            (span.get(sc.REQUEST_STREAM), sc.STREAM_CHUNK_COUNT in span, sc.RESPONSE_TIME_TO_FIRST_CHUNK in span),
        ),
        "prompt": same_ids(last.prompt, prompt(span)),
        "tokens": (summed(answered), {name: span[name] for name in TOKENS if name in span}),
        "cost": (priced(span, answered), bool(answered) and price(span)),
        "attempts": (max(len(entries) - len(answered) + (not failed), 1), span.get(sc.ATTEMPT_COUNT, 1)),
    }
    if not failed:
        facts |= {
            "response": (served(answered[0].said), served(span)),
            "finish reasons": (
                tuple(each for entry in answered for each in entry.said[sc.RESPONSE_FINISH_REASONS]),
                reasons(span, messages),
            ),
            "candidates": (len(candidates), len(messages)),
            "texts": ([each["texts"] for each in candidates], [texts(each, "text") for each in messages]),
            "thoughts": ([each["thoughts"] for each in candidates], [texts(each, "reasoning") for each in messages]),
            "tool calls": ([each["calls"] for each in candidates], [calls(each) for each in messages]),
        }
    for hit in spans[1:]:
        facts["cache hit"] = (
            {**served(answered[0].said), sc.CACHE_HIT: True},
            {name: hit[name] for name in (sc.CACHE_HIT, sc.COST_AMOUNT, sc.REQUEST_STREAM, *TOKENS) if name in hit}
            | served(hit),
        )
    return facts


def reasons(span, messages):
    """Return the finish reasons in OpenAI's words; Gemini stops for a tool call as for anything else."""
    found = [REASONS.get(each, each) for each in span.get(sc.RESPONSE_FINISH_REASONS, ())]
    calling = [bool(calls(each)) for each in messages] + [False] * len(found)
    return tuple(
        "tool_calls" if each == "stop" and calls_ else each for each, calls_ in zip(found, calling, strict=False)
    )


def decoded(span, name):
    return json.loads(span.get(name, "[]"))


def chosen(facts):
    return {name: facts[name] for name in PARAMETERS if name in facts}


def served(facts):
    return {name: facts.get(name) for name in (sc.RESPONSE_ID, sc.RESPONSE_MODEL)}


def streaming(entry):
    return (
        (True, True, True)
        if entry.streamed and entry.said
        else (True, False, False)
        if entry.streamed
        else (None, False, False)
    )


def summed(entries):
    total = Counter()
    for entry in entries:
        total.update({name: entry.said[name] for name in TOKENS if name in entry.said})
    return dict(total)


def priced(span, answered):
    """A cost has a source; it is absent if no usage or no price is known."""
    known = (
        answered and sc.USAGE_INPUT_TOKENS in answered[0].said and answered[0].asked[sc.REQUEST_MODEL] != "mystery-9"
    )
    if not known:
        return "unknown" if answered else False
    return price(span)


def price(span):
    if sc.COST_AMOUNT in span:
        return (
            "known" if span[sc.COST_AMOUNT] > 0 and span.get(sc.COST_SOURCE) and span.get(sc.COST_UNIT) else "unsourced"
        )
    return "unknown"


def prompt(span):
    """Return the texts, calls and results of a prompt, as the ledger does."""
    parts = decoded(span, sc.SYSTEM_INSTRUCTIONS)
    parts += [part for message in decoded(span, sc.INPUT_MESSAGES) for part in message["parts"]]
    return [part_of(part) for part in parts]


def part_of(part):
    if part["type"] == "tool_call":
        return ("call", part["id"], part["name"], part["arguments"])
    if part["type"] == "tool_call_response":
        return ("result", part["response"])
    return ("text", part["content"])


def same_ids(sent, recorded):
    """Return both prompts in one order, the ids of calls only where the request has them: Gemini's needs none."""
    has_ids = all(each[1] for each in sent if each[0] == "call")
    return tuple(
        sorted(str(each if has_ids or each[0] != "call" else each[2:]) for each in prompt)
        for prompt in (sent, recorded)
    )


def texts(message, kind):
    return [part["content"] for part in message["parts"] if part["type"] == kind]


def calls(message):
    return [(part["id"], part["name"], part["arguments"]) for part in message["parts"] if part["type"] == "tool_call"]
