"""`lmspan stats`: calls, latency, tokens and cost by model, module, tool, session, user or service."""

from __future__ import annotations

from typing import Any, Final

import click
from rich.text import Text

from lmspan.cli import reading
from lmspan.terminal.lists import statistic_json, statistics_table
from lmspan.traces.statistics import KINDS, statistics

_DEFAULT: Final = ("model", "module", "tool", "session")


@click.command()
@click.argument("which", required=False, metavar="[TRACE|FILE|DIRECTORY]")
@click.option("--by", type=click.Choice(KINDS), help="Only this table; default: model, module, tool and session.")
@reading.from_option
@reading.filter_options
@reading.json_option
@reading.width_option
def stats(
    which: str | None, by: str | None, place: str | None, as_json: bool, width: int | None, **options: Any
) -> int:  # fmt: skip
    """Show statistics over all stored traces, over those that the filters select, or over one.

    TRACE is the beginning of an id, a number of `lmspan list`, or 'last'. The tokens and the cost of a module are those
    of all model calls below it.
    """
    is_path = which is not None and reading.is_path(which)
    store = reading.store_of(reading.one_place(which if is_path else None, place))
    trace = store.find(which).trace_id if which is not None and not is_path else None
    wanted = reading.wanted(options, trace=trace)
    rows = store.rows(wanted)
    tables = {kind: statistics(rows, kind) for kind in ((by,) if by else _DEFAULT)}
    if as_json:
        for kind, table in tables.items():
            for each in table:
                click.echo(statistic_json(each, kind))
    elif any(tables.values()):
        shown = [statistics_table(table, kind) for kind, table in tables.items() if table]
        reading.show(*(part for each in shown for part in (each, Text())), width=width)
    else:
        click.echo("no calls match" if store.count() else f"no trace is stored in {store.location}", err=True)
    return reading.report(store.troubles)
