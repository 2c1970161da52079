"""`lmspan list`: the stored traces, the newest first or in the order of a column."""

from __future__ import annotations

from typing import Any

import click

from lmspan.cli import reading
from lmspan.terminal.lists import summary_json, trace_list
from lmspan.traces.order import COLUMNS


@click.command("list")
@click.argument("path", required=False, metavar="[FILE|DIRECTORY]")
@reading.from_option
@reading.filter_options
@reading.sorted_by(COLUMNS)
@reading.limit_option
@reading.json_option
@reading.width_option
def list_(
    path: str | None,
    place: str | None,
    sort: str,
    ascending: bool,
    limit: int,
    as_json: bool,
    width: int | None,
    **options: Any,
) -> int:
    """List the stored traces, the newest first, or in the order of a column.

    The numbers and the ids are what `lmspan show` takes, in any order. A trace without the figure of the column, for
    example with an unknown cost, is last.
    """
    store = reading.store_of(reading.one_place(path, place))
    traces = store.list(reading.wanted(options), limit=limit or None, sort=sort, ascending=ascending)
    if as_json:
        for each in traces:
            click.echo(summary_json(each))
    elif traces:
        reading.show(trace_list(traces), width=width)
    else:
        click.echo("no trace matches" if store.count() else f"no trace is stored in {store.location}", err=True)
    return reading.report(store.troubles)
