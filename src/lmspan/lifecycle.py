"""The vocabulary: what can happen in an LLM program.

An *operation* has a beginning and an end and becomes a span; an *event* is a point in time inside an operation and
becomes a span event; a *call* is one operation in flight.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lmspan.errors import StopRun

STARTING: Final = "lmspan-starting-call"
"""The key under which the context given to a span processor's `on_start` holds the live call."""

CURRENT: Final = "lmspan-current-call"
"""The key under which an attached context holds the innermost call."""

LISTENING: Final = "lmspan-listening"
"""The key under which a context holds the subscriptions that hear only what runs in it."""


class Operation(StrEnum):
    """What begins and ends. The value is lmspan's own word; the span's name and attributes follow the conventions."""

    WORKFLOW = "workflow"
    MODULE = "module"
    AGENT = "agent"
    TURN = "turn"
    LM = "lm"
    EMBEDDING = "embedding"
    RETRIEVAL = "retrieval"
    TOOL = "tool"
    ADAPTER_FORMAT = "adapter_format"
    ADAPTER_PARSE = "adapter_parse"
    EVALUATE = "evaluate"
    EXAMPLE = "example"
    OPTIMIZE = "optimize"
    CANDIDATE = "candidate"
    INTERPRETER_EXECUTE = "interpreter_execute"
    INTERPRETER_STARTUP = "interpreter_startup"
    INTERPRETER_SHUTDOWN = "interpreter_shutdown"


class Event(StrEnum):
    """What happens at one point in time, inside an operation."""

    RETRY = "retry"
    EXCEPTION = "exception"
    INFERENCE_EXCEPTION = "inference_exception"
    INFERENCE_DETAILS = "inference_details"
    PARSE_FALLBACK = "parse_fallback"
    ADAPTATION = "adaptation"
    RESPONSE = "response"
    EVALUATION_RESULT = "evaluation_result"
    OPTIMIZER_CANDIDATE = "optimizer_candidate"
    HYPERPARAMETER_UPDATE = "hyperparameter_update"
    STDERR_WRITE = "stderr_write"
    PROGRESS = "progress"
    WARNING = "warning"
    CUSTOM = "custom"
    TRACE_COMPLETE = "trace_complete"


class Phase(StrEnum):
    """Where in its life a call is when somebody hears of it."""

    START = "start"
    EVENT = "event"
    END = "end"


class Watcher(Protocol):
    """Who hears of one call while it lasts. Called on the program's thread; must not raise an `Exception`."""

    def event(self, call: Call, event: str, attributes: Mapping[str, Any]) -> None:
        """Hear of a point in time inside the call."""

    def end(self, call: Call) -> None:
        """Hear of its end; its `facts`, `outputs` and `error` are complete."""


class LocalContent:
    """The content of a call that this machine's own files and terminal may show, and that its span does not carry."""

    __slots__ = ("attributes", "events", "status")

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.events: list[tuple[str, int, dict[str, Any]]] = []
        """For each event of the span that has content: its name, its time, and the content."""
        self.status: str | None = None


class Call:
    """One operation in flight: what a source announces and a subscriber reads.

    `facts` are what is known of the call, by attribute name: at the start what samplers see, at the end everything;
    `found` is where a source puts what it finds out in between. `instance`, `inputs` and `outputs` are the program's
    own objects, never copied, and are let go when the call has ended.
    """

    # What most calls never change stands on the class: making a call is on the hot path.
    call_id: str = ""
    parent_id = ""
    parent: Call | None = None
    outputs: Any = None
    error: BaseException | None = None
    start_time_unix_nano = 0
    # `recording`: the span keeps what it is told. `observed`: it does, or metrics want the facts all the same.
    recording = False
    observed = False
    ended = False
    # `failed`: something went wrong here, not only below; `orphan`: it names a parent that nobody knows.
    failed = False
    orphan = False
    # `inherited`: it came into this process by a fork, and is its parent's to end.
    inherited = False
    # Who hears of this call: told of its events and of its end. `raises` is what one of them wants raised where the
    # call starts; `stop`, on the outermost call of a run, says that all of the run is to be stopped, and `pending`
    # there is what of theirs an awaited run waits for.
    watchers: tuple[Watcher, ...] = ()
    result: Any = None  # what the run has come to so far, while somebody wants to know
    raises: BaseException | None = None
    stop: StopRun | None = None
    pending: list[Any] | None = None
    # The recorder's: the span, the OTel context that it attached and the one it found, the sums that it counts in,
    # whether its span waits for the parent's end, and the children that wait for its own.
    span: Any = None
    context: Any = None
    previous: Any = None
    totals: Any = None
    held = False
    end_time_unix_nano = 0
    waiting: dict[str, Call] | None = None
    # What of a source a subscriber may read: the library's own response object of a model or a turn, the results of the
    # tools that a turn has called, and for a predictor the attempt of its adapter and the adapter's name.
    response: Any = None
    tool_results: Any = None
    attempt = 1
    adapter: str | None = None
    # What a source keeps for itself between start and end: an object of a small class of its own, never exported.
    kept: Any = None
    # How many characters of content the call has: a queue of spans counts them.
    content_size = 0
    local: LocalContent | None = None

    def __init__(self, operation: Operation, name: str, source: str, instance: Any = None, inputs: Any = None) -> None:
        self.operation = operation
        self.name = name
        self.source = source
        self.instance = instance
        self.inputs = inputs
        self.root = self
        self.facts: dict[str, Any] = {}
        self.found: dict[str, Any] = {}
        # What a source wants to remember between start and end; never exported.
        self.notes: dict[str, Any] = {}

    def identify(self, span: Any) -> None:
        """Take the span, and its id where the program has none of its own: as soon as somebody sees it."""
        self.span = span
        self.call_id = self.call_id or f"{span.get_span_context().span_id:016x}"

    def claim(self, deed: str) -> bool:
        """Tell whether the caller is the first to do this to the call: a worker may end it, and whoever left it too."""
        claimed: object = self.__dict__.setdefault(deed, mine := object())  # atomic, other than to look and then to set
        return claimed is mine

    def wait_for_parent(self) -> bool:
        """Be told when the parent ends; False when there is none, or it has ended."""
        waiting = self.parent.__dict__.setdefault("waiting", {}) if self.parent is not None else None
        if waiting is None:
            return False
        waiting[self.call_id] = self
        return True

    def __repr__(self) -> str:
        return f"<Call {self.operation.value} {self.name!r} {self.call_id}>"
