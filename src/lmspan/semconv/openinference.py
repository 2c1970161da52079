"""Attributes of OpenInference, which spans carry beside the others with `openinference=True`."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv import client, content
from lmspan.semconv.naming import INT, STRING, attribute

OI_SPAN_KIND: Final = attribute("openinference.span.kind", STRING, "LLM, CHAIN, TOOL, AGENT, ...")
OI_INPUT: Final = attribute("input.value", STRING, "the input", content=True)
OI_INPUT_MIME: Final = attribute("input.mime_type", STRING, "media type of the input", content=True)
OI_OUTPUT: Final = attribute("output.value", STRING, "the output", content=True)
OI_OUTPUT_MIME: Final = attribute("output.mime_type", STRING, "media type of the output", content=True)
OI_CACHE_WRITE_TOKENS: Final = attribute("llm.token_count.prompt_details.cache_write", INT, "the same as gen_ai.usage.cache_write.input_tokens")
OI_REASONING_TOKENS: Final = attribute("llm.token_count.completion_details.reasoning", INT, "the same as gen_ai.usage.reasoning.output_tokens")

OPENINFERENCE_TOKENS: Final = {
    # readers of OpenInference know these counts by OpenInference's name only
    client.USAGE_CACHE_WRITE_TOKENS: OI_CACHE_WRITE_TOKENS,
    client.USAGE_REASONING_TOKENS: OI_REASONING_TOKENS,
}

OPENINFERENCE_CONTENT: Final = {
    # an attribute of content -> OpenInference's names of the same value and of its media type
    content.INPUT_MESSAGES: (OI_INPUT, OI_INPUT_MIME),
    content.MODULE_INPUTS: (OI_INPUT, OI_INPUT_MIME),
    content.TOOL_CALL_ARGUMENTS: (OI_INPUT, OI_INPUT_MIME),
    content.OPERATION_INPUTS: (OI_INPUT, OI_INPUT_MIME),
    content.RETRIEVAL_QUERY: (OI_INPUT, OI_INPUT_MIME),
    content.OUTPUT_MESSAGES: (OI_OUTPUT, OI_OUTPUT_MIME),
    content.MODULE_OUTPUTS: (OI_OUTPUT, OI_OUTPUT_MIME),
    content.TOOL_CALL_RESULT: (OI_OUTPUT, OI_OUTPUT_MIME),
    content.OPERATION_OUTPUTS: (OI_OUTPUT, OI_OUTPUT_MIME),
    content.RETRIEVAL_DOCUMENTS: (OI_OUTPUT, OI_OUTPUT_MIME),
}
