"""Attributes of model calls: the operation, the request, the response, its usage and its cost."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv.naming import BOOL, DOUBLE, INT, STRING, STRINGS, attribute

# The operation and its server --------------------------------------------------------------------------------------
OPERATION_NAME: Final = attribute("gen_ai.operation.name", STRING, "chat, text_completion, embeddings, execute_tool, ...")
PROVIDER_NAME: Final = attribute("gen_ai.provider.name", STRING, "well-known name of the model's provider")
AGENT_NAME: Final = attribute("gen_ai.agent.name", STRING, "the agent's name")
WORKFLOW_NAME: Final = attribute("gen_ai.workflow.name", STRING, "class name of the program")
CONVERSATION_COMPACTED: Final = attribute("gen_ai.conversation.compacted", BOOL, "true when the history was shortened before this request")
SERVER_ADDRESS: Final = attribute("server.address", STRING, "host of the model server")
SERVER_PORT: Final = attribute("server.port", INT, "port of the model server")
ERROR_TYPE: Final = attribute("error.type", STRING, "class of the error that ended the operation; present exactly when the status is ERROR")

# The request -------------------------------------------------------------------------------------------------------
REQUEST_MODEL: Final = attribute("gen_ai.request.model", STRING, "the requested model, without the provider's prefix")
REQUEST_TEMPERATURE: Final = attribute("gen_ai.request.temperature", DOUBLE, "sampling temperature")
REQUEST_TOP_P: Final = attribute("gen_ai.request.top_p", DOUBLE, "nucleus sampling")
REQUEST_TOP_K: Final = attribute("gen_ai.request.top_k", INT, "top-k sampling")
REQUEST_MAX_TOKENS: Final = attribute("gen_ai.request.max_tokens", INT, "limit of output tokens", "{token}")
REQUEST_FREQUENCY_PENALTY: Final = attribute("gen_ai.request.frequency_penalty", DOUBLE, "frequency penalty")
REQUEST_PRESENCE_PENALTY: Final = attribute("gen_ai.request.presence_penalty", DOUBLE, "presence penalty")
REQUEST_STOP_SEQUENCES: Final = attribute("gen_ai.request.stop_sequences", STRINGS, "stop sequences")
REQUEST_SEED: Final = attribute("gen_ai.request.seed", INT, "seed")
REQUEST_CHOICE_COUNT: Final = attribute("gen_ai.request.choice.count", INT, "number of requested candidates, when not 1")
REQUEST_REASONING_LEVEL: Final = attribute("gen_ai.request.reasoning.level", STRING, "requested reasoning effort")
REQUEST_STREAM: Final = attribute("gen_ai.request.stream", BOOL, "true when the response is streamed, otherwise absent")
OUTPUT_TYPE: Final = attribute("gen_ai.output.type", STRING, "json when the request asks for structured output")
PROMPT_NAME: Final = attribute("gen_ai.prompt.name", STRING, "the signature that the prompt comes from: its name, or its fields if it is written as a string")

# The response ------------------------------------------------------------------------------------------------------
RESPONSE_ID: Final = attribute("gen_ai.response.id", STRING, "the provider's id of the response")
RESPONSE_MODEL: Final = attribute("gen_ai.response.model", STRING, "the model that generated the response")
RESPONSE_FINISH_REASONS: Final = attribute("gen_ai.response.finish_reasons", STRINGS, "the reason for the end of each candidate")
RESPONSE_TIME_TO_FIRST_CHUNK: Final = attribute("gen_ai.response.time_to_first_chunk", DOUBLE, "time until the first chunk of a stream", "s")
USAGE_INPUT_TOKENS: Final = attribute("gen_ai.usage.input_tokens", INT, "billed input tokens, cached ones included", "{token}")
USAGE_OUTPUT_TOKENS: Final = attribute("gen_ai.usage.output_tokens", INT, "billed output tokens, reasoning included", "{token}")
USAGE_CACHE_READ_TOKENS: Final = attribute("gen_ai.usage.cache_read.input_tokens", INT, "input tokens read from the provider's cache", "{token}")
USAGE_CACHE_WRITE_TOKENS: Final = attribute("gen_ai.usage.cache_write.input_tokens", INT, "input tokens written to the provider's cache", "{token}")
USAGE_REASONING_TOKENS: Final = attribute("gen_ai.usage.reasoning.output_tokens", INT, "output tokens of reasoning", "{token}")
USAGE_AUDIO_INPUT_TOKENS: Final = attribute("gen_ai.usage.audio.input_tokens", INT, "input tokens of audio", "{token}")
USAGE_AUDIO_OUTPUT_TOKENS: Final = attribute("gen_ai.usage.audio.output_tokens", INT, "output tokens of audio", "{token}")
COST_AMOUNT: Final = attribute("lmspan.cost.amount", DOUBLE, "cost of this call; absent when unknown, never 0 for unknown")
COST_UNIT: Final = attribute("lmspan.cost.unit", STRING, "currency of the cost")
COST_SOURCE: Final = attribute("lmspan.cost.source", STRING, "the library that computed the cost, and its price list")
COST_UNKNOWN_REASON: Final = attribute("lmspan.cost.unknown_reason", STRING, "the reason for an unknown cost")
CACHE_HIT: Final = attribute("lmspan.lm.cache.hit", BOOL, "true when the program's own cache answered: no usage, no cost")
ATTEMPT_COUNT: Final = attribute("lmspan.lm.attempt_count", INT, "number of requests that this call needed, when more than one")
CACHE_SAVED_TOKENS: Final = attribute("lmspan.lm.cache.saved_tokens", INT, "tokens that a cache hit did not spend again", "{token}")
STREAM_CHUNK_COUNT: Final = attribute("lmspan.stream.chunk_count", INT, "number of chunks of the streamed response")

UNKNOWN_PROVIDER: Final = "custom"
"""The provider of a model that the program does not name."""

PROVIDER_NAMES: Final = {
    # prefix of a model -> gen_ai.provider.name, where they differ
    "anthropic_text": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "ollama_chat": "ollama",
    "text-completion-openai": "openai",
    "vertex": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}

GEMINI_PROVIDERS: Final = ("gcp.gemini", "gcp.vertex_ai")


def operation_of(provider: str, model: str) -> str:
    """Return the GenAI operation of a request to a model: Gemini's own API has one of its own."""
    is_gemini = provider == "gcp.gemini" or (provider in GEMINI_PROVIDERS and model.startswith("gemini"))
    return "generate_content" if is_gemini else "chat"
