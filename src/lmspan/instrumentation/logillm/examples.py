"""The examples of LogiLLM's evaluations.

`Evaluate` and two optimizers have a function for one example. The others run a loop: there an example starts when the
loop calls the program, and ends when the next one starts or when LogiLLM makes a `Trace` of it, which has the score.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit import examples
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps
from lmspan.instrumentation.kit.examples import Indexes, number
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import EvaluationKept, ExampleKept, kept
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder


_UNKNOWN: Final = object()


@dataclass(slots=True)
class DataKept(EvaluationKept):
    """Of an evaluation: the indexes of its examples in the data set, and the current example of a loop."""

    failures: set[int | None] = field(default_factory=set)
    indexes: Indexes | None = None
    loops: bool = False
    """Whether the evaluation runs its examples in a loop."""
    index: int = -1
    """The index of the newest example of a loop."""
    example: LiveCall | None = None
    """The open example of a loop."""


@dataclass(slots=True)
class ItemKept(ExampleKept):
    """Of an example: its index, and its score as soon as a loop knows it."""

    index: int | None = None
    score: Any = _UNKNOWN


def _current_loop() -> tuple[LiveCall | None, DataKept | None]:
    """Return the evaluation that the current call is, or is an example of, if it runs its examples in a loop."""
    call = current_call()
    if call is not None and call.operation is Operation.EXAMPLE:
        call = call.parent
    own = kept(call, DataKept)
    return (call, own) if own is not None and own.loops else (None, None)


def advance(recorder: Recorder, instance: Any) -> None:
    """Start the next example when the loop calls the evaluated program; a metric's own program is no example."""
    evaluation, own = _current_loop()
    if evaluation is None or own is None or not evaluation.observed:
        return
    if evaluation.inputs.get("program") is not instance:
        return
    end_last(recorder, evaluation)
    own.index += 1
    data = evaluation.inputs.get("devset")
    example = data[own.index] if type(data) is list and own.index < len(data) else None
    item = ItemKept(own.metric, instance, own.scores)
    own.example = examples.start(recorder, "logillm", own.index, example, item, owned=False)
    examples.describe(recorder, own.example)


def take_open(evaluation: LiveCall | None) -> LiveCall | None:
    """Return the open example of a loop, and leave none open."""
    own = kept(evaluation, DataKept)
    if own is None:
        return None
    example = own.example
    own.example = None
    return example


def end_last(recorder: Recorder, evaluation: LiveCall) -> None:
    """End the open example of a loop, with its score if the metric is known; a program that failed counts as 0."""
    example = take_open(evaluation)
    own = kept(evaluation, DataKept)
    item = kept(example, ItemKept)
    if example is None or own is None or item is None:
        return
    error = item.call.error if item.call is not None else None
    if error is not None:
        own.failures.add(own.index)
        item.failure_score = 0.0
        examples.fail(recorder, example, error)
    elif item.score is not _UNKNOWN:
        examples.succeed(recorder, example, item.score)
    recorder.end(example)


def metric(wrapped: Callable[..., Any], called: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Keep the score that a `Metric` returns for an example of a loop; a plain function cannot be wrapped there."""
    score = wrapped(*args, **kwargs)
    _note_score(called, score)
    return score


@guarded
def _note_score(called: Any, score: Any) -> None:
    _, own = _current_loop()
    item = kept(own.example, ItemKept) if own is not None and own.metric is called else None
    if item is not None:
        item.score = score


def trace(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """End an example with its score, which LogiLLM puts into `Trace(module, inputs, outputs, score, metadata)`."""
    result = wrapped(*args, **kwargs)
    _conclude(stored(instance))
    return result


@guarded
def _conclude(fields: dict[str, Any]) -> None:
    evaluation, own = _current_loop()
    example = take_open(evaluation)
    item = kept(example, ItemKept)
    if own is None or example is None or item is None:
        return
    metadata = fields.get("metadata")
    if type(metadata) is dict and "error" in metadata:
        item.failed = True
        own.failures.add(own.index)
    examples.succeed(recording.active, example, number(fields.get("score")))
    recording.active.end(example)


def start(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `Evaluate._evaluate_example(module, example)`, or `AvatarOptimizer._process_example(avatar, example)`."""
    own = kept(current_call(), DataKept)
    example = argument(args, kwargs, 1, "example")
    index = own.indexes.of(example) if own is not None and own.indexes is not None else None
    item = ItemKept(stored(instance).get("metric"), scores=own.scores if own is not None else None, index=index)
    return examples.start(recorder, "logillm", index, example, item)


def succeed(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result: `{"score": ..., "success": ...}`, or `(example, prediction, score)`."""
    if type(outputs) is dict and outputs.get("success") is False:
        item = kept(call, ItemKept)
        own = kept(call.parent, DataKept)
        if item is not None:
            item.failed = True
        if item is not None and own is not None:
            own.failures.add(item.index)
    examples.succeed(recorder, call, outputs.get("score") if type(outputs) is dict else outputs)


EXAMPLE: Final = Steps(start, examples.describe, succeed, examples.fail, cause=root_cause)
