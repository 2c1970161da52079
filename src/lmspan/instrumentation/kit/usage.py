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
_PATHS: Final = tuple((name, tuple(tuple(each.split(".")) for each in fields)) for name, fields in _COUNTS)


def usage_facts(facts: dict[str, Any], usage: Any) -> None:
    """Add the token counts that the server reports; a count that it does not report is absent, not 0."""
    if usage is None:
        return
    for attribute, paths in _PATHS:
        for path in paths:
            counted: dict[str, Any] = {}
            put(counted, attribute, at(usage, path), int)
            if counted.get(attribute, -1) >= 0:  # a gateway reports -1 for a count that it does not know
                facts.update(counted)
                break
    for attribute, shows, others in _APART:
        if at(usage, (shows,)) is not None and attribute in facts:
            facts[attribute] += sum(_count(usage, name) for name in others)


def _count(usage: Any, name: str) -> int:
    counted: dict[str, Any] = {}
    put(counted, name, at(usage, (name,)), int)
    return max(int(counted.get(name, 0)), 0)
