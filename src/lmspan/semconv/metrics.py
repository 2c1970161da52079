"""Metrics, and the attributes that only metrics carry."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv.naming import STRING, attribute, metric

TOKEN_TYPE: Final = attribute("gen_ai.token.type", STRING, "input or output; on the token metric only")
REASON: Final = attribute("lmspan.reason", STRING, "reason for dropped spans; on their counter only")

METRIC_OPERATION_DURATION: Final = metric("gen_ai.client.operation.duration", "s", "duration of a model call; calls that a cache answered are left out")
METRIC_TOKEN_USAGE: Final = metric("gen_ai.client.token.usage", "{token}", "tokens of a model call, input and output")
METRIC_TIME_TO_FIRST_CHUNK: Final = metric("gen_ai.client.operation.time_to_first_chunk", "s", "time until the first chunk of a streamed call")
METRIC_TIME_PER_CHUNK: Final = metric("gen_ai.client.operation.time_per_output_chunk", "s", "time of each later chunk of a streamed call")
METRIC_AGENT_DURATION: Final = metric("gen_ai.invoke_agent.duration", "s", "duration of an agent")
METRIC_AGENT_INFERENCE_CALLS: Final = metric("gen_ai.invoke_agent.inference_calls", "{inference_call}", "model calls of an agent")
METRIC_AGENT_TOOL_CALLS: Final = metric("gen_ai.invoke_agent.tool_calls", "{tool_call}", "tool calls of an agent")
METRIC_TOOL_DURATION: Final = metric("gen_ai.execute_tool.duration", "s", "duration of a tool call")
METRIC_WORKFLOW_DURATION: Final = metric("gen_ai.invoke_workflow.duration", "s", "duration of a workflow")
METRIC_MODULE_DURATION: Final = metric("lmspan.module.duration", "s", "duration of a module")
METRIC_RUNS: Final = metric("lmspan.runs", "{run}", "ended outermost operations; failed ones with their error")
METRIC_COST: Final = metric("lmspan.cost", "USD", "cost of model calls, as far as prices are known")
METRIC_CACHE_REQUESTS: Final = metric("lmspan.lm.cache.requests", "{request}", "model calls, by cache hit or miss")
METRIC_EVALUATION_SCORE: Final = metric("lmspan.evaluation.score", "", "last score of an evaluation")
METRIC_OPTIMIZER_SCORE: Final = metric("lmspan.optimizer.score", "", "best score of an optimizer's last run")
METRIC_MISSING_ENDS: Final = metric("lmspan.end.missing", "{call}", "calls whose end the program did not report")
METRIC_DROPPED: Final = metric("lmspan.dropped", "{span}", "spans that could not be delivered, by the reason")
METRIC_FAILURES: Final = metric("lmspan.failures", "{failure}", "failures of lmspan itself, or of callbacks")
