"""Render one span in full: its inputs, outputs and facts, and sections that are particular to its operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from lmspan import semconv as sc
from lmspan.lifecycle import Operation
from lmspan.terminal.candidates import optimizer_table
from lmspan.terminal.columns import Column, Lines, text
from lmspan.terminal.figures import clock, count, duration, number, sums
from lmspan.terminal.text import safe_lines, safe_text
from lmspan.traces.content import as_text, conversation, fields, inputs_of, outputs_of, readable
from lmspan.traces.evaluations import evaluation, example_of
from lmspan.traces.optimizers import word_diff
from lmspan.traces.places import place_of
from lmspan.traces.spans import State
from lmspan.traces.trace import exception_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from lmspan.traces.optimizers import Candidate
    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.trace import Trace

_EXAMPLES: Final = (
    Column("span", right=True), Column("example", right=True), Column("score", right=True), Column("inputs", cut=True),
    Column("gold", cut=True), Column("prediction", cut=True), Column("feedback", cut=True),
)  # fmt: skip
_MARKS: Final = {" ": ("", "", ""), "-": ("[-", "-]", "red"), "+": ("{+", "+}", "green")}  # as git's word diff
_ROLES: Final = {"system": "dim", "user": "bold green", "assistant": "bold cyan", "tool": "bold magenta"}
_SHOWN_ELSEWHERE: Final = (*sc.CONTENT, sc.CALL_ID, sc.CALL_PARENT_ID)
_IN_SECTIONS: Final = (
    sc.EVENT_EXCEPTION,
    sc.EVENT_INFERENCE_EXCEPTION,
    sc.EVENT_OPTIMIZER_CANDIDATE,
    sc.EVENT_EVALUATION_RESULT,
)


def render_span(trace: Trace, span: StoredSpan) -> RenderableType:
    """Return one span of a trace as a renderable for rich."""
    parts: list[RenderableType] = [_header(trace, span)]
    for section in _SECTIONS.get(span.operation, (_inputs_and_outputs,)):  # type: ignore[arg-type] # None is no key
        parts += section(trace, span)
    for each in (_error, _facts, _events, _links):
        parts += each(trace, span)
    return Group(*parts)


def _header(trace: Trace, span: StoredSpan) -> Text:
    head = Text(safe_text(span.name), style="bold red" if span.failed else "bold")
    head.append(f"  span {safe_text(span.span_id)}", style="not bold default")
    times = [clock(span.start_unix_nano), duration(span.duration_s)]
    own = trace.self_times[span.span_id] / 1e9
    if len(trace.children.get(span.span_id, ())):
        times.append(f"{duration(own)} of its own")
    head.append("\n" + "  ".join([*times, *sums(trace.figures[span.span_id])]), style="not bold default")
    if span.state is not State.ENDED:
        head.append(f"  {span.state.value}", style="yellow")
    path = " › ".join(safe_text(each.name) for each in trace.above(span))
    return head.append(f"\n{path}" if path else "", style="not bold dim")


def _titled(title: str, value: Any, style: str = "") -> Iterator[RenderableType]:
    """Yield a title and a value with its fields, or nothing for no value."""
    if value is None or value == "":
        return
    yield Text(f"\n{title}", style="bold")
    for name, content in fields(value):
        if name:
            yield Text(f"  {safe_text(name)}", style="dim")
        yield Padding(Text(safe_lines(content), style=style), (0, 0, 0, 4 if name else 2), expand=False)


def _inputs_and_outputs(_: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    yield from _titled("inputs", inputs_of(span))
    yield from _titled("outputs", outputs_of(span))


def _conversation(_: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    messages = conversation(span)
    for message in messages:
        yield Text(f"\n{safe_text(message.role or 'message')}", style=_ROLES.get(message.role, "bold"))
        for part in message.parts:
            title = "" if part.kind == "text" else f"{safe_text(part.kind)} {safe_text(part.name)}".strip()
            if title:
                yield Text(f"  {title}", style="dim")
            yield Padding(Text(safe_lines(part.shown)), (0, 0, 0, 4 if title else 2), expand=False)
    if not messages:
        yield from _inputs_and_outputs(_, span)


def _example(trace: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    example = example_of(trace, span)
    yield from _titled("inputs", example.inputs)
    yield from _titled("gold", example.gold, "green")
    yield from _titled("prediction", example.prediction)
    yield from _titled("score", None if example.score is None else number(example.score))
    yield from _titled("feedback", example.feedback)
    yield from _titled("error", example.error, "red")


def _evaluation(trace: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    """Yield the examples as a table, the worst first."""
    numbers = {each.span_id: place for place, each in enumerate(trace.spans, 1)}
    examples = sorted(evaluation(trace, span).examples, key=lambda each: (not each.failed, each.score or 0.0))
    yield Text()
    yield Lines(_EXAMPLES, [
        (
            text(str(numbers[each.span.span_id]), "dim"),
            text("" if each.index is None else str(each.index)),
            text("" if each.score is None else number(each.score), "bold"),
            *(text(safe_text(readable(value), 300)) for value in (each.inputs, each.gold, each.prediction)),
            text(safe_text(each.error or each.feedback, 300), "red" if each.failed else "dim"),
        )
        for each in examples
    ])  # fmt: skip


def _optimizer(trace: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    run = next((run for run in trace.optimizer_runs if run.span is span), None)
    if run is not None and run.candidates:
        yield optimizer_table(run, full=True)
    yield from _inputs_and_outputs(trace, span)


def _candidate(trace: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    run, candidate = next(
        ((run, each) for run in trace.optimizer_runs for each in run.candidates if each.span is span), (None, None)
    )
    if run is None or candidate is None:
        return
    yield Text(_verdict(candidate))
    parent = run.parent(candidate)
    before = parent.instructions if parent is not None else {}
    for name, after in candidate.instructions.items():
        yield Text(f"\ninstructions of {safe_text(name)}", style="bold")
        yield Padding(_difference(before.get(name), after), (0, 0, 0, 2), expand=False)
    if not before and candidate.diff:
        yield from _unified(candidate.diff)
    for name, demos in candidate.demos.items():
        if demos:
            yield from _titled(f"demonstrations of {safe_text(name)}", as_text(demos, indent=2))


def _verdict(candidate: Candidate) -> str:
    parts = [
        f"candidate {candidate.index}",
        f"score {number(candidate.score)}" if candidate.score is not None else "no score",
        f"on {safe_text(candidate.scope)} data" if candidate.scope else "",
        {True: "accepted", False: "not accepted", None: ""}[candidate.accepted],
        safe_text(candidate.reason, 400),
    ]
    changed = ", ".join(map(safe_text, candidate.changed))
    return (
        "\n"
        + ": ".join(filter(None, ["  ".join(filter(None, parts[:4])), parts[4]]))
        + (f"\nchanged: {changed}" if changed else "")
    )


def _difference(before: str | None, after: str) -> Text:
    """Return a text with the differences from the one before, word by word, or both texts where little is the same."""
    if before is None or before == after:
        return Text(safe_lines(after))
    changes = word_diff(before, after)
    if 2 * sum(len(change.text) for change in changes if change.sign == " ") < len(after):
        return Text().append(f"- {safe_lines(before)}\n", style="red").append(f"+ {safe_lines(after)}", style="green")
    shown = Text()
    for change in changes:
        begin, end, style = _MARKS[change.sign]
        shown.append(f"{begin}{safe_lines(change.text)}{end}", style=style)
    return shown


def _unified(diff: str) -> Iterator[RenderableType]:
    yield Text("\ndifference from its parent", style="bold")
    styles = {"+": "green", "-": "red", "@": "dim"}
    for line in diff.splitlines():
        yield Padding(Text(safe_lines(line), style=styles.get(line[:1], "")), (0, 0, 0, 2), expand=False)


def _error(trace: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    event = exception_of(span)
    if event is None and not span.failed:
        return
    facts = event.facts if event is not None else {}
    kind = facts.get(sc.EXCEPTION_TYPE) or span.facts.get(sc.ERROR_TYPE, "error")
    message = facts.get(sc.EXCEPTION_MESSAGE) or span.message
    yield Text("\nerror", style="bold red")
    yield Padding(Text(safe_lines(f"{kind}: {message}" if message else kind)), (0, 0, 0, 2), expand=False)
    failure = next((each for each in trace.failures if each.span is span), None)
    if failure is not None and (where := place_of(failure.span)):
        yield Text(f"  {safe_text(where)}", style="dim")
    if stack := facts.get(sc.EXCEPTION_STACKTRACE):
        yield Padding(Text(safe_lines(stack), style="dim"), (0, 0, 0, 2), expand=False)


def _facts(_: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    shown = {name: value for name, value in span.attributes.items() if name not in _SHOWN_ELSEWHERE}
    if shown:
        yield Text("\nattributes", style="bold")
        rows = [
            (text(f"  {safe_text(name)}", "dim"), text(safe_text(as_text(value), 400)))
            for name, value in sorted(shown.items())  # a backend does not keep their order
        ]
        yield Lines((Column(), Column(cut=True)), rows)


def _events(_: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    events = [event for event in span.events if event.name not in _IN_SECTIONS]
    if events or span.dropped_events:
        yield Text("\nevents", style="bold")
    if span.dropped_events:
        dropped = count(span.dropped_events, "earlier event")
        were = "was" if span.dropped_events == 1 else "were"
        yield Text(f"  {dropped} {were} dropped: the span's limit is {len(span.events)}", style="yellow")
    for event in events:
        after = duration(max(event.time_unix_nano - span.start_unix_nano, 0) / 1e9)
        facts = "  ".join(
            f"{name.rsplit('.', 1)[-1]}={as_text(value)}" for name, value in sorted(event.attributes.items())
        )
        yield Text(f"  +{after}  {safe_text(event.name)}  ").append(safe_text(facts, 400), style="dim")


def _links(_: Trace, span: StoredSpan) -> Iterator[RenderableType]:
    for link in span.links:
        kind = safe_text(link.attributes.get(sc.LINK_TYPE, "link"))
        yield Text(f"\n{kind}  trace {safe_text(link.trace_id)}  span {safe_text(link.span_id)}")


_SECTIONS: Final = {
    Operation.LM: (_conversation,),
    Operation.EXAMPLE: (_example,),
    Operation.CANDIDATE: (_candidate,),
    Operation.EVALUATE: (_evaluation,),
    Operation.OPTIMIZE: (_optimizer,),
}
