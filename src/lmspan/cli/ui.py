"""`lmspan ui`: the stored traces as a page in the browser."""

from __future__ import annotations

import webbrowser

import click

from lmspan.errors import LmspanError


@click.command()
@click.argument("path", required=False, metavar="[DIRECTORY|FILE]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1; default: a free one.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def ui(path: str | None, port: int, no_browser: bool) -> int:
    """Show the stored traces as a page in the browser, until Ctrl-C.

    The page is served to this machine only, and only to a browser that opens the printed address.
    """
    try:
        from lmspan.page.reader import Reader
        from lmspan.page.server import listen, server
    except ImportError as error:
        raise LmspanError(
            f"the page needs Starlette and uvicorn ({error}); install them with: pip install 'lmspan[ui]'"
        ) from error
    reader = Reader(path)
    listening = listen(port)
    running, address = server(reader, listening)
    click.echo(f"lmspan: traces of {reader.store.path}; Ctrl-C ends it\n{address}")
    if not no_browser:
        webbrowser.open(address)  # the socket listens already: the browser waits for the first answer
    try:
        running.run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    finally:
        reader.close()
    return 0
