"""`lmspan run`: run and record a program without changing it."""

from __future__ import annotations

from pathlib import Path

import click

from lmspan.errors import LmspanError
from lmspan.launch.command import run_program


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("-m", "as_module", is_flag=True, help="PROGRAM is a module.")
@click.option("-q", "--quiet", is_flag=True, help="No line about the traces at the end.")
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
def run(as_module: bool, quiet: bool, program: str, arguments: tuple[str, ...]) -> int:
    """Run and record a program without changing it.

    PROGRAM is a script, a directory or an archive, as for python; what follows is passed to it. At the end, a
    terminal gets one line: how many traces were recorded, how many failed, and how to look at them.
    """
    if not as_module and not Path(program).exists():
        raise LmspanError(f"run: there is no program {program!r}; for a module: lmspan run -m {program}")
    return run_program(program, arguments, as_module=as_module, quiet=quiet)
