"""Make the pictures of `lmspan ui` in docs: record the day that docs/how-to/read-a-trace.md describes, and look at it.

python docs/examples/page_pictures.py
"""

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from playwright.sync_api import Page, sync_playwright

from support.page import serving
from support.processes import start_day

DOCS = Path(__file__).parent.parent
SIZE = {"width": 1120, "height": 640}


def views(page: Page) -> None:
    """Take a picture of each view."""

    def take(name: str, selector: str) -> None:
        page.locator(selector).first.wait_for()
        page.screenshot(path=DOCS / f"page-{name}.png")

    def home() -> None:
        page.locator(".brand").click()
        page.locator(".traces").wait_for()

    take("list", ".traces")
    page.locator(".traces tr", has_text="Where is good tea?").locator(".name a").click()
    page.locator(".row .text", has_text="chat gpt-4o").last.click()
    take("trace", ".message")
    home()
    page.locator(".traces .name a").first.click()
    page.get_by_role("link", name="GEPA: 0 → 1").click()
    take("run", ".diff")
    page.get_by_role("link", name="Spans").click()
    page.get_by_label("Query for spans").fill("operation:lm (under:judge or retries>1)")
    page.get_by_role("link", name="Traces of these spans").wait_for()
    page.get_by_role("button", name="time").click()
    take("spans", ".spans th[aria-sort]:has-text('time')")
    home()
    page.get_by_role("link", name="Statistics").click()
    take("statistics", ".figures")


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as directory:
        start_day(directory).wait()
        with serving(directory) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE)
            page.goto(address)
            views(page)
            browser.close()


if __name__ == "__main__":
    main()
