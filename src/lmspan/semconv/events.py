"""Names of events, what they carry, and names of metrics."""

from __future__ import annotations

from typing import Annotated, Final

from lmspan.semconv.naming import DOUBLE, GENAI, INT, OTEL, OWN, STRING, Meta

# Events' own attributes --------------------------------------------------------------------------------------------
RETRY_ATTEMPT: Annotated[str, Meta(INT, OWN, "the attempt that failed, from 1")] = "lmspan.lm.retry.attempt"
RETRY_DELAY: Annotated[str, Meta(DOUBLE, OWN, "wait before the next attempt; absent when there is none", "s")] = (
    "lmspan.lm.retry.delay_s"
)
EXCEPTION_TYPE: Annotated[str, Meta(STRING, OTEL, "class of the exception")] = "exception.type"
EXCEPTION_MESSAGE: Annotated[str, Meta(STRING, OTEL, "its message", content=True)] = "exception.message"
EXCEPTION_STACKTRACE: Annotated[str, Meta(STRING, OTEL, "its traceback", content=True)] = "exception.stacktrace"
ADAPTATION_FIELD: Annotated[str, Meta(STRING, OWN, "what the request asked that was sent otherwise")] = (
    "lmspan.lm.adaptation.field"
)
ADAPTATION_ACTION: Annotated[str, Meta(STRING, OWN, "what was done about it")] = "lmspan.lm.adaptation.action"
ADAPTATION_REASON: Annotated[str, Meta(STRING, OWN, "why")] = "lmspan.lm.adaptation.reason"
ASSERTION_SEVERITY: Annotated[str, Meta(STRING, OWN, "of an assertion that does not hold: hard or soft")] = (
    "lmspan.assertion.severity"
)
STDERR_LENGTH: Annotated[str, Meta(INT, OWN, "characters written")] = "lmspan.stderr.length"
STDERR_TEXT: Annotated[str, Meta(STRING, OWN, "what was written", content=True)] = "lmspan.stderr.text"
EVENT_PREFIX = "lmspan.event."  # attributes of an event that has no names of its own

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
EVENT_ASSERTION = "lmspan.assertion"
EVENT_TRACE_COMPLETE = "lmspan.trace.complete"

# Metrics -----------------------------------------------------------------------------------------------------------
TOKEN_TYPE: Annotated[str, Meta(STRING, GENAI, "input or output; on the token metric only")] = "gen_ai.token.type"  # noqa: S105
METRIC_OPERATION_DURATION = "gen_ai.client.operation.duration"
METRIC_TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - a metric's name
METRIC_TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
METRIC_TIME_PER_CHUNK = "gen_ai.client.operation.time_per_output_chunk"
METRIC_AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls"
METRIC_AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls"
METRIC_TOOL_DURATION = "gen_ai.execute_tool.duration"
METRIC_AGENT_DURATION = "gen_ai.invoke_agent.duration"
METRIC_WORKFLOW_DURATION = "gen_ai.invoke_workflow.duration"
METRIC_MODULE_DURATION = "lmspan.module.duration"
METRIC_EVALUATION_SCORE = "lmspan.evaluation.score"
METRIC_OPTIMIZER_SCORE = "lmspan.optimizer.score"
METRIC_RUNS = "lmspan.runs"
METRIC_COST = "lmspan.cost"
METRIC_CACHE_REQUESTS = "lmspan.lm.cache.requests"
METRIC_FAILURES = "lmspan.failures"
METRIC_DROPPED = "lmspan.dropped"
METRIC_MISSING_ENDS = "lmspan.end.missing"
REASON: Annotated[str, Meta(STRING, OWN, "why spans were dropped; on the counter only")] = "lmspan.reason"

METRICS: Final[dict[str, tuple[str, str]]] = {
    # name -> its unit, what it measures
    METRIC_OPERATION_DURATION: ("s", "how long a model call took, without those that a cache answered"),
    METRIC_TOKEN_USAGE: ("{token}", "tokens of a model call, input and output"),
    METRIC_TIME_TO_FIRST_CHUNK: ("s", "of a streamed call"),
    METRIC_TIME_PER_CHUNK: ("s", "of a streamed call, after its first chunk"),
    METRIC_AGENT_DURATION: ("s", "how long an agent took"),
    METRIC_AGENT_INFERENCE_CALLS: ("{inference_call}", "model calls of an agent"),
    METRIC_AGENT_TOOL_CALLS: ("{tool_call}", "tool calls of an agent"),
    METRIC_TOOL_DURATION: ("s", "how long a tool took"),
    METRIC_WORKFLOW_DURATION: ("s", "how long a workflow took"),
    METRIC_MODULE_DURATION: ("s", "how long a module took"),
    METRIC_RUNS: ("{run}", "outermost operations that have ended, with the error of those that failed"),
    METRIC_COST: ("USD", "what model calls cost, as far as prices are known"),
    METRIC_CACHE_REQUESTS: ("{request}", "model calls, by whether a cache answered"),
    METRIC_EVALUATION_SCORE: ("", "the last score of an evaluation"),
    METRIC_OPTIMIZER_SCORE: ("", "the best score of an optimizer's last run"),
    METRIC_MISSING_ENDS: ("{call}", "calls that somebody else had to end"),
    METRIC_DROPPED: ("{span}", "spans that could not be delivered, by the reason"),
    METRIC_FAILURES: ("{failure}", "how often lmspan itself, or a callback, has failed"),
}

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
