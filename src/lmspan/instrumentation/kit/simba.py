"""SIMBA: it evaluates by itself, several candidates in one batch.

Each step first samples trajectories of programs that it has, which are no candidates, and then runs its new programs
on the same examples. So a candidate starts when its first example is prepared, on the thread of the run, and ends
when the whole batch has run; in between its examples run under it, on other threads or not.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from lmspan import semconv as sc
from lmspan.context.current import current_call, restore
from lmspan.context.processes import Carried
from lmspan.guard import guarded
from lmspan.instrumentation.kit import candidates, examples
from lmspan.instrumentation.kit.around import Hook, around
from lmspan.instrumentation.kit.search import Expected, Search, search_of
from lmspan.recording import recorder as recording

if TYPE_CHECKING:
    from collections.abc import Callable

    from lmspan.lifecycle import Call
    from lmspan.recording.recorder import Recorder

    Arguments = tuple[Any, ...]
    Keywords = dict[str, Any]

_get = object.__getattribute__


def prepare(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """A step begins: what runs next are samples."""
    optimizer = current_call()
    if optimizer is not None and search_of(optimizer) is not None:
        optimizer.notes["step"] = optimizer.notes.get("step", -1) + 1
        optimizer.notes["sampling"] = True
    return wrapped(*args, **kwargs)


def wrap_program(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Return SIMBA's function that runs a program on an example and scores it, recorded."""
    runs = wrapped(*args, **kwargs)
    return _recorded(runs, *args, **kwargs) or runs


@guarded
def _recorded(runs: Callable[[Any], Any], program: Any, metric: Any) -> Callable[[Any], Any] | None:
    optimizer = current_call()
    if optimizer is None or search_of(optimizer) is None:
        return None
    if optimizer.notes.get("sampling"):
        return _Run(runs, metric, program, None, optimizer.source)
    batch = optimizer.notes.setdefault("batch", {})
    if id(program) not in batch:
        batch[id(program)] = _start(recording.active, optimizer, program)
    call = batch[id(program)]
    return Carried(_Run(runs, metric, program, call.notes["scores"], call.source), call.context)


def _start(recorder: Recorder, optimizer: Call, program: Any) -> Call:
    """Start a candidate without leaving it current: the next one is not under it."""
    notes = optimizer.notes
    pool = notes.setdefault("pool", [_search(optimizer).student])
    source = _get(program, "__dict__").get("simba_idx")
    parents = (pool[source],) if type(source) is int and source < len(pool) else ()
    _search(optimizer).expected.append(Expected({sc.CANDIDATE_STEP: notes.get("step", 0)}, parents=parents))
    call: Any = candidates.start(recorder, program)
    candidates.describe(recorder, call, (), {})
    call.notes["scores"] = deque()
    pool.append(call.notes["candidate"])
    restore(call)
    return call  # type: ignore[no-any-return]


def _search(optimizer: Call) -> Search:
    search = search_of(optimizer)
    assert search is not None  # noqa: S101 - whoever comes here has asked
    return search


def batch_of(optimizer: Call | None) -> list[Call]:
    """Return the candidates of the batch that is about to run, of SIMBA or of nobody."""
    return list(optimizer.notes.pop("batch", {}).values()) if optimizer is not None else []


@guarded
def end(recorder: Recorder, optimizer: Call | None, batch: list[Call], error: BaseException | None) -> None:
    """End a batch, when all of it has run."""
    if optimizer is None or search_of(optimizer) is None:
        return
    optimizer.notes["sampling"] = False
    for call in batch:
        scores = [score for score, _ in call.notes["scores"] if score is not None]
        whole = optimizer.notes.get("trainset_size") in (None, len(scores))
        call.notes["scope"] = "full" if whole else "minibatch"
        candidates.conclude(recorder, call, sum(scores) / len(scores) if scores else None, call.notes["scores"])
        recorder.end(call, error=error)


class _Run:
    """SIMBA's function for one program, with an example around each run."""

    def __init__(self, function: Callable[[Any], Any], metric: Any, program: Any, scores: Any, source: str) -> None:
        self.function = function
        self.source = source
        self.metric = metric
        self.program = program
        self.scores = scores

    def __call__(self, example: Any) -> Any:
        """Run it."""
        return _around_run(self.function, self, (example,), {})


def _begin_run(recorder: Recorder, run: Any, args: Arguments, kwargs: Keywords) -> Call:
    del kwargs
    return examples.begin(recorder, run.source, None, args[0], run.metric, program=run.program, scores=run.scores)


_around_run = around(Hook(_begin_run, examples.describe, examples.finish, examples.fail))
