"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import shutil
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect, sync_playwright

from support.browser import PATIENCE_MS, settled, slow_page
from support.page import serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, beside which no async test can run
def chromium():
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH; `apt-get install chromium` brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Open the page of a directory; every message of the browser's console is a failure."""

    @contextmanager
    def open_page(directory, **options):
        complaints = []
        with serving(directory) as address:
            context = chromium.new_context(base_url=address, viewport={"width": 1280, "height": 800}, **options)
            page = slow_page(context)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(address)
            settled(page)
            yield page
            context.close()
        assert complaints == []

    return open_page
