"""The examples of DSPy's evaluations, which its executor runs, and those that two optimizers run by themselves."""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lmspan import semconv as sc
from lmspan.context.current import current_call
from lmspan.instrumentation.kit import examples
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps, around
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import EvaluationKept, ExampleKept, kept
from lmspan.lifecycle import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.patching import Patches
    from lmspan.recording.recorder import Recorder


@dataclass(slots=True)
class EachKept(ExampleKept):
    """Of an example of an evaluation: the indexes of those that have failed, which the evaluation counts."""

    failures: deque[int | None] = field(default_factory=deque)


@dataclass(slots=True)
class BootstrapKept(ExampleKept):
    """Of an example of `BootstrapFewShot`: what the optimizer stores, and how many errors it had counted before."""

    optimizer: dict[str, Any] = field(default_factory=dict)
    errors: Any = None


class Each:
    """The function of an evaluation for one example, with a recording around it, for DSPy's executor."""

    def __init__(self, function: Callable[[Any], Any], evaluation: LiveCall, data: Any) -> None:
        self.function = function
        self.evaluation = evaluation
        own = kept(evaluation, EvaluationKept) or EvaluationKept()
        self.metric: Any = own.metric
        self.failure_score: Any = own.failure_score
        self.program: Any = evaluation.inputs.get("program")
        self.scores: deque[Any] = deque()
        self.failures: deque[int | None] = deque()
        self.indexes: examples.Indexes = examples.Indexes(data)
        own.scores = self.scores
        own.failures = self.failures

    def __call__(self, example: Any) -> Any:
        """Run the function; on a thread of the executor, with the evaluation as the current call."""
        return _around_each(self.function, self, (example,), {})


def _start_each(recorder: Recorder, each: Each, args: tuple[Any, ...], _: dict[str, Any]) -> LiveCall:
    own = EachKept(each.metric, each.program, each.scores, each.failure_score, failures=each.failures)
    return examples.start(recorder, "dspy", each.indexes.of(args[0]), args[0], own)


def _fail_each(recorder: Recorder, call: LiveCall, error: BaseException) -> None:
    own = kept(call, EachKept)
    if own is not None:
        own.failures.append(call.facts.get(sc.EXAMPLE_INDEX))
    examples.fail(recorder, call, error)


_around_each = around(Steps(_start_each, examples.describe, examples.succeed, _fail_each))


def start_bootstrap(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `BootstrapFewShot._bootstrap_one_example(example, round_idx)`, which may yield a demonstration."""
    example = argument(args, kwargs, 0, "example")
    fields = stored(instance)
    trainset = fields.get("trainset")
    index = next((i for i, each in enumerate(trainset) if each is example), None) if type(trainset) is list else None
    own = BootstrapKept(fields.get("metric"), fields.get("teacher"), optimizer=fields, errors=fields.get("error_count"))
    return examples.start(recorder, "dspy", index, example, own)


def succeed_bootstrap(recorder: Recorder, call: LiveCall, outputs: Any) -> None:
    """Record the result; if the metric has raised, the optimizer has counted an error."""
    own = kept(call, BootstrapKept)
    if own is not None:
        own.failed = own.optimizer.get("error_count") != own.errors
    examples.succeed(recorder, call, outputs)


def start_avatar(recorder: Recorder, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveCall:
    """Start `AvatarOptimizer.process_example(actor, example, return_outputs)`."""
    example = argument(args, kwargs, 1, "example")
    return examples.start(recorder, "dspy", None, example, ExampleKept(stored(instance).get("metric")))


def patch(patches: Patches) -> None:
    """Patch the executor that runs the examples of an evaluation."""
    patches.wrap(sys.modules["dspy.utils.parallelizer"].ParallelExecutor, "execute", _execute)


def _execute(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    evaluation = current_call()
    if evaluation is None or evaluation.operation is not Operation.EVALUATE or not evaluation.observed or not args[1:]:
        return wrapped(*args, **kwargs)
    function, data, *rest = args
    each = Each(function, evaluation, data)
    results = wrapped(each, data, *rest, **kwargs)
    own = kept(evaluation, EvaluationKept)
    if own is not None and type(results) is list:
        own.failures = [result for result in results if result is None]
    return results


BOOTSTRAP: Final = Steps(start_bootstrap, examples.describe, succeed_bootstrap, examples.fail)
AVATAR: Final = Steps(start_avatar, examples.describe, examples.succeed, examples.fail)
