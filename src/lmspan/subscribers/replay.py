"""Replay a stored trace to the subscriptions: starts, events and ends, in the order of their times.

A trace holds no objects, so `instance` is None; inputs and outputs come from the content attributes, if content was
recorded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from lmspan import semconv as sc
from lmspan.errors import LmspanError
from lmspan.lifecycle import LISTENING, LiveCall, Operation
from lmspan.semconv.spans import EVENT_NAMES, OPERATION_OF_WORD, OPERATIONS
from lmspan.subscribers import processor, registry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_EVENTS: Final = {name: event for event, name in EVENT_NAMES.items()}
_INPUTS: Final = (sc.MODULE_INPUTS, sc.TOOL_CALL_ARGUMENTS, sc.OPERATION_INPUTS)
_OUTPUTS: Final = (sc.MODULE_OUTPUTS, sc.TOOL_CALL_RESULT, sc.OPERATION_OUTPUTS)
_START, _EVENT, _END = range(3)


class ReplayedError(LmspanError):
    """Stands for the error of a stored span, which names only its type."""


def replay(spans: Iterable[Any]) -> int:
    """Replay stored spans (`lmspan.traces.StoredSpan`) to the subscriptions, on this thread; `StopRun` passes.

    Return the number of spans that are operations. A file may hold a span twice: each is replayed.
    """
    calls: dict[int, LiveCall] = {}
    started: dict[str, LiveCall] = {}
    scopes: Any = otel_context.get_current().get(LISTENING, ())
    table = registry.table(scopes)
    for _, kind, span, event in sorted(_moments(spans), key=lambda each: each[0]):
        if kind == _START:
            call = _call(span, started.get(span.parent_id))
            if call is None:
                continue
            calls[id(span)] = started[span.span_id] = call
            processor.start(call, table)
            if call.raises is not None:
                raise call.raises
        elif id(span) in calls:
            call = calls[id(span)]
            if kind == _EVENT:
                _event(call, event)
            else:
                _end(call, span)
    return len(calls)


def _moments(spans: Iterable[Any]) -> Iterator[tuple[tuple[int, int, int], int, Any, Any]]:
    """Yield starts, events and ends, each after its sort key: at equal times parents start first and end last."""
    listed = list(spans)
    depths = _depths({span.span_id: span.parent_id for span in listed})
    for span in listed:
        depth = depths[span.span_id]
        yield (span.start_unix_nano, _START, depth), _START, span, None
        yield (_end_of(span), _END, -depth), _END, span, None
        for event in span.events:
            when = min(max(event.time_unix_nano, span.start_unix_nano), _end_of(span))
            yield (when, _EVENT, depth), _EVENT, span, event


def _end_of(span: Any) -> int:
    """Return the end of a span, which is not before its start, although the clock may have been set back."""
    return max(int(span.end_unix_nano), int(span.start_unix_nano))


def _depths(parents: dict[str, str]) -> dict[str, int]:
    """Return the depth of each span; where spans are parents of each other, one of them counts as a root."""
    depths: dict[str, int] = {"": -1}
    for span_id in parents:
        path: dict[str, None] = {}
        above = span_id
        while above in parents and above not in depths and above not in path:
            path[above] = None
            above = parents[above]
        depth = depths.get(above, -1)
        for each in reversed(path):
            depths[each] = depth = depth + 1
    return depths


def _call(span: Any, parent: LiveCall | None) -> LiveCall | None:
    """Return the call of a stored span, or None if its name and attributes name no operation."""
    word, _, name = span.name.partition(" ")
    operation = OPERATIONS.get(str(span.facts.get(sc.OPERATION_NAME))) or OPERATION_OF_WORD.get(word)
    if operation is None:
        return None
    if operation is Operation.MODULE:  # the span is named after the module's place, the call after its class
        name = str(span.facts.get(sc.MODULE_NAME, name))
    call = LiveCall(operation, name, str(span.facts.get(sc.SOURCE, "otel")), inputs=_read(span, _INPUTS))
    if operation is Operation.LM and sc.INPUT_MESSAGES in span.facts:
        others = call.inputs if type(call.inputs) is dict else {}
        call.inputs = {**others, "messages": _read(span, (sc.INPUT_MESSAGES,))}
    call.parent = parent
    call.root = parent.root if parent is not None else call
    call.call_id = str(span.facts.get(sc.CALL_ID, span.span_id))
    call.parent_id = parent.call_id if parent is not None else ""
    call.start_time_unix_nano = span.start_unix_nano
    call.facts = dict(span.facts)
    return call


def _read(span: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if name in span.facts:
            try:
                return json.loads(span.facts[name])
            except (TypeError, ValueError, RecursionError):  # no JSON, or too deep
                return span.facts[name]
    return None


def _event(call: LiveCall, event: Any) -> None:
    for watcher in call.watchers:
        watcher.event(call, _EVENTS.get(event.name, event.name), event.facts)


def _end(call: LiveCall, span: Any) -> None:
    call.end_time_unix_nano = _end_of(span)
    call.outputs = _read(span, _OUTPUTS)
    if call.operation is Operation.TOOL and type(call.outputs) is dict and list(call.outputs) == ["result"]:
        call.outputs = call.outputs["result"]
    if call.operation is Operation.LM and (call.outputs is None or sc.OUTPUT_MESSAGES in span.facts):
        messages = _read(span, (sc.OUTPUT_MESSAGES,))
        call.outputs = [_text(message) for message in messages] if type(messages) is list else []
    if sc.ERROR_TYPE in span.facts:
        call.error, call.failed = ReplayedError(str(span.facts[sc.ERROR_TYPE])), True
    for watcher in call.watchers:
        watcher.end(call)


def _text(message: Any) -> str:
    parts = message.get("parts") if type(message) is dict else None
    texts = [part for part in parts if type(part) is dict and part.get("type") == "text"] if type(parts) is list else []
    return "".join(part["content"] for part in texts if type(part.get("content")) is str)
