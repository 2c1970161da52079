"""Retrieval: `dspy.Retrieve`, `Embeddings`, `ColBERTv2` and `KNN`, most of which DSPy itself announces nowhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.payload import stored_fields
from lmspan.context.current import current_call
from lmspan.instrumentation.dspy import embeddings
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.facts import put, stored, text
from lmspan.instrumentation.kit.requests import server_facts
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_TEXTS: Final = ("long_text", "text", "content", "passage")


def begin_retrieve(recorder: Recorder, instance: Any, *_: Any) -> LiveCall:
    """Start a retrieval by `dspy.Retrieve`, which DSPy itself announces as a module."""
    return _start(recorder, type(sys.modules["dspy"].settings.get("rm")).__name__, instance)


def begin_colbert(recorder: Recorder, instance: Any, *_: Any) -> LiveCall | None:
    """Start a search of a ColBERTv2 server; where `dspy.Retrieve` asks it, that is the retrieval."""
    facts = server_facts(text(stored(instance).get("url")))
    outer = current_call()
    if outer is not None and outer.operation is Operation.RETRIEVAL:
        outer.found.update(facts)
        return None
    return _start(recorder, type(instance).__name__, instance, facts)


def begin_local(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start a search in the process itself."""
    call = _start(recorder, type(instance).__name__, instance)
    recorder.mark_internal(call)
    query = argument(args, kwargs, 0, "query")
    if type(query) is str:
        embeddings.await_query(query, call)
    return call


def _start(recorder: Recorder, source: str, instance: Any, facts: dict[str, Any] | None = None) -> LiveCall:
    named = {sc.DATA_SOURCE_ID: source, **(facts or {})}
    return recorder.start(Operation.RETRIEVAL, source, "dspy", named, instance=instance)


def describe(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add how many documents are wanted, and the query."""
    wanted = argument(args, kwargs, 1, "k") or stored(call.instance).get("k")
    put(call.found, sc.RETRIEVAL_TOP_K, wanted, int)
    query = argument(args, kwargs, 0, "query")
    if recorder.captures(call):
        asked = query if type(query) is str else recorder.content.json(kwargs)  # KNN is asked with an example's fields
        recorder.capture(call, {sc.RETRIEVAL_QUERY: asked})


def finish(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record what was found."""
    documents = _documents(outputs)
    call.found[sc.RETRIEVAL_DOCUMENT_COUNT] = len(documents)
    if recorder.captures(call):
        recorder.capture(call, {sc.RETRIEVAL_DOCUMENTS: documents})


def release(_: Recorder, call: LiveCall, __: BaseException | None) -> None:
    """Let go of the query."""
    embeddings.forget_query(call)


def _documents(outputs: Any) -> list[dict[str, Any]]:
    """Return what a retriever gave, as the conventions have documents: a list, or a Prediction of several lists."""
    fields = {} if type(outputs) is list else stored_fields(outputs, type(outputs)) or {}
    passages = outputs if type(outputs) is list else _listed(fields.get("passages"))
    indices, scores = _listed(fields.get("indices")), _listed(fields.get("scores"))
    documents = []
    for number, passage in enumerate(passages):
        document = _document(passage)
        if number < len(indices):
            document["id"] = _id(indices[number])
        if number < len(scores):
            document["score"] = scores[number]
        documents.append(document)
    return documents


def _listed(value: Any) -> list[Any] | tuple[Any, ...]:
    """Return a list as it is, and nothing for what reading would use up, or would run code of."""
    return value if type(value) in (list, tuple) else ()


def _id(value: Any) -> Any:
    return str(value) if type(value) is int or type(value).__module__ == "numpy" else value


def _document(passage: Any) -> dict[str, Any]:
    if not issubclass(type(passage), dict):
        return {"content": passage}
    fields = dict(dict.items(passage))
    found = {"content": next((fields[name] for name in _TEXTS if name in fields), None)}
    if "pid" in fields:
        found["id"] = _id(fields["pid"])
    if "score" in fields:
        found["score"] = fields["score"]
    return found


RETRIEVE: Final = Hook(begin_retrieve, describe, finish)
COLBERT: Final = Hook(begin_colbert, describe, finish)
LOCAL: Final = Hook(begin_local, describe, finish, release=release)
