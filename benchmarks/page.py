"""What `lmspan ui` costs in a real browser, with Arize Phoenix and MLflow beside it in the same run.

    python benchmarks/page.py [--spans 20000] [--times 5] [--before SRC] [--phoenix PATH] [--mlflow PATH]

From the start of the process to its address, to the first paint and to the list, with an index present; from a click to
the tree of a trace, and to all of its header; from the start and the end of an operation to its row on the page.
`--before` is the `src` of another version of lmspan, which takes turns with this one. `--phoenix` and `--mlflow` are
the programs in environments of their own: the same trace is sent to them, they start again with it, and its page is
opened. The browser is Debian's Chromium, which runs already.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from playwright.sync_api import TimeoutError, sync_playwright  # noqa: A004 - Playwright's name

from benchmarks.reading import record
from lmspan.traces import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent.parent
PATIENCE_MS = 300_000
UI = [sys.executable, "-m", "lmspan", "ui", "--no-browser"]
FIRST_PAINT = "performance.timeOrigin + performance.getEntriesByName('first-paint')[0].startTime"
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
def started(command: list[str], output: int = subprocess.PIPE, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdout=output, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **environ}
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


def address_of(process: subprocess.Popen[str]) -> str:
    lines = process.stdout
    assert lines is not None
    lines.readline()
    return lines.readline().strip()


def our_page(browser: Browser, directory: Path, sources: Path) -> dict[str, float]:
    """Return the seconds from the start to the list, from a click to its newest trace, and the server's memory."""
    with opened(browser) as page:
        start = time.time()
        with started(UI, PYTHONPATH=str(sources), LMSPAN_DIR=str(directory)) as process:
            address = address_of(process)
            known = time.time()
            page.goto(address, wait_until="commit")
            page.locator(".traces .name a").first.wait_for()
            listed = time.time()
            painted = page.evaluate(FIRST_PAINT) / 1000
            processor = processor_time_of(process.pid)
            page.locator(".traces .name a").first.click()
            page.locator(".row").first.wait_for()
            opened_at = time.time()
            page.get_by_role("link", name="MIPROv2:").wait_for()
            read = time.time()
            memory, of_trace = memory_of(process.pid), processor_time_of(process.pid) - processor
    return {
        "start to address": known - start, "start to first paint": painted - start, "start to list": listed - start,
        "address to list": listed - known, "click to tree": opened_at - listed, "click to results": read - listed,
        "processor time, start to list": processor, "processor time, click to results": of_trace, "memory, MB": memory,
    }  # fmt: skip


def memory_of(pid: int) -> float:
    """Return the memory of a process and of its children, of which each has its share of what they use together."""
    total = 0.0
    for each in (pid, *children_of(pid)):
        shares = Path(f"/proc/{each}/smaps_rollup")
        if shares.exists():
            total += int(shares.read_text().partition("\nPss:")[2].split()[0]) / 1024
    return total


def processor_time_of(pid: int) -> float:
    """Return the seconds that a process and its children have used, which depend little on what else runs."""
    total = 0.0
    for each in (pid, *children_of(pid)):
        stat = Path(f"/proc/{each}/stat")
        if stat.exists():
            used = stat.read_text().rpartition(")")[2].split()[11:15]  # those of children that have ended, too
            total += sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
    return total


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(each) for each in path.read_text().split()] if path.exists() else []
    return [*children, *(below for each in children for below in children_of(each))]


def live(browser: Browser, directory: Path) -> dict[str, float]:
    """Return the seconds from the start and from the end of an operation to the row on the page."""
    with opened(browser) as page, started(UI, LMSPAN_DIR=str(directory)) as process:
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


class Other(NamedTuple):
    """Another server: `path` is the page of its list, `trace` is the page of a trace."""

    command: list[str]
    environ: dict[str, str]
    headers: tuple[str, ...]
    path: str
    trace: str
    row: str
    """What is on the page when the trace is."""


def other_page(browser: Browser, other: Other, directory: Path, trace_id: str) -> Iterator[tuple[str, float]]:
    """Yield figures of another server: with an empty database, while it takes a trace, and with the trace."""
    with tempfile.TemporaryDirectory() as place:
        port, start = free_port(), time.time()
        own = {name: value.format(port=port, place=place, other=free_port()) for name, value in other.environ.items()}
        command = [each.format(port=port, place=place) for each in other.command]
        with started(command, subprocess.DEVNULL, **own) as process:  # a pipe that is full would stop it
            home = f"http://127.0.0.1:{port}"
            wait_for(home)
            yield "start to first answer", time.time() - start
            yield "processor time, start to first answer", processor_time_of(process.pid)
            with opened(browser) as page:
                page.goto(home + other.path)
                page.get_by_role("link", name=re.compile("Settings")).first.wait_for()
            yield "start to its page", time.time() - start
            yield "memory when empty, MB", memory_of(process.pid)
            start = time.time()
            sent = subprocess.run(
                [sys.executable, "-m", "lmspan", "send", str(directory / "traces.jsonl"), "--endpoint", home,
                 *(f"--header={each}" for each in other.headers)],
                env={**os.environ, "OTEL_EXPORTER_OTLP_TIMEOUT": "300"}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            print(sent.stdout.strip(), sent.stderr.strip(), flush=True)
            yield "sending the trace", time.time() - start
            processor = processor_time_of(process.pid)
            yield from trace_of(browser, home + other.trace.format(trace=trace_id), other.row)
            yield "processor time, sent to shown", processor_time_of(process.pid) - processor
            yield "memory with the trace, MB", memory_of(process.pid)


def trace_of(browser: Browser, address: str, row: str) -> Iterator[tuple[str, float]]:
    """Yield the seconds until the trace is there, after it was sent, and those that its page takes then."""
    sent = time.time()
    while time.time() - sent < PATIENCE_MS / 1000:
        with opened(browser) as page:
            start = time.time()
            page.goto(address)
            with suppress(TimeoutError):
                page.get_by_text(re.compile(row)).first.wait_for(timeout=60_000)
                print("its page says:", " ".join(page.get_by_text(re.compile(row)).first.inner_text().split()))
                yield "from its address to the trace", time.time() - start
                yield "sent to shown", time.time() - sent
                return
    print(f"the trace is not there {PATIENCE_MS / 1000:.0f} s after it was sent")


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
            f"{title:<10}{name:<40}{statistics.median(values):8.2f}   {min(values):.2f} to {max(values):.2f}",
            flush=True,
        )


def measured(browser: Browser, options: Any) -> None:
    versions = {"lmspan": HERE / "src", **({"before": options.before} if options.before else {})}
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        record(directory, options.spans)
        newest = Store(directory).list()[0]
        times: dict[str, list[dict[str, float]]] = {name: [] for name in versions}
        for _ in range(options.times):
            for name, sources in versions.items():
                times[name].append(our_page(browser, directory, sources))
        for name in versions:
            show(name, times[name])
        for name, other in OTHERS.items():
            if program := getattr(options, name.lower()):
                figures = other_page(
                    browser, other._replace(command=[program, *other.command]), directory, newest.trace_id
                )
                for title, figure in figures:
                    show(name, [{title: figure}])
    with tempfile.TemporaryDirectory() as place:
        show("lmspan", [live(browser, Path(place)) for _ in range(options.times)])
    print("load", os.getloadavg())


OTHERS = {
    "Phoenix": Other(
        ["serve"],
        {"PHOENIX_PORT": "{port}", "PHOENIX_GRPC_PORT": "{other}", "PHOENIX_HOST": "127.0.0.1",
         "PHOENIX_WORKING_DIR": "{place}", "PHOENIX_TELEMETRY_ENABLED": "false",
         "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false"},
        (), "/projects", "/redirects/traces/{trace}", r"Viewing \d+ of \d+ spans",
    ),
    "MLflow": Other(
        ["server", "--host", "127.0.0.1", "--port", "{port}"],
        {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_MODEL_CATALOG_URI": "",
         "MLFLOW_BACKEND_STORE_URI": "sqlite:///{place}/mlflow.db"},
        ("x-mlflow-experiment-id=0",), "/#/experiments/0/traces",
        "/#/experiments/0/traces?traceId=tr-{trace}", "candidate",
    ),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--before", type=Path, help="the `src` of another version of lmspan")
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
