"""The command line: one module for each command, with `add(commands)` for its options and a function that runs it.

lmspan demo | run | show | replay
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from lmspan._version import __version__
from lmspan.cli import demo, replay, run, show
from lmspan.errors import LmspanError

if TYPE_CHECKING:
    from collections.abc import Sequence

_DESCRIPTION: Final = "OpenTelemetry for LLM programs: record a program and show its trace."
_COMMANDS: Final = (demo, run, show, replay)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; an error prints one line on stderr and returns 2."""
    options = _parser().parse_args(arguments)
    _never_fail_to_encode(sys.stdout)
    try:
        return int(options.command(options))
    except LmspanError as error:
        print(f"lmspan: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `lmspan show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lmspan", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"lmspan {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for each in _COMMANDS:
        each.add(commands)
    return parser


def _never_fail_to_encode(stream: Any) -> None:
    """Make a stream write similar characters for those that its encoding lacks, unless the user has set its errors."""
    from lmspan.terminal.text import PLAIN

    if getattr(stream, "errors", "") == "strict" and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=PLAIN)
