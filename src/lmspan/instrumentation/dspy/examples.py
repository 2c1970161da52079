"""The examples of DSPy's evaluations: what its executor runs, and what two optimizers run by themselves."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit import examples
from lmspan.instrumentation.kit.around import Hook, around
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder

_get = object.__getattribute__


class Each:
    """What an evaluation does with one example, recorded. It takes the place of the function in DSPy's executor."""

    def __init__(self, function: Callable[[Any], Any], evaluation: Call, data: Any) -> None:
        self.function = function
        self.evaluation = evaluation
        self.metric: Any = evaluation.notes.get("metric")
        self.program: Any = evaluation.inputs.get("program")
        self.scores: deque[Any] = deque()
        self.failures: deque[int | None] = deque()
        self.indexes: examples.Indexes = examples.Indexes(data)

    def __call__(self, example: Any) -> Any:
        """Run the function; on a thread of the executor, with the evaluation as the current call."""
        return _around_each(self.function, self, (example,), {})


def _begin_each(recorder: Recorder, each: Each, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    del kwargs
    call = examples.begin(
        recorder, "dspy", each.indexes.of(args[0]), args[0], each.metric, program=each.program, scores=each.scores
    )
    call.notes.update(failure_score=each.evaluation.notes.get("failure_score"), failures=each.failures)
    return call


def _fail_each(recorder: Recorder, call: Call, error: BaseException) -> None:
    call.notes["failures"].append(call.facts.get(sc.EXAMPLE_INDEX))
    examples.fail(recorder, call, error)


_around_each = around(Hook(_begin_each, examples.describe, examples.finish, _fail_each))


def begin_bootstrap(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `BootstrapFewShot._bootstrap_one_example(example, round_idx)`: is the teacher's answer a demonstration?"""
    example = args[0] if args else kwargs.get("example")
    stored = _get(instance, "__dict__")
    trainset = stored.get("trainset")
    index = next((i for i, each in enumerate(trainset) if each is example), None) if type(trainset) is list else None
    call = examples.begin(recorder, "dspy", index, example, stored.get("metric"), program=stored.get("teacher"))
    call.notes.update(optimizer=stored, errors=stored.get("error_count"))
    return call


def finish_bootstrap(recorder: Recorder, call: Call, outputs: Any) -> None:
    """Record the result; of a metric that raised, the optimizer only counts the exception."""
    call.notes["failed"] = call.notes["optimizer"].get("error_count") != call.notes["errors"]
    examples.finish(recorder, call, outputs)


def begin_avatar(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Start `AvatarOptimizer.process_example(actor, example, return_outputs)`."""
    example = args[1] if len(args) > 1 else kwargs.get("example")
    return examples.begin(recorder, "dspy", None, example, _get(instance, "__dict__").get("metric"))


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


BOOTSTRAP: Final = Hook(begin_bootstrap, examples.describe, finish_bootstrap, examples.fail)
AVATAR: Final = Hook(begin_avatar, examples.describe, examples.finish, examples.fail)
