"""Names of content, and of OpenInference: recorded only as the content rule allows."""

from __future__ import annotations

from typing import Annotated

from lmspan.semconv.naming import GENAI, INT, JSON, OPENINFERENCE, OTEL, OWN, STRING, Meta

# Content: only as the content rule allows --------------------------------------------------------------------------
INPUT_MESSAGES: Annotated[str, Meta(JSON, GENAI, "the messages sent", content=True)] = "gen_ai.input.messages"
OUTPUT_MESSAGES: Annotated[str, Meta(JSON, GENAI, "the messages received", content=True)] = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Annotated[
    str, Meta(JSON, GENAI, "the system prompt, where it is sent apart from the messages", content=True)
] = "gen_ai.system_instructions"
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
RETRIEVAL_DOCUMENTS: Annotated[str, Meta(JSON, GENAI, "what was found", content=True)] = "gen_ai.retrieval.documents"
EVALUATION_EXPLANATION: Annotated[str, Meta(STRING, GENAI, "the metric's feedback", content=True)] = (
    "gen_ai.evaluation.explanation"
)
CANDIDATE_INSTRUCTIONS: Annotated[str, Meta(JSON, OWN, "instructions by predictor", content=True)] = (
    "lmspan.optimizer.candidate.instructions"
)
CANDIDATE_DEMOS: Annotated[str, Meta(JSON, OWN, "demonstrations by predictor", content=True)] = (
    "lmspan.optimizer.candidate.demos"
)
CANDIDATE_DIFF: Annotated[str, Meta(STRING, OWN, "unified diff of the instructions to its parent's", content=True)] = (
    "lmspan.optimizer.candidate.diff"
)
ASSERTION_MESSAGE: Annotated[str, Meta(STRING, OWN, "what an assertion says that does not hold", content=True)] = (
    "lmspan.assertion.message"
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
OI_CACHE_WRITE_TOKENS: Annotated[str, Meta(INT, OPENINFERENCE, "gen_ai.usage.cache_write.input_tokens")] = (
    "llm.token_count.prompt_details.cache_write"
)
OI_REASONING_TOKENS: Annotated[str, Meta(INT, OPENINFERENCE, "gen_ai.usage.reasoning.output_tokens")] = (
    "llm.token_count.completion_details.reasoning"
)
SESSION_ID: Annotated[str, Meta(STRING, OTEL, "the session that the application named")] = "session.id"
USER_ID: Annotated[str, Meta(STRING, OTEL, "the user that the application named")] = "user.id"
