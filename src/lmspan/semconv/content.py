"""Attributes of content: a span carries them only where content is captured."""

# fmt: off
from __future__ import annotations

from typing import Final

from lmspan.semconv.naming import JSON, STRING, attribute

INPUT_MESSAGES: Final = attribute("gen_ai.input.messages", JSON, "the messages of the request", content=True)
OUTPUT_MESSAGES: Final = attribute("gen_ai.output.messages", JSON, "the messages of the response", content=True)
SYSTEM_INSTRUCTIONS: Final = attribute("gen_ai.system_instructions", JSON, "the system prompt, where the request carries it apart from the messages", content=True)
TOOL_DEFINITIONS: Final = attribute("gen_ai.tool.definitions", JSON, "the tools that the model may call", content=True)
PROMPT_VARIABLE: Final = attribute("gen_ai.prompt.variable.", JSON, "a value that the program fills into the prompt, by its name", content=True)
TOOL_CALL_ARGUMENTS: Final = attribute("gen_ai.tool.call.arguments", JSON, "the arguments of the tool call", content=True)
TOOL_CALL_RESULT: Final = attribute("gen_ai.tool.call.result", JSON, "the result of the tool call, as an object", content=True)
RETRIEVAL_QUERY: Final = attribute("gen_ai.retrieval.query.text", STRING, "the query", content=True)
RETRIEVAL_DOCUMENTS: Final = attribute("gen_ai.retrieval.documents", JSON, "the retrieved documents", content=True)
EVALUATION_EXPLANATION: Final = attribute("gen_ai.evaluation.explanation", STRING, "the metric's feedback", content=True)
EVALUATION_METADATA: Final = attribute("lmspan.evaluation.metadata", JSON, "the metadata that the program passes to the evaluation", content=True)
CANDIDATE_INSTRUCTIONS: Final = attribute("lmspan.optimizer.candidate.instructions", JSON, "instructions by predictor", content=True)
CANDIDATE_DEMOS: Final = attribute("lmspan.optimizer.candidate.demos", JSON, "demonstrations by predictor", content=True)
CANDIDATE_DIFF: Final = attribute("lmspan.optimizer.candidate.diff", STRING, "unified diff from the parent's instructions", content=True)
ASSERTION_MESSAGE: Final = attribute("lmspan.assertion.message", STRING, "the message of the failed assertion", content=True)
MODULE_INPUTS: Final = attribute("lmspan.module.inputs", JSON, "the module's inputs", content=True)
MODULE_OUTPUTS: Final = attribute("lmspan.module.outputs", JSON, "the module's outputs", content=True)
OPERATION_INPUTS: Final = attribute("lmspan.operation.inputs", JSON, "inputs of any other operation", content=True)
OPERATION_OUTPUTS: Final = attribute("lmspan.operation.outputs", JSON, "outputs of any other operation", content=True)
INTERPRETER_CODE: Final = attribute("lmspan.interpreter.code", STRING, "the code", content=True)
INTERPRETER_OUTPUT: Final = attribute("lmspan.interpreter.output", JSON, "the printed output, or the result", content=True)
STDERR_TEXT: Final = attribute("lmspan.stderr.text", STRING, "the text written", content=True)
EXCEPTION_MESSAGE: Final = attribute("exception.message", STRING, "the exception's message", content=True)
EXCEPTION_STACKTRACE: Final = attribute("exception.stacktrace", STRING, "the exception's traceback", content=True)
