"""Retrieval: `dspy.Retrieve`, `Embeddings`, `ColBERTv2` and `KNN`, of which DSPy announces only the first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content.payload import stored_fields
from lmspan.context.current import current_call
from lmspan.instrumentation.dspy import embeddings
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.facts import put, stored, text
from lmspan.instrumentation.kit.requests import server_facts
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

_TEXTS: Final = ("long_text", "text", "content", "passage")


def start_retrieve(recorder: Recorder, instance: Any, *arguments: Any) -> LiveCall:
    """Start a retrieval by `dspy.Retrieve`, which DSPy announces as a module."""
    return _start(recorder, _retriever(type(instance), sys.modules["dspy"].settings.get("rm")), instance, arguments)


def _retriever(kind: type, rm: Any) -> str:
    """Return the name of a retriever: `dspy.Retrieve` itself asks the configured `rm`, which may be a function."""
    if kind.__name__ != "Retrieve" or rm is None:
        return kind.__name__
    return text(rm.__name__) if type(rm).__name__ == "function" else type(rm).__name__


def start_colbert(recorder: Recorder, instance: Any, *arguments: Any) -> LiveCall | None:
    """Start a search of a ColBERTv2 server; if `dspy.Retrieve` makes it, add the server to that retrieval instead."""
    facts = server_facts(text(stored(instance).get("url")))
    call = current_call()
    if call is not None and call.operation is Operation.RETRIEVAL:
        call.late_facts.update(facts)
        return None
    return _start(recorder, type(instance).__name__, instance, arguments, facts)


def start_local(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start a search in the process itself."""
    call = _start(recorder, type(instance).__name__, instance, (args, kwargs))
    query = argument(args, kwargs, 0, "query")
    if type(query) is str:
        embeddings.await_query(query, call)
    return call


def _start(
    recorder: Recorder, source: str, instance: Any, arguments: Any, facts: dict[str, Any] | None = None
) -> LiveCall:
    named = {sc.DATA_SOURCE_ID: source, **(facts or {})}
    return recorder.start(Operation.RETRIEVAL, source, "dspy", named, instance=instance, arguments=arguments)


def describe(recorder: Recorder, call: LiveCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the number of documents to return, and the query."""
    wanted = argument(args, kwargs, 1, "k") or stored(call.instance).get("k")
    put(call.late_facts, sc.RETRIEVAL_TOP_K, wanted, int)
    query = argument(args, kwargs, 0, "query")
    if recorder.captures(call):
        # the query of KNN is the fields of an example
        words = query if type(query) is str else recorder.content.json(kwargs)
        recorder.capture(call, {sc.RETRIEVAL_QUERY: words})


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the documents."""
    documents = _documents(outputs)
    call.late_facts[sc.RETRIEVAL_DOCUMENT_COUNT] = len(documents)
    if recorder.captures(call):
        recorder.capture(call, {sc.RETRIEVAL_DOCUMENTS: documents})


def release(_: Recorder, call: LiveCall, __: BaseException | None) -> None:
    """Forget the query."""
    embeddings.forget_query(call)


def _documents(outputs: Any) -> list[dict[str, Any]]:
    """Return the documents of a list, or of a Prediction with parallel lists, in the conventions' form."""
    fields = {} if type(outputs) is list else stored_fields(outputs, type(outputs)) or {}
    passages = outputs if type(outputs) is list else _listed(fields.get("passages"))
    indices = _listed(fields.get("indices"))
    scores = _listed(fields.get("scores"))
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
    """Return a list or a tuple as it is, nothing for another type: reading it could consume it or run its code."""
    return value if type(value) in (list, tuple) else ()


def _id(value: Any) -> Any:
    return str(value) if type(value) is int or type(value).__module__ == "numpy" else value


def _document(passage: Any) -> dict[str, Any]:
    if not issubclass(type(passage), dict):
        return {"content": passage}
    fields = dict(dict.items(passage))
    document = {"content": next((fields[name] for name in _TEXTS if name in fields), None)}
    if "pid" in fields:
        document["id"] = _id(fields["pid"])
    if "score" in fields:
        document["score"] = fields["score"]
    return document


RETRIEVE: Final = Steps(start_retrieve, describe, succeed)
COLBERT: Final = Steps(start_colbert, describe, succeed)
LOCAL: Final = Steps(start_local, describe, succeed, release=release)
