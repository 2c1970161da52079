"""The requests of one LM call as they are sent, and their answers as they come back.

A library converts, adds and drops parameters, gives answers an id of its own, and estimates what the server does not
report. The source keeps each request on the call before it is sent, and each answer or event of a stream when it comes;
the facts of a span are then those of the wire.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.guard import guarded
from lmspan.instrumentation.kit.kept import LMKept, kept
from lmspan.instrumentation.kit.requests import PARAMETERS, add_parameters
from lmspan.instrumentation.kit.streams import Assembly
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall

_USAGE: Final = (
    sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS, sc.USAGE_CACHE_READ_TOKENS, sc.USAGE_CACHE_WRITE_TOKENS,
    sc.USAGE_REASONING_TOKENS, sc.USAGE_AUDIO_INPUT_TOKENS, sc.USAGE_AUDIO_OUTPUT_TOKENS,
)  # fmt: skip
_BILLED: Final = (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)
_COST: Final = (sc.COST_AMOUNT, sc.COST_UNIT, sc.COST_SOURCE)
_OTHER_USAGE: Final = "the library priced other counts than the server reports"
_NO_USAGE: Final = "the server reported no usage"


@dataclass(slots=True)
class Exchange:
    """One request and its answer."""

    body: dict[str, Any]
    in_path: bool
    """Whether the path of the request asks for a stream, as Gemini's does; other bodies state it, some only later."""
    answer: Assembly = field(default_factory=Assembly)

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream."""
        return self.in_path or self.body.get("stream") is True


@guarded
def note_request(call: LiveCall | None, body: Any, *, streamed: bool = False) -> None:
    """Keep the body of a request of this call; `streamed` states what a body does not."""
    own = kept(call, LMKept)
    if own is not None and type(body) is dict:
        own.exchanges.append(Exchange(body, streamed))


@guarded
def note_answer(call: LiveCall | None, answer: Any) -> None:
    """Add the answer to the newest request of this call, or an event of its stream; JSON may be a text."""
    own = kept(call, LMKept)
    if call is None or own is None or not own.exchanges:
        return
    answer = parsed(answer)
    if answer is not None:
        own.exchanges[-1].answer.add(answer, content=recording.active.captures(call))


def parsed(value: Any) -> Any:
    """Return JSON that is a text as its object, None for another text, and any other value unchanged."""
    if type(value) is not str:
        return value
    with contextlib.suppress(ValueError):  # a proxy may answer with a page, or with a part of the JSON
        return json.loads(value) if value.startswith("{") else None
    return None


def add_sent(call: LiveCall, own: LMKept) -> None:
    """Replace the parameters that the program sets by those that the last request has."""
    if not own.exchanges:
        return
    last = own.exchanges[-1]
    facts = call.late_facts
    level = facts.get(sc.REQUEST_REASONING_LEVEL)
    for name in PARAMETERS:
        facts.pop(name, None)
    add_parameters(facts, last.body)
    if level is not None and _thinks(last.body):
        facts.setdefault(sc.REQUEST_REASONING_LEVEL, level)  # the API has a budget in place of the level
    if last.streamed:
        facts[sc.REQUEST_STREAM] = True
    else:
        facts.pop(sc.REQUEST_STREAM, None)


def _thinks(body: dict[str, Any]) -> bool:
    config = body.get("generationConfig")
    return "thinking" in body or (type(config) is dict and "thinkingConfig" in config)


def answered(own: LMKept) -> list[Assembly]:
    """Return the answers that the server has been seen to give: those with an end, or else those without one."""
    answers = _started(own)
    return [each for each in answers if each.reasons()] or answers


def _started(own: LMKept) -> list[Assembly]:
    return [each.answer for each in own.exchanges if each.answer.facts]


def add_answered(facts: dict[str, Any], own: LMKept) -> None:
    """Replace the facts of the answers by those that the server reports, where it has been seen to answer."""
    answers = answered(own)
    if not answers:
        return
    for name in (sc.RESPONSE_ID, sc.RESPONSE_MODEL):
        if name in answers[0].facts:
            facts[name] = answers[0].facts[name]
    reasons = [reason for each in answers for reason in each.reasons()]
    if len(reasons) > len(facts.get(sc.RESPONSE_FINISH_REASONS, ())):
        facts[sc.RESPONSE_FINISH_REASONS] = reasons
    _add_usage(facts, _started(own))  # a stream that broke off is billed too


def _add_usage(facts: dict[str, Any], answers: list[Assembly]) -> None:
    before = [facts.get(name) for name in _BILLED]
    counts = {
        name: sum(each.facts.get(name, 0) for each in answers)
        for name in _USAGE
        if any(name in each.facts for each in answers)
    }
    for name in _USAGE:
        facts.pop(name, None)
    facts.update(counts)
    if sc.COST_AMOUNT in facts and (not counts or before != [facts.get(name) for name in _BILLED]):
        for name in _COST:
            del facts[name]
        facts[sc.COST_UNKNOWN_REASON] = _OTHER_USAGE if counts else _NO_USAGE
