"""Token counts as model servers report them, in the shape of OpenAI's API and in similar ones."""

from __future__ import annotations

from typing import Any, Final

from lmspan import semconv as sc
from lmspan.instrumentation.kit.facts import at, put

# usage field, or field of a details object -> attribute
_USAGE: Final = (
    (("prompt_tokens",), sc.USAGE_INPUT_TOKENS),
    (("input_tokens",), sc.USAGE_INPUT_TOKENS),
    (("completion_tokens",), sc.USAGE_OUTPUT_TOKENS),
    (("output_tokens",), sc.USAGE_OUTPUT_TOKENS),
    (("prompt_tokens_details", "cached_tokens"), sc.USAGE_CACHE_READ_TOKENS),
    (("input_tokens_details", "cached_tokens"), sc.USAGE_CACHE_READ_TOKENS),
    (("prompt_tokens_details", "cache_creation_tokens"), sc.USAGE_CACHE_WRITE_TOKENS),
    (("prompt_tokens_details", "audio_tokens"), sc.USAGE_AUDIO_INPUT_TOKENS),
    (("completion_tokens_details", "reasoning_tokens"), sc.USAGE_REASONING_TOKENS),
    (("output_tokens_details", "reasoning_tokens"), sc.USAGE_REASONING_TOKENS),
    (("completion_tokens_details", "audio_tokens"), sc.USAGE_AUDIO_OUTPUT_TOKENS),
)


def usage_facts(facts: dict[str, Any], usage: Any) -> None:
    """Add the token counts that the server reports; a count that it does not report is absent, not 0."""
    for path, attribute in _USAGE:
        put(facts, attribute, at(usage, path), int)
