"""`lmspan show`: a trace as a tree, or one span in full."""

from __future__ import annotations

import click

from lmspan.cli import reading
from lmspan.terminal.folding import View
from lmspan.terminal.span import render_span
from lmspan.terminal.tree import render


@click.command()
@click.argument("which", default="last", metavar="[TRACE|FILE|DIRECTORY]")
@click.argument("span", required=False, metavar="[SPAN]")
@click.option("--full", is_flag=True, help="Every span on a row of its own, and every candidate.")
@click.option("--depth", type=click.IntRange(0), metavar="N", help="Only N levels below the root.")
@click.option("--only", metavar="WORDS", help="Only spans of these operations or names: chat,execute_tool")
@click.option("--errors", is_flag=True, help="Only what failed, and the way to it.")
@reading.from_option
@reading.json_option
@reading.width_option
def show(
    which: str, span: str | None, full: bool, depth: int | None, only: str | None, errors: bool, place: str | None,
    as_json: bool, width: int | None,
) -> int:  # fmt: skip
    """Show a trace as a tree; with SPAN, one span in full.

    TRACE is the beginning of an id, a number of `lmspan list`, 'last' (the default) or 'last~2'; of a file or directory
    all traces are shown. SPAN is a number of the tree, or the beginning of an id.
    """
    traces, status = reading.read(which, place)
    words = tuple(word.strip() for word in (only or "").split(",") if word.strip())
    view = View(full=full, depth=depth, only=words, errors=errors)
    if span is not None:
        chosen = [(trace, trace.span(span)) for trace in traces]
        if as_json:
            for _, each in chosen:
                click.echo(each.as_json())
        else:
            reading.show(*(render_span(trace, each) for trace, each in chosen), width=width)
    elif as_json:
        for trace in traces:
            for each in trace.spans:
                click.echo(each.as_json())
    else:
        reading.show(*(render(trace, view=view) for trace in traces), width=width)
    return status
