"""The content that OpenTelemetry's GenAI instrumentations put on their spans, as JSON: read for the recorder.

They are asked for content always. The recorder records it only where the content rule allows that; subscribers receive
it in any case, as they receive that of the other sources.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.numbers import plain_number
from lmspan.instrumentation.kit.facts import put
from lmspan.lifecycle import Operation
from lmspan.patching import Patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_HANDLER: Final = "opentelemetry.util.genai.handler"
_VARIABLES: Final = "opentelemetry.util.genai.environment_variables"
_TEXTS: Final = frozenset((sc.RETRIEVAL_QUERY,))
_MESSAGES: Final = frozenset((sc.INPUT_MESSAGES, sc.OUTPUT_MESSAGES))

_KINDS: Final = {sc.STRING: str, sc.INT: int, sc.DOUBLE: float, sc.BOOL: bool, sc.STRINGS: list}

_turning_on: Final[ContextVar[bool]] = ContextVar("lmspan-genai-turning-on", default=False)


@contextmanager
def always_captured() -> Iterator[None]:
    """Have an instrumentation that is turned on in the body give its spans their content.

    Each reads the standard variable once, when it is turned on. The variable stays as it is: another thread, or a
    process that starts meanwhile, must not read another value.
    """
    patches = Patches()
    variable = import_module(_VARIABLES).OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT
    events = os.environ.get(variable)
    patches.wrap(import_module(_HANDLER), "get_content_capturing_mode", _mode)
    mark = _turning_on.set(True)
    try:
        yield
    finally:
        _turning_on.reset(mark)
        patches.restore()
        if events is None:
            os.environ.pop(variable, None)  # that of Google's client sets it
        else:
            os.environ[variable] = events


def _mode(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not _turning_on.get():
        return wrapped(*args, **kwargs)
    return import_module("opentelemetry.util.genai.types").ContentCapturingMode.SPAN_ONLY


def payload_of(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts among the attributes of a span, with the provider's name of the conventions, and the content."""
    facts: dict[str, Any] = {}
    payload: dict[str, Any] = {}
    for name, value in attributes.items():
        if name in sc.CONTENT or name.startswith(sc.PROMPT_VARIABLE):
            payload[name] = _content(name, value)
        elif (fact := _fact(value)) is not None:
            meaning = sc.ATTRIBUTES.get(name)
            put(facts, name, fact, _KINDS.get(meaning.type if meaning is not None else "", type(fact)))
    provider = facts.get(sc.PROVIDER_NAME)
    if provider in sc.PROVIDER_NAMES:
        facts[sc.PROVIDER_NAME] = sc.PROVIDER_NAMES[provider]
    return facts, payload


def start_facts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that an instrumentation states when an operation starts."""
    return payload_of(attributes)[0]


def _fact(value: Any) -> Any:
    """Return a value as an attribute can hold it; None for any other, which a program may have passed as a setting."""
    kind = type(value)
    if kind is bool:
        return value
    if issubclass(kind, str):
        return str.__str__(value)
    if kind is list or kind is tuple:
        values = [_fact(each) for each in value]
        return values if len({type(each) for each in values}) == 1 and None not in values else None
    return plain_number(value)


def _content(name: str, value: Any) -> Any:
    if name in _TEXTS:
        return value
    value = _value(value)
    return [_message(each) for each in value] if name in _MESSAGES and type(value) is list else value


def _message(message: Any) -> Any:
    """Return a message without the fields that it lacks, and with its role as the conventions spell it."""
    if type(message) is not dict:
        return message
    message = {name: value for name, value in message.items() if value is not None}
    role = message.get("role")
    if type(role) is str:
        message["role"] = role.rpartition(".")[2].lower()  # smolagents' is the text of an enum: MessageRole.USER
    return message


def inputs_of(operation: Operation, payload: Mapping[str, Any]) -> Any:
    """Return the inputs of a call as subscribers read them."""
    if operation is Operation.TOOL:
        return payload.get(sc.TOOL_CALL_ARGUMENTS)
    if operation is Operation.RETRIEVAL:
        return payload.get(sc.RETRIEVAL_QUERY)
    messages = payload.get(sc.INPUT_MESSAGES)
    return {"messages": messages} if messages is not None else None


def outputs_of(operation: Operation, payload: Mapping[str, Any]) -> Any:
    """Return the outputs of a call as subscribers read them: of a model its texts."""
    outputs = payload.get(_OUTPUTS.get(operation, sc.OUTPUT_MESSAGES))
    if operation is Operation.LM and type(outputs) is list:
        return [_text(message) for message in outputs]
    return outputs


_OUTPUTS: Final = {Operation.TOOL: sc.TOOL_CALL_RESULT, Operation.RETRIEVAL: sc.RETRIEVAL_DOCUMENTS}


def _value(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # a plain text
        return value


def _text(message: Any) -> str:
    parts = message.get("parts") if type(message) is dict else None
    return "".join(
        part["content"]
        for part in (parts if type(parts) is list else ())
        if type(part) is dict and part.get("type") == "text" and type(part.get("content")) is str
    )
