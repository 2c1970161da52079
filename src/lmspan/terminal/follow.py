"""Render a span as one line, for following running programs."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from lmspan import semconv as sc
from lmspan.terminal.figures import clock, duration, money, number, tokens
from lmspan.terminal.styles import style_of
from lmspan.terminal.text import safe_text
from lmspan.traces.content import first_words
from lmspan.traces.rows import row_of
from lmspan.traces.spans import State, StoredSpan

_LONGEST_WORDS: Final = 60


def span_line(span: StoredSpan) -> Text:
    """Return time, trace, service, name, figures and first words of a span."""
    row = row_of(span)
    is_running = span.state is State.RUNNING
    line = Text(clock(span.start_unix_nano if is_running else span.end_unix_nano, date=False), style="dim")
    line.append(f" {safe_text(span.trace_id[:8])} {safe_text(span.service)}  ", style="dim")
    line.append(safe_text(span.name), style=style_of(span))
    figures = ["running" if is_running else duration(span.duration_s)]
    if row.input_tokens or row.output_tokens:
        figures.append(tokens(row.input_tokens or 0, row.output_tokens or 0))
    if row.cost is not None and row.is_model_call:
        figures.append(money(row.cost))
    if row.cache_hit:
        figures.append("cached")
    if row.retries:
        figures.append(f"{row.retries + 1} requests")
    line.append("  " + "  ".join(figures), style="yellow" if is_running else "not dim")
    names = (sc.SPAN_SCORE, sc.EVALUATION_SCORE, sc.CANDIDATE_SCORE)
    score = next((span.facts[name] for name in names if name in span.facts), None)
    if score is not None:
        line.append(f"  {number(score)}", style="bold green")
    if span.failed:
        line.append(f"  ✗ {safe_text(span.facts.get(sc.ERROR_TYPE, 'error'))}", style="red")
    words = safe_text(first_words(span)[:_LONGEST_WORDS])
    return line.append(f"  {words}" if words else "", style="dim")
