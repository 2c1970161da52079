"""SIMBA, which evaluates by itself, several candidates in one batch.

Each step first samples trajectories of known programs, which are no candidates, and then runs its new programs on the
same examples. So a candidate starts when its first example is prepared, on the thread of the run, and ends when the
whole batch has run; in between, its examples run under it, possibly on other threads.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.content.payload import qualified_name
from lmspan.context.current import current_call, restore
from lmspan.context.processes import Carried
from lmspan.guard import guarded, leave_no_trace
from lmspan.instrumentation.kit import candidates, examples
from lmspan.instrumentation.kit.arguments import argument
from lmspan.instrumentation.kit.around import Steps, around
from lmspan.instrumentation.kit.facts import stored
from lmspan.instrumentation.kit.kept import CandidateKept, ExampleKept, OptimizeKept, kept
from lmspan.instrumentation.kit.search import Expected, search_of
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import LiveCall
    from lmspan.recording.recorder import Recorder

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]


def prepare(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Start a step: the next runs are samples."""
    own = kept(current_call(), OptimizeKept)
    if own is not None:
        own.step += 1
        own.sampling = True
    return wrapped(*args, **kwargs)


def wrap_program(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Return SIMBA's function for a program, which runs it on an example and scores it, with a recording around it."""
    metric = argument(args, kwargs, 1, "metric")
    if search_of(current_call()) is None or not callable(metric):
        return wrapped(*args, **kwargs)
    noted = {"program": argument(args, kwargs, 0, "program"), **kwargs, "metric": _Noted(metric)}
    runs = wrapped(**noted)
    return _recorded(runs, noted["program"], metric) or runs


class _Noted:
    """A metric whose exceptions are noted on the example that it scores, because SIMBA swallows them."""

    def __init__(self, metric: Callable[..., Any]) -> None:
        self.metric = metric

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the metric, on the thread of the example."""
        try:
            return self.metric(*args, **kwargs)
        except Exception as error:
            _note(error)
            leave_no_trace(error)
            raise


@guarded
def _note(error: Exception) -> None:
    example = kept(current_call(), ExampleKept)
    if example is not None:
        example.failed = True
        example.error_type = qualified_name(type(error))


@guarded
def _recorded(runs: Callable[[Any], Any], program: Any, metric: Any) -> Callable[[Any], Any] | None:
    optimizer = current_call()
    own = kept(optimizer, OptimizeKept)
    if optimizer is None or own is None:
        return None
    if own.sampling:
        return _Run(runs, ExampleKept(metric, program), optimizer.source)
    call = own.batch.get(id(program)) or _start(recording.active, own, program)
    candidate = kept(call, CandidateKept)
    if call is None or candidate is None:
        return None
    own.batch[id(program)] = call
    return Carried(_Run(runs, ExampleKept(metric, program, candidate.scores), call.source), call.context)


def _start(recorder: Recorder, own: OptimizeKept, program: Any) -> LiveCall | None:
    """Start a candidate, and leave the optimizer current: the next candidate is not under this one."""
    own.pool = own.pool or [own.search.student]
    number = stored(program).get("simba_idx")
    parents = (own.pool[number],) if type(number) is int and number < len(own.pool) else ()
    own.search.expected.append(Expected({sc.CANDIDATE_STEP: max(own.step, 0)}, parents=parents))
    call = candidates.start(recorder, program)
    candidate = kept(call, CandidateKept)
    if call is not None and candidate is not None:
        candidates.describe(recorder, call)
        candidate.scores = deque()
        own.pool.append(candidate.candidate)
        restore(call)
    return call


def take_batch(optimizer: LiveCall | None) -> list[LiveCall]:
    """Return the candidates of the batch that is about to run, none outside of SIMBA, and empty the batch."""
    own = kept(optimizer, OptimizeKept)
    if own is None:
        return []
    batch = list(own.batch.values())
    own.batch = {}
    return batch


@guarded
def end(recorder: Recorder, optimizer: LiveCall | None, batch: list[LiveCall], error: BaseException | None) -> None:
    """End a batch when all of it has run."""
    own = kept(optimizer, OptimizeKept)
    if own is None:
        return
    own.sampling = False
    for call in batch:
        _conclude(recorder, own, call)
        recorder.end(call, error=error)


def _conclude(recorder: Recorder, own: OptimizeKept, call: LiveCall) -> None:
    candidate = kept(call, CandidateKept)
    if candidate is not None:
        scores = [score for score, _ in candidate.scores if score is not None]
        candidate.scope = "full" if own.trainset_size in (None, len(scores)) else "minibatch"
        candidates.conclude(recorder, call, sum(scores) / len(scores) if scores else None)


class _Run:
    """SIMBA's function for one program, with an example around each run."""

    def __init__(self, function: Callable[[Any], Any], example: ExampleKept, source: str) -> None:
        self.function = function
        self.example = example
        self.source = source

    def __call__(self, example: Any) -> Any:
        return _around_run(self.function, self, (example,), {})


def _start_run(recorder: Recorder, run: Any, args: Arguments, _: Keywords) -> LiveCall:
    return examples.start(recorder, run.source, None, args[0], replace(run.example))


_around_run = around(Steps(_start_run, examples.describe, examples.succeed, examples.fail))
