"""Names on the program's own operations: tools, modules, agents, evaluations, optimizers, and sums of them."""

from __future__ import annotations

from typing import Annotated

from lmspan.semconv.naming import BOOL, DOUBLE, GENAI, INT, INTS, JSON, MCP, OWN, SCALAR, STRING, STRINGS, Meta

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
TOOL_ALIAS_OF: Annotated[str, Meta(STRING, OWN, "the tool's own name, where the model knows it by an alias")] = (
    "lmspan.tool.alias_of"
)
TOOL_ABORTS: Annotated[str, Meta(BOOL, OWN, "true when the tool asks that the rest of the answer be left")] = (
    "lmspan.tool.aborts"
)
MCP_METHOD: Annotated[str, Meta(STRING, MCP, "tools/call, on a tool that an MCP server runs")] = "mcp.method.name"
MCP_PROTOCOL_VERSION: Annotated[str, Meta(STRING, MCP, "the version that was agreed on")] = "mcp.protocol.version"
RETRIEVAL_TOP_K: Annotated[str, Meta(INT, GENAI, "documents asked for")] = "gen_ai.retrieval.top_k"
DATA_SOURCE_ID: Annotated[str, Meta(STRING, GENAI, "what is searched")] = "gen_ai.data_source.id"
RETRIEVAL_DOCUMENT_COUNT: Annotated[str, Meta(INT, OWN, "documents found")] = "lmspan.retrieval.document_count"
EMBEDDING_INPUT_COUNT: Annotated[str, Meta(INT, OWN, "texts embedded")] = "lmspan.embedding.input_count"
EMBEDDINGS_DIMENSION_COUNT: Annotated[str, Meta(INT, GENAI, "dimensions of an embedding")] = (
    "gen_ai.embeddings.dimension.count"
)

# The program's own structure ---------------------------------------------------------------------------------------
CALL_ID: Annotated[str, Meta(STRING, OWN, "the call id: the program's own, else the span id")] = "lmspan.call.id"
CALL_PARENT_ID: Annotated[str, Meta(STRING, OWN, "the call id of the parent")] = "lmspan.call.parent_id"
SOURCE: Annotated[str, Meta(STRING, OWN, "dspy, logillm, llmproc, python, ...")] = "lmspan.source"
ORPHAN: Annotated[str, Meta(BOOL, OWN, "true when nobody knows the parent that it names")] = "lmspan.orphan"
STOP_REASON: Annotated[str, Meta(STRING, OWN, "on the outermost operation: why a callback stopped the run")] = (
    "lmspan.stop.reason"
)
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
AGENT_MAX_ITERATIONS: Annotated[str, Meta(INT, OWN, "turns that the run may take")] = "lmspan.agent.max_iterations"
AGENT_ACCESS_LEVEL: Annotated[str, Meta(STRING, OWN, "what the process's tools may do: read, write or admin")] = (
    "lmspan.agent.access_level"
)
LINK_TYPE: Annotated[str, Meta(STRING, OWN, "on a link: fork")] = "lmspan.link.type"
AGENT_FORKED_FROM: Annotated[str, Meta(STRING, OWN, "call id of the run whose history a forked process has")] = (
    "lmspan.agent.forked_from"
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
EVALUATION_LABEL: Annotated[str, Meta(STRING, GENAI, "failed, when the program or the metric raised")] = (
    "gen_ai.evaluation.score.label"
)
EXAMPLE_INDEX: Annotated[str, Meta(INT, OWN, "which example of the data set, from 0")] = (
    "lmspan.evaluation.example.index"
)
EVALUATION_SCOPE: Annotated[str, Meta(STRING, OWN, "dataset or example")] = "lmspan.evaluation.scope"
EVALUATION_METADATA: Annotated[str, Meta(JSON, OWN, "the metadata that the caller gave", content=True)] = (
    "lmspan.evaluation.metadata"
)
OPTIMIZER_NAME: Annotated[str, Meta(STRING, OWN, "the optimizer's class")] = "lmspan.optimizer.name"
OPTIMIZER_DATASET_SIZE: Annotated[str, Meta(INT, OWN, "examples to train on")] = "lmspan.optimizer.dataset.size"
OPTIMIZER_VALSET_SIZE: Annotated[str, Meta(INT, OWN, "examples to validate on")] = "lmspan.optimizer.valset.size"
OPTIMIZER_FIRST_SCORE: Annotated[
    str, Meta(DOUBLE, OWN, "the student's score, else the first of a whole evaluation")
] = "lmspan.optimizer.first_score"
OPTIMIZER_BEST_SCORE: Annotated[str, Meta(DOUBLE, OWN, "the best score of a whole evaluation")] = (
    "lmspan.optimizer.best_score"
)
OPTIMIZER_IMPROVEMENT: Annotated[str, Meta(DOUBLE, OWN, "best score less first score")] = "lmspan.optimizer.improvement"
OPTIMIZER_CANDIDATE_COUNT: Annotated[str, Meta(INT, OWN, "different programs that were evaluated")] = (
    "lmspan.optimizer.candidate_count"
)
OPTIMIZER_STRATEGY: Annotated[str, Meta(STRING, OWN, "how it searches, in its own word")] = "lmspan.optimizer.strategy"
OPTIMIZER_ITERATIONS: Annotated[str, Meta(INT, OWN, "iterations, as the optimizer counts them")] = (
    "lmspan.optimizer.iterations"
)
CANDIDATE_ID: Annotated[str, Meta(STRING, OWN, "digest of its instructions, fields, demonstrations, models")] = (
    "lmspan.optimizer.candidate.id"
)
CANDIDATE_INDEX: Annotated[str, Meta(INT, OWN, "its number in the run, the optimizer's own if it has one, from 0")] = (
    "lmspan.optimizer.candidate.index"
)
CANDIDATE_STEP: Annotated[str, Meta(INT, OWN, "the optimizer's step or iteration, from 0")] = (
    "lmspan.optimizer.candidate.step"
)
CANDIDATE_SEED: Annotated[str, Meta(INT, OWN, "the seed of a random search; below 0 are its three fixed programs")] = (
    "lmspan.optimizer.candidate.seed"
)
HYPERPARAMETER: Annotated[str, Meta(SCALAR, OWN, "what the optimizer chose for the candidate, by name")] = (
    "lmspan.optimizer.hyperparameter."
)
CANDIDATE_PARENT_IDS: Annotated[str, Meta(STRINGS, OWN, "the candidates that it was made from")] = (
    "lmspan.optimizer.candidate.parent_ids"
)
CANDIDATE_SCORE: Annotated[str, Meta(DOUBLE, OWN, "its score")] = "lmspan.optimizer.candidate.score"
CANDIDATE_METRICS: Annotated[str, Meta(DOUBLE, OWN, "mean of each other number that the metric gave")] = (
    "lmspan.optimizer.candidate.metrics."
)
CANDIDATE_SCOPE: Annotated[str, Meta(STRING, OWN, "full, or minibatch when evaluated on a part of the data")] = (
    "lmspan.optimizer.candidate.scope"
)
CANDIDATE_ACCEPTED: Annotated[str, Meta(BOOL, OWN, "kept by GEPA, else the best so far; absent on a minibatch")] = (
    "lmspan.optimizer.candidate.accepted"
)
CANDIDATE_REASON: Annotated[str, Meta(STRING, OWN, "why it was not kept, in the optimizer's words")] = (
    "lmspan.optimizer.candidate.reason"
)
CANDIDATE_CHANGED: Annotated[str, Meta(STRINGS, OWN, "what differs from its parent, or from the student")] = (
    "lmspan.optimizer.candidate.changed"
)
CANDIDATE_PREDICTORS: Annotated[str, Meta(STRINGS, OWN, "its predictors; the next four are in this order")] = (
    "lmspan.optimizer.candidate.predictors"
)
CANDIDATE_INSTRUCTIONS_HASHES: Annotated[str, Meta(STRINGS, OWN, "digests of their instructions")] = (
    "lmspan.optimizer.candidate.instructions.hashes"
)
CANDIDATE_INSTRUCTIONS_LENGTHS: Annotated[str, Meta(INTS, OWN, "characters of their instructions")] = (
    "lmspan.optimizer.candidate.instructions.lengths"
)
CANDIDATE_DEMOS_HASHES: Annotated[str, Meta(STRINGS, OWN, "digests of their demonstrations")] = (
    "lmspan.optimizer.candidate.demos.hashes"
)
CANDIDATE_DEMOS_COUNTS: Annotated[str, Meta(INTS, OWN, "how many demonstrations they have")] = (
    "lmspan.optimizer.candidate.demos.counts"
)

# Totals of an operation and all below it; on the outermost of a trace, and on agents, evaluations, optimizers ----
TOTAL_NODES: Annotated[str, Meta(INT, OWN, "operations; on the outermost of a trace only")] = "lmspan.total.nodes"
TOTAL_LLM_CALLS: Annotated[str, Meta(INT, OWN, "LM calls, cache hits included")] = "lmspan.total.llm_calls"
TOTAL_EMBEDDING_CALLS: Annotated[str, Meta(INT, OWN, "embedding calls")] = "lmspan.total.embedding_calls"
TOTAL_TOOL_CALLS: Annotated[str, Meta(INT, OWN, "tool calls")] = "lmspan.total.tool_calls"
TOTAL_INPUT_TOKENS: Annotated[str, Meta(INT, OWN, "input tokens billed", "{token}")] = "lmspan.total.input_tokens"
TOTAL_OUTPUT_TOKENS: Annotated[str, Meta(INT, OWN, "output tokens billed", "{token}")] = "lmspan.total.output_tokens"
TOTAL_CACHE_READ_TOKENS: Annotated[str, Meta(INT, OWN, "of the input: from the provider's cache", "{token}")] = (
    "lmspan.total.cache_read_tokens"
)
TOTAL_CACHE_WRITE_TOKENS: Annotated[str, Meta(INT, OWN, "of the input: into that cache", "{token}")] = (
    "lmspan.total.cache_write_tokens"
)
TOTAL_REASONING_TOKENS: Annotated[str, Meta(INT, OWN, "of the output: reasoning", "{token}")] = (
    "lmspan.total.reasoning_tokens"
)
TOTAL_COST_AMOUNT: Annotated[str, Meta(DOUBLE, OWN, "known cost; absent when none is known, or in several units")] = (
    "lmspan.total.cost.amount"
)
TOTAL_COST_UNIT: Annotated[str, Meta(STRING, OWN, "currency of the cost")] = "lmspan.total.cost.unit"
TOTAL_COST_SOURCES: Annotated[str, Meta(STRINGS, OWN, "who computed the cost, and from which prices")] = (
    "lmspan.total.cost.sources"
)
TOTAL_COST_UNKNOWN: Annotated[str, Meta(INT, OWN, "LM calls whose cost nobody knows")] = (
    "lmspan.total.cost.unknown_calls"
)
TOTAL_CACHE_HITS: Annotated[str, Meta(INT, OWN, "LM calls that the program's own cache answered")] = (
    "lmspan.total.cache_hits"
)
TOTAL_CACHE_SAVED_TOKENS: Annotated[str, Meta(INT, OWN, "tokens that those hits did not spend again", "{token}")] = (
    "lmspan.total.cache_saved_tokens"
)
TOTAL_ERRORS: Annotated[str, Meta(INT, OWN, "failures, each counted once, where it happened")] = "lmspan.total.errors"
TOTAL_ORPHANS: Annotated[str, Meta(INT, OWN, "operations whose named parent nobody knows")] = "lmspan.total.orphans"
