"""Read the commands of the how-to pages, and run them as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.processes import TESTS

HOW_TO = TESTS.parent / "docs" / "how-to"


def text(page):
    return (HOW_TO / page).read_text()


def commands(page, containing=""):
    """Return the shell commands of a page, in order; a backslash at the end joins two lines."""
    blocks = re.findall(r"```sh\n(.*?)```", text(page), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if containing in line]


def sent_to(address, command):
    """Return a command with another address in its endpoint; the path stays."""
    return re.sub(r"(ENDPOINT=)https?://[^/\s]+", rf"\g<1>{address}", command)


def environment(environ=None):
    """Return the environment of a command: the programs of this Python are first on the path."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": programs, **(environ or {})}


def run(command, directory, environ=None):
    """Run a command by a shell, in a directory; return the ended process with its text output."""
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(
        shell, cwd=directory, env=environment(environ), capture_output=True, text=True, timeout=120, check=False
    )
