"""Token counts as the APIs of OpenAI, Anthropic and Gemini report them, and those that speak like one of them."""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import at, put

# attribute -> the fields that may hold the count; the first that does counts
_COUNTS: Final = (
    (sc.USAGE_INPUT_TOKENS, ("prompt_tokens", "input_tokens", "prompt_token_count", "promptTokenCount")),
    (
        sc.USAGE_OUTPUT_TOKENS,
        ("completion_tokens", "output_tokens", "candidates_token_count", "candidatesTokenCount"),
    ),
    (
        sc.USAGE_CACHE_READ_TOKENS,
        (
            "prompt_tokens_details.cached_tokens",
            "input_tokens_details.cached_tokens",
            "cache_read_input_tokens",
            "cached_content_token_count",
            "cachedContentTokenCount",
        ),
    ),
    (
        sc.USAGE_CACHE_WRITE_TOKENS,
        (
            "prompt_tokens_details.cache_write_tokens",
            "input_tokens_details.cache_write_tokens",
            "prompt_tokens_details.cache_creation_tokens",
            "cache_creation_input_tokens",
        ),
    ),
    (
        sc.USAGE_REASONING_TOKENS,
        (
            "completion_tokens_details.reasoning_tokens",
            "output_tokens_details.reasoning_tokens",
            "output_tokens_details.thinking_tokens",
            "thoughts_token_count",
            "thoughtsTokenCount",
        ),
    ),
    (sc.USAGE_AUDIO_INPUT_TOKENS, ("prompt_tokens_details.audio_tokens",)),
    (sc.USAGE_AUDIO_OUTPUT_TOKENS, ("completion_tokens_details.audio_tokens",)),
)
# count that leaves out others -> the field that shows the API, the others
_APART: Final = (
    (sc.USAGE_INPUT_TOKENS, "input_tokens", ("cache_read_input_tokens", "cache_creation_input_tokens")),
    (sc.USAGE_OUTPUT_TOKENS, "candidates_token_count", ("thoughts_token_count",)),
    (sc.USAGE_OUTPUT_TOKENS, "candidatesTokenCount", ("thoughtsTokenCount",)),
)
_PATHS: Final = tuple((name, tuple(field.split("."))) for name, fields in _COUNTS for field in fields)
_BY_FIRST: Final[dict[str, list[tuple[int, str, tuple[str, ...]]]]] = {}
for _rank, (_name, _path) in enumerate(_PATHS):
    _BY_FIRST.setdefault(_path[0], []).append((_rank, _name, _path))
_FIRST: Final = frozenset(_BY_FIRST)


def usage_facts(facts: dict[str, Any], usage: Any) -> None:
    """Add the token counts that the server reports; a count that it does not report is absent, not 0."""
    if usage is None:
        return
    fields = _FIRST.intersection(usage) if type(usage) is dict else _FIRST
    counted: dict[str, Any] = {}
    for _, attribute, path in sorted(each for name in fields for each in _BY_FIRST[name]):
        if counted.get(attribute, -1) < 0:  # a gateway reports -1 for a count that it does not know
            put(counted, attribute, at(usage, path), int)
    facts.update({attribute: count for attribute, count in counted.items() if count >= 0})
    for attribute, shows, others in _APART:
        if shows in fields and attribute in facts and at(usage, (shows,)) is not None:
            facts[attribute] += sum(_count(usage, name) for name in others)


def _count(usage: Any, name: str) -> int:
    counted: dict[str, Any] = {}
    put(counted, name, at(usage, (name,)), int)
    return max(int(counted.get(name, 0)), 0)
