"""The examples of LogiLLM's evaluations.

`Evaluate` and two optimizers have a function for one example. The others run a loop: there an example begins when the
evaluated program is called, and ends when the next begins, or where LogiLLM makes a `Trace` of it, which has the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lmspan.context.current import current_call
from lmspan.guard import guarded
from lmspan.instrumentation.kit import examples
from lmspan.instrumentation.kit.around import Hook
from lmspan.instrumentation.kit.examples import number
from lmspan.instrumentation.logillm.describe import stored
from lmspan.instrumentation.logillm.errors import root_cause
from lmspan.lifecycle import Operation
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder


def _evaluation_of(call: Call | None) -> Call | None:
    """Return the evaluation that a call is, or is an example of, if it runs its examples in a loop."""
    if call is not None and call.operation is Operation.EXAMPLE:
        call = call.parent
    return call if call is not None and "loop" in call.notes and call.operation is Operation.EVALUATE else None


def advance(recorder: Recorder, instance: Any) -> None:
    """Begin the next example when the evaluated program is called by the loop; a metric's own program is no example."""
    evaluation = _evaluation_of(current_call())
    if evaluation is None or not evaluation.observed or evaluation.inputs.get("program") is not instance:
        return
    end_last(recorder, evaluation)
    index = evaluation.notes["loop"] = evaluation.notes["loop"] + 1
    data, notes = evaluation.inputs.get("devset"), evaluation.notes
    example = data[index] if type(data) is list and index < len(data) else None
    call = examples.begin(
        recorder, "logillm", index, example, notes["metric"], program=instance, scores=notes["scores"], owned=False
    )
    notes["example"] = call
    examples.describe(recorder, call, (), {})


def end_last(recorder: Recorder, evaluation: Call) -> None:
    """End the example that is open, with its score where the metric told; one whose program failed counts nothing."""
    example = evaluation.notes.pop("example", None)
    if example is None or example.ended:
        return
    error = getattr(example.notes.get("call"), "error", None)
    if error is not None:
        evaluation.notes["failures"].add(evaluation.notes["loop"])
        example.notes["failure_score"] = 0.0
        examples.fail(recorder, example, error)
    elif "score" in example.notes:
        examples.finish(recorder, example, example.notes["score"])
    recorder.end(example)


def metric(wrapped: Callable[..., Any], asked: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """See what a `Metric` says of an example; a plain function cannot be seen in a loop."""
    score = wrapped(*args, **kwargs)
    _note_score(asked, score)
    return score


@guarded
def _note_score(asked: Any, score: Any) -> None:
    evaluation = _evaluation_of(current_call())
    if evaluation is not None and evaluation.notes["metric"] is asked and "example" in evaluation.notes:
        evaluation.notes["example"].notes["score"] = score


def trace(wrapped: Callable[..., Any], made: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """See the score of an example: `Trace(module, inputs, outputs, score, metadata)` is made when it is known."""
    result = wrapped(*args, **kwargs)
    _conclude(stored(made))
    return result


@guarded
def _conclude(fields: dict[str, Any]) -> None:
    evaluation = _evaluation_of(current_call())
    example = evaluation.notes.pop("example", None) if evaluation is not None else None
    if evaluation is None or example is None or example.ended:
        return
    metadata = fields.get("metadata")
    if type(metadata) is dict and "error" in metadata:
        example.notes["failed"] = True
        evaluation.notes["failures"].add(evaluation.notes["loop"])
    examples.finish(recording.active, example, number(fields.get("score")))
    recording.active.end(example)


def begin(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `Evaluate._evaluate_example(module, example)`, or `AvatarOptimizer._process_example(avatar, example)`."""
    evaluation = _evaluating()
    notes = evaluation.notes if evaluation is not None else {}
    example = args[1] if len(args) > 1 else kwargs.get("example")
    index = notes["indexes"].of(example) if "indexes" in notes else None
    call = examples.begin(
        recorder, "logillm", index, example, stored(instance).get("metric"), scores=notes.get("scores")
    )
    call.notes["index"] = index
    return call


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the result: `{"score": ..., "success": ...}`, or `(example, prediction, score)`."""
    if type(outputs) is dict and outputs.get("success") is False:
        call.notes["failed"] = True
        if call.parent is not None and "failures" in call.parent.notes:
            call.parent.notes["failures"].add(call.notes["index"])
    examples.finish(recorder, call, outputs.get("score") if type(outputs) is dict else outputs)


def _evaluating() -> Call | None:
    call = current_call()
    return call if call is not None and call.operation is Operation.EVALUATE else None


EXAMPLE: Final = Hook(begin, examples.describe, finish, examples.fail, cause=root_cause)
