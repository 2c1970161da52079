"""Replace this process by Python, which runs a program with lmspan's start hook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lmspan import config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STARTUP: Final = str(Path(__file__).parent / "startup")
_ISOLATING_OPTION: Final = re.compile("-[IEsSP]+")  # some packagers isolate the `lmspan` command from the user


def run_program(program: str, arguments: Sequence[str], *, as_module: bool, quiet: bool = False) -> int:
    """Run and record a script, a directory, an archive or a module. Returns only on Windows, which has no exec."""
    command = [sys.executable, *_interpreter_options(), *(["-m"] if as_module else []), program, *arguments]
    environ = environment(program if as_module else Path(program).stem, os.environ, quiet=quiet)
    if sys.platform != "win32":
        os.execve(sys.executable, command, environ)  # noqa: S606 - needs no shell
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program receives the signal too and handles it
    return subprocess.call(command, env=environ)  # noqa: S603 - the command is the user's own


def environment(service_name: str, environ: Mapping[str, str], *, quiet: bool = False) -> dict[str, str]:
    """Return the environment that makes Python record itself and its children, unless recording is disabled.

    The first process reports at its end what it has recorded, unless `quiet`.
    """
    if config.is_disabled(environ):
        return dict(environ)
    inherited = environ.get("PYTHONPATH")
    others = [path for path in inherited.split(os.pathsep) if path != STARTUP] if inherited else []
    hook = {
        "PYTHONPATH": os.pathsep.join([STARTUP, *others]),
        "LMSPAN_RUN": service_name,
        "LMSPAN_RUN_FIRST": "quiet" if quiet else "1",
    }
    return {**environ, **hook}


def _interpreter_options() -> list[str]:
    """Return the options of Python in `python -X dev -m lmspan run`, which the user means for the program."""
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    options = takewhile(lambda option: option not in ("-m", "-c"), before)
    return [option for option in options if not _ISOLATING_OPTION.fullmatch(option)]
