"""`lmspan replay`: play a stored trace to a callback."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from lmspan.cli.reading import WHAT, read
from lmspan.errors import LmspanError
from lmspan.subscribers import delivery, replay, subscriptions

if TYPE_CHECKING:
    import argparse


def add(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("replay", help="play a stored trace to a callback")
    command.add_argument("what", nargs="?", default="last", metavar="last|TRACE|FILE", help=WHAT)
    command.add_argument(
        "--callback",
        required=True,
        action="append",
        metavar="MODULE:OBJECT",
        help="a class is called first; repeatable",
    )
    command.add_argument("--dialect", help="the library that the callback is written for, if several fit")
    command.set_defaults(command=_replay)


def _replay(options: argparse.Namespace) -> int:
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    for name in options.callback:
        subscriptions.subscribe(_callback(name), dialect=options.dialect)
    traces, troubles = read(options.what)
    for trace in traces:
        replay.replay(trace.spans)
    delivery.drain(60.0)
    return 1 if troubles else 0


def _callback(name: str) -> Any:
    """Return the object that `module:object` names, or a new instance if it names a class."""
    module, _, path = name.partition(":")
    try:
        callback: Any = importlib.import_module(module)
        for part in path.split("."):
            callback = getattr(callback, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise LmspanError(f"replay: {name!r} is no MODULE:OBJECT that can be imported ({error})") from error
    return callback() if isinstance(callback, type) else callback
