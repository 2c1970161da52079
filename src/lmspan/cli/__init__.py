"""The command line: one module for each command.

lmspan demo | run | list | spans | show | stats | tail | ui | send | replay
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from lmspan._version import __version__
from lmspan.errors import LmspanError

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS_OF_INTERRUPT = 130
_NAMES: Final = ("demo", "run", "list", "spans", "show", "stats", "tail", "ui", "send", "replay")
_RESERVED: Final = {"list": "list_"}  # the function and the module of a command whose name Python has


class _Commands(click.Group):
    """Commands that load when they run, keep their order in the help, suggest a similar name, and may be piped."""

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _NAMES:
            return None
        python_name = _RESERVED.get(name, name)
        command: click.Command = getattr(import_module(f"lmspan.cli.{python_name}"), python_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and return its exit status; it is 0 where the reader of a pipe has closed it."""
        try:
            status = super().invoke(ctx)
            print(end="", flush=True)
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again at its exit
            if isinstance(error, BrokenPipeError):  # click itself would exit with status 1
                return 0
            raise LmspanError(str(error)) from error
        return status

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _NAMES and not args[0].startswith("-"):
            import difflib

            similar = difflib.get_close_matches(args[0], _NAMES, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {similar[0]!r}?" if similar else ""))
        return super().resolve_command(ctx, args)

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_NAMES)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="lmspan", message="%(prog)s %(version)s")
def _lmspan() -> None:
    """OpenTelemetry for LLM programs: record a program, and read its traces."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; an error prints one line on stderr and returns 2."""
    _never_fail_to_encode(sys.stdout)
    try:
        return int(_lmspan.main(arguments, prog_name="lmspan", standalone_mode=False) or 0)
    except LmspanError as error:
        print(f"lmspan: {error}", file=sys.stderr)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return _STATUS_OF_INTERRUPT


def _never_fail_to_encode(stream: Any) -> None:
    """Make a stream write similar characters for those that its encoding lacks, unless the user has set its errors."""
    from lmspan.terminal.text import PLAIN

    by_default = ("strict", "surrogateescape")  # the second in the C locale
    if getattr(stream, "errors", "") in by_default and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=PLAIN)
