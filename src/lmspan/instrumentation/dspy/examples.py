"""Examples: one run of a program on one example of a data set, and what the metric said of it.

The result is an event on the program's span, which has ended by the time the metric has been asked: it is held open
until the example ends. What only the metric does (a model that judges) is under the example, beside the program.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.content import qualified_name, stored_fields
from lmspan.instrumentation.calls import Hook, around, put, text
from lmspan.lifecycle import Event, Operation
from lmspan.propagation import current_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.patching import Patches
    from lmspan.recorder import Recorder

_LARGEST: Final = 2**1000

_get = object.__getattribute__


def metric_name(metric: Any) -> str:
    """Return the name of a metric: the user's own, where DSPy has put a function of its own around it."""
    if type(metric).__name__ not in ("function", "method", "type"):
        return type(metric).__name__
    if type(metric).__name__ == "function" and text(metric.__module__).startswith("dspy.") and metric.__closure__:
        cells = dict(zip(metric.__code__.co_freevars, metric.__closure__, strict=False))
        if "metric" in cells and cells["metric"].cell_contents is not None:
            return metric_name(cells["metric"].cell_contents)
    return text(metric.__name__)


def number(score: Any) -> float | None:
    """Return a score as a number: bare, or the `score` of a Prediction or dict. Runs no code of an unknown type."""
    kind = type(score)
    if issubclass(kind, int):
        whole = int.__int__(score)
        return float(whole) if -_LARGEST < whole < _LARGEST else None
    if issubclass(kind, float):
        found = float.__float__(score)
        return found if found - found == 0 else None  # NaN and the infinities are no scores
    if kind.__module__ == "numpy" and hasattr(kind, "item") and getattr(score, "ndim", 1) == 0:
        return number(score.item())
    fields = score if kind is dict else stored_fields(score, kind)
    return number(fields.get("score")) if type(fields) is dict and "score" in fields else None


def further_scores(score: Any) -> dict[str, float]:
    """Return the other numbers that a metric gave beside its score, by name."""
    fields = score if type(score) is dict else stored_fields(score, type(score))
    if type(fields) is not dict:
        return {}
    objectives = fields.get("objective_scores")
    named = {**fields, **(objectives if type(objectives) is dict else {})}
    found = {name: number(value) for name, value in named.items() if type(name) is str and name != "score"}
    return {name: value for name, value in found.items() if value is not None}


def adopt(recorder: Recorder, call: Call) -> None:
    """Hold the span of an example's program. A module that judges for a metric is not it."""
    parent = call.parent
    if parent is None or parent.operation is not Operation.EXAMPLE or "call" in parent.notes:
        return
    if parent.notes["program"] is call.instance or parent.notes["program"] is ...:
        parent.notes["call"] = call
        recorder.hold(call)


def begin(
    recorder: Recorder, index: int | None, example: Any, metric: Any, program: Any = ..., scores: Any = None
) -> Call:
    """Start an example that `program` runs on: a module, or `...` for whichever module comes first.

    `scores` takes what the metric gives, for whoever sums up.
    """
    facts = {} if index is None else {sc.EXAMPLE_INDEX: index}
    call = recorder.start(Operation.EXAMPLE, "", "dspy", facts, inputs=example)
    call.notes.update(metric=metric_name(metric), program=program, scores=scores)
    return call


def describe(recorder: Recorder, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Add the example: its inputs are the program's, its labels are only here."""
    del args, kwargs
    if recorder.captures(call):
        recorder.capture(call, {sc.OPERATION_INPUTS: call.inputs})


def finish(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the result: `(..., score)` or `{"score": ...}` or the score alone, as the one who ran it gives it."""
    given = outputs[-1] if type(outputs) is tuple and outputs else outputs
    failed = getattr(call.notes.get("call"), "error", None)
    facts: dict[str, Any] = {}
    put(facts, sc.EVALUATION_SCORE, number(given), float)
    if failed is not None or call.notes.get("raised"):
        kind = qualified_name(type(failed)) if failed is not None else "_OTHER"
        facts.update({sc.EVALUATION_LABEL: "failed", sc.ERROR_TYPE: kind})
    metadata = outputs.get("output_metadata") if type(outputs) is dict else None
    if recorder.captures(call):
        feedback = (metadata or stored_fields(given, type(given)) or {}).get("feedback")
        if type(feedback) is str:
            facts[sc.EVALUATION_EXPLANATION] = recorder.content.text(feedback)
    if call.notes["scores"] is not None:
        call.notes["scores"].append((facts.get(sc.EVALUATION_SCORE), further_scores(metadata or given)))
    _tell(recorder, call, facts)


def fail(recorder: Recorder, call: Call, error: BaseException) -> None:
    """Record that the program or the metric raised; the score is what the evaluation then counts."""
    facts = {sc.EVALUATION_LABEL: "failed", sc.ERROR_TYPE: qualified_name(type(error))}
    put(facts, sc.EVALUATION_SCORE, call.notes.get("failure_score"), float)
    _tell(recorder, call, facts)


def _tell(recorder: Recorder, call: Call, facts: dict[str, Any]) -> None:
    if sc.EVALUATION_SCORE in facts:
        call.found[sc.EVALUATION_SCORE] = facts[sc.EVALUATION_SCORE]
    index = {sc.EXAMPLE_INDEX: call.facts[sc.EXAMPLE_INDEX]} if sc.EXAMPLE_INDEX in call.facts else {}
    named = {sc.EVALUATION_NAME: call.notes["metric"], sc.EVALUATION_SCOPE: "example", **index, **facts}
    recorder.add_event(call.notes.get("call", call), Event.EVALUATION_RESULT, named)


class Each:
    """What an evaluation does with one example, recorded. It takes the place of the function in DSPy's executor."""

    def __init__(self, function: Callable[[Any], Any], evaluation: Call, data: Any) -> None:
        self.function = function
        self.evaluation = evaluation
        self.metric = evaluation.notes.get("metric")
        self.program = evaluation.inputs.get("program")
        self.scores: deque[Any] = deque()
        self.failures: deque[int | None] = deque()
        indexes: dict[int, list[int]] = {}
        for index, example in enumerate(data if type(data) is list else ()):
            indexes.setdefault(id(example), []).append(index)
        self._indexes = {key: (iter(each), each[-1]) for key, each in indexes.items()}

    def __call__(self, example: Any) -> Any:
        """Run the function; on a thread of the executor, with the evaluation as the current call."""
        return _around_each(self.function, self, (example,), {})

    def index(self, example: Any) -> int | None:
        """Return which example of the data it is; the next one, where the same object stands there several times."""
        indexes, last = self._indexes.get(id(example), (iter(()), None))
        return next(indexes, last)


def _begin_each(recorder: Recorder, each: Each, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    del kwargs
    call = begin(recorder, each.index(args[0]), args[0], each.metric, each.program, each.scores)
    call.notes.update(failure_score=each.evaluation.notes.get("failure_score"), failures=each.failures)
    return call


def _fail_each(recorder: Recorder, call: Call, error: BaseException) -> None:
    call.notes["failures"].append(call.facts.get(sc.EXAMPLE_INDEX))
    fail(recorder, call, error)


_around_each = around(Hook(_begin_each, describe, finish, _fail_each))


def begin_bootstrap(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `BootstrapFewShot._bootstrap_one_example(example, round_idx)`: is the teacher's answer a demonstration?"""
    example = args[0] if args else kwargs.get("example")
    stored = _get(instance, "__dict__")
    trainset = stored.get("trainset")
    index = next((i for i, each in enumerate(trainset) if each is example), None) if type(trainset) is list else None
    call = begin(recorder, index, example, stored.get("metric"), stored.get("teacher"))
    call.notes.update(optimizer=stored, errors=stored.get("error_count"))
    return call


def finish_bootstrap(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the result; of a metric that raised, the optimizer only counts the exception."""
    call.notes["raised"] = call.notes["optimizer"].get("error_count") != call.notes["errors"]
    finish(recorder, call, outputs)


def begin_avatar(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `AvatarOptimizer.process_example(actor, example, return_outputs)`."""
    example = args[1] if len(args) > 1 else kwargs.get("example")
    return begin(recorder, None, example, _get(instance, "__dict__").get("metric"))


def patch(patches: Patches) -> None:
    """Patch what runs the examples of an evaluation."""
    patches.wrap(sys.modules["dspy.utils.parallelizer"].ParallelExecutor, "execute", _execute)


def _execute(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    evaluation = current_call()
    if evaluation is None or evaluation.operation is not Operation.EVALUATE or not evaluation.observed or len(args) < 2:  # noqa: PLR2004
        return wrapped(*args, **kwargs)
    function, data, *rest = args
    each = Each(function, evaluation, data)
    evaluation.notes.update(scores=each.scores, failures=each.failures)
    results = wrapped(each, data, *rest, **kwargs)
    if type(results) is list:
        evaluation.notes["failures"] = [result for result in results if result is None]
    return results


BOOTSTRAP: Final = Hook(begin_bootstrap, describe, finish_bootstrap, fail)
AVATAR: Final = Hook(begin_avatar, describe, finish, fail)
