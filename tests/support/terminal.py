"""Run a command in a terminal of a certain size, as a person has it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def in_terminal(*arguments, columns=80, rows=24, environ=None):
    """Run `lmspan` in a terminal; give its status and what the terminal got, with line breaks of one character."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    env = {**env, "TERM": "xterm-256color", "PAGER": "cat", **(environ or {})}
    process = subprocess.Popen([sys.executable, "-m", "lmspan", *arguments], stdin=its, stdout=its, stderr=its, env=env)
    os.close(its)
    written = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:  # Linux: nobody has the terminal open any more
            break
        if not part:
            break
        written += part
    os.close(ours)
    return process.wait(60), written.decode().replace("\r\n", "\n")
