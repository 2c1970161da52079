"""`lmspan ui`: the stored traces as a page in the browser."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspan.errors import LmspanError

if TYPE_CHECKING:
    from lmspan.page.senders import Senders


@click.command()
@click.argument("path", required=False, metavar="[DIRECTORY|FILE]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1; default: a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.html",
              help="Write one trace as one page that needs no server, and end.")  # fmt: skip
@click.option("--trace", default="last", show_default=True, help="The trace to export, named as for `lmspan show`.")
def ui(path: str | None, port: int, no_browser: bool, export: Path | None, trace: str) -> int:
    """Show the stored traces as a page in the browser, until Ctrl-C.

    The page is served to this machine only, and only to a browser that opens the printed address.
    """
    try:
        from lmspan.page.export import page
        from lmspan.page.reader import Reader
        from lmspan.page.senders import Senders
        from lmspan.page.server import listen, server
    except ImportError as error:
        raise LmspanError(
            f"the page needs Starlette and uvicorn ({error}); install them with: pip install 'lmspan[ui]'"
        ) from error
    reader = Reader(path)
    if export is not None:
        written = page(reader, trace)
        _write(export, written.text)
        click.echo(f"written to {export}, with the content of the trace. {written.left_out}".rstrip())
        return 0
    listening = listen(port)
    senders = Senders(listening.getsockname()[1])
    running, address = server(reader, listening, senders)
    click.echo(f"lmspan: traces of {reader.store.location}; Ctrl-C ends it\n{address}")
    if not reader.store.path.is_file():
        click.echo(_for_exporters(address.partition("/?")[0], senders))
    if not no_browser:
        webbrowser.open(address)  # the socket listens already: the browser waits for the first answer
    try:
        running.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        reader.close()
    return 0


def _for_exporters(endpoint: str, senders: Senders) -> str:
    """Return the line for programs that send their spans here: with a token where the system needs one."""
    header = f" OTEL_EXPORTER_OTLP_HEADERS=x-lmspan-token={senders.token}" if senders.need_token else ""
    return f"programs send here with OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}{header}"


def _write(path: Path, text: str) -> None:
    """Write a file that only the user can read, because it holds prompts and answers."""
    try:
        with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        raise LmspanError(f"{path} cannot be written: {error.strerror or error}") from error
