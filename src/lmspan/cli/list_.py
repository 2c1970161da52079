"""`lmspan list`: the stored traces, the newest first."""

from __future__ import annotations

from typing import Any

import click

from lmspan.cli import reading
from lmspan.terminal.lists import summary_json, trace_list


@click.command("list")
@click.argument("path", required=False, metavar="[FILE|DIRECTORY]")
@reading.from_option
@reading.filter_options
@click.option("-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="How many; 0 for all.")
@reading.json_option
@reading.width_option
def list_(path: str | None, place: str | None, limit: int, as_json: bool, width: int | None, **options: Any) -> int:
    """List the stored traces, the newest first.

    The numbers and the ids are what `lmspan show` takes.
    """
    store = reading.store_of(reading.one_place(path, place))
    traces = store.list(reading.wanted(options), limit=limit or None)
    if as_json:
        for each in traces:
            click.echo(summary_json(each))
    elif traces:
        reading.show(trace_list(traces), width=width)
    else:
        click.echo("no trace matches" if store.count() else f"no trace is stored in {store.location}", err=True)
    return reading.report(store.troubles)
