"""Functions and options that the commands share: find the traces that an argument names, print, and filter."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from lmspan.errors import TraceFileError
from lmspan.terminal.text import PLAIN, safe_text
from lmspan.traces.direct import read_file
from lmspan.traces.filters import Filter
from lmspan.traces.order import NEWEST_FIRST
from lmspan.traces.store import Store, is_place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console, RenderableType

    from lmspan.traces.trace import Trace

    F = TypeVar("F", bound=Callable[..., Any])

_WIDEST: Final = 10_000
_WIDTH_OF_FILES: Final = 120
WHICH: Final = "TRACE is the beginning of an id, a number of `lmspan list`, 'last' (the default) or 'last~2'."

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
width_option: Final = click.option(
    "--width", type=click.IntRange(1, _WIDEST), metavar="N", help="Columns to use; default: the terminal's."
)
limit_option: Final = click.option(
    "-n", "--limit", type=click.IntRange(0), default=20, show_default=True, help="How many; 0 for all."
)
from_option: Final = click.option(
    "--from", "place", metavar="PLACE",
    help="Read from there: a directory, a file, or a Jaeger (http://localhost:16686).",
)  # fmt: skip
_FILTERS: Final[dict[str, tuple[str | None, str]]] = {
    "failed": (None, "Only with a failure that ended the trace or was not recovered."),
    "slow": ("2s", "Only traces that took at least so long (500ms, 2s, 5min)."),
    "since": ("WHEN", "Only from then on (2h, 3d, today, 2026-11-26, '2026-11-26 14:30')."),
    "until": ("WHEN", "Only before then."),
    "service": ("NAME", "Only of this service."),
    "name": ("PART", "Only with a span whose name contains this."),
    "module": ("PATH", "Only with a module of this path in the program, or of this name."),
    "agent": ("NAME", "Only with this agent."),
    "tool": ("NAME", "Only with a call of this tool."),
    "session": ("ID", "Only of this session or user."),
    "model": ("PART", "Only with a call of a model whose name contains this."),
    "text": ("WORDS", "Only with all of these words in content, names or errors."),
    "where": ("QUERY", "Only with a span that this query of `lmspan spans` selects: 'tool:find cost>0.1'."),
}
"""The filters, with the names of their values (None for a flag) and their help."""


def filtered_by(*names: str) -> Callable[[F], F]:
    """Return a decorator that adds options of a filter to a command; `wanted(options)` reads them."""

    def add(function: F) -> F:
        for name in reversed(names):
            value, text = _FILTERS[name]
            function = click.option(f"--{name}", metavar=value, is_flag=value is None, help=text)(function)
        return function

    return add


filter_options: Final = filtered_by(*_FILTERS)


def sorted_by(columns: Sequence[str]) -> Callable[[F], F]:
    """Return a decorator that adds the options `--sort` and `--ascending` to a command."""

    def add(function: F) -> F:
        ascending = click.option("--ascending", is_flag=True, help="The smallest first, or the oldest.")
        sort = click.option(
            "--sort", type=click.Choice(columns), default=NEWEST_FIRST, show_default=True,
            help="The largest of this column first, and the newest of equal ones.",
        )  # fmt: skip
        return sort(ascending(function))

    return add


def wanted(options: dict[str, Any], **further: Any) -> Filter:
    """Return the filter that the options describe."""
    return Filter(**{name: options[name] for name in _FILTERS if name in options}, **further)


def is_path(argument: str) -> bool:
    """Return whether an argument names a file or directory, not a trace: `1` and `last` are traces, `./1` is a file."""
    if is_place(argument):
        return False
    path = Path(argument)
    return path.exists() or "/" in argument or os.sep in argument or path.suffix in (".jsonl", ".json")


def one_place(path: str | None, place: str | None) -> str | None:
    """Return the place that an argument or `--from` names. Raises UsageError if both do."""
    if path is not None and place is not None:
        raise click.UsageError(f"{path} and --from {place} name two places")
    return path if place is None else place


def store_of(place: str | None) -> Store:
    """Return the store of a directory, file or Jaeger; of None, where programs store their traces."""
    gc.disable()  # the process reads, prints and ends: looking for cycles would take a third of its time
    return Store(place)


def report(troubles: Sequence[str]) -> int:
    """Print the errors of reading; return the exit status."""
    for trouble in troubles:
        print(f"lmspan: {safe_text(trouble, 500)}", file=sys.stderr)
    return 1 if troubles else 0


def read(which: str, place: str | None = None) -> tuple[list[Trace], int]:
    """Return the traces that an argument names, in order of time, and the exit status; print the errors of reading.

    A trace is looked for at a place; without one, where programs store their traces.
    """
    if place is not None or not is_path(which):
        store = store_of(place)
        trace = store.find(which)
        return [trace], report(store.troubles)
    gc.disable()
    path = Path(which)
    if path.is_dir():
        store = store_of(which)
        traces, troubles = list(store.each())[::-1], store.troubles
    else:
        traces, troubles = read_file(path)
    status = report(troubles)
    if not traces:
        raise TraceFileError(f"{which} holds no spans")
    return traces, status


def console(width: int | None = None, **options: Any) -> Console:
    """Return a console of the terminal's width, or of 120 columns for a file."""
    from rich.console import Console

    class Piped(Console):
        def on_broken_pipe(self) -> None:  # rich itself would exit with status 1
            raise BrokenPipeError

    default: Any = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
    return Piped(width=width or default, highlight=False, **options)


def show(*renderables: RenderableType, width: int | None = None) -> None:
    """Print, in a pager if it is longer than the terminal."""
    if not sys.stdout.isatty():
        console(width).print(*renderables, sep="")
        return
    terminal = console(width)
    buffer = StringIO()
    colored = terminal.color_system if terminal.is_terminal else None
    console(width or terminal.width, file=buffer, force_terminal=colored is not None, color_system=colored).print(
        *renderables, sep=""
    )
    text = buffer.getvalue().encode(sys.stdout.encoding, PLAIN).decode(sys.stdout.encoding)
    if text.count("\n") < shutil.get_terminal_size().lines:
        sys.stdout.write(text)
    else:
        os.environ.setdefault("LESS", "-RFX")
        click.echo_via_pager(text, color=True)
