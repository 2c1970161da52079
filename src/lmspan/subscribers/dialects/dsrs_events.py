"""The types of the arguments that a callback of dsrs takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class LmUsage:
    """Tokens and cost; the cost is in millisatoshi if the program counts in that unit, else in US dollars."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_msats: int = 0
    cost_usd: float | None = None

    @property
    def total_tokens(self) -> int:
        """The tokens of prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


@dataclass
class Result:
    """The result of a call, a value or an error. It is true when it is a value."""

    value: Any = None
    error: BaseException | None = None

    def is_ok(self) -> bool:
        """Tell whether it is a value."""
        return self.error is None

    def ok(self) -> Any:
        """Return the value, None for an error."""
        return self.value if self.error is None else None

    def __bool__(self) -> bool:
        return self.is_ok()


@dataclass
class Prediction:
    """The output of a module, and its usage."""

    data: Any
    lm_usage: LmUsage


@dataclass
class Node:
    """One operation of a trace."""

    id: str
    node_type: str
    name: str = ""


@dataclass
class Graph:
    """The operations of a trace."""

    nodes: list[Node] = field(default_factory=list)


class CallbackEvent:
    """The argument of `on_event`: one of the variants below."""

    @dataclass
    class ModuleStart:
        """A module starts; `timestamp` is in milliseconds since the epoch."""

        call_id: str
        module_name: str
        timestamp: int

    @dataclass
    class ModuleEnd:
        """A module has ended."""

        call_id: str
        success: bool
        duration_ms: int
        tokens: int | None

    @dataclass
    class LmStart:
        """An LM call starts; `prompt_tokens` is an estimate."""

        call_id: str
        model: str
        prompt_tokens: int

    @dataclass
    class LmEnd:
        """An LM call has ended, with an answer or an error."""

        call_id: str
        success: bool
        usage: LmUsage

    @dataclass
    class LmStreamStart:
        """The first chunk of an answer has come."""

        call_id: str
        model: str

    @dataclass
    class LmToken:
        """A chunk of an answer has come."""

        call_id: str
        token: str

    @dataclass
    class LmStreamEnd:
        """The last chunk of an answer has come."""

        call_id: str

    @dataclass
    class OptimizerCandidate:
        """An optimizer has tried a program."""

        candidate_id: str
        metrics: dict[str, float]

    @dataclass
    class TraceComplete:
        """The outermost operation has ended."""

        node_count: int
        total_tokens: int
        total_cost_msats: int

    @dataclass
    class Custom:
        """An event of the program's own."""

        name: str
        data: Any

    @dataclass
    class Progress:
        """The program reports its progress."""

        current: int
        total: int
        message: str

    @dataclass
    class Warning:  # noqa: A001 - the name of the variant in the crate
        """The program warns."""

        message: str

    @dataclass
    class Error:
        """The program reports an error."""

        message: str
