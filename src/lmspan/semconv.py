"""Every attribute, event and metric name that lmspan emits, once: its type, its unit and where it comes from.

`gen_ai.*` names follow the OpenTelemetry GenAI conventions (status: Development) as of October 2026; names of our own
are under `lmspan.*` and never under another's namespace. Each constant is a plain `str`; what it means is in its
annotation, which `table()` reads for the tests and for the reference page.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, get_type_hints

STRING, INT, DOUBLE, BOOL, STRINGS, JSON = "string", "int", "double", "boolean", "string[]", "string (JSON)"

GENAI = "GenAI conventions"
OTEL = "OpenTelemetry conventions"
OPENINFERENCE = "OpenInference"
OWN = "lmspan"


@dataclass(frozen=True)
class Meta:
    """What a name stands for. `content` marks what is only recorded when content is captured."""

    type: str
    source: str
    brief: str
    unit: str = ""
    content: bool = False


@dataclass(frozen=True)
class Entry:
    """One row of the table: the name with its meaning."""

    name: str
    meta: Meta


def table() -> dict[str, Entry]:
    """Return every name of this module with its meaning, keyed by name, in the order they are written here."""
    module = sys.modules[__name__]
    entries = {}
    for constant, hint in get_type_hints(module, include_extras=True).items():
        meta = next((each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Meta)), None)
        if meta is not None:
            name = getattr(module, constant)
            entries[name] = Entry(name, meta)
    return entries


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
STREAM_CHUNK_COUNT: Annotated[str, Meta(INT, OWN, "chunks of the streamed answer")] = "lmspan.stream.chunk_count"

# Tools, retrieval, embeddings --------------------------------------------------------------------------------------
TOOL_NAME: Annotated[str, Meta(STRING, GENAI, "the tool's name")] = "gen_ai.tool.name"
TOOL_TYPE: Annotated[str, Meta(STRING, GENAI, "function, extension or datastore")] = "gen_ai.tool.type"
TOOL_DESCRIPTION: Annotated[str, Meta(STRING, GENAI, "what the tool says of itself")] = "gen_ai.tool.description"
TOOL_CALL_ID: Annotated[str, Meta(STRING, GENAI, "the id that the model gave the tool call")] = "gen_ai.tool.call.id"
TOOL_CALLER: Annotated[str, Meta(STRING, OWN, "interpreter, when generated code called the tool")] = (
    "lmspan.tool.caller"
)
TOOL_SENTINEL: Annotated[str, Meta(BOOL, OWN, "true for the tool by which an agent says that it is done")] = (
    "lmspan.tool.sentinel"
)
RETRIEVAL_TOP_K: Annotated[str, Meta(INT, GENAI, "documents asked for")] = "gen_ai.retrieval.top_k"
DATA_SOURCE_ID: Annotated[str, Meta(STRING, GENAI, "what is searched")] = "gen_ai.data_source.id"
EMBEDDINGS_DIMENSION_COUNT: Annotated[str, Meta(INT, GENAI, "dimensions of an embedding")] = (
    "gen_ai.embeddings.dimension.count"
)

# The program's own structure ---------------------------------------------------------------------------------------
CALL_ID: Annotated[str, Meta(STRING, OWN, "the call id: the program's own, else the span id")] = "lmspan.call.id"
CALL_PARENT_ID: Annotated[str, Meta(STRING, OWN, "the call id of the parent")] = "lmspan.call.parent_id"
SOURCE: Annotated[str, Meta(STRING, OWN, "dspy, logillm, llmproc, python, ...")] = "lmspan.source"
END_MISSING: Annotated[str, Meta(BOOL, OWN, "true when nobody announced the end")] = "lmspan.end.missing"
MODULE_NAME: Annotated[str, Meta(STRING, OWN, "the module's class")] = "lmspan.module.name"
MODULE_PATH: Annotated[str, Meta(STRING, OWN, "where the module sits in its program")] = "lmspan.module.path"
SIGNATURE_NAME: Annotated[str, Meta(STRING, OWN, "the signature's name")] = "lmspan.signature.name"
SIGNATURE_INPUT_FIELDS: Annotated[str, Meta(STRINGS, OWN, "its input fields")] = "lmspan.signature.input_fields"
SIGNATURE_OUTPUT_FIELDS: Annotated[str, Meta(STRINGS, OWN, "its output fields")] = "lmspan.signature.output_fields"
ADAPTER_NAME: Annotated[str, Meta(STRING, OWN, "the adapter's class")] = "lmspan.adapter.name"
ADAPTER_PHASE: Annotated[str, Meta(STRING, OWN, "format or parse")] = "lmspan.adapter.phase"
ADAPTER_ATTEMPT: Annotated[str, Meta(INT, OWN, "1 for the first format-call-parse of a predictor, 2 for a re-ask")] = (
    "lmspan.adapter.attempt"
)
ADAPTER_MESSAGE_COUNT: Annotated[str, Meta(INT, OWN, "messages that format made")] = "lmspan.adapter.message_count"
ADAPTER_DEMO_COUNT: Annotated[str, Meta(INT, OWN, "demonstrations in the prompt")] = "lmspan.adapter.demo_count"
ADAPTER_RESPONSE_LENGTH: Annotated[str, Meta(INT, OWN, "characters that parse was given")] = (
    "lmspan.adapter.response_length"
)
ADAPTER_FALLBACK: Annotated[str, Meta(STRING, OWN, "the adapter that takes over after a parse failure")] = (
    "lmspan.adapter.fallback"
)
TURN_INDEX: Annotated[str, Meta(INT, OWN, "which iteration of an agent's loop, from 0")] = "lmspan.turn.index"
TURN_TOOL_COUNT: Annotated[str, Meta(INT, OWN, "tools called in the turn")] = "lmspan.turn.tool_count"
INTERPRETER_NAME: Annotated[str, Meta(STRING, OWN, "the interpreter's class")] = "lmspan.interpreter.name"
INTERPRETER_LANGUAGE: Annotated[str, Meta(STRING, OWN, "the language it runs")] = "lmspan.interpreter.language"
INTERPRETER_CODE_LENGTH: Annotated[str, Meta(INT, OWN, "characters of the code")] = "lmspan.interpreter.code_length"

# Evaluation and optimization ---------------------------------------------------------------------------------------
EVALUATION_NAME: Annotated[str, Meta(STRING, GENAI, "the metric's name")] = "gen_ai.evaluation.name"
EVALUATION_SCORE: Annotated[str, Meta(DOUBLE, GENAI, "the score")] = "gen_ai.evaluation.score.value"
EVALUATION_EXAMPLE_COUNT: Annotated[str, Meta(INT, OWN, "examples evaluated")] = "lmspan.evaluation.example_count"
EVALUATION_NUM_THREADS: Annotated[str, Meta(INT, OWN, "threads asked for")] = "lmspan.evaluation.num_threads"
EVALUATION_FAILURE_COUNT: Annotated[str, Meta(INT, OWN, "examples whose program or metric raised")] = (
    "lmspan.evaluation.failure_count"
)
EVALUATION_SCOPE: Annotated[str, Meta(STRING, OWN, "dataset or example")] = "lmspan.evaluation.scope"
EVALUATION_METADATA: Annotated[str, Meta(JSON, OWN, "what the caller said of this evaluation")] = (
    "lmspan.evaluation.metadata"
)
OPTIMIZER_NAME: Annotated[str, Meta(STRING, OWN, "the optimizer's class")] = "lmspan.optimizer.name"
OPTIMIZER_DATASET_SIZE: Annotated[str, Meta(INT, OWN, "examples to train on")] = "lmspan.optimizer.dataset.size"
OPTIMIZER_VALSET_SIZE: Annotated[str, Meta(INT, OWN, "examples to validate on")] = "lmspan.optimizer.valset.size"
OPTIMIZER_BEST_SCORE: Annotated[str, Meta(DOUBLE, OWN, "the score of the program that came out")] = (
    "lmspan.optimizer.best_score"
)
CANDIDATE_ID: Annotated[str, Meta(STRING, OWN, "the candidate")] = "lmspan.optimizer.candidate.id"
CANDIDATE_INDEX: Annotated[str, Meta(INT, OWN, "its number in the run")] = "lmspan.optimizer.candidate.index"
CANDIDATE_SCORE: Annotated[str, Meta(DOUBLE, OWN, "its score")] = "lmspan.optimizer.candidate.score"

# Events' own attributes --------------------------------------------------------------------------------------------
RETRY_ATTEMPT: Annotated[str, Meta(INT, OWN, "the attempt that failed, from 1")] = "lmspan.lm.retry.attempt"
RETRY_DELAY: Annotated[str, Meta(DOUBLE, OWN, "wait before the next attempt; absent when there is none", "s")] = (
    "lmspan.lm.retry.delay_s"
)
EXCEPTION_TYPE: Annotated[str, Meta(STRING, OTEL, "class of the exception")] = "exception.type"
EXCEPTION_MESSAGE: Annotated[str, Meta(STRING, OTEL, "its message, where it may be told")] = "exception.message"
EXCEPTION_STACKTRACE: Annotated[str, Meta(STRING, OTEL, "its traceback, where it may be told")] = "exception.stacktrace"
ADAPTATION_FIELD: Annotated[str, Meta(STRING, OWN, "what the request asked that was sent otherwise")] = (
    "lmspan.lm.adaptation.field"
)
ADAPTATION_ACTION: Annotated[str, Meta(STRING, OWN, "what was done about it")] = "lmspan.lm.adaptation.action"
ADAPTATION_REASON: Annotated[str, Meta(STRING, OWN, "why")] = "lmspan.lm.adaptation.reason"
EVENT_PREFIX = "lmspan.event."  # attributes of an event that has no names of its own

# Content: only as the content rule allows --------------------------------------------------------------------------
INPUT_MESSAGES: Annotated[str, Meta(JSON, GENAI, "the messages sent", content=True)] = "gen_ai.input.messages"
OUTPUT_MESSAGES: Annotated[str, Meta(JSON, GENAI, "the messages received", content=True)] = "gen_ai.output.messages"
TOOL_DEFINITIONS: Annotated[str, Meta(JSON, GENAI, "the tools offered", content=True)] = "gen_ai.tool.definitions"
TOOL_CALL_ARGUMENTS: Annotated[str, Meta(JSON, GENAI, "what the tool was called with", content=True)] = (
    "gen_ai.tool.call.arguments"
)
TOOL_CALL_RESULT: Annotated[str, Meta(JSON, GENAI, "what it returned, as an object", content=True)] = (
    "gen_ai.tool.call.result"
)
RETRIEVAL_QUERY: Annotated[str, Meta(STRING, GENAI, "what was searched for", content=True)] = (
    "gen_ai.retrieval.query.text"
)
MODULE_INPUTS: Annotated[str, Meta(JSON, OWN, "the module's inputs", content=True)] = "lmspan.module.inputs"
MODULE_OUTPUTS: Annotated[str, Meta(JSON, OWN, "the module's outputs", content=True)] = "lmspan.module.outputs"
OPERATION_INPUTS: Annotated[str, Meta(JSON, OWN, "inputs of any other operation", content=True)] = (
    "lmspan.operation.inputs"
)
OPERATION_OUTPUTS: Annotated[str, Meta(JSON, OWN, "outputs of any other operation", content=True)] = (
    "lmspan.operation.outputs"
)
INTERPRETER_CODE: Annotated[str, Meta(STRING, OWN, "the code run", content=True)] = "lmspan.interpreter.code"
INTERPRETER_OUTPUT: Annotated[str, Meta(JSON, OWN, "what it printed or returned", content=True)] = (
    "lmspan.interpreter.output"
)

# OpenInference, only with openinference=True -----------------------------------------------------------------------
OI_SPAN_KIND: Annotated[str, Meta(STRING, OPENINFERENCE, "LLM, CHAIN, TOOL, AGENT, ...")] = "openinference.span.kind"
OI_INPUT: Annotated[str, Meta(STRING, OPENINFERENCE, "the input", content=True)] = "input.value"
OI_INPUT_MIME: Annotated[str, Meta(STRING, OPENINFERENCE, "its type", content=True)] = "input.mime_type"
OI_OUTPUT: Annotated[str, Meta(STRING, OPENINFERENCE, "the output", content=True)] = "output.value"
OI_OUTPUT_MIME: Annotated[str, Meta(STRING, OPENINFERENCE, "its type", content=True)] = "output.mime_type"
SESSION_ID: Annotated[str, Meta(STRING, OTEL, "the session that the application named")] = "session.id"

# Events; attributes are above -----------------------------------------------------------------------------------
EVENT_RETRY = "lmspan.lm.retry"
EVENT_EXCEPTION = "exception"
EVENT_INFERENCE_EXCEPTION = "gen_ai.client.operation.exception"
EVENT_INFERENCE_DETAILS = "gen_ai.client.inference.operation.details"
EVENT_EVALUATION_RESULT = "gen_ai.evaluation.result"
EVENT_PARSE_FALLBACK = "lmspan.adapter.fallback"
EVENT_ADAPTATION = "lmspan.lm.adaptation"
EVENT_HYPERPARAMETER_UPDATE = "lmspan.optimizer.hyperparameter.update"
EVENT_OPTIMIZER_CANDIDATE = "lmspan.optimizer.candidate"
EVENT_STDERR_WRITE = "lmspan.stderr.write"
EVENT_TRACE_COMPLETE = "lmspan.trace.complete"

# Metrics -----------------------------------------------------------------------------------------------------------
TOKEN_TYPE: Annotated[str, Meta(STRING, GENAI, "input or output; on the token metric only")] = "gen_ai.token.type"  # noqa: S105
METRIC_OPERATION_DURATION = "gen_ai.client.operation.duration"
METRIC_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - a metric's name
METRIC_TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
METRIC_TOOL_DURATION = "gen_ai.execute_tool.duration"
METRIC_AGENT_DURATION = "gen_ai.invoke_agent.duration"
METRIC_WORKFLOW_DURATION = "gen_ai.invoke_workflow.duration"
METRIC_MODULE_DURATION = "lmspan.module.duration"
METRIC_COST = "lmspan.cost"
METRIC_CACHE_REQUESTS = "lmspan.lm.cache.requests"
METRIC_DROPPED = "lmspan.dropped"
METRIC_MISSING_ENDS = "lmspan.end.missing"
REASON: Annotated[str, Meta(STRING, OWN, "why something was dropped; on the counter only")] = "lmspan.reason"

PROVIDER_NAMES = {
    # model prefix -> gen_ai.provider.name, where they differ
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
