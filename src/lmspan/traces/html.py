"""HTML of traces, optimizer runs, evaluations and tables for notebooks. Every text is escaped; there is no script."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any, Final

from lmspan.traces.content import readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lmspan.traces.evaluations import Evaluation
    from lmspan.traces.optimizers import OptimizerRun
    from lmspan.traces.spans import StoredSpan
    from lmspan.traces.table import Table
    from lmspan.traces.trace import Trace

_MOST_ROWS: Final = 200
_LONGEST: Final = 300
_STYLE: Final = "text-align:left;white-space:pre-wrap"


def trace(value: Trace) -> str:
    """Return a trace as a tree that unfolds, with durations, tokens and cost."""
    if not value.spans:
        return _paragraph(f"trace {value.trace_id} has no spans")
    total = value.total
    cost = "" if total.cost is None else f", ${total.cost:.6f}"
    head = (
        f"trace {value.trace_id}: {len(value)} spans, {value.duration_s:.3f} s, {total.lm_calls} LM calls, "
        f"{total.input_tokens} → {total.output_tokens} tokens{cost}, {value.failed} failed"
    )
    return _paragraph(head) + "".join(_nodes(value))


def _nodes(value: Trace) -> Iterator[str]:
    """Yield the nodes of the tree, depth first; a stack allows traces of any depth."""
    stack: list[StoredSpan | str] = list(reversed(value.roots))
    shown = 0
    seen: set[str] = set()
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
            continue
        shown += 1
        if shown > _MOST_ROWS:
            continue
        children = value.children.get(each.span_id, ()) if each.span_id not in seen else ()
        seen.add(each.span_id)
        text = f"{'<b style=color:#b00020>' if each.failed else '<b>'}{escape(each.name[:_LONGEST])}</b>"
        text += f" <small>{each.duration_s * 1e3:.1f} ms{_cost(value, each)}</small>"
        if children:
            yield f"<details open style='margin-left:1.2em'><summary>{text}</summary>"
            stack.append("</details>")
            stack += reversed(children)
        else:
            yield f"<div style='margin-left:2.2em'>{text}</div>"
    if shown > _MOST_ROWS:
        yield _paragraph(f"and {len(value) - _MOST_ROWS} more spans")


def _cost(value: Trace, span: StoredSpan) -> str:
    figures = value.figures[span.span_id]
    tokens = f" · {figures.input_tokens} → {figures.output_tokens}" if figures.input_tokens else ""
    return tokens + ("" if figures.cost is None else f" · ${figures.cost:.6f}")


def optimizer_run(value: OptimizerRun) -> str:
    """Return the candidates of a run as a table."""
    head = f"{value.span.name}: {value.first_score} → {value.best_score}, {len(value.candidates)} evaluations"
    titles = ("#", "score", "on", "kept", "changed", "reason")
    rows = (
        (each.index, each.score, each.scope, each.accepted, ", ".join(each.changed), each.reason)
        for each in value.candidates
    )
    return _paragraph(head) + _table(titles, rows, len(value.candidates))


def evaluation(value: Evaluation) -> str:
    """Return the examples of an evaluation as a table."""
    titles = ("#", "score", "inputs", "gold", "prediction", "feedback", "error")
    rows = (
        (each.index, each.score, *map(readable, (each.inputs, each.gold, each.prediction)), each.feedback, each.error)
        for each in value.examples
    )
    head = _paragraph(f"{value.metric}: {value.score}, {len(value.examples)} examples")
    return head + _table(titles, rows, len(value.examples))


def table(value: Table[Any]) -> str:
    """Return the rows of a table."""
    rows = ([getattr(row, name) for name in value.columns] for row in value)
    return _table(value.columns, rows, len(value))


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]], count: int) -> str:
    head = "".join(f"<th style='{_STYLE}'>{escape(title)}</th>" for title in titles)
    shown = (row for row, _ in zip(rows, range(_MOST_ROWS), strict=False))
    body = "".join(f"<tr>{''.join(f'<td style={_STYLE!r}>{_cell(value)}</td>' for value in row)}</tr>" for row in shown)
    more = _paragraph(f"and {count - _MOST_ROWS} more rows") if count > _MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    return escape(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"
