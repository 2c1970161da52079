"""`lmspan ui`: the stored traces as a page in the browser."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspan.errors import LmspanError
from lmspan.page.entrance import USUAL_PORT, listen, listen_as_usual
from lmspan.page.reader import Reader
from lmspan.page.senders import Senders

if TYPE_CHECKING:
    from lmspan.page.entrance import Entrance


@click.command()
@click.argument("path", required=False, metavar="[DIRECTORY|FILE]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"The port on 127.0.0.1; default: {USUAL_PORT}, or a free one if it is in use.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--export", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.html",
              help="Write one trace as one page that needs no server, and end.")  # fmt: skip
@click.option("--trace", default="last", show_default=True, help="The trace to export, named as for `lmspan show`.")
def ui(path: str | None, port: int | None, no_browser: bool, export: Path | None, trace: str) -> int:
    """Show the stored traces as a page in the browser, until Ctrl-C.

    The page is served to this machine only, and only to a browser that opens the printed address.
    """
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise LmspanError("the page needs Starlette and uvicorn; install them with: pip install 'lmspan[ui]'")
    reader = Reader(path)
    if export is not None:
        _export(reader, trace, export)
    else:
        _serve(reader, listen_as_usual() if port is None else listen(port), has_browser=not no_browser)
    return 0


def _export(reader: Reader, trace: str, path: Path) -> None:
    from lmspan.page.export import page

    written = page(reader, trace)
    _write(path, written.text)
    click.echo(f"written to {path}, with the content of the trace. {written.left_out}".rstrip())


def _serve(reader: Reader, entrance: Entrance, *, has_browser: bool) -> None:
    """Serve the page until Ctrl-C. The browser connects and waits while the server is loading."""
    senders = Senders(entrance.port)
    click.echo(f"lmspan: traces of {reader.path}; Ctrl-C ends it\n{entrance.address}")
    if not reader.path.is_file():
        click.echo(_for_exporters(entrance.endpoint, senders))
    if has_browser:
        import webbrowser

        webbrowser.open(entrance.address)
    try:
        from lmspan.page.server import server

        server(reader, entrance, senders).run(sockets=[entrance.listening])
    except KeyboardInterrupt:
        pass
    finally:
        reader.close()


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
