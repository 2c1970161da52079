"""The commands of the how-to pages, to be run as they stand there."""

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
    """Give the shell commands of a page, in order; a line that ends with a backslash goes on."""
    blocks = re.findall(r"```sh\n(.*?)```", text(page), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [line for line in lines if containing in line]


def sent_to(address, command):
    """Give a command with the address of its endpoint, not the path, exchanged for another."""
    return re.sub(r"(ENDPOINT=)https?://[^/\s]+", rf"\g<1>{address}", command)


def environment(environ=None):
    """Give what a command is run with: this Python's programs first, and nothing that the page does not say."""
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": programs, **(environ or {})}


def run(command, directory, environ=None):
    """Run a command by a shell, in a directory; give the finished process with its text output."""
    shell = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(
        shell, cwd=directory, env=environment(environ), capture_output=True, text=True, timeout=120, check=False
    )
