"""The vocabulary: operations, events and calls of an LLM program.

An *operation* has a start and an end and becomes a span; an *event* is a point in time inside an operation and becomes
a span event; a *call* is one operation in flight. A source starts calls and ends them, a subscriber reads them.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmspan.errors import StopRun

STARTING: Final = "lmspan-starting-call"
"""The key under which the context given to a span processor's `on_start` holds the live call."""

CURRENT: Final = "lmspan-current-call"
"""The key under which an attached context holds the innermost call."""

LISTENING: Final = "lmspan-listening"
"""The key under which a context holds the subscriptions that hear only what runs in it."""


Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""The positional and the keyword arguments of a call of the program."""

GATHERED: Final = "lmspan-gathered-figures"
"""The key under which the context of a task in another process holds what takes its figures."""


class Figures(NamedTuple):
    """The sums of calls that have run in another process, by the names of totals, and their costs by currency."""

    numbers: dict[str, int]
    costs: dict[str, float] = {}  # noqa: RUF012 - a tuple's field, which nothing changes
    sources: tuple[str, ...] = ()


class Operation(StrEnum):
    """A kind of step with a start and an end. The value is lmspan's own word; the span follows the conventions."""

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
    """A kind of point in time inside an operation."""

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
    STREAM_START = "stream_start"
    STREAM_CHUNK = "stream_chunk"
    STREAM_END = "stream_end"


def _make_plain(kind: type[StrEnum]) -> None:
    """Store the members as plain attributes of their class, which Python 3.11 reads through a slow property."""
    for member in kind:
        type.__setattr__(kind, member.name, member)


_make_plain(Operation)
_make_plain(Event)


class Phase(StrEnum):
    """The part of a call that a hook hears."""

    START = "start"
    EVENT = "event"
    END = "end"


class Life(IntEnum):
    """How far a call has come. A call goes down this list, one step at a time, and never back.

        OPEN     it runs; its span takes attributes and events, and a child may depend on its end
          |      Recorder.end(): one thread takes this step, every other attempt to end the call has no effect
        ENDING   its facts are completed, and the children that depend on it end
          |      all facts are known, and the subscribers have heard the end
        ENDED    its span is still open if it is held: it takes events until the parent ends
          |      the span ends, with the end time of the call
        CLOSED   nothing more happens to it

    `Recorder` takes each step under its lock, so a call ends once, whichever threads try to end it.
    """

    OPEN = 0
    ENDING = 1
    ENDED = 2
    CLOSED = 3


class Watcher(Protocol):
    """Hears one call while it lasts. Called on the program's thread; must not raise an `Exception`."""

    def event(self, call: LiveCall, event: str, attributes: Mapping[str, Any]) -> None:
        """Hear a point in time inside the call."""

    def end(self, call: LiveCall) -> None:
        """Hear its end; its `facts`, `outputs` and `error` are complete."""


class Deferred:
    """The text of a content attribute, encoded when it is first read: by an exporter on its thread, as a rule."""

    __slots__ = ("_state", "size")

    def __init__(self, size: int, encode: Callable[..., str], *arguments: Any) -> None:
        """`encode` must not raise, and its arguments must not change any more; `size` is what a queue counts."""
        self._state: Any = (encode, arguments)
        self.size = size

    def text(self) -> str:
        """Return the text. On any thread; two at once may both encode it."""
        state = self._state  # one look: another thread may put the text in its place now
        if type(state) is tuple:
            encode, arguments = state
            state = self._state = encode(*arguments)
        return state  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """A copy is the text, and so is a pickle for another process."""
        return str, (self.text(),)


def with_texts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of attributes, with the texts of those that are `Deferred`; others may change meanwhile."""
    return {name: each.text() if type(each) is Deferred else each for name, each in dict(attributes).items()}


class LocalContent:
    """The content of a call that this machine's own files and terminal may show, and that its span does not carry."""

    __slots__ = ("attributes", "events", "status")

    def __init__(self, max_events: int | None = None) -> None:
        """Keep the content of the last `max_events` events: the span keeps no more events."""
        self.attributes: dict[str, Any] = {}  # texts, and `Deferred` ones
        self.events: deque[tuple[str, int, dict[str, Any]]] = deque(maxlen=max_events)
        """For each event of the span that has content: its name, its time, and the content."""
        self.status: str | None = None


class Call:
    """One operation in flight, as a subscriber reads it.

    `instance`, `inputs`, `arguments`, `outputs` and `response` are the program's own objects, never copied, and are
    released when the call has ended. Every field may be read on any thread; a subscriber sets none.
    """

    operation: Operation
    name: str
    source: str
    """The library that announced it: a name of `instrument=`, "python", or "otel" for a foreign span."""
    instance: Any
    inputs: Any
    root: Self
    """The outermost call of its trace in this process."""
    facts: dict[str, Any]
    """What is known of it, by attribute name: at the start what samplers see, at the end everything."""
    call_id: str
    """The id of its span, or the program's own id of this call."""
    parent_id: str
    """The `call_id` of the call that it runs under; empty for the outermost."""
    parent: Self | None
    """The call that it runs under, if that is a call of this process."""
    outputs: Any
    """The value that it returned; set when it ends."""
    error: BaseException | None
    """The exception that it raised; set when it ends."""
    start_time_unix_nano: int
    end_time_unix_nano: int
    failed: bool
    """Whether something went wrong in this call itself, and not only in one below it."""
    orphan: bool
    """Whether it names a parent that is not open."""
    arguments: Arguments | None
    """The arguments of the library's method as the program passes them, if the source keeps them."""
    response: Any
    """The library's own response object, of an LM call or of a turn."""
    tool_results: Any
    """The results of the tools that a turn has called."""
    attempt_error: BaseException | None
    """The exception of the attempt of an LM call that has failed, when another attempt follows."""
    attempt: int
    """How often a predictor has asked for its answer, counted by its adapter."""
    adapter: str | None
    """The adapter that a predictor has used last."""

    # Slots, because a call is made on the hot path; with a `__dict__`, in which a program may note what it likes.
    __slots__ = (*__annotations__, "__dict__", "__weakref__")

    def __init__(self, operation: Operation, name: str, source: str, instance: Any = None, inputs: Any = None) -> None:
        self.operation = operation
        self.name = name
        self.source = source
        self.instance = instance
        self.inputs = inputs
        self.root = self  # type: ignore[assignment] # mypy does not know that `self` is a Self
        self.facts = {}
        self.call_id = self.parent_id = ""
        self.attempt = 1
        self.start_time_unix_nano = self.end_time_unix_nano = 0
        self.failed = self.orphan = False
        self.parent = self.outputs = self.error = self.arguments = self.response = self.tool_results = None
        self.attempt_error = self.adapter = None

    @property
    def ended(self) -> bool:
        """Whether its facts are complete."""
        return self.end_time_unix_nano > 0

    def __repr__(self) -> str:
        return f"<Call {self.operation.value} {self.name!r} {self.call_id}>"


class LiveCall(Call):
    """A call as the parts of lmspan share it; each field belongs to the part that is named above it."""

    # The recorder's.
    life: Life
    taken_by: object
    """The attempt to end it, or to close it, that has taken the last step of its life."""
    measured: bool
    """Whether the metrics have it."""
    span: Any
    context: Any
    """The OpenTelemetry context that it has attached."""
    previous: Any
    """The context that was current before."""
    totals: Any
    """The sums that it counts in."""
    owned: bool
    """Whether the source ends it where a function of the program ends; else it ends with its parent at the latest."""
    held: bool
    """Whether its span stays open for events until its parent ends."""
    dependents: dict[str, LiveCall] | None
    """The children that end with it, or whose spans end with it."""
    inherited: bool
    """Whether it belongs to the process that this one was forked from, which ends it."""
    failure_below: BaseException | None
    """The exception that a call under it has ended with: outer calls refer to it and do not record it again."""
    event_content: dict[str, Any] | None
    """The content of an LM call that goes into its log event."""
    texts: Any
    """On the outermost call of a trace: its long texts that were searched for secrets, if there are any."""

    # A source's.
    late_facts: dict[str, Any]
    """Where a source puts the facts that become known after the start."""
    recording: bool
    """Whether the span keeps attributes and events."""
    observed: bool
    """Whether the span or the metrics use further facts."""
    kept: Any
    """What the source keeps between start and end: an object of a small class of its own, never exported."""

    # The subscribers'.
    watchers: tuple[Watcher, ...]
    result: Any
    """The result of the run so far, if a subscriber uses it."""
    raises: BaseException | None
    """What a hook raises where the call starts."""
    stop: StopRun | None
    """On the outermost call of a run: every further operation of the run raises it."""
    chain: Any = None
    """On the outermost call of a run: the async hooks that run one after the other beside its sync steps."""
    per_call: dict[Any, Any] | None = None
    """What subscribers keep for it, by the `PerCall` that keeps it."""

    # The exporters'.
    content_size: int
    """About how many bytes its content has, without that of its events: a queue of spans counts them."""
    local: LocalContent | None

    # The fields with a value above are in the `__dict__`, of few calls: its `setdefault` is atomic.
    __slots__ = tuple(__annotations__.keys() - vars().keys())

    def __init__(self, operation: Operation, name: str, source: str, instance: Any = None, inputs: Any = None) -> None:
        Call.__init__(self, operation, name, source, instance, inputs)
        self.late_facts = {}
        self.content_size = 0
        self.life = Life.OPEN
        self.owned = True
        self.measured = self.held = self.inherited = self.recording = self.observed = False
        self.watchers = ()
        self.taken_by = self.span = self.context = self.previous = self.totals = self.dependents = None
        self.failure_below = self.event_content = self.texts = self.kept = self.local = None
        self.result = self.raises = self.stop = None

    @property
    def ended(self) -> bool:
        """Whether its facts are complete."""
        return self.life >= Life.ENDED

    def identify(self, span: Any) -> None:
        """Take the span, and its id where the program has no id of its own."""
        self.span = span
        self.call_id: str = self.call_id or f"{span.get_span_context().span_id:016x}"
