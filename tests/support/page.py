"""The page's real server, on a thread."""

import threading
from contextlib import contextmanager

import httpx

from lmspan.page.entrance import listen
from lmspan.page.reader import Reader
from lmspan.page.server import server


@contextmanager
def serving(path):
    """Serve traces; yields the address that `lmspan ui` prints."""
    reader, entrance = Reader(path), listen()
    running = server(reader, entrance)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [entrance.listening]})
    thread.start()
    try:
        yield entrance.address
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
