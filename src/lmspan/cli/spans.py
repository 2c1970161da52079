"""`lmspan spans`: single spans of all traces, selected by a query."""

from __future__ import annotations

from typing import Any

import click

from lmspan.cli import reading
from lmspan.terminal.lists import span_json, span_list
from lmspan.traces.search import COLUMNS


@click.command()
@click.argument("query", nargs=-1, metavar="[QUERY]")
@reading.from_option
@click.option("--trace", metavar="TRACE", help="Only of this trace: an id, a number of `lmspan list`, or 'last'.")
@reading.filtered_by("since", "until", "service", "session")
@reading.sorted_by(COLUMNS)
@reading.limit_option
@reading.json_option
@reading.width_option
def spans(
    query: tuple[str, ...],
    place: str | None,
    trace: str | None,
    sort: str,
    ascending: bool,
    limit: int,
    as_json: bool,
    width: int | None,
    **options: Any,
) -> int:
    """List single spans of all traces that a query selects, the newest first, or in the order of a column.

    \b
    lmspan spans 'operation:lm cost>0.1' --sort cost
    lmspan spans 'tool:search failed'
    lmspan spans '(retries>2 or duration>10s) under:answer'

    A QUERY in quotation marks keeps the shell away from > and ( ). `lmspan show TRACE SPAN` takes the ids of a row.
    """  # noqa: D301 - the mark with which click keeps lines
    store = reading.store_of(place)
    trace_id = None if trace is None else store.find(trace).trace_id
    selected = reading.wanted(options, trace=trace_id)
    listed = store.spans(" ".join(query), selected, limit=limit or None, sort=sort, ascending=ascending)
    if as_json:
        for each in listed:
            click.echo(span_json(each))
    elif listed:
        reading.show(span_list(listed, sort), width=width)
    else:
        click.echo("no span matches" if store.count() else f"no trace is stored in {store.location}", err=True)
    return reading.report(store.troubles)
