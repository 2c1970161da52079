"""The requirements of the GenAI conventions on spans and events, as tables, and the check of a span against them.

Source: the registry of the OpenTelemetry GenAI conventions, main of August 2026 (fe5608e), with the changes until October
2026: `cache_write` for `cache_creation`, tokens by modality, a conversation on workflows. The conversation's id may be on
every GenAI span. An operation of our own has no name of the registry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from lmspan import semconv as sc
from lmspan.semconv.spans import OPERATION_OF_WORD, OPERATIONS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class SpanType(NamedTuple):
    """The attributes of a span type of the registry, without `gen_ai.`, and the kinds that it may have."""

    kinds: tuple[SpanKind, ...]
    required: str
    others: str

    def allows(self, name: str) -> bool:
        """Tell whether a span of this type may have an attribute, one under a listed name that ends in a dot too."""
        short = name.removeprefix(NAMESPACE)
        families = (each for each in self.others.split() if each.endswith("."))
        return short in f"{self.required} {self.others} {_EVERYWHERE}".split() or short.startswith(tuple(families))


NAMESPACE: Final = "gen_ai."
"""The namespace of the registry: every name in it is one of the registry's."""

_EVERYWHERE: Final = "operation.name conversation.id"
_CONTENT: Final = "system_instructions input.messages output.messages tool.definitions"
_REQUEST: Final = (
    "request.model request.max_tokens request.choice.count request.temperature request.top_p request.stop_sequences "
    "request.frequency_penalty request.presence_penalty request.seed output.type response.finish_reasons"
)
_CLIENT: Final = (SpanKind.CLIENT,)
_IN_PROCESS: Final = (SpanKind.CLIENT, SpanKind.INTERNAL)
_INTERNAL: Final = (SpanKind.INTERNAL,)

_INFERENCE: Final = SpanType(
    _IN_PROCESS,
    "provider.name",
    f"{_REQUEST} {_CONTENT} request.top_k request.stream request.reasoning.level request.previous_response.id "
    "response.id response.model response.time_to_first_chunk usage. prompt.name prompt.version prompt.variable. "
    "conversation.compacted",
)
SPAN_TYPES: Final[dict[str, tuple[SpanType, ...]]] = {
    "chat": (_INFERENCE,),
    "text_completion": (_INFERENCE,),
    "generate_content": (_INFERENCE,),
    "embeddings": (
        SpanType(
            _IN_PROCESS,
            "provider.name",
            "request.model request.encoding_formats usage.input_tokens embeddings.dimension.count response.model",
        ),
    ),
    "retrieval": (
        SpanType(
            _CLIENT,
            "",
            "request.model provider.name data_source.id retrieval.query.text retrieval.top_k retrieval.documents",
        ),
    ),
    "execute_tool": (
        SpanType(
            _INTERNAL,
            "tool.name",
            "tool.type tool.description tool.call.id tool.call.arguments tool.call.result agent.name",
        ),
    ),
    "invoke_agent": (
        SpanType(
            _INTERNAL,
            "",
            f"{_REQUEST} {_CONTENT} usage.input_tokens usage.output_tokens agent.name agent.description data_source.id",
        ),
        SpanType(
            _CLIENT,
            "provider.name",
            f"{_REQUEST} {_CONTENT} request.previous_response.id usage. agent.id agent.name agent.description "
            "agent.version data_source.id",
        ),
    ),
    "invoke_workflow": (SpanType(_INTERNAL, "", "workflow.name input.messages output.messages"),),
    "plan": (SpanType(_INTERNAL, "", "agent.name"),),
}
"""The span types by the operation that they are of. Where there are several, the kind chooses."""

VALUES: Final[dict[str, frozenset[Any]]] = {
    sc.OPERATION_NAME: frozenset(SPAN_TYPES),
    sc.OUTPUT_TYPE: frozenset(("text", "json", "image", "speech")),
    sc.TOOL_TYPE: frozenset(("function", "extension", "datastore")),
    sc.REQUEST_STREAM: frozenset((True,)),
    sc.EVALUATION_SCOPE: frozenset(("dataset", "example")),
    sc.CANDIDATE_SCOPE: frozenset(("full", "minibatch")),
    sc.ADAPTER_PHASE: frozenset(("format", "parse")),
}
"""The values that an attribute may have; one that is not in here may have any."""

TOGETHER: Final = {sc.SERVER_PORT: sc.SERVER_ADDRESS, sc.COST_AMOUNT: sc.COST_UNIT}
"""Attributes that are there only together with another one."""

EVENTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    sc.EVENT_EVALUATION_RESULT: ((sc.EVALUATION_NAME,),),
    sc.EVENT_INFERENCE_EXCEPTION: ((sc.EXCEPTION_TYPE, sc.EXCEPTION_MESSAGE),),
    sc.EVENT_EXCEPTION: ((sc.EXCEPTION_TYPE, sc.EXCEPTION_MESSAGE),),
    sc.EVENT_INFERENCE_DETAILS: ((sc.OPERATION_NAME,), (sc.PROVIDER_NAME,)),
}
"""The attributes that an event must have: of each group at least one."""


def mistakes(name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a span's name, kind and attributes differ from the requirements on its operation."""
    operation = attributes.get(sc.OPERATION_NAME)
    word = name.partition(" ")[0]
    if operation is None:
        yield from _of_our_own(word, kind, attributes)
    elif operation in SPAN_TYPES:
        yield from _of_genai(str(operation), word, kind, attributes)
    yield from value_mistakes(attributes)
    for one, other in TOGETHER.items():
        if one in attributes and other not in attributes:
            yield f"{one} without {other}"


def _of_our_own(word: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Iterator[str]:
    shape = SHAPES.get(OPERATION_OF_WORD.get(word))  # type: ignore[arg-type] # None is no key
    if word in OPERATIONS:
        yield f"{sc.OPERATION_NAME} is missing"
    elif shape is not None and kind is not shape.kind:
        yield f"{kind.name}, not {shape.kind.name}"
    for each in attributes:
        if _is_genai(each):
            yield f"{each} on an operation of our own"


def _of_genai(operation: str, word: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Iterator[str]:
    types = SPAN_TYPES[operation]
    chosen = next((each for each in types if kind in each.kinds), None)
    if word != operation:
        yield f"{sc.OPERATION_NAME} is {operation}"
    if chosen is None:
        yield f"{kind.name}, not {' or '.join(each.kinds[0].name for each in types)}"
        return
    for required in chosen.required.split():
        if f"{NAMESPACE}{required}" not in attributes:
            yield f"{NAMESPACE}{required} is missing"
    for each in attributes:
        if _is_genai(each) and not chosen.allows(each):
            yield f"{each} is not of {operation}"


def _is_genai(name: str) -> bool:
    meaning = sc.attribute_of(name)
    return meaning is not None and meaning.source == sc.GENAI


def event_mistakes(name: str, attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield how an event differs from the tables; an event of a program may have any name outside of `gen_ai.`."""
    if name.startswith(NAMESPACE) and name not in sc.EVENTS:
        yield "is in no table"
    for group in EVENTS.get(name, ()):
        if not any(each in attributes for each in group):
            yield f"{' or '.join(group)} is missing"
    yield from value_mistakes(attributes)


def value_mistakes(attributes: Mapping[str, Any]) -> Iterator[str]:
    """Yield the attributes whose value is not one of those that they may have."""
    for name, allowed in VALUES.items():
        if name in attributes and attributes[name] not in allowed:
            yield f"{name} is {attributes[name]!r}, not one of {', '.join(sorted(map(str, allowed)))}"
