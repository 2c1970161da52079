"""Record a program in a test, and compare its trace with the expected trace.

    from lmspan.testing import recording

    def test_it():
        with recording() as recorded:
            program(question="...")
        recorded.assert_tree('''
            module Predict
              format ChatAdapter
              chat gpt-4o-mini
              parse ChatAdapter
        ''')

The provider is real and keeps the spans in memory. Span ids are 1, 2, 3, ...; each reading of the clock advances it by
a millisecond.
"""

from __future__ import annotations

import difflib
import itertools
import textwrap
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import StatusCode

from lmspan import instrumentation
from lmspan import semconv as sc
from lmspan.content.payload import CAPTURE_MODES, Content
from lmspan.content.redaction import Redactor
from lmspan.context import propagation
from lmspan.recording import recorder
from lmspan.recording.metrics import Metrics
from lmspan.semconv import registry
from lmspan.session import providers
from lmspan.subscribers.processor import CallbackProcessor
from lmspan.subscribers.registry import anybody
from lmspan.subscribers.sampling import ListeningSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry._logs import Logger
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler

_MILLISECOND: Final = 1_000_000
_EPOCH: Final = 1_700_000_000_000_000_000
_INDENT: Final = "  "
_TOTAL: Final = "lmspan.total."

# type of an attribute in the table -> the Python types of its values
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    sc.STRING: (str,),
    sc.JSON: (str,),
    sc.INT: (int,),
    sc.DOUBLE: (float,),
    sc.BOOL: (bool,),
    sc.STRINGS: (tuple,),
    sc.INTS: (tuple,),
    sc.SCALAR: (str, int, float, bool),
}


class FixedIds(IdGenerator):
    """Ids that count up from 1: a program that starts its spans in the same order has the same ids."""

    def __init__(self) -> None:
        self._spans = itertools.count(1)
        self._traces = itertools.count(1)

    def generate_span_id(self) -> int:
        """Return the next span id."""
        return next(self._spans)

    def generate_trace_id(self) -> int:
        """Return the next trace id."""
        return next(self._traces)


class Recorded:
    """The recorded spans. Every property and method reads the spans so far, also inside the `with`."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> list[ReadableSpan]:
        """The ended spans, in the order of their starts."""
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the ended spans of this name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Return the only span of this name; raise AssertionError if there is none or more than one."""
        spans = self.named(name)
        if len(spans) != 1:
            raise AssertionError(f"{len(spans)} spans are named {name!r}; recorded:\n{self.tree()}")
        return spans[0]

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of the only span of this name, without its totals."""
        attributes = self.one(name).attributes or {}
        return {key: value for key, value in attributes.items() if not key.startswith(_TOTAL)}

    def totals(self, name: str) -> dict[str, Any]:
        """Return the totals of the only span of this name and all spans below it: its `lmspan.total.*` attributes."""
        return totals_of(self.one(name))

    def events(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the events of the only span of this name, in order, without the event that reports its totals."""
        events = self.one(name).events
        return [(event.name, dict(event.attributes or {})) for event in events if event.name != sc.EVENT_TRACE_COMPLETE]

    def roots(self) -> list[ReadableSpan]:
        """Return the spans without a parent."""
        return [span for span in self.spans if span.parent is None]

    def trace_ids(self) -> set[int]:
        """Return the ids of all traces."""
        return {span.context.trace_id for span in self.spans if span.context is not None}

    def tree(self) -> str:
        """Return the spans as indented lines, siblings in the order of their starts; ` !` marks the status ERROR."""
        children: dict[int, list[ReadableSpan]] = {}
        for span in self.spans:
            children.setdefault(span.parent.span_id if span.parent else 0, []).append(span)
        known = {span.context.span_id for span in self.spans if span.context}

        def lines(span: ReadableSpan) -> list[str]:
            mark = " !" if span.status.status_code is StatusCode.ERROR else ""
            below = children.get(span.context.span_id if span.context else 0, ())
            return [f"{span.name}{mark}", *(_INDENT + line for child in below for line in lines(child))]

        whole = [line for root in children.get(0, ()) for line in lines(root)]
        for parent, spans in children.items():
            if parent and parent not in known:
                whole += [f"orphan: {line}" for span in spans for line in lines(span)]
        return "\n".join(whole)

    def assert_tree(self, expected: str, *, ordered: bool = True) -> None:
        """Assert that the trace has exactly these spans; `ordered=False` ignores the order of siblings."""
        actual = self.tree()
        expected = textwrap.dedent(expected.strip("\n").rstrip())
        if not ordered:
            actual = _sorted_siblings(actual)
            expected = _sorted_siblings(expected)
        if actual != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), actual.splitlines(), "expected", "recorded", lineterm=""
            )
            raise AssertionError("\n".join(["the trace is not as expected", *lines]))

    def assert_conventions(self) -> None:
        """Assert that every span follows the conventions, and has no parent that is unknown.

        Attributes and events have known names, right types and allowed values; a GenAI span has its kind, the required
        attributes of its operation and no other's; an operation of our own has no `gen_ai.*`; the status is ERROR
        exactly with `error.type`, and never OK.
        """
        mistakes = [problem for span in self.spans for problem in problems(span)]
        known = {span.context.span_id for span in self.spans if span.context}
        mistakes += [f"{span.name}: orphan" for span in self.spans if span.parent and span.parent.span_id not in known]
        if mistakes:
            raise AssertionError("\n".join(mistakes))


def totals_of(span: ReadableSpan) -> dict[str, Any]:
    """Return the totals of a span, by name without `lmspan.total.`."""
    attributes = span.attributes or {}
    return {key.removeprefix(_TOTAL): value for key, value in attributes.items() if key.startswith(_TOTAL)}


def _sorted_siblings(tree: str) -> str:
    """Return a tree's lines with the blocks under each line sorted."""
    blocks: list[str] = []
    for line in tree.splitlines():
        if line.startswith(_INDENT) and blocks:
            blocks[-1] += f"\n{line}"
        else:
            blocks.append(line)
    return "\n".join(sorted(map(_sorted_block, blocks)))


def _sorted_block(block: str) -> str:
    head, _, below = block.partition("\n")
    return f"{head}\n{textwrap.indent(_sorted_siblings(textwrap.dedent(below)), _INDENT)}" if below else head


def problems(span: ReadableSpan) -> list[str]:
    """Return how a span and its events differ from the tables of `lmspan.semconv`, and so from the conventions."""
    attributes = span.attributes or {}
    differences = [*_unlike_their_types(attributes, strict=True), *registry.mistakes(span.name, span.kind, attributes)]
    for event in span.events:
        facts = event.attributes or {}
        found = [*_unlike_their_types(facts, strict=False), *registry.event_mistakes(event.name, facts)]
        differences += [f"event {event.name}: {each}" for each in found]
    failed = span.status.status_code is StatusCode.ERROR
    if failed != (sc.ERROR_TYPE in attributes) or span.status.status_code is StatusCode.OK:
        differences.append(f"status {span.status.status_code.name} with error.type {attributes.get(sc.ERROR_TYPE)}")
    return [f"{span.name}: {each}" for each in differences]


def _unlike_their_types(attributes: Mapping[str, Any], *, strict: bool) -> Iterator[str]:
    """Yield the attributes that have another type than the table has, and those that should be in it."""
    for name, value in attributes.items():
        meaning = sc.attribute_of(name)
        if meaning is None:
            if strict or name.startswith(registry.NAMESPACE):
                yield f"{name} is in no table"
        elif type(value) not in _TYPES[meaning.type]:
            yield f"{name} is {type(value).__name__}, not {meaning.type}"


@contextmanager
def recording(
    *,
    capture_content: str = "span",
    instrument: tuple[str, ...] | None = None,
    redact: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
    events: str = "span",
    event_logger: Logger | None = None,
    meter_provider: MeterProvider | None = None,
    openinference: bool = False,
    sampler: Sampler | None = None,
) -> Iterator[Recorded]:
    """Record the body of the `with`, and restore the previous configuration of lmspan afterwards.

    A program that calls `lmspan.init()` in there is recorded here, and not by its own exporters; the options of this
    recording apply.

    `instrument` names libraries; None selects every supported library that is installed. `environ` holds the secrets to
    redact. The other options are those of `init()`. Two threads must not record at once, because a process has one
    recorder.
    """
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=sampler, resource=Resource({"service.name": "test"}), id_generator=FixedIds(), shutdown_on_exit=False
    )
    provider.sampler = ListeningSampler(provider.sampler, anybody)
    provider.add_span_processor(CallbackProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    ticks = itertools.count()
    tracer = providers.tracer(provider)
    in_memory = recorder.Recorder(
        tracer,
        content=Content(CAPTURE_MODES[capture_content], Redactor(redact, environ)),
        metrics=Metrics(meter_provider) if meter_provider is not None else None,
        events=events,
        event_logger=event_logger,
        openinference=openinference,
        listening=providers.listening(tracer),
        clock=lambda: _EPOCH + next(ticks) * _MILLISECOND,
    )
    names = instrumentation.choose(instrument)
    patched = ExitStack()
    recorder.hold(in_memory)
    propagation.install()
    try:
        for name in names:
            patched.callback(instrumentation.use(name))
        yield Recorded(exporter)
    finally:
        patched.close()
        propagation.uninstall()
        recorder.let_go(in_memory)
        in_memory.close()
        provider.force_flush(1000)
