"""How an operation of plain Python is recorded: its facts, inputs and outputs, and messages of models and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lmspan import semconv as sc
from lmspan.content.messages import agent_message, split_inputs, split_outputs
from lmspan.content.numbers import plain_number
from lmspan.instrumentation.kit.responses import response_messages
from lmspan.instrumentation.python import responses
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

# operation -> (fact that holds the name, content attribute of the inputs, of the outputs)
_NAMES: Final[dict[Operation, tuple[str, str, str]]] = {
    Operation.MODULE: (sc.MODULE_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.WORKFLOW: (sc.WORKFLOW_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.AGENT: (sc.AGENT_NAME, sc.MODULE_INPUTS, sc.MODULE_OUTPUTS),
    Operation.TOOL: (sc.TOOL_NAME, sc.TOOL_CALL_ARGUMENTS, sc.TOOL_CALL_RESULT),
    Operation.LM: ("", sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.EMBEDDING: ("", sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.RETRIEVAL: (sc.DATA_SOURCE_ID, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.EVALUATE: (sc.SPAN_METRIC, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.OPTIMIZE: (sc.OPTIMIZER_NAME, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
    Operation.CANDIDATE: (sc.CANDIDATE_ID, sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS),
}
_OTHER: Final = ("", sc.OPERATION_INPUTS, sc.OPERATION_OUTPUTS)
_INPUTS, _OUTPUTS = 1, 2  # the places of these attributes in a row
# place -> the attribute for messages, the function that splits a model's messages from the rest, the role of an agent's
_MESSAGES: Final = {
    _INPUTS: (sc.INPUT_MESSAGES, split_inputs, "user"),
    _OUTPUTS: (sc.OUTPUT_MESSAGES, split_outputs, "assistant"),
}
OF_MODELS: Final = responses.OF_MODELS


class Model(NamedTuple):
    """The model that a program asks, as far as the program names it."""

    provider: str = ""
    name: str = ""


def start(
    recorder: Recorder,
    kind: Operation,
    name: str,
    inputs: Any,
    attributes: Mapping[str, Any] | None = None,
    model: Model = Model(),  # noqa: B008 - it is a tuple and cannot change
) -> LiveCall:
    """Start a call of a source that has a name, arguments, and for an operation of a model the model."""
    fact = _NAMES.get(kind, _OTHER)[0]
    facts: dict[str, Any] = {fact: name} if fact and name else {}
    if kind in OF_MODELS:
        facts = {sc.PROVIDER_NAME: sc.PROVIDER_NAMES.get(model.provider, model.provider) or sc.UNKNOWN_PROVIDER}
        if model.name:
            facts[sc.REQUEST_MODEL] = model.name
    if kind is Operation.TOOL:
        facts[sc.TOOL_TYPE] = "function"
    facts.update(described(recorder, attributes or {}))
    return recorder.start(kind, name, "python", facts, inputs=inputs)


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Record the inputs of a call."""
    if call.inputs is not None and recorder.captures(call):
        _capture(recorder, call, _INPUTS, call.inputs)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the outputs of a call; those of a model's client are a response, with facts of its own."""
    if call.operation in OF_MODELS and responses.is_response(outputs):
        responses.take(call, outputs)
        outputs = None if call.response is outputs else outputs
    if not recorder.captures(call):
        return
    if call.operation is Operation.LM and call.response is not None and type(call.response) is not str:
        reasons = call.late_facts.get(sc.RESPONSE_FINISH_REASONS, [])
        recorder.capture(call, {sc.OUTPUT_MESSAGES: response_messages(call.response, reasons)})
        outputs = split_outputs(outputs)[1]
    elif call.operation is Operation.LM and (messages := responses.streamed_messages(call)):
        recorder.capture(call, {sc.OUTPUT_MESSAGES: messages})
        outputs = split_outputs(outputs)[1]
    if outputs is not None:
        _capture(recorder, call, _OUTPUTS, outputs)


def take_item(_: Recorder, call: LiveCall, item: Any) -> None:
    """Add the facts of an event of a model's stream that a generator yields as the client returns it."""
    if call.operation is Operation.LM and responses.is_response(item):
        responses.take_event(call, item)
        call.late_facts[sc.REQUEST_STREAM] = True


def _capture(recorder: Recorder, call: LiveCall, place: int, value: Any) -> None:
    """Record inputs or outputs; of a model and an agent as messages too. OpenInference's value is the last of them."""
    name = _NAMES.get(call.operation, _OTHER)[place]
    attribute, split, role = _MESSAGES[place]
    payload = {name: value}
    if call.operation is Operation.LM:
        messages, rest = split(value)
        payload = {name: rest, attribute: messages}
    elif call.operation is Operation.AGENT:
        payload = {attribute: agent_message(role, value, recorder.content.brief) or None, name: value}
    recorder.capture(call, {name: each for name, each in payload.items() if each is not None})


def described(recorder: Recorder, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attribute values as they are where they are plain, else as JSON that runs no code of theirs."""
    content = recorder.content
    described: dict[str, Any] = {}
    for key, value in attributes.items():
        number = plain_number(value)
        if number is not None:
            described[str(key)] = number
        elif value is not None:
            described[str(key)] = content.text(value) if issubclass(type(value), str) else content.json(value)
    return described
