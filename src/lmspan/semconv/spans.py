"""How operations and events look in OpenTelemetry: the tables that the recorder reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.lifecycle import Call


class Shape(NamedTuple):
    """How an operation looks as a span; `word` begins the name and is the GenAI operation where `genai` says so."""

    word: str
    kind: SpanKind = SpanKind.INTERNAL
    genai: bool = False
    openinference: str = "CHAIN"


SHAPES: Final[dict[Operation, Shape]] = {
    Operation.WORKFLOW: Shape("invoke_workflow", genai=True),
    Operation.AGENT: Shape("invoke_agent", genai=True, openinference="AGENT"),
    Operation.LM: Shape("chat", SpanKind.CLIENT, genai=True, openinference="LLM"),
    Operation.EMBEDDING: Shape("embeddings", SpanKind.CLIENT, genai=True, openinference="EMBEDDING"),
    Operation.RETRIEVAL: Shape("retrieval", SpanKind.CLIENT, genai=True, openinference="RETRIEVER"),
    Operation.TOOL: Shape("execute_tool", genai=True, openinference="TOOL"),
    Operation.MODULE: Shape("module"),
    Operation.TURN: Shape("turn"),
    Operation.ADAPTER_FORMAT: Shape("format"),
    Operation.ADAPTER_PARSE: Shape("parse"),
    Operation.EVALUATE: Shape("evaluate", openinference="EVALUATOR"),
    Operation.EXAMPLE: Shape("example"),
    Operation.OPTIMIZE: Shape("optimize"),
    Operation.CANDIDATE: Shape("candidate"),
    Operation.INTERPRETER_EXECUTE: Shape("interpreter.execute"),
    Operation.INTERPRETER_STARTUP: Shape("interpreter.startup"),
    Operation.INTERPRETER_SHUTDOWN: Shape("interpreter.shutdown"),
}

OPERATIONS: Final = {
    # the conventions' word for an operation -> ours
    "chat": Operation.LM,
    "text_completion": Operation.LM,
    "generate_content": Operation.LM,
    "execute_tool": Operation.TOOL,
    "invoke_agent": Operation.AGENT,
    "invoke_workflow": Operation.WORKFLOW,
    "embeddings": Operation.EMBEDDING,
    "retrieval": Operation.RETRIEVAL,
}

OPENINFERENCE_TOKENS: Final = {
    # what those who read OpenInference know by its name only
    sc.USAGE_CACHE_WRITE_TOKENS: sc.OI_CACHE_WRITE_TOKENS,
    sc.USAGE_REASONING_TOKENS: sc.OI_REASONING_TOKENS,
}

EVENT_NAMES: Final[dict[str, str]] = {
    Event.RETRY: sc.EVENT_RETRY,
    Event.EXCEPTION: sc.EVENT_EXCEPTION,
    Event.INFERENCE_EXCEPTION: sc.EVENT_INFERENCE_EXCEPTION,
    Event.INFERENCE_DETAILS: sc.EVENT_INFERENCE_DETAILS,
    Event.EVALUATION_RESULT: sc.EVENT_EVALUATION_RESULT,
    Event.PARSE_FALLBACK: sc.EVENT_PARSE_FALLBACK,
    Event.ADAPTATION: sc.EVENT_ADAPTATION,
    Event.HYPERPARAMETER_UPDATE: sc.EVENT_HYPERPARAMETER_UPDATE,
    Event.OPTIMIZER_CANDIDATE: sc.EVENT_OPTIMIZER_CANDIDATE,
    Event.STDERR_WRITE: sc.EVENT_STDERR_WRITE,
    Event.TRACE_COMPLETE: sc.EVENT_TRACE_COMPLETE,
}


def first_facts(
    call: Call, shape: Shape, facts: Mapping[str, Any], name: str, *, openinference: bool
) -> tuple[str, dict[str, Any]]:
    """Return the name of a call's span, given the call's as it may be recorded, and the attributes to start with."""
    attributes, word = {sc.SOURCE: call.source}, shape.word
    if shape.genai:
        word = attributes[sc.OPERATION_NAME] = facts.get(sc.OPERATION_NAME, word)
    attributes.update(facts)
    if call.parent_id:
        attributes[sc.CALL_PARENT_ID] = call.parent_id
    if openinference:
        attributes[sc.OI_SPAN_KIND] = shape.openinference
    return f"{word} {name}" if name else word, attributes
