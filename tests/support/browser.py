"""What the tests of the page share in a browser: a slow network, a slow processor, and the way to a view."""

import os
from contextlib import contextmanager

from playwright.sync_api import expect

PATIENCE_MS = int(os.environ.get("PAGE_PATIENCE_MS", "60000"))  # how long an assertion waits before it fails
LATENCY_MS = int(os.environ.get("PAGE_LATENCY_MS", "100"))  # of each request
CPU_RATE = float(os.environ.get("PAGE_CPU_RATE", "1"))  # with 4, a script takes four times as long

FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
MOVED = f"""void (window.moved = new Promise((done, fail) => {{
  addEventListener("hashchange", () => done(), {{ once: true }});  // heard after the page has heard it
  setTimeout(() => fail(new Error("the address has not changed")), {PATIENCE_MS});
}}))"""


def slow_page(context, offline=False):
    """A page whose views stay for a while after a click, so that an assertion on the former one fails in each run."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    network = {"offline": offline, "latency": LATENCY_MS, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", network)
    session.send("Emulation.setCPUThrottlingRate", {"rate": CPU_RATE})
    return page


def settled(page):
    """Wait until the view of the address is drawn with all that belongs to it, or its message is shown."""
    expect(page.locator("main[aria-busy=false]")).to_be_attached()
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


@contextmanager
def leaving(page):
    """Wait, after a click or a key that leads to another view, until nothing of the former view is left."""
    page.evaluate(MOVED)
    yield
    page.evaluate("window.moved")
    settled(page)


def visit(page, address):
    """Go to a view as a link of the page does, and wait until it is drawn."""
    with leaving(page):
        page.evaluate("(address) => { location.hash = address; }", address)


def resize(page, width):
    """Change the width of the window, and wait until the tables have taken it."""
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(f"async (width) => {{ do await {FRAMES}; while (innerWidth !== width); await {FRAMES}; }}", width)


@contextmanager
def late(page, pattern):
    """Hold the next answer to such a request until the block ends, and give it to the page then."""
    held = []
    page.route(pattern, lambda route: held.append((route, route.fetch())), times=1)
    with page.expect_request(pattern):
        yield
    while not held:
        page.wait_for_timeout(10)
    route, answer = held[0]
    route.fulfill(response=answer)
    route.request.response().finished()
    page.evaluate(FRAMES)
