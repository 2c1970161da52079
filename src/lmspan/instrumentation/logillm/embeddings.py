"""Embeddings and retrieval, which LogiLLM does not announce: `Provider.embed`, embedders in the process, `KNN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import field, is_inside, put, stored
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.instrumentation.logillm.requests import identity, learn_providers
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_DEFAULT: Final = {"OpenAIProvider": "text-embedding-3-small"}  # LogiLLM's default model


def start_hosted(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `provider.embed(texts, model=...)`."""
    if is_inside(instance, Operation.EMBEDDING):
        return None
    learn_providers(recorder, instance)
    facts = identity(instance, "embeddings", kwargs.get("model", _DEFAULT.get(type(instance).__name__)))
    return _start(recorder, instance, facts, args, kwargs)


def start_local(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall | None:
    """Start `embedder.embed(texts)` in the process itself; one that calls a provider has the provider's span."""
    if is_inside(instance, Operation.EMBEDDING) or type(instance).__name__ == "LLMEmbedder":
        return None
    facts = {
        sc.OPERATION_NAME: "embeddings",
        sc.PROVIDER_NAME: "custom",
        sc.REQUEST_MODEL: type(instance).__name__,
    }
    call = _start(recorder, instance, facts, args, kwargs)
    recorder.mark_internal(call)
    return call


def _start(
    recorder: Recorder, instance: Any, facts: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> LiveCall:
    texts = argument(args, kwargs, 0, "texts")
    model = facts[sc.REQUEST_MODEL]
    return recorder.start(Operation.EMBEDDING, model, "logillm", facts, instance=instance, inputs=texts)


def describe(recorder: Recorder, call: LiveCall, *_: Any) -> None:
    """Add the number of texts and the texts."""
    if type(call.inputs) is list:
        call.late_facts[sc.EMBEDDING_INPUT_COUNT] = len(call.inputs)
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs})


def succeed(_: Recorder, call: LiveCall, outputs: Any) -> None:
    """Add the size of the vectors."""
    first = outputs[0] if type(outputs) is list and outputs else None
    if type(first) is list:
        call.late_facts[sc.EMBEDDINGS_DIMENSION_COUNT] = len(first)


async def see_answer(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Add the model and the tokens of the API's answer to an embedding; LogiLLM drops them."""
    answer = await wrapped(*args, **kwargs)
    _add_answer(answer)
    return answer


@guarded
def _add_answer(answer: Any) -> None:
    call = current_call()
    if call is None or call.operation is not Operation.EMBEDDING or call.source != "logillm":
        return
    put(call.late_facts, sc.RESPONSE_MODEL, field(answer, "model"), str)
    put(call.late_facts, sc.USAGE_INPUT_TOKENS, field(field(answer, "usage"), "prompt_tokens"), int)


def start_retrieval(recorder: Recorder, instance: Any, _: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `knn.retrieve(**inputs)`, a search in the process itself."""
    name = type(instance).__name__
    facts = {sc.DATA_SOURCE_ID: name}
    return recorder.start(Operation.RETRIEVAL, name, "logillm", facts, instance=instance, inputs=kwargs)


def describe_retrieval(recorder: Recorder, call: LiveCall, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the number of examples to return, and the inputs that they are compared with."""
    put(call.late_facts, sc.RETRIEVAL_TOP_K, stored(call.instance).get("k"), int)
    if recorder.captures(call):
        recorder.capture(call, {sc.RETRIEVAL_QUERY: recorder.content.json(kwargs)})


def succeed_retrieval(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the examples, with their similarity."""
    examples = [each for each in outputs if type(each) is dict] if type(outputs) is list else []
    call.late_facts[sc.RETRIEVAL_DOCUMENT_COUNT] = len(examples)
    if recorder.captures(call):
        recorder.capture(call, {sc.RETRIEVAL_DOCUMENTS: [_document(each) for each in examples]})


def _document(example: dict[str, Any]) -> dict[str, Any]:
    content = {name: example.get(name) for name in ("inputs", "outputs")}
    metadata = example.get("metadata")
    return {"content": content, "score": metadata.get("similarity") if type(metadata) is dict else None}


HOSTED: Final = Steps(start_hosted, describe, succeed, cause=root_cause)
LOCAL: Final = Steps(start_local, describe, succeed, cause=root_cause)
RETRIEVE: Final = Steps(start_retrieval, describe_retrieval, succeed_retrieval, cause=root_cause)
