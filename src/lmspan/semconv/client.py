"""Names on calls of models: who was asked, with what, and what came back."""

from __future__ import annotations

from typing import Annotated

from lmspan.semconv.naming import BOOL, DOUBLE, GENAI, INT, OTEL, OWN, STRING, STRINGS, Meta

# What kind of operation, and of whom -------------------------------------------------------------------------------
OPERATION_NAME: Annotated[str, Meta(STRING, GENAI, "chat, text_completion, embeddings, execute_tool, ...")] = (
    "gen_ai.operation.name"
)
PROVIDER_NAME: Annotated[str, Meta(STRING, GENAI, "who serves the model, by its well-known name")] = (
    "gen_ai.provider.name"
)
AGENT_NAME: Annotated[str, Meta(STRING, GENAI, "the agent's name")] = "gen_ai.agent.name"
WORKFLOW_NAME: Annotated[str, Meta(STRING, GENAI, "the program's own class name")] = "gen_ai.workflow.name"
CONVERSATION_ID: Annotated[str, Meta(STRING, GENAI, "a conversation id that the application gave")] = (
    "gen_ai.conversation.id"
)
CONVERSATION_COMPACTED: Annotated[str, Meta(BOOL, GENAI, "true when the history was made shorter before")] = (
    "gen_ai.conversation.compacted"
)
SERVER_ADDRESS: Annotated[str, Meta(STRING, OTEL, "host of the model server")] = "server.address"
SERVER_PORT: Annotated[str, Meta(INT, OTEL, "port of the model server")] = "server.port"
ERROR_TYPE: Annotated[
    str, Meta(STRING, OTEL, "class of what ended the operation; set exactly when the status is ERROR")
] = "error.type"

# The request -------------------------------------------------------------------------------------------------------
REQUEST_MODEL: Annotated[str, Meta(STRING, GENAI, "the model asked for, without the provider prefix")] = (
    "gen_ai.request.model"
)
REQUEST_TEMPERATURE: Annotated[str, Meta(DOUBLE, GENAI, "sampling temperature")] = "gen_ai.request.temperature"
REQUEST_TOP_P: Annotated[str, Meta(DOUBLE, GENAI, "nucleus sampling")] = "gen_ai.request.top_p"
REQUEST_TOP_K: Annotated[str, Meta(INT, GENAI, "top-k sampling")] = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS: Annotated[str, Meta(INT, GENAI, "limit of output tokens", "{token}")] = "gen_ai.request.max_tokens"
REQUEST_FREQUENCY_PENALTY: Annotated[str, Meta(DOUBLE, GENAI, "frequency penalty")] = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Annotated[str, Meta(DOUBLE, GENAI, "presence penalty")] = "gen_ai.request.presence_penalty"
REQUEST_STOP_SEQUENCES: Annotated[str, Meta(STRINGS, GENAI, "stop sequences")] = "gen_ai.request.stop_sequences"
REQUEST_SEED: Annotated[str, Meta(INT, GENAI, "seed")] = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT: Annotated[str, Meta(INT, GENAI, "number of candidates asked for, when not 1")] = (
    "gen_ai.request.choice.count"
)
REQUEST_REASONING_LEVEL: Annotated[str, Meta(STRING, GENAI, "reasoning effort asked for")] = (
    "gen_ai.request.reasoning.level"
)
REQUEST_STREAM: Annotated[str, Meta(BOOL, GENAI, "true when the answer is streamed; else absent")] = (
    "gen_ai.request.stream"
)
OUTPUT_TYPE: Annotated[str, Meta(STRING, GENAI, "json when a structured answer was asked for")] = "gen_ai.output.type"
PROMPT_NAME: Annotated[str, Meta(STRING, GENAI, "the signature that the prompt was made from")] = "gen_ai.prompt.name"

# The response ------------------------------------------------------------------------------------------------------
RESPONSE_ID: Annotated[str, Meta(STRING, GENAI, "the provider's id of the answer")] = "gen_ai.response.id"
RESPONSE_MODEL: Annotated[str, Meta(STRING, GENAI, "the model that answered")] = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Annotated[str, Meta(STRINGS, GENAI, "why each candidate ended")] = (
    "gen_ai.response.finish_reasons"
)
RESPONSE_TIME_TO_FIRST_CHUNK: Annotated[str, Meta(DOUBLE, GENAI, "until the first chunk of a stream", "s")] = (
    "gen_ai.response.time_to_first_chunk"
)
USAGE_INPUT_TOKENS: Annotated[str, Meta(INT, GENAI, "input tokens billed, cached ones included", "{token}")] = (
    "gen_ai.usage.input_tokens"
)
USAGE_OUTPUT_TOKENS: Annotated[str, Meta(INT, GENAI, "output tokens billed, reasoning included", "{token}")] = (
    "gen_ai.usage.output_tokens"
)
USAGE_CACHE_READ_TOKENS: Annotated[str, Meta(INT, GENAI, "of the input: read from the provider's cache", "{token}")] = (
    "gen_ai.usage.cache_read.input_tokens"
)
USAGE_CACHE_WRITE_TOKENS: Annotated[str, Meta(INT, GENAI, "of the input: written to that cache", "{token}")] = (
    "gen_ai.usage.cache_write.input_tokens"
)
USAGE_REASONING_TOKENS: Annotated[str, Meta(INT, GENAI, "of the output: reasoning", "{token}")] = (
    "gen_ai.usage.reasoning.output_tokens"
)
USAGE_AUDIO_INPUT_TOKENS: Annotated[str, Meta(INT, GENAI, "of the input: audio", "{token}")] = (
    "gen_ai.usage.audio.input_tokens"
)
USAGE_AUDIO_OUTPUT_TOKENS: Annotated[str, Meta(INT, GENAI, "of the output: audio", "{token}")] = (
    "gen_ai.usage.audio.output_tokens"
)
COST_AMOUNT: Annotated[str, Meta(DOUBLE, OWN, "cost of this call; absent when unknown, never 0 for unknown")] = (
    "lmspan.cost.amount"
)
COST_UNIT: Annotated[str, Meta(STRING, OWN, "currency of the cost")] = "lmspan.cost.unit"
COST_SOURCE: Annotated[str, Meta(STRING, OWN, "who computed the cost, and from which prices")] = "lmspan.cost.source"
COST_UNKNOWN_REASON: Annotated[str, Meta(STRING, OWN, "why there is no cost")] = "lmspan.cost.unknown_reason"
CACHE_HIT: Annotated[str, Meta(BOOL, OWN, "true when the program's own cache answered: no usage, no cost")] = (
    "lmspan.lm.cache.hit"
)
ATTEMPT_COUNT: Annotated[str, Meta(INT, OWN, "requests that this call needed, when more than one")] = (
    "lmspan.lm.attempt_count"
)
CACHE_SAVED_TOKENS: Annotated[str, Meta(INT, OWN, "tokens that a cache hit did not spend again", "{token}")] = (
    "lmspan.lm.cache.saved_tokens"
)
STREAM_CHUNK_COUNT: Annotated[str, Meta(INT, OWN, "chunks of the streamed answer")] = "lmspan.stream.chunk_count"
