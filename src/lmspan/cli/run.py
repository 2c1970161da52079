"""`lmspan run`: run and record a program without changing it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lmspan.errors import LmspanError
from lmspan.launch.command import run_program


def add(commands: Any) -> None:
    """Add the command and its options."""
    run = commands.add_parser("run", help="run and record a program without changing it")
    run.add_argument("-m", dest="as_module", action="store_true", help="PROGRAM is a module")
    run.add_argument(
        "program", metavar="PROGRAM", help="a script, directory or archive, as for python; with -m a module"
    )
    arguments = run.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="the program's arguments")
    arguments.required = False  # else "the following arguments are required" names ARGS, too
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    if not options.as_module and not Path(options.program).exists():
        raise LmspanError(
            f"run: there is no program {options.program!r}; for a module say: lmspan run -m {options.program}"
        )
    return run_program(options.program, options.arguments, as_module=options.as_module)
