"""`lmspan show`: print a trace as a tree, or its spans as JSON."""

from __future__ import annotations

import argparse
from typing import Any, Final

from lmspan.cli.reading import WHAT, print_tree, read

_WIDEST: Final = 10_000


def add(commands: Any) -> None:
    """Add the command and its options."""
    show = commands.add_parser("show", help="show a trace as a tree")
    show.add_argument("what", nargs="?", default="last", metavar="last|TRACE|FILE", help=WHAT)
    show.add_argument("--json", action="store_true", help="print the spans as JSON, one object a line")
    show.add_argument("--width", type=_columns, help="columns to use; default: the terminal's")
    show.set_defaults(command=_show)


def _columns(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < _WIDEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of columns")
    return int(text)


def _show(options: argparse.Namespace) -> int:
    traces, troubles = read(options.what)
    for trace in traces:
        if options.json:
            for span in sorted(trace.spans, key=lambda each: each.start_unix_nano):
                print(span.as_json())
        else:
            print_tree(trace, options.width)
    return 1 if troubles else 0
