"""Render a trace as a tree for the terminal: one line a span, with a waterfall, tokens and cost.

Every text of a trace passes `safe_text`, because a prompt may contain control sequences of a terminal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lmspan import semconv as sc
from lmspan.terminal.candidates import candidates
from lmspan.terminal.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from lmspan.traces.trace import StoredEvent, StoredSpan, Trace

_WATERFALL: Final = 24
_CACHED: Final = "cached"
_DEEPEST: Final = 40  # deeper levels are not indented
_ASTRONOMIC: Final = 1e9
_BELOW: Final = {"": "", "├─ ": "│  ", "└─ ": "   "}

_NUMBERS: Final = (sc.TURN_INDEX, sc.EXAMPLE_INDEX, sc.CANDIDATE_INDEX)  # the number of a span among its siblings

_STYLES: Final = (
    # by the first word of the span's name
    ({"chat", "text_completion", "generate_content", "embeddings"}, "cyan"),
    ({"invoke_agent", "invoke_workflow", "optimize", "evaluate"}, "bold"),
    ({"execute_tool", "retrieval"}, "magenta"),
    ({"format", "parse", "interpreter.startup", "interpreter.shutdown"}, "dim"),
)
_CONTENT: Final = tuple(name for name, meaning in sc.ATTRIBUTES.items() if meaning.content)


def render(trace: Trace, *, content: bool = True) -> RenderableType:
    """Return the trace as a renderable for rich: a header, the tree, its errors and, with `content`, its content."""
    under = trace.children()
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=False, show_edge=False)
    table.add_column("span", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("", no_wrap=True, width=_WATERFALL)
    start = trace.start_unix_nano
    end = trace.end_unix_nano
    rows = [
        (_label(guide, span), _bar(span, start, end), Text(duration(span.duration_s)), _tokens(span), _cost(span))
        for guide, span in _walk(under)
    ]
    for index, title in enumerate(("time", "tokens", "cost"), start=2):  # names may be cut, figures must not
        width = max((len(row[index]) for row in rows), default=0)
        table.add_column(title, justify="right", no_wrap=True, min_width=max(width, len(title)))
    for row in rows:
        table.add_row(*row)
    parts: list[RenderableType] = [_header(trace, under), table]
    parts += [part for part in map(candidates, trace.spans) if part is not None]
    if any(span.failed for span in trace.spans):
        parts.append(_errors(trace))
    if content:
        parts.append(_content_of(under))
    return Group(*parts)


def duration(seconds: float) -> str:
    """Return a duration with its unit, and with a decimal below 10."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (60, 1, "s")):
        if seconds < limit:
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 - two digits
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"


def money(amount: float) -> str:
    """Return an amount in dollars; small amounts have more digits."""
    if amount >= _ASTRONOMIC:
        return f"${amount:.3g}"
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.6f}".rstrip("0").ljust(5, "0")


def _walk(under: dict[str, list[StoredSpan]]) -> Iterator[tuple[str, StoredSpan]]:
    """Yield each span with the lines that lead to it, depth first; a stack allows traces of any depth.

    From level 40 on the lines end in the number of the level.
    """
    stack = [(0, "", "", span) for span in reversed(under.get("", ()))]
    seen: set[str] = set()
    while stack:
        depth, lead, corner, span = stack.pop()
        yield lead + corner if depth < _DEEPEST else f"{lead}…{depth} ", span
        if span.span_id in seen:
            continue
        seen.add(span.span_id)
        below = lead + _BELOW[corner] if depth < _DEEPEST else lead
        children = under.get(span.span_id, ())
        corners = ["├─ "] * (len(children) - 1) + ["└─ "]
        stack += [(depth + 1, below, corner, child) for corner, child in zip(corners, children, strict=False)][::-1]


def _header(trace: Trace, under: dict[str, list[StoredSpan]]) -> Text:
    calls = trace.model_calls()
    figures = [
        f"{len(trace.spans)} spans",
        duration(max(trace.end_unix_nano - trace.start_unix_nano, 0) / 1e9),
        f"{len(calls)} LM calls",
    ]
    hits = sum(bool(span.facts.get(sc.CACHE_HIT)) for span in calls)
    if hits:
        figures.append(f"{hits} from cache")
    tokens = [trace.total(name) for name in (sc.USAGE_INPUT_TOKENS, sc.USAGE_OUTPUT_TOKENS)]
    if any(tokens):
        figures.append(f"{tokens[0]:.0f} → {tokens[1]:.0f} tokens")
    if any(sc.COST_AMOUNT in span.facts for span in calls):
        figures.append(money(trace.total(sc.COST_AMOUNT)))
    failed = sum(  # a failure counts once, in the innermost span
        span.failed and not any(child.failed for child in under.get(span.span_id, ())) for span in trace.spans
    )
    text = Text(f"trace {safe_text(trace.trace_id)}\n", style="bold").append("  ".join(figures), style="not bold")
    if failed:
        text.append(f"  {failed} failed", style="bold red")
    return text


def _label(guide: str, span: StoredSpan) -> Text:
    word = span.name.split(" ", 1)[0]
    style = "bold red" if span.failed else next((style for words, style in _STYLES if word in words), "")
    lines = guide.lstrip()  # leading blanks have no style, because a picture of the terminal may drop styled blanks
    text = Text(" " * (len(guide) - len(lines))).append(lines, style="dim").append(safe_text(span.name), style=style)
    number = next((span.facts[name] for name in _NUMBERS if name in span.facts), None)
    if number is not None:
        text.append(f" #{number}", style=style)
    if span.failed:
        text.append(f" ✗ {safe_text(span.facts.get(sc.ERROR_TYPE, '').rsplit('.', 1)[-1])}", style="red")
    attempts = span.facts.get(sc.ATTEMPT_COUNT)
    if attempts:
        text.append(f" ×{attempts}", style="yellow")
    score = span.facts.get(sc.EVALUATION_SCORE, span.facts.get(sc.CANDIDATE_SCORE))
    if score is not None:
        text.append(f" {score:g}", style="bold green")
    return text


def _bar(span: StoredSpan, start: int, end: int) -> Text:
    """Return a bar that shows a span between the start and the end of its trace."""
    whole = max(end - start, 1)
    first = max(min(int((span.start_unix_nano - start) * _WATERFALL // whole), _WATERFALL - 1), 0)
    last = round((span.end_unix_nano - start) * _WATERFALL / whole)
    length = max(min(last, _WATERFALL) - first, 1)
    mark = "█" * length if span.duration_s * 1e9 * _WATERFALL >= whole else "▏"
    return Text(" " * first).append(mark, style="red" if span.failed else "blue")


def _tokens(span: StoredSpan) -> Text:
    if span.facts.get(sc.CACHE_HIT):
        return Text(_CACHED, style="green")
    sent = span.facts.get(sc.USAGE_INPUT_TOKENS)
    received = span.facts.get(sc.USAGE_OUTPUT_TOKENS)
    if sc.PROVIDER_NAME not in span.facts or (sent is None and received is None):
        return Text("")
    return Text(f"{sent or 0} → {received or 0}")


def _cost(span: StoredSpan) -> Text:
    amount = span.facts.get(sc.COST_AMOUNT)
    if amount is not None:
        return Text(money(amount))
    return Text("unknown" if sc.COST_UNKNOWN_REASON in span.facts else "", style="dim")


def _errors(trace: Trace) -> Text:
    """Return the exceptions; only the innermost span of an exception carries its event."""
    text = Text("\nerrors\n", style="bold red")
    for span in trace.spans:
        for event in span.events:
            if sc.EXCEPTION_TYPE in event.facts:
                text.append(f"  {safe_text(span.name)}: {_exception(event)}\n", style="not bold")
    return text


def _exception(event: StoredEvent) -> str:
    message = event.facts.get(sc.EXCEPTION_MESSAGE, "")
    return f"{safe_text(event.facts[sc.EXCEPTION_TYPE])}{message and ': '}{safe_text(message, 300)}"


def _content_of(under: dict[str, list[StoredSpan]]) -> Text:
    """Return the content of the roots, such as their inputs and outputs."""
    text = Text()
    for span in under.get("", ()):
        for name in _CONTENT:
            if name in span.facts and not name.startswith(("input.", "output.")):
                value = readable(span.facts[name])
                text.append(f"\n{name.rsplit('.', 1)[-1]}  ", style="dim").append(
                    safe_text(value, 400), style="not dim"
                )
    return text.append("\n") if text else text


def readable(value: Any) -> str:
    """Return a JSON object as `name: value`, and any other value unchanged."""
    try:
        parsed = json.loads(value)
        if not isinstance(parsed, dict):
            return str(value)
        return "  ".join(
            f"{name}: {each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)}"
            for name, each in parsed.items()
        )
    except (TypeError, ValueError, RecursionError):  # no JSON, or too deep
        return str(value)
