"""`lmspan replay`: play a stored trace to a callback."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from lmspan.cli.reading import read
from lmspan.errors import LmspanError
from lmspan.subscribers import delivery, subscriptions
from lmspan.subscribers.replay import replay as replay_spans


@click.command()
@click.argument("which", default="last", metavar="[TRACE|FILE|DIRECTORY]")
@click.option(
    "--callback", "callbacks", required=True, multiple=True, metavar="MODULE:OBJECT",
    help="A class is called first; repeatable.",
)  # fmt: skip
@click.option("--dialect", help="The library that the callback is written for, if several fit.")
def replay(which: str, callbacks: tuple[str, ...], dialect: str | None) -> int:
    """Play a stored trace to a callback, as if it happened now.

    TRACE is the beginning of an id, a number of `lmspan list`, 'last' (the default) or 'last~2'.
    """
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `python -m` does
    subscriptions.before_each(None)  # a replay records nothing
    for name in callbacks:
        subscriptions.subscribe(_callback(name), dialect=dialect)  # type: ignore[arg-type] # subscribe() checks it
    traces, status = read(which)
    for trace in traces:
        replay_spans(trace.spans)
    delivery.drain(60.0)
    return status


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
