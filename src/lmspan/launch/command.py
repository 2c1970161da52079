"""Replace this process by Python, which runs a program with our start hook."""

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
_OF_OUR_COMMAND: Final = re.compile("-[IEsSP]+")  # isolates `lmspan` from the user, as some packagers do


def run_program(program: str, arguments: Sequence[str], *, as_module: bool) -> int:
    """Run a script, a directory or an archive, or a module, recorded. Returns only where there is no exec (Windows)."""
    command = [sys.executable, *_interpreter_options(), *(["-m"] if as_module else []), program, *arguments]
    environ = environment(program if as_module else Path(program).stem, os.environ)
    if sys.platform != "win32":
        os.execve(sys.executable, command, environ)  # noqa: S606 - no shell is wanted
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program receives it too, and decides
    return subprocess.call(command, env=environ)  # noqa: S603 - the command is the user's own


def environment(service_name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which Python records itself and its children, if recording is not disabled."""
    if config.is_disabled(environ):
        return dict(environ)
    inherited = environ.get("PYTHONPATH")
    others = [path for path in inherited.split(os.pathsep) if path != STARTUP] if inherited else []
    hook = {"PYTHONPATH": os.pathsep.join([STARTUP, *others]), "LMSPAN_RUN": service_name, "LMSPAN_RUN_FIRST": "1"}
    return {**environ, **hook}


def _interpreter_options() -> list[str]:
    """Return the options of `python -X dev -m lmspan run`: they are meant for the program."""
    before = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
    options = takewhile(lambda option: option not in ("-m", "-c"), before)
    return [option for option in options if not _OF_OUR_COMMAND.fullmatch(option)]
