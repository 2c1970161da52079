"""Names of other instrumentations for facts that the conventions name: readers know their spans by them."""

from __future__ import annotations

from typing import Final

from lmspan.semconv import client, openinference, program

TRACELOOP_SPAN_KIND: Final = "traceloop.span.kind"
TRACELOOP_REQUEST_TYPE: Final = "llm.request.type"

ALIASES: Final = {
    # a name of OpenInference, of OpenLLMetry or of earlier conventions -> the name of the same fact
    "llm.model_name": client.REQUEST_MODEL,
    "embedding.model_name": client.REQUEST_MODEL,
    "llm.provider": client.PROVIDER_NAME,
    "gen_ai.system": client.PROVIDER_NAME,
    "llm.token_count.prompt": client.USAGE_INPUT_TOKENS,
    "gen_ai.usage.prompt_tokens": client.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": client.USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.completion_tokens": client.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": client.USAGE_CACHE_READ_TOKENS,
    openinference.OI_REASONING_TOKENS: client.USAGE_REASONING_TOKENS,
    "llm.cost.total": client.COST_AMOUNT,
    "tool.name": program.TOOL_NAME,
    "traceloop.entity.name": client.AGENT_NAME,
    "traceloop.entity.input": openinference.OI_INPUT,
    "traceloop.entity.output": openinference.OI_OUTPUT,
    "traceloop.association.properties.session_id": program.SESSION_ID,
    "traceloop.association.properties.user_id": program.USER_ID,
}
