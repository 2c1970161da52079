"""Put an answer together from the events of its stream, as the clients of OpenAI, Anthropic and Gemini return them.

A whole answer is one event. Each event adds to the facts and to the candidates; `_EVENTS` maps the kind of an event to
the function that reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import at, text_of
from lmspan.instrumentation.kit.facts import field as get
from lmspan.instrumentation.kit.responses import candidates_of, is_whole, parts_of, response_facts

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Candidate:
    """One candidate: its texts and thoughts by block, its tool calls by index, its finish reason."""

    texts: dict[Any, list[str]] = field(default_factory=dict)
    thoughts: dict[Any, list[str]] = field(default_factory=dict)
    calls: dict[Any, dict[str, Any]] = field(default_factory=dict)
    media: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""

    def as_answer(self) -> dict[str, Any]:
        """Return the candidate in the shape that LM calls of all libraries have, with one text for each block."""
        answer: dict[str, Any] = {
            "text": ["".join(texts) for texts in self.texts.values()],
            "reasoning_content": "\n".join("".join(texts) for texts in self.thoughts.values()),
            "tool_calls": [
                {"id": call["id"], "type": "function", "function": {**call, "arguments": call["arguments"] or {}}}
                for call in self.calls.values()
            ],
        }
        return {**answer, "media": self.media} if self.media else answer


@dataclass(slots=True)
class Assembly:
    """An answer so far: the attributes of its facts, and its candidates by their index."""

    facts: dict[str, Any] = field(default_factory=dict)
    candidates: dict[int, Candidate] = field(default_factory=dict)

    def add(self, event: Any, *, content: bool = True) -> None:
        """Add an event of the stream, or the whole answer; `content` states whether the messages are recorded."""
        if not self._only_adds_content(event):
            self._add_facts(event)
        if content:
            chunk = get(event, "choices") is not None
            read = _add_candidates if chunk else _EVENTS.get(text_of(get(event, "type")), _add_candidates)
            read(self, event)

    def _only_adds_content(self, event: Any) -> bool:
        """Return whether an event is a chunk from the middle of a Chat stream, which are most of its events."""
        if sc.RESPONSE_MODEL not in self.facts or get(event, "usage") is not None:
            return False
        choices = get(event, "choices")
        return bool(choices) and all(get(each, "finish_reason") is None for each in choices)

    def _add_facts(self, event: Any) -> None:
        facts = response_facts(event)
        reasons = facts.pop(sc.RESPONSE_FINISH_REASONS, ())
        self.facts.update(facts)
        for index, reason in zip(_indices(event), reasons, strict=False):
            self.candidate(index).reason = reason

    def candidate(self, index: Any) -> Candidate:
        """Return the candidate of this index."""
        return self.candidates.setdefault(index if type(index) is int else 0, Candidate())

    def __bool__(self) -> bool:
        """Return whether a candidate has any content."""
        return any(each.texts or each.thoughts or each.calls for each in self.candidates.values())

    def reasons(self) -> list[str]:
        """Return the finish reason of each candidate; none if one is unknown."""
        reasons = [self.candidates[index].reason for index in sorted(self.candidates)]
        return reasons if all(reasons) else []

    def answers(self) -> list[dict[str, Any]]:
        """Return the candidates in the order of their index."""
        return [self.candidates[index].as_answer() for index in sorted(self.candidates)]


def _indices(event: Any) -> list[Any]:
    """Return the index of each candidate that has a finish reason."""
    candidates = candidates_of(event)
    if candidates[0] is event or len(candidates) == 1:
        return [get(candidates[0], "index") if candidates[0] is not event else 0]
    return [get(each, "index") or place for place, each in enumerate(candidates)]


def _add_candidates(assembly: Assembly, event: Any) -> None:
    """Add an event of OpenAI's Chat or of Gemini, or a whole answer of any API."""
    for place, each in enumerate(candidates_of(event)):
        candidate = assembly.candidate(get(each, "index") if each is not event else place)
        delta = get(each, "delta")
        if delta is not None:
            _add_delta(candidate, delta)
        elif is_whole(event) or each is not event:
            _add_parts(candidate, each)


def _add_delta(candidate: Candidate, delta: Any) -> None:
    _append(candidate.texts, 0, get(delta, "content"))
    _append(candidate.thoughts, 0, get(delta, "reasoning_content"))
    for piece in get(delta, "tool_calls") or ():
        index = get(piece, "index") or 0
        call = candidate.calls.setdefault(index, {"id": None, "name": None, "arguments": ""})
        call["id"] = call["id"] or get(piece, "id")
        call["name"] = call["name"] or at(piece, ("function", "name"))
        call["arguments"] += text_of(at(piece, ("function", "arguments")))


def _add_parts(candidate: Candidate, each: Any) -> None:
    """Add parts that are whole; an event of Gemini's stream has one text, which continues the one before."""
    parts = parts_of(each)
    _append(candidate.texts, 0, get(each, "text"))  # of a text completion
    for kind, texts in ((candidate.texts, parts.texts), (candidate.thoughts, parts.thoughts)):
        for text in texts:
            _append(kind, len(kind) if len(texts) > 1 else 0, text)
    for call in parts.calls:
        candidate.calls[len(candidate.calls)] = {**call["function"], "id": call["id"]}
    candidate.media += parts.media


def _append(texts: dict[Any, list[str]], index: Any, text: Any) -> None:
    if type(text) is str and text:
        texts.setdefault(index, []).append(text)


def _start_block(assembly: Assembly, event: Any) -> None:
    """Start a block of Anthropic's."""
    block = get(event, "content_block")
    if get(block, "type") == "tool_use":
        call = {"id": get(block, "id"), "name": get(block, "name"), "arguments": ""}
        assembly.candidate(0).calls[get(event, "index")] = call


def _add_to_block(assembly: Assembly, event: Any) -> None:
    delta, index, candidate = get(event, "delta"), get(event, "index"), assembly.candidate(0)
    _append(candidate.texts, index, get(delta, "text"))
    _append(candidate.thoughts, index, get(delta, "thinking"))
    if index in candidate.calls:
        candidate.calls[index]["arguments"] += text_of(get(delta, "partial_json"))


def _end_response(assembly: Assembly, event: Any) -> None:
    """Take the whole answer, which the last event of OpenAI's Responses holds."""
    _add_parts(assembly.candidate(0), get(event, "response"))


_EVENTS: Final[dict[str, Callable[[Assembly, Any], None]]] = {
    "content_block_start": _start_block,
    "content_block_delta": _add_to_block,
    "response.completed": _end_response,
    "response.incomplete": _end_response,
}
