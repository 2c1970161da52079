"""What `lmspan ui` costs in a real browser, with Arize Phoenix and MLflow beside it in the same run.

    python benchmarks/page.py [--spans 20000] [--times 5] [--phoenix PATH] [--mlflow PATH]

From the start of the process to the list on the page, with an index present; opening a trace; from the start and the
end of an operation to its row on the page. `--phoenix` and `--mlflow` are the programs in environments of their own;
for these it is the time from the start of the process to the first content of their pages, with an empty database. The
browser is Debian's Chromium, which runs already.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from playwright.sync_api import sync_playwright
from reading import record

from lmspan.traces import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

PATIENCE_MS = 300_000
OPERATION = """
import time, lmspan
session = lmspan.init("live", instrument=[])
with lmspan.operation("workflow", "live"):
    print(time.time(), flush=True)
    time.sleep(3)
print(time.time(), flush=True)
session.shutdown()
"""


@contextmanager
def started(command: list[str], **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environ}
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def opened(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def ui(directory: Path) -> list[str]:
    return [sys.executable, "-m", "lmspan", "ui", "--no-browser", str(directory)]


def address_of(process: subprocess.Popen[str]) -> str:
    lines = process.stdout
    assert lines is not None
    lines.readline()
    return lines.readline().strip()


def our_page(browser: Browser, directory: Path) -> dict[str, float]:
    """Return the seconds to the list and to the tree of its newest trace, and the memory of the server."""
    with opened(browser) as page:
        start = time.perf_counter()
        with started(ui(directory)) as process:
            page.goto(address_of(process), wait_until="commit")
            page.locator(".traces .name a").first.wait_for()
            listed = time.perf_counter()
            page.locator(".traces .name a").first.click()
            page.locator(".row").first.wait_for()
            opened_at = time.perf_counter()
            status = Path(f"/proc/{process.pid}/status")
            memory = int(status.read_text().partition("VmRSS:")[2].split()[0]) if status.exists() else 0
    return {"start to list": listed - start, "open the trace": opened_at - listed, "memory, MB": memory / 1024}


def live(browser: Browser, directory: Path) -> dict[str, float]:
    """Return the seconds from the start and from the end of an operation to the row on the page."""
    with opened(browser) as page, started(ui(directory)) as process:
        page.goto(address_of(process))
        page.locator(".traces, .empty").first.wait_for()
        row = page.locator(".traces tr", has_text="live")
        with started([sys.executable, "-c", OPERATION], LMSPAN_DIR=str(directory)) as program:
            assert program.stdout is not None
            began = float(program.stdout.readline())
            row.locator(".running").first.wait_for()
            appeared = time.time() - began
            ended = float(program.stdout.readline())
            row.locator(".running").first.wait_for(state="detached")
            return {"an operation starts": appeared, "an operation ends": time.time() - ended}


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def other_page(browser: Browser, command: Callable[[str], list[str]], content: str, **environ: str) -> dict[str, float]:
    """Return the seconds from the start of another server to the first content of its page."""
    with tempfile.TemporaryDirectory() as directory, opened(browser) as page:
        port = free_port()
        own = {name: value.format(port=port, directory=directory) for name, value in environ.items()}
        start = time.perf_counter()
        with started(command(port), **own):
            home = f"http://127.0.0.1:{port}"
            wait_for(home)
            page.goto(home)
            page.get_by_text(content).first.wait_for()
            return {"start to list": time.perf_counter() - start}


def wait_for(address: str) -> None:
    for _ in range(3000):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(address)


def show(title: str, times: list[dict[str, float]]) -> None:
    for name in times[0]:
        values = [each[name] for each in times]
        print(
            f"{title:<10}{name:<24}{statistics.median(values):8.2f}   {min(values):.2f} to {max(values):.2f}",
            flush=True,
        )


def measured(browser: Browser, options: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        record(directory, options.spans)
        Store(directory).list()
        show("lmspan", [our_page(browser, directory) for _ in range(options.times)])
    with tempfile.TemporaryDirectory() as place:
        show("lmspan", [live(browser, Path(place)) for _ in range(options.times)])
    if options.phoenix:
        one = {"PHOENIX_PORT": "{port}", "PHOENIX_GRPC_PORT": free_port(), "PHOENIX_HOST": "127.0.0.1",
               "PHOENIX_WORKING_DIR": "{directory}", "PHOENIX_TELEMETRY_ENABLED": "false",
               "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false"}  # fmt: skip
        show("Phoenix", [other_page(browser, lambda _: [options.phoenix, "serve"], "default", **one)])
    if options.mlflow:
        two = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_MODEL_CATALOG_URI": "",
            "MLFLOW_BACKEND_STORE_URI": "sqlite:///{directory}/mlflow.db",
        }
        serve = [options.mlflow, "server", "--host", "127.0.0.1", "--port"]
        show("MLflow", [other_page(browser, lambda port: [*serve, port], "MLflow", **two)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--phoenix", help="the program `phoenix` of an environment of its own")
    parser.add_argument("--mlflow", help="the program `mlflow` of an environment of its own")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        measured(browser, options)
        browser.close()


if __name__ == "__main__":
    main()
