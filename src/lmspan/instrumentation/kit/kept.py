"""What a source keeps on a call between its start and its end: one small class for each kind of call.

`Call.kept` holds an object of one of these classes, or of a subclass in a library's package. Only sources read it.
What a subscriber may read is a field of `Call`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lmspan.instrumentation.kit.exchanges import Exchange
    from lmspan.instrumentation.kit.search import Candidate, Search
    from lmspan.instrumentation.kit.turns import Loop
    from lmspan.lifecycle import LiveCall

    Scores = Iterable[tuple[float | None, dict[str, float]]]

Kind = TypeVar("Kind")


def kept(call: LiveCall | None, kind: type[Kind]) -> Kind | None:
    """Return what a source keeps on a call, or None if it keeps nothing of this kind there."""
    value = call.kept if call is not None else None
    return value if isinstance(value, kind) else None


@dataclass(slots=True)
class LMKept:
    """Of an LM call: the attempts of its request."""

    attempts: int = 1
    """The number of the current attempt."""
    failed: str | None = None
    """The error type with which the current attempt has failed."""
    exchanges: list[Exchange] = field(default_factory=list)
    """The requests that have been sent, and their answers."""


@dataclass(slots=True)
class ModuleKept:
    """Of a module, a workflow or an agent: where it sits in its program, and the turns of an agent."""

    loop: Loop | None = None
    """Which predictors of an agent start a turn and which run after the last one."""
    path: str = ""
    turn: LiveCall | None = None
    """The newest turn, which may have ended."""
    turns: int = 0
    """How many turns have started."""


@dataclass(slots=True)
class TurnKept:
    """Of a turn: what the model has chosen to do in it."""

    chosen: bool = False
    """Whether the predictor that chooses has returned."""
    tool_calls: list[tuple[str, Any]] = field(default_factory=list)
    """The name and the id of each tool call that the model asks for and that has not started yet, in order."""


@dataclass(slots=True)
class EvaluationKept:
    """Of an evaluation: its metric, and the results of its examples so far."""

    metric: Any = None
    scores: Scores = ()
    failures: Collection[Any] | None = None
    """One item for each example that has failed; None while failures are not counted."""
    failure_score: Any = None
    """The score that the library counts for an example that has failed."""


@dataclass(slots=True)
class ExampleKept:
    """Of an example: the metric and the program that run on it, and the result."""

    metric: Any = None
    """The metric itself, or its name."""
    program: Any = ...
    """The module that runs on the example; `...` stands for the first module that runs."""
    scores: Any = None
    """A deque of the evaluation's that takes the scores of this example, or None."""
    failure_score: Any = None
    failed: bool = False
    """Whether the library has swallowed an exception of the program or the metric."""
    error_type: str = "_OTHER"
    """The type of that exception, if it is known."""
    call: LiveCall | None = None
    """The call of the program."""


@dataclass(slots=True)
class CandidateKept:
    """Of a candidate: what it is, and the scores of the examples that it was evaluated on."""

    candidate: Candidate
    scope: str = "full"
    """Either "full", for an evaluation of the whole data set, or "minibatch"."""
    scores: Scores = ()
    example_count: int = 0
    """The number of examples in its evaluations so far, for an optimizer that does not announce it."""


@dataclass(slots=True)
class OptimizeKept:
    """Of an optimizer run: its search, and the steps of SIMBA, which evaluates by itself."""

    search: Search
    trainset_size: int | None = None
    data_size: int | None = None
    """The number of examples of a whole evaluation, if a smaller evaluation is on a minibatch."""
    step: int = -1
    """The number of the current step of SIMBA; the first is 0."""
    sampling: bool = False
    """Whether SIMBA is running programs that it already has."""
    batch: dict[int, LiveCall] = field(default_factory=dict)
    """The candidates that SIMBA is about to run, by the identity of the program."""
    pool: list[Candidate] = field(default_factory=list)
    """The programs of SIMBA by the number that it gives them, the student first."""
