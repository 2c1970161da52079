"""`lmspan tail`: follow running programs, one line for each span that ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspan.cli import reading
from lmspan.directories import trace_directory
from lmspan.errors import TraceFileError
from lmspan.terminal.folding import is_hidden, is_one_of
from lmspan.terminal.follow import span_line
from lmspan.traces.follow import follow

if TYPE_CHECKING:
    from lmspan.traces.spans import StoredSpan


@click.command()
@click.argument("directory", required=False, metavar="[DIRECTORY]")
@click.option("--service", metavar="NAME", help="Only of this service.")
@click.option("--only", metavar="WORDS", help="Only spans of these operations or names: chat,execute_tool")
@click.option("--failed", is_flag=True, help="Only failed spans.")
@click.option("--full", is_flag=True, help="Adapter phases, too.")
@reading.json_option
@reading.width_option
def tail(
    directory: str | None, service: str | None, only: str | None, failed: bool, full: bool, as_json: bool,
    width: int | None,
) -> int:  # fmt: skip
    """Follow running programs until Ctrl-C: a line for each span that ends, and for each that runs for 0.3 s."""
    place = Path(directory) if directory else trace_directory()
    if directory and not place.is_dir():
        raise TraceFileError(f"{place} is no directory")
    words = tuple(word.strip() for word in (only or "").split(",") if word.strip())

    def is_wanted(span: StoredSpan) -> bool:
        return (
            (service is None or span.service == service)
            and (not failed or span.failed)
            and (is_one_of(span, words) if words else full or not is_hidden(span))
        )

    console = reading.console(width, soft_wrap=True)
    if not as_json:
        print(f"lmspan: following {place}; Ctrl-C ends it", file=sys.stderr)
    try:
        for span in filter(is_wanted, follow(place)):
            if as_json:
                click.echo(span.as_json())
            else:
                console.print(span_line(span))
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    return 0
