"""The form of operations and events in OpenTelemetry: the tables that the recorder reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.lifecycle import Event, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.lifecycle import Call


class Shape(NamedTuple):
    """The form of an operation as a span.

    A span's name begins with `word`, which is also the GenAI operation where `genai` is true. `synonyms` are further
    GenAI operations that mean the same operation of lmspan.
    """

    word: str
    kind: SpanKind = SpanKind.INTERNAL
    genai: bool = False
    openinference: str = "CHAIN"
    synonyms: tuple[str, ...] = ()


SHAPES: Final[dict[Operation, Shape]] = {
    Operation.WORKFLOW: Shape("invoke_workflow", genai=True),
    Operation.AGENT: Shape("invoke_agent", genai=True, openinference="AGENT"),
    Operation.LM: Shape("chat", SpanKind.CLIENT, True, "LLM", ("text_completion", "generate_content")),
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

OPERATION_OF_WORD: Final = {
    word: operation for operation, shape in SHAPES.items() for word in (shape.word, *shape.synonyms)
}
"""The operation of a span, by the first word of its name."""

OPERATIONS: Final = {word: operation for word, operation in OPERATION_OF_WORD.items() if SHAPES[operation].genai}
"""The operation of a span, by its `gen_ai.operation.name`."""


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
    """Return the name of a call's span and its first attributes.

    `facts` and `name` are those of the call after redaction.
    """
    word = shape.word
    attributes: dict[str, Any] = {sc.SOURCE: call.source}
    if shape.genai:
        word = facts.get(sc.OPERATION_NAME, word)
        attributes[sc.OPERATION_NAME] = word
    attributes.update(facts)
    if call.parent_id:
        attributes[sc.CALL_PARENT_ID] = call.parent_id
    if openinference:
        attributes[sc.OI_SPAN_KIND] = shape.openinference
    return f"{word} {name}" if name else word, attributes
