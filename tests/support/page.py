"""The page's real server, on a thread."""

import threading
from contextlib import contextmanager

import httpx

from lmspan.page.reader import Reader
from lmspan.page.server import listen, server


@contextmanager
def serving(path):
    """Serve traces; yields the address that `lmspan ui` prints."""
    reader, listening = Reader(path), listen()
    running, address = server(reader, listening)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield address
    finally:
        running.should_exit = True
        thread.join()
        reader.close()


@contextmanager
def entered(path):
    """A client that has opened the address."""
    with serving(path) as address, httpx.Client(base_url=address.partition("?")[0], timeout=60) as client:
        client.get(address)
        yield client
