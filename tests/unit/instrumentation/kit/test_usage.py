"""Token counts of every API: each is read where the server reports it, and absent where it does not."""

import pytest

from lmspan import semconv as sc
from lmspan.instrumentation.kit.usage import usage_facts

IN, OUT, READ, WRITE, REASONING = (
    sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS, sc.USAGE_CACHE_READ_TOKENS, sc.USAGE_CACHE_WRITE_TOKENS,
    sc.USAGE_REASONING_TOKENS,
)  # fmt: skip
ALL = {IN: 100, OUT: 50, READ: 20, WRITE: 5, REASONING: 10}


@pytest.mark.parametrize(
    ("usage", "facts"),
    [
        (
            {
                "prompt_tokens": 100, "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            ALL,
        ),
        (
            {
                "input_tokens": 100, "output_tokens": 50,
                "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 5},
                "output_tokens_details": {"reasoning_tokens": 10},
            },
            ALL,
        ),
        (
            {
                "input_tokens": 75, "output_tokens": 50, "cache_read_input_tokens": 20,
                "cache_creation_input_tokens": 5, "output_tokens_details": {"thinking_tokens": 10},
            },
            ALL,
        ),
        (
            {
                "promptTokenCount": 100, "candidatesTokenCount": 40, "cachedContentTokenCount": 20,
                "thoughtsTokenCount": 10,
            },
            {IN: 100, OUT: 50, READ: 20, REASONING: 10},
        ),
        ({"prompt_tokens": -1, "completion_tokens": 3}, {OUT: 3}),
        ({"prompt_tokens": 0, "completion_tokens": 0}, {IN: 0, OUT: 0}),
        ({"prompt_tokens": "12", "completion_tokens": None}, {}),
        (None, {}),
    ],
)  # fmt: skip
def test_each_count_is_that_of_the_server(usage, facts):
    found = {}
    usage_facts(found, usage)
    assert found == facts
